import type { Reply } from '../mysql/reply.ts';
import type { MonotonicMs } from '../time.ts';
import type { Address } from '../wire/address.ts';

/** Who a replayed connection pretends to be. The port is the transport's to choose. */
export interface Identity {
  client: Address;
  /** Which copy of the session: spreads the choice of ports, nothing else. */
  copy: number;
  /** Number of the target that the connection is for; default 0. For a transport that has several (TargetsTransport). */
  target?: number;
}

/** What this host has none of for another connection: nothing that the target has said or done. */
export type HostLimit =
  /** As many files are open as may be (EMFILE, ENFILE), or there is no memory for a socket. */
  | 'no-descriptor'
  /** All ports that the client's address may speak to the target from are in use. */
  | 'no-port';

export function isHostLimit(cause: string): cause is HostLimit {
  return cause === 'no-descriptor' || cause === 'no-port';
}

/** How a connection ended. */
export type CloseCause =
  /** The target closed it in order, after or before us. */
  | 'fin'
  /** The target reset it. */
  | 'reset'
  /** A SYN was answered by RST. */
  | 'refused'
  /** Nobody answered: SYNs or data went unacknowledged until retransmission gave up. */
  | 'timeout'
  /** The target's octets are not what the protocol allows. */
  | 'desync'
  /** TLS did not come about, or the target's certificate is not to be trusted. */
  | 'tls'
  /** The relay to the intercept is gone, and with it the target's answers. */
  | 'relay'
  | HostLimit
  /** We cut it: `abort`. */
  | 'aborted';

/** What a connection tells its owner. Called from the transport's own turn; must neither throw nor wait. */
export interface ConnectionHandler {
  /** The TCP connection stands. */
  established(): void;
  /** TLS stands, after `startTls`. */
  secured?(): void;
  /**
   * Before `commandPhase`, and within an answer that asks for more (COM_CHANGE_USER's authentication, LOCAL INFILE): one
   * whole MySQL packet of the target's, header (4 octets) included. The octets are valid during the call only.
   */
  packet(octets: Uint8Array): void;
  /**
   * The answer to the oldest command that expects one; `receivedAt`: when its last octet came. On a transport for services whose
   * protocol is not known, a part of one: octets and their hash (`RawReader`), as they came.
   */
  reply(reply: Reply, receivedAt: MonotonicMs): void;
  /** Called once, and last. `detail`: why, in words for people, where the cause does not say it (a certificate, TLS). */
  closed(cause: CloseCause, detail?: string): void;
}

/** One replayed connection. Nothing on it waits: octets are queued and go out as the target lets them. */
export interface Connection {
  /**
   * Queues octets that no answer of its own comes to: those of the login, or what an answer asked for (`packet`). Held by
   * reference until the target acknowledged them.
   */
  writeLogin(octets: Uint8Array): void;
  /** Goes on in TLS behind all that was written; `secured` follows. Only where the transport has `tls`. */
  startTls?(): void;
  /** The login is done: from here on answers are read by these capabilities and told by `reply`. */
  commandPhase(capabilities: number, extendedCapabilities: number): void;
  /** Queues a command (held by reference until acknowledged) and says what shape of answer it has (EXPECT). */
  write(packet: Uint8Array, expect: number): void;
  /** Closes in order (FIN) once everything queued has gone out. */
  end(): void;
  /** Cuts at once (RST). */
  abort(): void;
}

export interface TransportStats {
  packetsOut: number;
  packetsIn: number;
  retransmitted: number;
  /** What the answers' capture lost, by the kernel's word. */
  captureDropped: number;
}

/** Ways to the target. Every implementation passes test/transport/contract.ts. */
export interface Transport {
  /** Whether connections can go on in TLS, and a login is to ask for it. */
  readonly tls?: boolean;
  /** Why this transport cannot carry such a connection, as a cause to skip the session by; undefined where it can. */
  refuses(identity: Identity): string | undefined;
  connect(identity: Identity, handler: ConnectionHandler): Connection;
  /** Hands everything queued to the kernel. Called at the end of a turn of work. */
  flush(): void;
  stats(): TransportStats;
  /** Ends all connections (RST), waits until the target's last segments were answered, frees everything. */
  close(): Promise<void>;
}

/** Stands for a connection that could not even begin. */
export const NO_CONNECTION: Connection = {
  writeLogin() {},
  commandPhase() {},
  write() {},
  end() {},
  abort() {},
};
