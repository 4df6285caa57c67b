import { ANY_INTERFACE } from '../net/capture/ring.ts';

/** So long without a packet is told, ms: a server that has clients hears of them sooner. */
const TOLD_MS = 10_000;

/** Says once that nothing has come to a capture yet, and where else it may be. To be asked every second or so. */
export class SilenceTeller {
  readonly #iface: string;
  readonly #filter: string;
  readonly #say: (line: string) => void;
  #isTold = false;

  constructor(iface: string, filter: string, say: (line: string) => void) {
    this.#iface = iface;
    this.#filter = filter;
    this.#say = say;
  }

  /** `packets`: how many have come in the `elapsedMs` since the capture began. */
  look(packets: number, elapsedMs: number): void {
    if (this.#isTold || packets > 0 || elapsedMs < TOLD_MS) return;
    this.#isTold = true;
    const elsewhere =
      this.#iface === ANY_INTERFACE
        ? 'check that clients reach this host at all'
        : `do clients come by another interface? (try: -i ${ANY_INTERFACE}, which captures on all of them)`;
    const what = `no packet has come on ${this.#iface} for ${TOLD_MS / 1000} s (${this.#filter})`;
    this.#say(`${what}: ${elsewhere}`);
  }
}
