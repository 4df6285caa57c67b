import { type Archive, openArchive } from '../archive/reader.ts';
import { MytapeError } from '../errors.ts';
import { ConnectionIds } from '../replay/connection-ids.ts';
import type { CaptureNs } from '../time.ts';
import type { Address } from '../wire/address.ts';
import type { Mapping } from './endpoints.ts';
import { type LoginJob, readKeyLog } from './replay-logins.ts';
import { parseSpeed, runCommand } from './replay-options.ts';
import { carryOut, plannedJob, planRun, planRunClients } from './replay-run.ts';

const EXAMPLES = `
Examples:
  Once more as it was, answers caught by an intercept on the assistant:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 -s 10.128.6.84:36525 --key-file k --users users
  Five times the load at four times the speed:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 -s 10.128.6.84:36525 --key-file k --users users -n 5 --speed 4
  As fast as the target takes it, this host being the assistant itself:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 --local --users users --speed max
  With neither intercept nor route, from this host's own address:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 --local --clients self --users users
  By ordinary connections, over TLS, everybody as one user of the target's:
    mytape replay peak.tape -x 3307-db.test:3307 --transport socket --target-tls --target-ca ca.pem --as tester

Before the first one: mytape doctor, with the same -x, -s and --local. docs/topologies.md says which is for which network.
The users file has a line for each user, \`user: password\`, and mode 0600.
Exit code: 0 done, 1 failed, 2 usage, 3 refused (the target is the recorded server), 5 run not valid, 130 interrupted.`;

type ReplayOptions = ReturnType<ReturnType<typeof replayOptions>['opts']>;

export function replayCommand() {
  return replayOptions().addHelpText('after', EXAMPLES).action(replay);
}

function replayOptions() {
  return runCommand('replay')
    .summary('replay an archive onto a test server')
    .description(
      "Replays the recorded sessions onto a test server, with the recorded clients' addresses (or, by socket, this host's), real logins and every " +
        'command accounted for. Ctrl-C once: what is under way finishes; twice: now.',
    )
    .argument('<archive>', 'folder that `mytape record` or `mytape import` made')
    .option(
      '--speed <x>',
      '1 as recorded, 2 twice as fast, max as fast as the target takes it',
      parseSpeed,
      1,
    )
    .option(
      '--keylog <file>',
      'TLS keys of recorded sessions, as SSLKEYLOGFILE has them, beside those in the keys.log of the archive',
    );
}

async function replay(dir: string, options: ReplayOptions): Promise<void> {
  const plan = await planRun(options);
  const keyLog = options.keylog === undefined ? undefined : readKeyLog(options.keylog);
  const { target: mapping, copies, speed } = options;
  const archive = openArchive(dir);
  try {
    const anchorAt = checkArchive(archive, dir, mapping, plan.target, options.allowLiveTarget === true);
    warnOfRemaps(archive, plan.logins);
    const clients = planRunClients(plan, clientsOf(archive, mapping.recordedPort));
    const { sessions, packets, dropped } = archive.info;
    const connections = ConnectionIds.create(sessions, copies).buffer;
    const job = { ...plannedJob(plan, clients), archive: dir, speed, connections, keyLog };
    await carryOut(job, options, { packets, dropped, anchorAt });
  } finally {
    archive.close();
  }
}

/**
 * When the first session began that can be replayed: what is due at once. Refuses what would replay nothing, and what would
 * replay onto production (DESIGN §5).
 */
function checkArchive(
  archive: Archive,
  dir: string,
  mapping: Mapping,
  target: Address,
  allowLive: boolean,
): CaptureNs {
  const ports = new Set<number>();
  let first = Number.POSITIVE_INFINITY;
  let firstOfAny = Number.POSITIVE_INFINITY;
  for (const { server, serverPort, firstAt, coverage } of archive.sessions()) {
    ports.add(serverPort);
    if (!allowLive && server === target.text && serverPort === mapping.port) {
      throw new MytapeError(
        'refused',
        `${server}:${serverPort} is the server that ${dir} was recorded from: replay onto a test server (or say --allow-live-target)`,
      );
    }
    if (serverPort !== mapping.recordedPort) continue;
    firstOfAny = Math.min(firstOfAny, firstAt);
    if (coverage !== 'joined-late') first = Math.min(first, firstAt);
  }
  if (!ports.has(mapping.recordedPort)) {
    const there = ports.size === 0 ? 'no session at all' : `sessions of port ${[...ports].join(', ')}`;
    throw new MytapeError(
      'usage',
      `${dir} has no session of port ${mapping.recordedPort}, it has ${there} (mend -x)`,
    );
  }
  return first === Number.POSITIVE_INFINITY ? firstOfAny : first;
}

/** A name that is spelt wrong remaps nothing, and the run goes where it should not. */
function warnOfRemaps(archive: Archive, { remapUser, remapSchema }: LoginJob): void {
  const users = new Set(remapUser.keys());
  const schemas = new Set(remapSchema.keys());
  if (users.size + schemas.size === 0) return;
  for (const { user, schema } of archive.sessions()) {
    users.delete(user ?? '');
    schemas.delete(schema ?? '');
  }
  const warn = (option: string, names: Set<string>) => {
    for (const name of names)
      process.stderr.write(
        `mytape: ${option} ${name}: no recorded login names it; is it spelt as recorded?\n`,
      );
  };
  warn('--remap-user', users);
  warn('--remap-schema', schemas);
}

function* clientsOf(archive: Archive, port: number): Iterable<string> {
  for (const { client, serverPort } of archive.sessions()) if (serverPort === port) yield client;
}
