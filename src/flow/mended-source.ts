import type { CaptureNs } from '../time.ts';
import type { PacketBlock, PacketSource, SourceStats } from '../wire/packets.ts';
import { ClockMender, type ClockStep } from './clock.ts';

/** A live source with the steps of its clock taken out as they come. Its blocks are those of `source`, mended in place. */
export class MendedSource implements PacketSource {
  readonly linkType: number;
  readonly originSec: number;
  readonly #source: PacketSource;
  readonly #onStep: (step: ClockStep) => void;
  readonly #mender = new ClockMender();
  #packets = 0;

  constructor(source: PacketSource, onStep: (step: ClockStep) => void) {
    this.linkType = source.linkType;
    this.originSec = source.originSec;
    this.#source = source;
    this.#onStep = onStep;
  }

  /** The mended time of a moment that the clock shows now. */
  now(stamp: CaptureNs): CaptureNs {
    return this.#mender.now(stamp);
  }

  stats(): SourceStats {
    return this.#source.stats();
  }

  close(): void {
    this.#source.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PacketBlock> {
    for await (const block of this.#source) {
      this.#mender.mend(block.at, block.count, this.#packets);
      this.#packets += block.count;
      for (const step of this.#mender.take()) this.#onStep(step);
      yield block;
    }
  }
}
