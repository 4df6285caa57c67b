/** The servers that a lab can run, as data: their programs, how their data is first made, their settings and their SQL. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MytapeError } from '../../../src/errors.ts';
import { hasIpv6 } from '../network.ts';
import type { Wanted } from './apt.ts';
import { fetchUnpacked, type Unpacked, unpacked } from './unpacked.ts';

export const BRANDS = ['mariadb', 'mariadb11', 'mysql'] as const;
export type BrandName = (typeof BRANDS)[number];

/** Where a brand's programs are, on this machine. */
export interface Programs {
  /** 10.11.19-MariaDB, 9.7.4-2: what caches and tables of results are keyed by. */
  version: string;
  /** The path, or the name, to run a program by. */
  program(name: string): string;
  /** Settings that a server needs to find what is its own. */
  settings: readonly string[];
}

export interface Brand {
  name: BrandName;
  title: string;
  server: 'mariadbd' | 'mysqld';
  /** Its command-line client and its dump. */
  client: 'mariadb' | 'mysql';
  dump: 'mariadb-dump' | 'mysqldump';
  /** Fills a new data folder; root may log in without a password. */
  install(programs: Programs, folder: string, temporary: string): void;
  /** For a server that lives minutes, beside those that all brands have. */
  settings: readonly string[];
  /** A user whose password is checked by the plugin that is the brand's plainest. */
  createUser(user: string, password: string): string;
  /** Gives a user another plugin: one that asks for the password's proof anew each time. */
  otherLogin(user: string, password: string): string[];
  /** What root runs in a new data folder, before any user is made. */
  firstStart(rootPassword: string): string[];
  /** The right to ask whether a server is a replica. */
  monitorGrant: string;
  /** By what mytape logs in without TLS: the lab's network is its own. */
  loginOptions: readonly string[];
  /** Undefined: the machine's own packages. */
  packages?: Wanted;
}

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** Redo log of a new server, MiB: what is copied for each lab. */
const LOG_SIZE = '32M';

const MARIADB = {
  server: 'mariadbd',
  client: 'mariadb',
  dump: 'mariadb-dump',
  settings: [`--innodb-log-file-size=${LOG_SIZE}`, `--bind-address=${hasIpv6() ? '0.0.0.0,::' : '0.0.0.0'}`],
  createUser: (user: string, password: string) =>
    `CREATE USER ${quoted(user)}@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD(${quoted(password)})`,
  otherLogin: (user: string, password: string) => [
    "INSTALL SONAME 'auth_ed25519'",
    `ALTER USER ${quoted(user)}@'%' IDENTIFIED VIA ed25519 USING PASSWORD(${quoted(password)})`,
  ],
  firstStart: (rootPassword: string) => [
    "DELETE FROM mysql.global_priv WHERE User = ''",
    'FLUSH PRIVILEGES',
    `ALTER USER root@localhost IDENTIFIED VIA mysql_native_password USING PASSWORD(${quoted(rootPassword)})`,
  ],
  install(programs: Programs, folder: string, temporary: string): void {
    // A folder of its own for temporary tables: their names in a shared /tmp hold process ids of several namespaces, and two
    // installations at a time removed one another's.
    const options = ['--user=root', '--auth-root-authentication-method=normal', '--skip-test-db'];
    options.push(`--tmpdir=${temporary}`, `--innodb-log-file-size=${LOG_SIZE}`);
    options.push(...programs.settings.filter((each) => each.startsWith('--basedir=')));
    execFileSync(
      programs.program('mariadb-install-db'),
      ['--no-defaults', `--datadir=${folder}`, ...options],
      {
        stdio: 'pipe',
      },
    );
  },
  monitorGrant: 'SLAVE MONITOR',
  loginOptions: [],
} as const;

const ALL: Readonly<Record<BrandName, Brand>> = {
  mariadb: { ...MARIADB, name: 'mariadb', title: 'MariaDB' },
  mariadb11: {
    ...MARIADB,
    name: 'mariadb11',
    title: 'MariaDB',
    packages: {
      suite: 'trixie',
      packages: ['mariadb-server-core', 'mariadb-client-core', 'libmariadb3'],
      // Plugins for logins, and mariadb-dump; what else they depend on is for a machine that runs them as a service.
      alone: ['mariadb-server', 'mariadb-client'],
    },
  },
  mysql: {
    name: 'mysql',
    title: 'MySQL',
    server: 'mysqld',
    client: 'mysql',
    dump: 'mysqldump',
    settings: [
      '--bind-address=*',
      '--mysqlx=OFF',
      '--secure-file-priv=NULL',
      '--disable-log-bin',
      // Nobody misses its data after a power cut.
      '--innodb-flush-method=nosync',
      `--innodb-redo-log-capacity=${LOG_SIZE}`,
      '--local-infile=ON',
      // What the brands have in common.
      '--collation-server=utf8mb4_general_ci',
    ],
    createUser: (user, password) => `CREATE USER ${quoted(user)}@'%' IDENTIFIED BY ${quoted(password)}`,
    otherLogin: (user, password) => [
      `ALTER USER ${quoted(user)}@'%' IDENTIFIED WITH sha256_password BY ${quoted(password)}`,
    ],
    firstStart: (rootPassword) => [`ALTER USER root@localhost IDENTIFIED BY ${quoted(rootPassword)}`],
    install(programs, folder, temporary) {
      const options = ['--user=root', '--initialize-insecure', `--tmpdir=${temporary}`];
      execFileSync(
        programs.program('mysqld'),
        ['--no-defaults', `--datadir=${folder}`, ...options, ...this.settings, ...programs.settings],
        { stdio: 'pipe' },
      );
    },
    monitorGrant: 'REPLICATION CLIENT',
    loginOptions: ['--get-server-public-key'],
    packages: {
      suite: 'sid',
      packages: ['mysql-server-core', 'mysql-client-core', 'libmysqlclient-dev'],
      alone: [],
    },
  },
};

export function brand(name: BrandName): Brand {
  return ALL[name];
}

function ownPrograms(): Programs {
  const said = execFileSync('mariadbd', ['--no-defaults', '--version'], {
    encoding: 'utf8',
    // In a namespace without interfaces it warns of the MAC address.
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return {
    version: /Ver (\S+)/.exec(said)?.[1] ?? 'unknown',
    program: (name) => name,
    settings: [],
  };
}

function unpackedPrograms({ version, folder }: Unpacked): Programs {
  // MariaDB's messages have been in a folder of its own name since 11.
  const [share] = ['share/mariadb', 'share/mysql']
    .map((name) => join(folder, name))
    .filter((path) => existsSync(join(path, 'charsets')));
  return {
    version,
    program: (name) => join(folder, 'bin', name),
    settings: [
      `--basedir=${folder}`,
      `--lc-messages-dir=${share}`,
      `--character-sets-dir=${join(share, 'charsets')}`,
      `--plugin-dir=${join(folder, 'lib/mysql/plugin')}`,
    ],
  };
}

/** A brand's programs, which are there: `fetchBrand` fetches them, or npm test's set-up did. */
export function programsOf(name: BrandName): Programs {
  if (ALL[name].packages === undefined) return ownPrograms();
  const found = unpacked(name);
  if (found === undefined) throw new MytapeError('usage', `lab: ${brandObstacle(name)}`);
  return unpackedPrograms(found);
}

/** Why no server of a brand can be had here, and what to do; undefined where it can. */
export function brandObstacle(name: BrandName): string | undefined {
  const { packages, server } = ALL[name];
  if (packages === undefined || unpacked(name) !== undefined) return undefined;
  return `needs ${server} of Debian's suite ${packages.suite} (node dist/scripts/lab/servers/fetch.js ${name})`;
}

/** Fetches a brand's programs where they are not there yet. */
export async function fetchBrand(name: BrandName, say: (text: string) => void): Promise<void> {
  const { packages } = ALL[name];
  if (packages !== undefined) await fetchUnpacked(name, packages, say);
}
