import net, { type Server, type Socket } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import { MytapeError } from '../errors.ts';
import { listenPrivately } from '../net/unix-socket.ts';
import { endpointText } from '../wire/address.ts';
import { type Guest, Lobby } from './lobby.ts';
import { isUnix, type RelayAddress, relayText } from './relay-address.ts';
import { clearSocketPath, whyNotTrusted } from './relay-path.ts';

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

/** Errors of connecting that no key has to do with. */
const UNREACHABLE: ReadonlySet<string> = new Set([
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

export interface RelayListener {
  /** undefined on a Unix socket, whose file's mode says who may connect. */
  key: Buffer | undefined;
  /** Called with each connection that has the key. */
  onChannel: (socket: Socket, guest: Guest) => void;
  /** Called for each connection that lacks the key, or said no hello in time. */
  onRefused: (from: string, why: string) => void;
  lobby?: Lobby;
}

/** Listens for channels: by TCP in TLS-PSK, at a path in the clear. Throws where there is no key for TCP, or the place is taken. */
export async function listenRelay(address: RelayAddress, listener: RelayListener): Promise<Server> {
  if (!isUnix(address) && listener.key === undefined) throw keyWanted(address);
  if (isUnix(address)) await clearSocketPath(address.path);
  const server = isUnix(address) ? pathServer(listener) : tlsServer(listener);
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException) => {
      const next =
        cause.code === 'EADDRINUSE'
          ? ': another intercept listens there (stop it, or choose another -p)'
          : '';
      const why = cause.code ?? cause.message;
      reject(new MytapeError('relay', `cannot listen on ${relayText(address)} (${why})${next}`, { cause }));
    };
    const listening = () => {
      server.off('error', failed);
      // Too many open files, say: those that are connected go on.
      server.on('error', (error) =>
        listener.onRefused('a connection', `could not be taken: ${error.message}`),
      );
      resolve(server);
    };
    server.once('error', failed);
    if (isUnix(address)) listenPrivately(server, address.path, listening);
    else server.listen(address.port, address.host, listening);
  });
}

/** Whoever can connect can use TCP, on loopback too: so the key is always needed. */
export function keyWanted(address: RelayAddress): MytapeError {
  return new MytapeError(
    'usage',
    `a relay by TCP (${relayText(address)}) needs --key-file: make a key, for both ends, with mytape intercept --new-key mytape.key; or, for replays of this host alone, listen on a Unix socket: -p /run/mytape.sock`,
  );
}

function pathServer({ onChannel, onRefused, lobby = new Lobby() }: RelayListener): Server {
  let count = 0;
  return net.createServer((socket) => {
    const name = `local ${++count}`;
    onChannel(
      socket,
      lobby.admit(socket, name, (why) => endGuest(socket, name, why, onRefused)),
    );
  });
}

function tlsServer({ key, onChannel, onRefused, lobby = new Lobby() }: RelayListener): Server {
  /** By the peer's address and port, which a TLS socket has from the TCP one below it. */
  const guests = new Map<string, Guest>();
  const options = {
    ...TLS_OPTIONS,
    pskCallback: (_socket: TLSSocket, identity: string) =>
      identity === PSK_IDENTITY && key !== undefined ? key : null,
  };
  const server = tls.createServer(options, (socket) => {
    const guest = guests.get(nameOf(socket));
    if (guest === undefined) socket.destroy();
    else onChannel(socket, guest);
  });
  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    guests.set(
      name,
      lobby.admit(socket, name, (why) => {
        guests.delete(name);
        endGuest(socket, name, why, onRefused);
      }),
    );
    socket.once('close', () => guests.delete(name));
  });
  server.on('tlsClientError', (error: Error, socket: Socket) => {
    const name = nameOf(socket);
    // One whose time was over was reported already.
    if (guests.delete(name)) onRefused(name, `failed the key check (${wordsOf(error)})`);
    socket.destroy();
  });
  return server;
}

function endGuest(socket: Socket, name: string, why: string, onRefused: RelayListener['onRefused']): void {
  onRefused(name, why);
  socket.destroy();
}

function nameOf({ remoteAddress = '?', remotePort = 0 }: Socket): string {
  return endpointText(remoteAddress, remotePort);
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
  address: RelayAddress,
  key: Buffer | undefined,
  onOctets: OnOctets,
): Promise<Socket> {
  const name = relayText(address);
  if (!isUnix(address) && key === undefined) {
    throw new MytapeError('usage', `a relay to ${name} needs --key-file (the one that intercept has there)`);
  }
  const distrust = isUnix(address) ? whyNotTrusted(address.path) : undefined;
  if (distrust !== undefined) {
    throw new MytapeError('relay', `not connected to the socket ${name}: ${distrust}`);
  }
  return new Promise((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException) => {
      socket.destroy();
      const next = whatNext(address, cause);
      reject(new MytapeError('relay', `cannot reach intercept at ${name}: ${next}`, { cause }));
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
      isUnix(address) || key === undefined
        ? net.connect({ ...address, onread }, ready)
        : tls.connect(
            {
              ...TLS_OPTIONS,
              ...address,
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

function whatNext(address: RelayAddress, cause: NodeJS.ErrnoException): string {
  const { code = '', message } = cause;
  if (isUnix(address)) {
    if (code === 'ENOENT' || code === 'ECONNREFUSED')
      return `nothing listens there: run \`mytape intercept -p ${address.path} …\` on this host`;
    return code === 'EACCES' ? 'only its owner may connect: run this as the same user, or as root' : message;
  }
  if (code === 'ECONNREFUSED')
    return `nothing listens there: run \`mytape intercept -p ${address.port} …\` on ${address.host}`;
  return UNREACHABLE.has(code)
    ? `${message}: is that its address, and can this host reach it?`
    : `${wordsOf(cause)}: do both ends have the same key file?`;
}
