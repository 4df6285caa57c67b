import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server as NetServer } from 'node:net';
import { MytapeError } from '../../src/errors.ts';
import type { BrandName } from './servers/brands.ts';

/** What a later process must know of a lab: enough to use it, or to clear it away. */
export interface LabState {
  name: string;
  /** The process that made it. */
  owner: number;
  /** True once `npm run lab -- up` has left it running on purpose. */
  background: boolean;
  /** Folder of the servers' data, sockets and logs; of one lab, removed with it. */
  runFolder: string;
  /** What each server is. */
  brands: Readonly<Record<'online' | 'target', BrandName>>;
}

/** /run: root's own, and emptied by a reboot just as the namespaces are. */
const STATES = '/run/mytape-lab';

function fileOf(name: string): string {
  return `${STATES}/${name}.json`;
}

export function readState(name: string): LabState | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(name), 'utf8')) as LabState;
  } catch {
    return undefined;
  }
}

export function writeState(state: LabState): void {
  mkdirSync(STATES, { recursive: true, mode: 0o700 });
  writeFileSync(fileOf(state.name), JSON.stringify(state) + '\n', { mode: 0o600 });
}

export function removeState(name: string): void {
  rmSync(fileOf(name), { force: true });
}

/**
 * Holds the lab's name for this process. A socket with an abstract name and not a file: the kernel lets go of it when we
 * end, however we end, so a held name always has a living owner.
 */
export function lockName(name: string): Promise<NetServer> {
  return new Promise((resolve, reject) => {
    const lock = createServer((socket) => socket.destroy());
    lock.once('error', (cause) => {
      const owner = readState(name)?.owner;
      const who = owner === undefined ? 'another process' : `process ${owner}`;
      reject(
        new MytapeError('refused', `lab ${name} is in use by ${who}: wait for it, or choose another --name`, {
          cause,
        }),
      );
    });
    lock.listen(`\0mytape-lab/${name}`, () => {
      lock.unref();
      resolve(lock);
    });
  });
}
