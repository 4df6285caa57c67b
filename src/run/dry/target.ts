/** A target that is not there: lets everybody in whom the recorded server had let in, and answers every command by OK. Connects nowhere. */
import type { SessionMeta } from '../../flow/events.ts';
import { CLIENT } from '../../mysql/capabilities.ts';
import { EXPECT } from '../../mysql/command.ts';
import { NATIVE_PASSWORD } from '../../mysql/native-password.ts';
import { framePacket, MARK, OctetWriter } from '../../mysql/packet.ts';
import { NO_REPLY } from '../../mysql/reply.ts';
import type { ClientAddresses } from '../../transport/clients.ts';
import type {
  Connection,
  ConnectionHandler,
  Identity,
  Transport,
  TransportStats,
} from '../../transport/transport.ts';

const NO_STATS: TransportStats = { packetsOut: 0, packetsIn: 0, retransmitted: 0, captureDropped: 0 };

/** No target hides its commands from us, whatever the recorded one did. */
const HIDING = CLIENT.ssl | CLIENT.compress | CLIENT.zstdCompression;
const NEEDED = CLIENT.protocol41 | CLIENT.secureConnection | CLIENT.pluginAuth;

const PROTOCOL_V10 = 10;
const UTF8MB4 = 45;

/** SERVER_STATUS_AUTOCOMMIT. */
const AUTOCOMMIT = 2;

/** Connections that are open, and the most that were at once. */
export class Openings {
  most = 0;
  #open = 0;

  opened(): void {
    this.most = Math.max(this.most, ++this.#open);
  }

  closed(): void {
    this.#open--;
  }
}

/** Where the answers to logins and commands are made, in turns of their own. */
export class DryTarget implements Transport {
  readonly openings = new Openings();
  /** The command whose answer is being told; undefined: none is. */
  answering: Uint8Array | undefined;
  /** Addresses that were spoken from. */
  readonly addresses = new Set<string>();
  readonly #clients: ClientAddresses | undefined;
  /** Of all targets of the run. */
  readonly #all: Openings;
  /** The session that connects next. */
  #next: SessionMeta | undefined;
  #connections = 0;
  #statements = 0;
  #due: (() => void)[] = [];
  #isDue = false;

  /** `clients`: who speaks from where; undefined: this host does. `all`: counts those of all targets of the run. */
  constructor(clients: ClientAddresses | undefined, all: Openings) {
    this.#clients = clients;
    this.#all = all;
  }

  /** Told by the engine right before it connects. */
  begun(session: SessionMeta): void {
    this.#next = session;
  }

  refuses({ client, copy }: Identity): string | undefined {
    if (this.#clients === undefined) return undefined;
    return this.#clients.addressOf(client, copy) === undefined ? 'ip-version' : undefined;
  }

  connect({ client, copy }: Identity, handler: ConnectionHandler): Connection {
    const address = this.#clients?.addressOf(client, copy);
    if (address !== undefined) this.addresses.add(address.text);
    this.openings.opened();
    this.#all.opened();
    return new DryConnection(this, handler, ++this.#connections, this.#next);
  }

  ended(): void {
    this.openings.closed();
    this.#all.closed();
  }

  flush(): void {}

  stats(): TransportStats {
    return NO_STATS;
  }

  async close(): Promise<void> {}

  nextStatement(): number {
    return ++this.#statements;
  }

  /** Does `work` in a turn to come, in order. */
  later(work: () => void): void {
    this.#due.push(work);
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => this.#turn());
  }

  /** What this brings about is done in the next one: whoever reads the recording comes in between. */
  #turn(): void {
    const due = this.#due;
    this.#due = [];
    this.#isDue = false;
    for (const work of due) work();
  }
}

class DryConnection implements Connection {
  readonly #target: DryTarget;
  readonly #handler: ConnectionHandler;
  readonly #refused: number | undefined;
  #isIn = false;
  #isOver = false;

  constructor(target: DryTarget, handler: ConnectionHandler, id: number, session: SessionMeta | undefined) {
    this.#target = target;
    this.#handler = handler;
    this.#refused = session?.refused;
    this.#later(() => {
      handler.established();
      handler.packet(greeting(id, session));
    });
  }

  writeLogin(): void {
    if (this.#isIn) return;
    this.#isIn = true;
    const refused = this.#refused;
    this.#later(() => this.#handler.packet(refused === undefined ? LOGGED_IN : refusal(refused)));
  }

  commandPhase(): void {}

  write(packet: Uint8Array, expect: number): void {
    if (expect === EXPECT.none) return;
    this.#later(() => {
      const statementId = expect === EXPECT.prepare ? this.#target.nextStatement() : 0;
      this.#target.answering = packet;
      this.#handler.reply({ ...NO_REPLY, statementId, status: AUTOCOMMIT }, 0);
      this.#target.answering = undefined;
    });
  }

  end(): void {
    this.#later(() => this.#close('fin'));
  }

  abort(): void {
    this.#close('aborted');
  }

  #later(work: () => void): void {
    this.#target.later(() => {
      if (!this.#isOver) work();
    });
  }

  #close(cause: 'fin' | 'aborted'): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#target.ended();
    this.#handler.closed(cause);
  }
}

/** HandshakeV10 with what was in force in the recorded session: nothing has to be translated. */
function greeting(id: number, session: SessionMeta | undefined): Uint8Array {
  const recorded = session?.login?.capabilities ?? session?.capabilities ?? 0;
  const capabilities = ((recorded & ~HIDING) | NEEDED) >>> 0;
  const payload = new OctetWriter()
    .uint(PROTOCOL_V10, 1)
    .text('dry-run')
    .uint(id, 4)
    .octets(new Uint8Array(8).fill(0x61))
    .uint(0, 1)
    .uint(capabilities & 0xffff, 2)
    .uint(UTF8MB4, 1)
    .uint(AUTOCOMMIT, 2)
    .uint(capabilities >>> 16, 2)
    .uint(21, 1)
    .zeros(6)
    .uint(session?.extendedCapabilities ?? 0, 4)
    .octets(new Uint8Array(12).fill(0x62))
    .uint(0, 1)
    .text(NATIVE_PASSWORD);
  return payload.packet(0);
}

/** OK_Packet: header, no rows, no insert id, status, no warnings. */
const LOGGED_IN = framePacket(2, Uint8Array.of(MARK.ok, 0, 0, AUTOCOMMIT, 0, 0, 0));

/** ERR_Packet: header, error code, SQL state, message. */
function refusal(errno: number): Uint8Array {
  return new OctetWriter()
    .uint(MARK.err, 1)
    .uint(errno, 2)
    .octets(Buffer.from('#28000as recorded'))
    .packet(2);
}
