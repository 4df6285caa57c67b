import { parseGreeting } from '../mysql/handshake.ts';
import { HEADER_OCTETS, MARK, parseError } from '../mysql/packet.ts';
import type { Address } from '../wire/address.ts';
import type { ConnectFailure } from './diagnosis.ts';
import type { CloseCause, Connection, ConnectionHandler, Transport } from './transport.ts';

/** SYNs go out at 0, 1 and 3 s: an answer to one of the first two has come by then. */
const SYN_ACK_MS = 3_000;

/** How long a server that took the connection may take to greet. */
const GREETING_MS = 2_000;

/** How long the end of a connection may take. */
const END_MS = 1_000;

/** What became of one connection. */
export type ProbeResult =
  | { seen: 'greeting'; version: string; afterMs: number }
  /** The server greeted with an error: too many connections, this client is not allowed. */
  | { seen: 'error'; errno: number; message: string }
  /** Something answered that does not speak MySQL. */
  | { seen: 'not-mysql' }
  /** The channel to the intercept, or the capture, is gone. */
  | { seen: 'relay' }
  | { seen: ConnectFailure };

/**
 * Opens a connection from `client` as a replay would, waits for the server's greeting and closes it, all within 6 s. `now` in ms of
 * any clock that does not step back. When `signal` is aborted the connection is cut, and the result of no meaning.
 */
export function probe(
  transport: Transport,
  client: Address,
  now: () => number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const one = new Probe(now, (result) => {
      signal.removeEventListener('abort', cut);
      resolve(result);
    });
    const cut = () => one.cut();
    signal.addEventListener('abort', cut);
    one.begin(transport, client);
    if (signal.aborted) cut();
  });
}

class Probe implements ConnectionHandler {
  readonly #now: () => number;
  readonly #done: (result: ProbeResult) => void;
  #connection: Connection | undefined;
  #result: ProbeResult | undefined;
  #startedAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #established = false;
  #over = false;

  constructor(now: () => number, done: (result: ProbeResult) => void) {
    this.#now = now;
    this.#done = done;
  }

  begin(transport: Transport, client: Address): void {
    this.#startedAt = this.#now();
    this.#in(SYN_ACK_MS, () => this.#give({ seen: 'silent' }));
    this.#connection = transport.connect({ client, copy: 0 }, this);
    transport.flush();
  }

  cut(): void {
    this.#give({ seen: 'silent' });
  }

  established(): void {
    if (this.#over) return;
    this.#established = true;
    // A connection that is dead at the other end answers our FIN with RST; one that lives does not.
    this.#in(GREETING_MS, () => this.#end({ seen: 'mute' }));
  }

  packet(octets: Uint8Array): void {
    if (this.#over || this.#result !== undefined) return;
    this.#end(this.#read(octets));
  }

  reply(): void {}

  closed(cause: CloseCause): void {
    // After the greeting, too: then our FIN met nothing, because somebody else had reset the connection at the target.
    if (cause === 'reset') this.#give({ seen: 'reset' });
    else if (cause === 'refused') this.#give({ seen: 'refused' });
    else if (cause === 'relay') this.#give({ seen: 'relay' });
    else if (cause === 'desync') this.#give({ seen: 'not-mysql' });
    else this.#give(this.#result ?? { seen: this.#established ? 'mute' : 'silent' });
  }

  #read(octets: Uint8Array): ProbeResult {
    const greeting = parseGreeting(octets, 0, octets.length);
    if (greeting !== undefined) {
      return { seen: 'greeting', version: greeting.serverVersion, afterMs: this.#now() - this.#startedAt };
    }
    if (octets[HEADER_OCTETS] !== MARK.err) return { seen: 'not-mysql' };
    const { errno, message } = parseError(octets, 0, octets.length);
    return { seen: 'error', errno, message };
  }

  /** Closes in order. */
  #end(result: ProbeResult): void {
    this.#result = result;
    this.#in(END_MS, () => this.#give(result));
    this.#connection?.end();
  }

  #give(result: ProbeResult): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#connection?.abort();
    this.#done(result);
  }

  #in(ms: number, what: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(what, ms);
  }
}
