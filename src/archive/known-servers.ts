/**
 * Which servers an archive was recorded from, as the host where it was recorded knew them: a file beside the segments. No cache:
 * nothing else has it, and a repair leaves it alone. docs/archive-format.md has it field by field.
 */
import { closeSync, fsyncSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { checkGivenUp, OPEN, openRegular, readRegular } from '../files.ts';
import { isIdentity, type ServerIdentity } from './server-identity.ts';
import { hasOnly, readSummedLine, summedLine } from './summed-line.ts';

export const SERVERS_FILE = 'servers.json';

const SERVERS_VERSION = 1;

const MOST_FILE_OCTETS = 1024 ** 2;

const LINE_FEED = 0x0a;

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
    writeSync(fd, `${summedLine({ v: SERVERS_VERSION, servers })}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** What the file says. */
export interface KnownServers {
  servers: KnownServer[];
  /** The file has a sum, and that is right: else it may name a server wrongly, and shows no target to be another. */
  isSure: boolean;
  /** Why it could not be used, for people; the servers are unknown then. */
  note: string | undefined;
}

/** None where the archive has no such file. */
export function readKnownServers(dir: string): KnownServers {
  checkGivenUp(dir);
  const path = join(dir, SERVERS_FILE);
  const unknown = (note: string | undefined): KnownServers => ({ servers: [], isSure: false, note });
  let octets: Buffer;
  try {
    octets = readRegular(path, MOST_FILE_OCTETS);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return unknown(code === 'ENOENT' ? undefined : `cannot read ${path}: ${message}`);
  }
  const end = octets.at(-1) === LINE_FEED ? octets.length - 1 : octets.length;
  const line = readSummedLine(octets.subarray(0, end));
  const { v, servers } = line?.fields ?? {};
  const isOurs = line !== undefined && (line.isSummed || hasOnly(line.fields, ['v', 'servers']));
  if (Number.isInteger(v) && v !== SERVERS_VERSION)
    return unknown(
      `line 1 of ${path} has version ${v}, and this mytape reads version ${SERVERS_VERSION}: the recorded server is not known`,
    );
  if (isOurs && v === SERVERS_VERSION && Array.isArray(servers) && servers.every(isKnownServer))
    return { servers, isSure: line.isSummed, note: undefined };
  return unknown(`line 1 of ${path} is damaged: it is not used, so the recorded server is not known`);
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
