import { Command, Option } from '@commander-js/extra-typings';
import { MytapeError } from '../../src/errors.ts';
import { collect, DEFAULT_NAME, Lab } from './lab.ts';
import { ADDRESSES, CLIENT_ADDRESSES, HOSTS, type Host, pidsIn } from './network.ts';
import { PORT, USERS } from './server.ts';
import { BRANDS, type BrandName, fetchBrand } from './servers/brands.ts';
import { lockName, readState } from './state.ts';

const say = (text: string) => process.stdout.write(text + '\n');
const name = () => new Option('--name <name>', 'which lab').default(DEFAULT_NAME);

function hostOf(text: string): Host {
  const host = HOSTS.find((each) => each === text);
  if (host === undefined)
    throw new MytapeError('usage', `no host ${text} in the lab: there are ${HOSTS.join(', ')}`);
  return host;
}

const server = <Flags extends string>(flags: Flags) =>
  new Option(flags, 'which server runs there').choices(BRANDS).default('mariadb' as const);

interface UpOptions {
  name: string;
  online: BrandName;
  target: BrandName;
}

async function up({ name, online, target }: UpOptions): Promise<void> {
  for (const each of new Set([online, target])) await fetchBrand(each, say);
  const lab = await Lab.up({ name, online, target });
  lab.leaveInBackground();
  say(`lab ${lab.name} is up:`);
  for (const host of HOSTS)
    say(`  ${host.padEnd(10)} ${ADDRESSES[host].padEnd(11)} namespace ${lab.namespace(host)}`);
  say(
    `  recorded clients speak from ${CLIENT_ADDRESSES[0]}–${CLIENT_ADDRESSES.at(-1)?.split('.').at(-1)} on client`,
  );
  say(`  servers on online and target, port ${PORT}, user app, password ${USERS.app}, schema sbtest`);
  for (const host of ['online', 'target'] as const) {
    const { brand, programs, socketPath } = lab.server(host);
    say(`  ${brand.title} ${programs.version} on ${host}; root there:`);
    say(`    ${programs.program(brand.client)} --socket=${socketPath} -uroot -proot-secret`);
  }
  say('npm run lab -- shell client | exec online -- CMD | status | down');
}

/** A shell, or a command, on a host; its exit code is ours. */
async function inside(
  options: { name: string },
  host: string,
  command: string,
  args: string[],
): Promise<void> {
  const lab = Lab.attach(options.name);
  // Ctrl-C on the terminal is for the command inside.
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) process.on(signal, () => {});
  const child = lab.spawn(hostOf(host), command, args, { stdio: 'inherit' });
  process.exitCode = (await collect(child)).code;
}

async function status(options: { name: string }): Promise<void> {
  const lab = Lab.attach(options.name);
  for (const host of HOSTS) {
    const processes = pidsIn(lab.namespace(host)).length;
    let line = `${host.padEnd(10)} ${ADDRESSES[host].padEnd(11)} ${processes} processes`;
    if (host === 'online' || host === 'target') {
      const server = lab.server(host);
      const connections = await server.processlist().then(
        (rows) => `${server.brand.server} answers, ${rows.length} connections`,
        () => `${server.brand.server} does not answer`,
      );
      server.disconnect();
      line += `, ${connections}`;
    }
    say(line);
  }
  say(`data, sockets and logs: ${lab.runFolder}`);
}

async function down(options: { name: string }): Promise<void> {
  if (readState(options.name) === undefined) {
    say(`lab ${options.name} is not up`);
    return;
  }
  const lock = await lockName(options.name);
  await Lab.attach(options.name).down();
  lock.close();
  say(`lab ${options.name} is down`);
}

const program = new Command('lab').description(
  'four hosts and two servers in network namespaces (docs/lab.md)',
);
program
  .command('up')
  .description('make the lab and leave it running')
  .addOption(name())
  .addOption(server('--online <brand>'))
  .addOption(server('--target <brand>'))
  .addHelpText(
    'after',
    '\nmariadb is this machine’s own; mariadb11 and mysql are fetched from Debian’s suites trixie and sid,' +
      '\nthe first time, into /var/cache/mytape.\n\nexample: npm run lab -- up --online mysql --target mariadb11',
  )
  .action(up);
program
  .command('shell')
  .description(`a shell on ${HOSTS.join(', ')}`)
  .argument('<host>')
  .addOption(name())
  .action((host, options) => inside(options, host, process.env.SHELL ?? 'sh', []));
program
  .command('exec')
  .description('run a command on a host')
  .argument('<host>')
  .argument('<command...>')
  .addOption(name())
  .action((host, [command, ...args], options) => inside(options, host, command, args));
program.command('status').description('who runs where').addOption(name()).action(status);
program.command('down').description('end it and leave nothing').addOption(name()).action(down);

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof MytapeError)) throw error;
  process.stderr.write(`lab: ${error.message.replace(/^lab: /, '')}\n`);
  process.exitCode = error.exitCode;
}
