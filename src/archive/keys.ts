/**
 * An archive's `keys.log`: secrets of its TLS sessions, as an NSS key log (what SSLKEYLOGFILE names), so that Wireshark
 * can use it too. Whoever has it can read what was encrypted, passwords included: 0600, like the segments.
 */
import { closeSync, fchmodSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { MytapeError, withRemedy } from '../errors.ts';
import { OPEN, openRegular, readRegular } from '../files.ts';
import type { DecodeOptions } from '../flow/decode.ts';
import { KeyLog } from '../tls/key-log.ts';
import { TlsStream } from '../tls/stream.ts';

export const KEYS_FILE = 'keys.log';

/** It is read whole: some million secrets. */
const MOST_KEYS_OCTETS = 256 * 1024 ** 2;

/** The secrets that the archive in `dir` holds; undefined: none. Throws `bad-archive` where they can't be read. */
export function readKeys(dir: string): KeyLog | undefined {
  const path = join(dir, KEYS_FILE);
  try {
    return KeyLog.parse(readRegular(path, MOST_KEYS_OCTETS).toString('latin1'));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MytapeError('bad-archive', `cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * How the TLS sessions of the archive in `dir` are decrypted: by its own secrets and those of `keyLog` (the text of a key log).
 * undefined: no secret is known. Throws as `readKeys`.
 */
export function tlsReader(dir: string, keyLog: string | undefined): DecodeOptions['openTls'] {
  const keys = readKeys(dir) ?? new KeyLog();
  if (keyLog !== undefined) keys.add(keyLog);
  return keys.size === 0 ? undefined : (plain) => new TlsStream(keys, plain);
}

/** Adds whole lines of a key log to the archive in `dir`. Throws `disk`. */
export function addKeys(dir: string, text: string): void {
  const path = join(dir, KEYS_FILE);
  let fd: number | undefined;
  try {
    fd = openRegular(path, OPEN.append);
    fchmodSync(fd, 0o600);
    const octets = Buffer.from(text.endsWith('\n') ? text : `${text}\n`, 'latin1');
    for (let done = 0; done < octets.length; ) done += writeSync(fd, octets, done);
  } catch (cause) {
    throw new MytapeError('disk', `cannot write ${path}: ${withRemedy(cause)}`, { cause });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
