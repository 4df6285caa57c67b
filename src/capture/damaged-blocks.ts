/** Blocks of an archive that can't be read: what is left out with them, by name. All else is read. */

import { SessionIds } from '../archive/index/session-ids.ts';
import type { Archive, BlockDamage, PacketSelection, SessionRow } from '../archive/reader.ts';
import { counted, firstFew } from '../counted.ts';
import type { FlowEvent, RecordedRequest, SessionMeta, SkipCause } from '../flow/events.ts';
import type { TableOptions } from '../flow/table.ts';

/** So many blocks are named with their sessions, which costs a look at each session; the others are counted. */
const MOST_NAMED = 3;

/** What missing packets show as. */
const SHOWN_AS: ReadonlySet<SkipCause> = new Set(['gap', 'desync', 'joined-late', 'not-mysql']);

export class DamagedBlocks {
  readonly #archive: Archive;
  readonly #say: (line: string) => void;
  /** Their numbers. */
  readonly #blocks = new Set<number>();
  #packets = 0;

  /** `say` is told of each, or how many there are. */
  constructor(archive: Archive, say: (line: string) => void) {
    this.#archive = archive;
    this.#say = say;
  }

  /** Packets that were left out. */
  get packets(): number {
    return this.#packets;
  }

  /** To read the archive's packets once, and decode them, with the sessions' own numbers. */
  reading(): { packets: Pick<PacketSelection, 'onDamage'>; decode: Pick<TableOptions, 'idOf'> } {
    const ids = new SessionIds(this.#archive);
    return {
      packets: {
        onDamage: (damage) => {
          ids.damaged();
          this.add(damage);
        },
      },
      decode: { idOf: (ends, at) => ids.next(ends, at) },
    };
  }

  /** The same block may be told again: an archive is read more than once. */
  add({ block, what }: BlockDamage): void {
    const { number, packets } = block;
    if (this.#blocks.has(number)) return;
    this.#blocks.add(number);
    this.#packets += packets;
    if (this.#blocks.size > MOST_NAMED) return;
    const ids = this.#sessionsOf(block).map(({ id }) => String(id));
    const whose = ids.length === 0 ? '' : ` of ${ids.length === 1 ? 'session' : 'sessions'} ${firstFew(ids)}`;
    this.#say(`${this.#archive.info.dir}: ${what}; its ${counted(packets, 'packet')}${whose} are left out`);
  }

  /** Why the beginning of `session` is missing; undefined: not because of these blocks. */
  lateBy(session: Pick<SessionMeta, 'id'>): SkipCause | undefined {
    return this.#isHit(session) ? 'damaged-block' : undefined;
  }

  /** The same events, where what sessions lack because of these blocks has their name. */
  async *named<Request extends RecordedRequest>(
    batches: AsyncIterable<FlowEvent<Request>[]>,
  ): AsyncGenerator<FlowEvent<Request>[]> {
    for await (const events of batches) {
      if (this.#blocks.size > 0) this.#name(events);
      yield events;
    }
  }

  #name(events: readonly FlowEvent<RecordedRequest>[]): void {
    for (const event of events) {
      if ((event.type !== 'lost' && event.type !== 'skip') || !SHOWN_AS.has(event.cause)) continue;
      if (this.#isHit(event.session)) event.cause = 'damaged-block';
    }
  }

  /** All was read. */
  end(): void {
    if (this.#blocks.size <= MOST_NAMED) return;
    const { dir } = this.#archive.info;
    this.#say(
      `${dir}: ${counted(this.#blocks.size, 'block')} can't be read in all; their ${counted(this.#packets, 'packet')} are left out ` +
        `(mytape verify ${dir} names them)`,
    );
  }

  #isHit({ id }: Pick<SessionMeta, 'id'>): boolean {
    const row = this.#blocks.size === 0 ? undefined : this.#archive.session(id);
    return row !== undefined && this.#archive.blocks(row).some((block) => this.#blocks.has(block));
  }

  #sessionsOf({ number, firstPacket, packets }: BlockDamage['block']): SessionRow[] {
    const found: SessionRow[] = [];
    for (const row of this.#archive.sessions()) {
      if (row.firstPacket >= firstPacket + packets) break;
      if (row.lastPacket >= firstPacket && this.#archive.blocks(row).includes(number)) found.push(row);
    }
    return found;
  }
}
