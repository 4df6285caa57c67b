/** What a table of connections keeps of each. */
import type { CaptureNs } from '../time.ts';
import type { Address } from '../wire/address.ts';
import { Side } from './coverage.ts';
import type { Coverage, SessionEnd } from './events.ts';

/** The two ends of a connection, and which of them is the server. */
export interface Endpoints {
  client: Address;
  clientPort: number;
  server: Address;
  serverPort: number;
}

/** Where a connection stands in a table: in which map, by which key. */
export class Stand {
  readonly flows: Map<unknown, unknown>;
  readonly key: number | string;
  /** One that is seen with two server's addresses stands at both. */
  readonly next: Stand | undefined;

  constructor(flows: Map<unknown, unknown>, key: number | string, next: Stand | undefined) {
    this.flows = flows;
    this.key = key;
    this.next = next;
  }
}

/** What the table itself keeps of a connection; owners extend it. */
export class Flow {
  /** Counts from 0, unless told otherwise (TableOptions), in order of the connections' first packets. */
  readonly id: number;
  readonly firstAt: CaptureNs;
  lastAt: CaptureNs;
  readonly clientSide = new Side();
  readonly serverSide = new Side();
  /** It was reset at this time, and nothing has shown since that the RST was none of its own; -1: not so. */
  resetAt = -1;
  /** Whether the RST was the client's. */
  resetByClient = false;
  /** Whether it had the number that its receiver expects, so that it is not asked for another (RFC 5961 3.2). */
  resetIsExact = false;
  /** The segment looked up last showed that the reset before it was none. */
  resetRefuted = false;
  /** The connection that had the same ends before. */
  before: Flow | undefined;
  /** It is seen with the addresses of two servers. */
  isTwin = false;
  /** When its SYN, or SYN-ACK, was captured: the last before any data, or the first; -1: neither was. */
  synAt: CaptureNs = -1;
  /** Packets of it that are copies of others: captured before and after address translation, or at two ports. */
  copies = 0;
  /** Its beginning was seen, or is known by what came next: the SYN, the SYN-ACK or the greeting. */
  fromStart = false;
  /** Nothing of it was seen but SYN, SYN-ACK and RST. */
  isHalfOpen = true;
  /** The server sent data or its FIN, or the client acknowledged the SYN-ACK: the client's address is not forged. */
  isAnswered = false;
  /** The table has let it go: it gets no more packets. */
  isGone = false;
  /** The table's own. */
  stand: Stand | undefined;
  /** The table's own: the client's ends. */
  clientKey = '';

  constructor(id: number, firstAt: CaptureNs) {
    this.id = id;
    this.firstAt = firstAt;
    this.lastAt = firstAt;
  }

  get clientFin(): boolean {
    return this.clientSide.fin >= 0;
  }

  get serverFin(): boolean {
    return this.serverSide.fin >= 0;
  }

  /** How it ended, as far as is known now. */
  get ending(): SessionEnd {
    if (this.isHalfOpen) return 'half-open';
    if (isClosed(this)) return 'closed';
    return this.isGone ? 'unseen-end' : 'open';
  }

  /** How much of it the capture holds. */
  get coverage(): Coverage {
    const { clientSide: client, serverSide: server } = this;
    if ((!client.seen && server.hasData) || (!server.seen && client.hasData)) return 'one-sided';
    if (client.cut || server.cut) return 'cut';
    if (!this.fromStart) return 'joined-late';
    return client.hasGaps(server) || server.hasGaps(client) ? 'gaps' : 'whole';
  }
}

export function isClosed(flow: Flow): boolean {
  return flow.resetAt >= 0 || (flow.clientFin && flow.serverFin);
}
