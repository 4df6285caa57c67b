import { makeBlock, type PacketBlock, type PacketSource, type SourceStats } from '../wire/packets.ts';

/**
 * A live source that also hands over empty blocks while something else is waited for than packets: whoever reads it looks after what is
 * unsettled with each block, and there may be no packets for a long time.
 */
export class TickingSource implements PacketSource {
  readonly linkType: number;
  readonly originSec: number;
  readonly #source: PacketSource;
  readonly #waits: () => boolean;
  readonly #tick: (signal: AbortSignal) => Promise<void>;

  /** `waits`: whether something is waited for. `tick` resolves when it is to be looked after, or at once when it is aborted. */
  constructor(source: PacketSource, waits: () => boolean, tick: (signal: AbortSignal) => Promise<void>) {
    this.linkType = source.linkType;
    this.originSec = source.originSec;
    this.#source = source;
    this.#waits = waits;
    this.#tick = tick;
  }

  stats(): SourceStats {
    return this.#source.stats();
  }

  close(): void {
    this.#source.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PacketBlock> {
    const blocks = this.#source[Symbol.asyncIterator]();
    const empty = makeBlock(new Uint8Array(0), 0, this.linkType);
    try {
      // A block is valid until the next one is pulled.
      for (let pull = blocks.next(); ; ) {
        const pulled = this.#waits() ? await this.#either(pull) : await pull;
        if (pulled === undefined) {
          yield empty;
          continue;
        }
        if (pulled.done === true) return;
        yield pulled.value;
        pull = blocks.next();
      }
    } finally {
      await blocks.return?.();
    }
  }

  /** undefined: the tick came first. */
  async #either<Pull>(pull: Promise<Pull>): Promise<Pull | undefined> {
    const abort = new AbortController();
    const ticked = this.#tick(abort.signal).then(() => undefined);
    try {
      return await Promise.race([pull, ticked]);
    } finally {
      abort.abort();
    }
  }
}
