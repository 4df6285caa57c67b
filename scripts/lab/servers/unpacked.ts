/**
 * Servers and clients of another suite of Debian, unpacked beside the machine's own packages: no root of their own, no chroot.
 * Their own ld.so loads them with their own libraries. Kept from run to run in CACHE, a folder for each version.
 */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { MytapeError } from '../../../src/errors.ts';
import { downloadPackages, type Wanted } from './apt.ts';

const run = promisify(execFile);

/** Root's, as the lab is; read by all, since the lab's clients run as users of no rights. */
export const CACHE = '/var/cache/mytape';

/** After so long a mirror is asked whether it has a newer version. */
const FRESH_MS = 7 * 24 * 3600_000;
/** After so long a version that was replaced has no server running any more. */
const FORGOTTEN_MS = 30 * 24 * 3600_000;

export interface Unpacked {
  /** Debian's, without its epoch: 9.7.4-2. */
  version: string;
  /** Holds `bin`, whose programs run like any other, `root`, where the packages are unpacked, and `share` and `lib` of it. */
  folder: string;
}

/** What packages hold that a lab has no use for: half of the space. */
const NEEDLESS = ['usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/share/info'];

/** Of what `unpack` makes: a change there gives new folders. */
const LAYOUT = 2;

const noteOf = (name: string) => join(CACHE, `${name}.json`);

function folderOf(name: string, version: string): string {
  return join(CACHE, `${name}-${version}-layout${LAYOUT}`);
}

/** The version that is there; undefined: none was fetched yet. */
export function unpacked(name: string): Unpacked | undefined {
  try {
    const found = JSON.parse(readFileSync(noteOf(name), 'utf8')) as Unpacked;
    return existsSync(found.folder) && found.folder === folderOf(name, found.version) ? found : undefined;
  } catch {
    return undefined;
  }
}

/** Makes the cache. Everybody may enter it, whatever the umask: clients in the lab run as users without rights. */
export function makeCache(folder = CACHE): void {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
}

/** Fetches packages unless they are there; `wanted.packages[0]` gives the version. An old version serves where no mirror answers. */
export async function fetchUnpacked(
  name: string,
  wanted: Wanted,
  say: (text: string) => void,
): Promise<Unpacked> {
  makeCache();
  const present = unpacked(name);
  if (present && Date.now() - statSync(noteOf(name)).mtimeMs < FRESH_MS) return present;
  // Of this process alone: two at once fetch twice and don't meet.
  const work = mkdtempSync(join(CACHE, `${name}.new-`));
  try {
    say(`fetching ${wanted.packages.join(', ')} from Debian's suite ${wanted.suite}, into ${CACHE}`);
    const packages = await downloadPackages(work, wanted);
    const found = await unpack(name, work, packages, wanted.packages[0]);
    const note = join(work, 'note');
    writeFileSync(note, `${JSON.stringify(found)}\n`);
    renameSync(note, noteOf(name));
    forget(name, found);
    return found;
  } catch (error) {
    if (present === undefined) throw error;
    say(`${name} stays at ${present.version}: ${(error as Error).message}`);
    return present;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function unpack(name: string, work: string, packages: string[], main: string): Promise<Unpacked> {
  const version = packages
    .map((path) => basename(path).split('_'))
    .find(([each]) => each === main)?.[1]
    .replace(/^\d+%3a/, '');
  if (version === undefined) throw new MytapeError('system-call', `apt fetched no ${main}`);
  const folder = folderOf(name, version);
  if (existsSync(folder)) return { version, folder };
  const made = join(work, 'made');
  mkdirSync(join(made, 'root'), { recursive: true });
  for (const each of packages) await run('dpkg-deb', ['-x', each, join(made, 'root')]);
  for (const each of NEEDLESS) rmSync(join(made, 'root', each), { recursive: true, force: true });
  writeWrappers(made, folder);
  chmodSync(made, 0o755);
  try {
    renameSync(made, folder);
  } catch (error) {
    // Another process was first; its folder is as good.
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
  }
  return { version, folder };
}

const ELF = 0x7f454c46;

function isElf(path: string): boolean {
  const octets = Buffer.alloc(4);
  const file = openSync(path, 'r');
  readSync(file, octets);
  closeSync(file);
  return octets.readUInt32BE() === ELF;
}

/** What a program that needs the unpacked libraries is started by, and where they are. */
export function loaderIn(folder: string): { libraries: string; command: string[] } {
  // Debian's name of the machine: x86_64-linux-gnu.
  const machine = readdirSync(join(folder, 'root/usr/lib')).find((each) => each.includes('-linux-'));
  const libraries = join(folder, 'root/usr/lib', machine ?? '');
  const loader = readdirSync(libraries).find((each) => each.startsWith('ld-linux-'));
  if (machine === undefined || loader === undefined)
    throw new MytapeError('not-supported', 'the packages hold no ld-linux');
  // The library path goes first, and not what this machine's ld.so.cache names.
  const command = [join(libraries, loader), '--inhibit-cache', '--library-path', libraries];
  return { libraries, command };
}

/** Programs that run as any other, for `folder`, where all of `made` is going to be. */
function writeWrappers(made: string, folder: string): void {
  const there = loaderIn(made);
  const lib = there.libraries.replace(made, folder);
  const [loader, ...options] = there.command.map((word) => word.replace(made, folder));
  const usr = join(folder, 'root/usr');
  // Where clients look for their halves of a server's login plugins.
  const plugins =
    `export MARIADB_PLUGIN_DIR=${join(lib, 'libmariadb3/plugin')}\n` +
    `export LIBMYSQL_PLUGIN_DIR=${join(usr, 'lib/mysql/plugin')}`;
  mkdirSync(join(made, 'bin'));
  mkdirSync(join(made, 'loaders'));
  for (const place of ['bin', 'sbin']) {
    const from = join(made, 'root/usr', place);
    if (!existsSync(from)) continue;
    for (const program of readdirSync(from)) {
      if (!statSync(join(from, program)).isFile()) continue;
      const path = join(usr, place, program);
      if (!isElf(join(from, program))) {
        symlinkSync(path, join(made, 'bin', program));
        continue;
      }
      // A process is called as what is executed: the loader takes the program's name.
      symlinkSync(loader, join(made, 'loaders', program));
      const enter = [join(folder, 'loaders', program), ...options, '--argv0', path, path];
      const script = `#!/bin/sh\n${plugins}\nexec ${enter.join(' ')} "$@"\n`;
      writeFileSync(join(made, 'bin', program), script, { mode: 0o755 });
    }
  }
  symlinkSync('bin', join(made, 'sbin'));
  for (const each of ['lib', 'share', 'include']) {
    if (existsSync(join(made, 'root/usr', each))) symlinkSync(`root/usr/${each}`, join(made, each));
  }
}

function forget(name: string, { folder }: Unpacked): void {
  for (const each of readdirSync(CACHE)) {
    const path = join(CACHE, each);
    const isOld = () => Date.now() - statSync(path).mtimeMs > FORGOTTEN_MS;
    if (each.startsWith(`${name}-`) && path !== folder && isOld()) rmSync(path, { recursive: true });
  }
}
