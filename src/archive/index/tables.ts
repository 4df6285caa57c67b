/** The tables of an index as RowTables, and the archive's row between what is stored and what is meant. */
import type { ClockStep } from '../../flow/clock.ts';
import { type FlowLimits, OLD_LIMITS } from '../../flow/flow-limits.ts';
import { RowTable } from './row-table.ts';
import type {
  ArchiveRow,
  BlockRow,
  CatalogEnd,
  SegmentRow,
  SessionBlocksRow,
  SessionRow,
  Totals,
} from './rows.ts';

export type ArchiveFacts = ArchiveRow & Totals & CatalogEnd;

/** NULL: that of archives from before there were limits, or of one of these that was repaired. */
type StoredLimits = { [Limit in keyof FlowLimits]: number | null };

/** The archive's row as it is stored. */
export type StoredArchive = Omit<ArchiveRow, 'serverPorts' | 'limits'> &
  Totals &
  CatalogEnd &
  StoredLimits & { serverPorts: string };

/** A gap as it is stored. */
interface GapRow {
  fromAt: number;
  toAt: number | null;
}

/** The tables of one format version. */
export class Tables {
  readonly archive: RowTable<StoredArchive>;
  readonly segments: RowTable<SegmentRow>;
  readonly blocks: RowTable<BlockRow>;
  readonly sessions: RowTable<SessionRow>;
  readonly session_blocks: RowTable<SessionBlocksRow>;
  readonly clock_steps: RowTable<ClockStep>;
  readonly gaps: RowTable<GapRow>;

  constructor(version: number) {
    this.archive = new RowTable('archive', version);
    this.segments = new RowTable('segments', version);
    this.blocks = new RowTable('blocks', version);
    this.sessions = new RowTable('sessions', version);
    this.session_blocks = new RowTable('session_blocks', version);
    this.clock_steps = new RowTable('clock_steps', version);
    this.gaps = new RowTable('gaps', version);
  }
}

/** The row of an archive without packets. */
export function emptyArchive(
  { limits, serverPorts, ...rest }: ArchiveRow,
  partial: string | null,
): StoredArchive {
  return {
    ...NOTHING,
    ...rest,
    partial,
    serverPorts: JSON.stringify(serverPorts),
    idleNs: fromLimit(limits.idleNs),
    halfOpenNs: fromLimit(limits.halfOpenNs),
    mostHalfOpen: fromLimit(limits.mostHalfOpen),
    mostFlows: fromLimit(limits.mostFlows),
  };
}

/** What a row that was checked says. */
export function factsOf({
  serverPorts,
  idleNs,
  halfOpenNs,
  mostHalfOpen,
  mostFlows,
  ...rest
}: StoredArchive): ArchiveFacts {
  const limits = {
    idleNs: idleNs ?? OLD_LIMITS.idleNs,
    halfOpenNs: halfOpenNs ?? OLD_LIMITS.halfOpenNs,
    mostHalfOpen: mostHalfOpen ?? OLD_LIMITS.mostHalfOpen,
    mostFlows: mostFlows ?? OLD_LIMITS.mostFlows,
  };
  return { ...rest, serverPorts: JSON.parse(serverPorts), limits };
}

const fromLimit = (limit: number) => (limit === Number.POSITIVE_INFINITY ? null : limit);

/** What an archive without packets says of itself. */
const NOTHING: Omit<StoredArchive, keyof ArchiveRow | keyof FlowLimits | 'partial'> = {
  endedMs: null,
  packets: 0,
  octets: 0,
  sessions: 0,
  commands: 0,
  uncounted: 0,
  dropped: 0,
  droppedByDisk: 0,
  lostByDamage: 0,
  cutPackets: 0,
  complete: false,
  repaired: null,
  copies: 0,
  flooded: 0,
  floodedData: 0,
  segments: 0,
  blocks: 0,
  blockOctets: 0,
  clockSteps: 0,
  gaps: 0,
};
