import { readFileSync, statSync } from 'node:fs';
import net, { type Socket } from 'node:net';
import tls from 'node:tls';
import { MytapeError } from '../errors.ts';

/** TLS 1.2, because Node's PSK callbacks stop there. ECDHE: a key that leaks later opens no recorded relay. */
const TLS_OPTIONS = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
} as const;

const PSK_IDENTITY = 'mytape';
const CONNECT_MS = 5_000;
/** Room for what is read at once: as much as Node reads at once. */
const READ_OCTETS = 64 * 1024;

/** Reads a shared key: at least 32 hexadecimal digits, in a file that only its owner can read. */
export function readKeyFile(path: string): Buffer {
  let text: string;
  let mode: number;
  try {
    mode = statSync(path).mode;
    text = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new MytapeError(
      'bad-key',
      `cannot read the key file ${path}: ${(cause as Error).message} (make one: openssl rand -hex 32 > ${path}; chmod 600 ${path})`,
      { cause },
    );
  }
  if (mode & 0o077) {
    throw new MytapeError('bad-key', `the key file ${path} can be read by others (run: chmod 600 ${path})`);
  }
  if (!/^([0-9a-f]{2}){16,}$/i.test(text)) {
    throw new MytapeError(
      'bad-key',
      `the key file ${path} holds no key: wanted are 32 or more hexadecimal digits (make one: openssl rand -hex 32 > ${path})`,
    );
  }
  return Buffer.from(text, 'hex');
}

/** Errors of connecting that no key has to do with. */
const UNREACHABLE: ReadonlySet<string> = new Set([
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

export interface RelayAddress {
  host: string;
  port: number;
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

/** Listens for channels: TLS-PSK with a key, else in the clear and on loopback only. */
export function listenRelay(
  { host, port }: RelayAddress,
  key: Buffer | undefined,
  onChannel: (socket: Socket) => void,
  onRefused: (from: string, why: string) => void,
): Promise<net.Server> {
  if (key === undefined && !isLoopback(host)) {
    throw new MytapeError(
      'usage',
      `without --key-file the relay listens on loopback only, not on ${host} (make a key, for both ends: (umask 077; openssl rand -hex 32 > mytape.key))`,
    );
  }
  const server =
    key === undefined
      ? net.createServer(onChannel)
      : tls.createServer(
          {
            ...TLS_OPTIONS,
            pskCallback: (_socket, identity) => (identity === PSK_IDENTITY ? key : null),
            handshakeTimeout: CONNECT_MS,
          },
          onChannel,
        );
  server.on('tlsClientError', (error: Error, socket: Socket) => {
    onRefused(
      `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`,
      `failed the key check (${wordsOf(error)})`,
    );
    socket.destroy();
  });
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const next = cause.code === 'EADDRINUSE' ? ': another intercept runs there, or choose another -p' : '';
      reject(
        new MytapeError('relay', `cannot listen on ${host}:${port} (${cause.code ?? cause.message})${next}`, {
          cause,
        }),
      );
    });
    server.listen(port, host, () => resolve(server));
  });
}

/** OpenSSL's reason alone: its message has the source file and line before it and a line's end behind. */
function wordsOf(error: Error & { reason?: string }): string {
  return error.reason ?? error.message;
}

/** What is read of a channel, in the first `count` octets: valid during the call. */
export type OnOctets = (octets: Uint8Array, count: number) => void;

/**
 * Connects one channel. What it reads goes to `onOctets`, always in the same memory: a `data` event of its own memory costs
 * more than reading what is in it.
 */
export function connectRelay(
  { host, port }: RelayAddress,
  key: Buffer | undefined,
  onOctets: OnOctets,
): Promise<Socket> {
  if (key === undefined && !isLoopback(host)) {
    throw new MytapeError('usage', `a relay to ${host} needs --key-file (the one that intercept has there)`);
  }
  return new Promise((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException) => {
      socket.destroy();
      const next =
        cause.code === 'ECONNREFUSED'
          ? `nothing listens there: run \`mytape intercept -p ${port} …\` on ${host}`
          : key !== undefined && !UNREACHABLE.has(cause.code ?? '')
            ? `${wordsOf(cause)}: do both ends have the same key file?`
            : `${cause.message}: is that its address, and can this host reach it?`;
      reject(new MytapeError('relay', `cannot reach intercept at ${host}:${port}: ${next}`, { cause }));
    };
    const ready = () => {
      socket.setTimeout(0);
      socket.off('error', fail);
      resolve(socket);
    };
    const onread = {
      buffer: new Uint8Array(READ_OCTETS),
      callback: (count: number, octets: Uint8Array) => {
        onOctets(octets, count);
        return true;
      },
    };
    const socket: Socket =
      key === undefined
        ? net.connect({ host, port, onread }, ready)
        : tls.connect(
            {
              ...TLS_OPTIONS,
              host,
              port,
              // tls.connect takes it, as its manual says; its type does not know.
              ...({ onread } as object),
              // There is no certificate in TLS-PSK: the key itself is the proof.
              checkServerIdentity: () => undefined,
              pskCallback: () => ({ psk: key, identity: PSK_IDENTITY }),
            },
            ready,
          );
    socket.once('error', fail);
    socket.setTimeout(CONNECT_MS, () => fail(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })));
  });
}
