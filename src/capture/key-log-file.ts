/** The file that `--keylog` names. */
import { closeSync, openSync, readSync } from 'node:fs';
import { MytapeError } from '../errors.ts';
import { KeyLog, MOST_KEY_LOG_OCTETS } from '../tls/key-log.ts';

/** The text of a key log. Throws `bad-file` where it can't be read, is too long, or has no secret. */
export function readKeyLog(path: string): string {
  let octets: Buffer | undefined;
  try {
    octets = readUpTo(path, MOST_KEY_LOG_OCTETS);
  } catch (cause) {
    throw new MytapeError(
      'bad-file',
      `cannot read the key log ${path}: ${(cause as Error).message} (it is what SSLKEYLOGFILE names, or --tls-keylog of Node)`,
      { cause },
    );
  }
  if (octets === undefined) {
    throw new MytapeError(
      'bad-file',
      `the key log ${path} is longer than ${MOST_KEY_LOG_OCTETS >> 20} MiB (try: only the lines of sessions that were recorded)`,
    );
  }
  const text = octets.toString('latin1');
  if (KeyLog.parse(text).size > 0) return text;
  throw new MytapeError(
    'bad-file',
    `${path} has no secret of a TLS session: it should have lines like CLIENT_RANDOM 52a0… 9c1f…`,
  );
}

/** All of a file, or of a pipe; undefined: it has more than `most` octets. */
function readUpTo(path: string, most: number): Buffer | undefined {
  const fd = openSync(path, 'r');
  try {
    const pieces: Buffer[] = [];
    for (let octets = 0; octets <= most; ) {
      const piece = Buffer.alloc(1 << 20);
      const read = readSync(fd, piece, 0, piece.length, null);
      if (read === 0) return Buffer.concat(pieces);
      pieces.push(piece.subarray(0, read));
      octets += read;
    }
    return undefined;
  } finally {
    closeSync(fd);
  }
}
