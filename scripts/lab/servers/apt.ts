/**
 * Packages of another suite of Debian, fetched without installing any: apt with a folder of its own, the mirror that this machine's
 * apt is set up for, and Debian's keyring.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { MytapeError } from '../../../src/errors.ts';

const run = promisify(execFile);

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const ETC_APT = '/etc/apt';

/** Suites by which an entry is known as Debian's own, beside the machine's codename. */
const DEBIAN_SUITES = ['oldstable', 'stable', 'testing', 'unstable', 'bookworm', 'trixie', 'forky', 'sid'];

/** Taken for installed: what only scripts, or programs that we don't build, need of the packages that we fetch. */
const TAKEN_FOR_INSTALLED = ['perl', 'debconf', 'libc6-dev', 'libssl-dev', 'libzstd-dev', 'zlib1g-dev'];

const MAX_OUTPUT_OCTETS = 64 << 20;

export interface Wanted {
  suite: string;
  /** With all that they depend on. */
  packages: readonly string[];
  /** Just these, without what they depend on. */
  alone: readonly string[];
}

interface Entry {
  types: string[];
  uris: string[];
  suites: string[];
  components: string[];
}

const words = (text: string | undefined) => (text ?? '').split(/\s+/).filter((word) => word !== '');

/** sources.list(5), one line an entry: `deb [ options ] uri suite component…`. */
function oneLineEntries(text: string): Entry[] {
  return text.split('\n').flatMap((line) => {
    const [, type, uri, suite, rest] =
      /^\s*(deb)\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)([^#]*)/.exec(line) ?? ([] as undefined[]);
    if (type === undefined || uri === undefined || suite === undefined) return [];
    return [{ types: [type], uris: [uri], suites: [suite], components: words(rest) }];
  });
}

/** The same, deb822: stanzas of fields, which may go on in lines that begin with a space. */
function deb822Entries(text: string): Entry[] {
  const plain = text.replace(/^#.*\n?/gm, '').replace(/\n[ \t]+/g, ' ');
  return plain.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (name: string) => new RegExp(`^${name}:(.*)$`, 'im').exec(stanza)?.[1];
    if (/^\s*(no|false|0)\s*$/i.test(field('Enabled') ?? '')) return [];
    const [types, uris, suites, components] = ['Types', 'URIs', 'Suites', 'Components'].map((name) =>
      words(field(name)),
    );
    return [{ types, uris, suites, components }];
  });
}

/** Debian's mirrors among what apt is set up for, in the order of the files. `codename`: the machine's own suite. */
export function mirrorsIn(files: readonly { name: string; text: string }[], codename: string): string[] {
  const entries = files.flatMap(({ name, text }) =>
    name.endsWith('.sources') ? deb822Entries(text) : name.endsWith('.list') ? oneLineEntries(text) : [],
  );
  const isDebian = ({ types, suites, components }: Entry) =>
    types.includes('deb') &&
    components.includes('main') &&
    suites.some((suite) => suite === codename || DEBIAN_SUITES.includes(suite));
  return [...new Set(entries.filter(isDebian).flatMap(({ uris }) => uris))];
}

function mirrors(): string[] {
  const parts = join(ETC_APT, 'sources.list.d');
  const paths = [
    join(ETC_APT, 'sources.list'),
    ...(existsSync(parts)
      ? readdirSync(parts)
          .sort()
          .map((name) => join(parts, name))
      : []),
  ];
  const files = paths
    .filter((path) => existsSync(path))
    .map((name) => ({ name, text: readFileSync(name, 'utf8') }));
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const found = mirrorsIn(files, /^VERSION_CODENAME=(\w+)/m.exec(release)?.[1] ?? 'stable');
  if (found.length === 0)
    throw new MytapeError('not-supported', `no Debian mirror in ${ETC_APT}/sources.list or sources.list.d`);
  return found;
}

/** Of the machine's settings: what it fetches beside packages, and what would let a package in unsigned. */
const NOT_KEPT = /^Acquire::(IndexTargets|Languages|Allow)/i;

/** apt's settings for a folder of its own. The machine's hooks and sources are left out; its ways to the net are kept. */
async function writeSettings(folder: string): Promise<string> {
  const { stdout: acquire } = await run('apt-config', ['dump', 'Acquire']);
  const { stdout: architecture } = await run('dpkg', ['--print-architecture']);
  const at = (name: string) => JSON.stringify(join(folder, name));
  const status = TAKEN_FOR_INSTALLED.map(
    (name) =>
      `Package: ${name}\nStatus: install ok installed\nArchitecture: ${architecture.trim()}\n` +
      'Multi-Arch: allowed\nVersion: 9999\n\n',
  );
  writeFileSync(join(folder, 'status'), status.join(''));
  const settings = [
    ...acquire.split('\n').filter((line) => !NOT_KEPT.test(line)),
    'Acquire::Languages "none";',
    'Acquire::AllowInsecureRepositories "false";',
    `Dir::Etc::Parts "/dev/null";`,
    `Dir::Etc::Main "/dev/null";`,
    `Dir::Etc::SourceList ${at('mirror.sources')};`,
    `Dir::Etc::SourceParts "/dev/null";`,
    `Dir::Etc::Preferences "/dev/null";`,
    `Dir::Etc::PreferencesParts "/dev/null";`,
    `Dir::State ${at('state')};`,
    `Dir::State::Status ${at('status')};`,
    `Dir::Cache ${at('cache')};`,
    // The folder is ours alone, where apt's own user has no way in.
    'APT::Sandbox::User "root";',
    'APT::Install-Recommends "false";',
  ];
  const path = join(folder, 'apt.conf');
  writeFileSync(path, settings.map((line) => `${line}\n`).join(''));
  return path;
}

/** Downloads packages into `folder`, a new one of ours; their paths. Rejects, with apt's words, where there is no way to them. */
export async function downloadPackages(folder: string, wanted: Wanted): Promise<string[]> {
  if (!existsSync(KEYRING)) {
    throw new MytapeError('not-supported', `no ${KEYRING} (Debian's package debian-archive-keyring)`);
  }
  const archives = join(folder, 'cache/archives');
  for (const name of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(join(folder, name), { recursive: true });
  const env = { ...process.env, APT_CONFIG: await writeSettings(folder), LC_ALL: 'C' };
  const apt = (...args: string[]) =>
    run('apt-get', ['-q', ...args], { env, cwd: archives, maxBuffer: MAX_OUTPUT_OCTETS });
  let trouble: unknown;
  for (const uri of mirrors()) {
    writeFileSync(
      join(folder, 'mirror.sources'),
      `Types: deb\nURIs: ${uri}\nSuites: ${wanted.suite}\nComponents: main\nSigned-By: ${KEYRING}\n`,
    );
    try {
      // Without this an index that could not be fetched is a warning.
      await apt('update', '--error-on=any');
      await apt('install', '--yes', '--download-only', ...wanted.packages);
      if (wanted.alone.length > 0) await apt('download', ...wanted.alone);
      return readdirSync(archives)
        .filter((name) => name.endsWith('.deb'))
        .map((name) => join(archives, name));
    } catch (error) {
      trouble = error;
    }
  }
  const said = ((trouble as { stderr?: string }).stderr ?? String(trouble)).trim();
  throw new MytapeError('system-call', `apt can't fetch ${wanted.packages.join(', ')}: ${said}`, {
    cause: trouble,
  });
}
