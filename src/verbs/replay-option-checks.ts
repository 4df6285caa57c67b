/** Which options of a replay don't go together. */
import { MytapeError } from '../errors.ts';
import { isUnix, type RelayAddress, relayText } from '../intercept/relay-address.ts';
import { KEY_FILE_VARIABLE } from './endpoints.ts';
import { type RunOptions, USERS_FILE_VARIABLE } from './replay-options.ts';

/** What --protocol raw has no use for. */
const MYSQL_ONLY = [
  'targetTls',
  'users',
  'as',
  'passwordFile',
  'getServerPublicKey',
  'serverPublicKey',
  'adopt',
  'remapUser',
  'remapSchema',
  'includeUser',
  'excludeUser',
  'includeSchema',
  'excludeSchema',
  'includeSql',
  'excludeSql',
  'includeDigest',
  'excludeDigest',
  'readOnly',
  'schemaPerCopy',
  'rewrite',
  'pool',
  'pinTime',
] as const;

/** Of a protocol that is not known neither users nor statements are. */
function checkProtocol(options: RunOptions): void {
  if (options.protocol !== 'raw') return;
  for (const name of MYSQL_ONLY) {
    // The environment's is for the runs that log in.
    const isAmbient = name === 'users' && options.users === process.env[USERS_FILE_VARIABLE];
    if (options[name] !== undefined && !isAmbient)
      refuseRaw(name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`));
  }
  if (options.writes !== 'all') refuseRaw('writes');
}

function refuseRaw(option: string): never {
  throw new MytapeError(
    'usage',
    `--${option} is for MySQL: with --protocol raw nothing is known of users, schemas and statements`,
  );
}

/** Of what all threads share each needs its part. */
function checkShares({ channels, copies, maxConnections, order, protocol, share }: RunOptions): void {
  const refuse = (text: string) => {
    throw new MytapeError('usage', text);
  };
  if (maxConnections !== undefined && maxConnections < channels)
    refuse(`--max-connections ${maxConnections} is less than -C ${channels}: each thread needs one`);
  if (order !== 'commit') return;
  if (protocol === 'raw')
    refuse('--order commit is for MySQL: with --protocol raw nothing is known of commits');
  if (share !== undefined && share.of > 1)
    refuse(
      `--order commit sees the commits of one host only, and --share ${share.index + 1}/${share.of} leaves sessions to other hosts: leave out one of the two`,
    );
  if (channels > copies)
    refuse(
      `--order commit wants each copy in one thread, whose commits it has to see: no more threads (-C ${channels}) than copies (-n ${copies})`,
    );
}

/** Options of one transport, or protocol, are no use to the other. */
export function checkTransport(options: RunOptions): void {
  checkProtocol(options);
  const { transport, intercept, local, clients, targetTls, targetCa } = options;
  const refuse = (text: string) => {
    throw new MytapeError('usage', text);
  };
  if (transport === 'packet') {
    if (targetTls !== undefined)
      refuse('--target-tls is for --transport socket: packets of our own carry no TLS');
    if (intercept !== undefined && local === true)
      refuse(
        'both -s and --local are given: answers are caught by an intercept elsewhere, or in this process, not by both',
      );
    if (intercept === undefined && local !== true)
      refuse(
        'say where the answers are caught: either -s HOST:PORT (an intercept), or --local; or say --transport socket',
      );
  } else if (intercept !== undefined || local === true)
    refuse('--transport socket has its answers by itself: leave out -s and --local');
  else if (clients !== 'recorded')
    refuse(
      "--clients is for packets of our own: with --transport socket the target sees this host's address",
    );
  if (targetCa !== undefined && (targetTls === undefined || targetTls === 'none'))
    refuse('--target-ca is for --target-tls ca or identity: without, no certificate is looked at');
  // The environment's is for the runs that need one.
  if (
    options.keyFile !== undefined &&
    options.keyFile !== process.env[KEY_FILE_VARIABLE] &&
    (intercept === undefined || isUnix(intercept))
  )
    refuse('--key-file is for an intercept of -s HOST:PORT');
  checkShares(options);
  if (options.pool !== undefined && options.pool < options.channels)
    refuse(
      `--pool ${options.pool} is less than -C ${options.channels}: each of these threads needs a connection`,
    );
}

/** A relay by TCP is for those who have the key. */
export function checkKey({
  intercept,
  keyFile,
}: {
  intercept?: RelayAddress | undefined;
  keyFile?: string | undefined;
}): void {
  if (intercept === undefined || isUnix(intercept) || keyFile !== undefined) return;
  throw new MytapeError(
    'usage',
    `-s ${relayText(intercept)} needs --key-file: a copy of the key that the intercept was started with`,
  );
}
