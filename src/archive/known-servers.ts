/**
 * Which servers an archive was recorded from, as the host where it was recorded knew them: a file beside the segments. No cache:
 * nothing else has it, and a repair leaves it alone. docs/archive-format.md has it field by field.
 */
import { closeSync, fsyncSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { checkGivenUp, OPEN, openRegular, readRegular } from '../files.ts';
import { isIdentity, type ServerIdentity } from './server-identity.ts';

export const SERVERS_FILE = 'servers.json';

const SERVERS_VERSION = 1;

const MOST_FILE_OCTETS = 1024 ** 2;

export interface KnownServer {
  /** Where it listened while it was recorded: addresses as `Address.text` has them, and the port. */
  addresses: string[];
  port: number;
  identity: ServerIdentity;
}

/** Writes the file, synced, readable by its owner only. Throws the system's errors. */
export function writeKnownServers(dir: string, servers: readonly KnownServer[]): void {
  const fd = openRegular(join(dir, SERVERS_FILE), OPEN.createNew);
  try {
    writeSync(fd, `${JSON.stringify({ v: SERVERS_VERSION, servers })}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** None where the archive has no such file. `note`: why it could not be used, for people; the servers are unknown then. */
export function readKnownServers(dir: string): { servers: KnownServer[]; note: string | undefined } {
  checkGivenUp(dir);
  const path = join(dir, SERVERS_FILE);
  try {
    const { v, servers } = JSON.parse(readRegular(path, MOST_FILE_OCTETS).toString('utf8')) ?? {};
    if (v === SERVERS_VERSION && Array.isArray(servers) && servers.every(isKnownServer))
      return { servers, note: undefined };
    return {
      servers: [],
      note: `${path} is damaged, or written by a newer mytape: it is ignored, so the recorded server is not known`,
    };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { servers: [], note: code === 'ENOENT' ? undefined : `cannot read ${path}: ${message}` };
  }
}

function isKnownServer(value: unknown): value is KnownServer {
  const { addresses, port, identity } = (value ?? {}) as Record<string, unknown>;
  return (
    Array.isArray(addresses) &&
    addresses.every((address) => typeof address === 'string') &&
    Number.isInteger(port) &&
    isIdentity(identity)
  );
}
