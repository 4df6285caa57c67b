/** A run as plain data: what a thread is told, and what it reports. All of it crosses to worker threads. */

import type { RelayAddress } from '../intercept/relay-address.ts';
import type { CaptureDriver, SendDriver } from '../net/capture/drivers.ts';
import type { FilterChoices } from '../replay/choice/filters.ts';
import type { RulesFile } from '../replay/choice/rules.ts';
import type { SelectionChoices } from '../replay/choice/selection.ts';
import type { MappingJob } from '../replay/mappings.ts';
import type { VoiceJob } from '../replay/own-voice.ts';
import type { ProtocolName } from '../replay/protocol.ts';
import type { Share } from '../replay/share.ts';
import type { FloodFacts } from '../report/flood.ts';
import type { GapTotals } from '../report/gaps.ts';
import type { StallSums, Tally } from '../report/tally.ts';
import type { CaptureNs } from '../time.ts';
import type { TargetTls } from '../transport/target-tls.ts';
import type { TransportStats } from '../transport/transport.ts';
import type { Address } from '../wire/address.ts';
import type { SourceStats } from '../wire/packets.ts';
import type { ClientsPlan } from './clients.ts';
import type { LoginJob } from './logins.ts';
import type { TimingJob } from './timing.ts';

/** Why a run ends before the recording does: somebody wants it to, or it has gone on for as long as it was to. */
export type StopCause = 'interrupted' | 'out-of-time';

/** What every share of a run is told. Plain data: it crosses to worker threads. */
export interface ReplayJob extends TransportJob {
  /** A folder, with what belongs to its packets: snapshots, keys. That of a live run has no packets. */
  archive: string;
  /** Replayed is what is captured now; undefined: the archive. */
  live?: LiveJob | undefined;
  /** Who listens on these is the server: the archive's own, so that sessions have the same ids as in its index. */
  serverPorts: readonly number[];
  /** Which recorded servers' sessions go to which target. */
  mappings: readonly MappingJob[];
  copies: number;
  speed: number;
  /** undefined: the engine's own. */
  connectTimeoutMs: number | undefined;
  replyTimeoutMs: number | undefined;
  logins: LoginJob;
  filters: FilterChoices;
  selection: SelectionChoices;
  schemaPerCopy: string | undefined;
  rules: RulesFile | undefined;
  /** The target's numbers of connections (the buffer of ConnectionIds, or of LiveConnectionIds where it is live). */
  connections: SharedArrayBuffer;
  /** Text of a key log beside the archive's own. */
  keyLog: string | undefined;
  timing: TimingJob;
  /** Connections to each target at once, and new ones a second, of all shares; undefined: any number. */
  maxConnections: number | undefined;
  connectRate: number | undefined;
  order: 'time' | 'commit';
  /** Connections to each target kept for each user, by all shares; undefined: none are. */
  pool: number | undefined;
  pinTime: boolean;
  /** Of a mirror: whether it hears itself. */
  voice?: VoiceJob | undefined;
  /** Where it is written down how far the run has come; undefined: nowhere. */
  checkpoint?: CheckpointJob | undefined;
}

/** What of a job opens sockets: what the options tell. The rest is read of the archive, without rights. */
export type OpeningJob = TransportJob &
  Pick<ReplayJob, 'live' | 'copies' | 'speed' | 'order' | 'rules'> &
  Partial<Pick<ReplayJob, 'serverPorts'>>;

/** What is recorded `at` is due `epochMs`, ms since 1970 by the main thread's clock: the same for every share. */
export interface Anchor {
  at: CaptureNs;
  epochMs: number;
  /** How often the recording was replayed before. */
  pass: number;
}

/** Something else from `epochMs` on, which is the same for every share. */
export interface Steering {
  /** Infinity: as fast as the target takes it. */
  speed?: number;
  paused?: boolean;
  epochMs: number;
}

export interface Progress {
  answered: number;
  lost: number;
  /** Sessions open now. */
  open: number;
  /** Connections in the place of others so far. */
  reconnected: number;
  /** The latest scheduled moment of which a command was sent. */
  sentTo: CaptureNs;
  /** Nothing is due before, ms since 1970; 0: something is under way, Infinity: nothing is left. */
  restsUntilMs: number;
  /** What was recorded then, where that is known. */
  restsTo: CaptureNs | undefined;
  /** Packets that a live run has captured so far. */
  captured: number;
}

/** What became of a share. Plain data. */
export interface ShareResult {
  tally: Tally;
  transport: TransportStats;
  /** Why the recording could not be read to its end, if it could not. */
  unread: string | undefined;
  /** Packets of blocks of the archive that can't be read. */
  damagedPackets: number;
  /** How often the disk of the run's folder took no writes. */
  disk: StallSums | undefined;
  /** Rules of `--rewrite` that no statement matched. */
  unusedRules: string[];
  /** What a live run captured; undefined: it was none. */
  captured: (SourceStats & FloodFacts & { gaps: GapTotals }) | undefined;
}

export const TRANSPORTS = ['packet', 'socket'] as const;

export interface PacketJob {
  target: Address;
  targetPort: number;
  /** Where `mytape intercept` listens; undefined: answers are caught in this process. */
  intercept: RelayAddress | undefined;
  key: Uint8Array | undefined;
  captureDriver: CaptureDriver;
  sendDriver: SendDriver;
  clients: ClientsPlan;
  /** What the recording and the targets speak; undefined: MySQL. */
  protocol?: ProtocolName;
  /** This host's share of the run, of which other hosts have the rest. */
  hostShare?: Share | undefined;
}

/** One target of a run. Plain data: it crosses to worker threads. */
export interface TargetJob {
  /** `HOST:PORT`, by the name that it was given. */
  name: string;
  /** The part of `-x` that leads there, as it was typed. */
  mapping: string;
  target: Address;
  targetPort: number;
  clients: ClientsPlan;
  /** Of the socket transport: connections go on in TLS. */
  tls: TargetTls | undefined;
}

export interface TransportJob extends Omit<PacketJob, 'target' | 'targetPort' | 'clients'> {
  transport: (typeof TRANSPORTS)[number];
  /** At least one. */
  targets: readonly TargetJob[];
}

/** Where a live run captures. Plain data: it crosses to worker threads. */
export interface LiveJob {
  iface: string;
  filter: string;
  /** Takes in what is for other hosts: a mirror port. */
  promiscuous: boolean;
  /** Room in the kernel for each thread's packets; undefined: the ring's own. */
  bufferOctets: number | undefined;
  /** The same for all threads. */
  originSec: number;
  /** A session that was silent for this long has ended unseen. */
  idleMs: number;
  /** What the threads' LiveMappings share. */
  places: SharedArrayBuffer;
  /** A file that TLS keys are written to while it goes on. */
  keyLog: string | undefined;
  /** Whether one of the threads has said that a session is under TLS without keys. */
  saidNoKeys: SharedArrayBuffer;
}

/** What of a run a share is told. Plain data. */
export interface CheckpointJob {
  /** The run's. */
  folder: string;
  /** Its id (RunFile). */
  run: string;
  /** Goes on where the checkpoints in the folder are. */
  resume: boolean;
}
