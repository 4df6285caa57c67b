/** What one share of a run reads: its part of an archive, or of what goes by on an interface. */

import { setTimeout as sleep } from 'node:timers/promises';
import { tlsReader } from '../archive/keys.ts';
import { openArchive } from '../archive/reader.ts';
import { readSnapshots, type Snapshots } from '../archive/snapshots.ts';
import { DamagedBlocks } from '../capture/damaged-blocks.ts';
import { FollowedKeys, KEYS_MS } from '../capture/followed-keys.ts';
import { MytapeError } from '../errors.ts';
import type { DecodeOptions } from '../flow/decode.ts';
import { LIVE_WAITS } from '../flow/decoder.ts';
import { type FlowLimits, limitsFor } from '../flow/flow-limits.ts';
import { MendedSource } from '../flow/mended-source.ts';
import { TickingSource } from '../flow/ticking-source.ts';
import { clientShareFilter } from '../net/capture/client-share.ts';
import { openCapture } from '../net/capture/drivers.ts';
import { SnapshotFollower } from '../replay/accounts/live-snapshots.ts';
import type { EngineOptions } from '../replay/engine/options.ts';
import { LiveMappings } from '../replay/live-mappings.ts';
import { FixedMappings, type MappingJob } from '../replay/mappings.ts';
import { ConnectionIds } from '../replay/session/connection-ids.ts';
import { LiveConnectionIds } from '../replay/session/live-connection-ids.ts';
import { hasAny, type Share, WHOLE } from '../replay/share.ts';
import { ClockStepTeller } from '../report/clock-steps.ts';
import { captureNow, realClock } from '../time.ts';
import { type SecretSource, TlsStream } from '../tls/stream.ts';
import { endpointText } from '../wire/address.ts';
import type { CaptureGap, PacketSource } from '../wire/packets.ts';
import type { LiveJob, OpeningJob, ReplayJob } from './job.ts';

export interface RunSource {
  packets: PacketSource;
  decode: Pick<
    DecodeOptions,
    keyof FlowLimits | 'wants' | 'firstId' | 'idStep' | 'idOf' | 'waits' | 'openTls'
  >;
  engine: Pick<EngineOptions, 'share' | 'connections' | 'live' | 'mappings' | 'lateBy'>;
  snapshots: Pick<Snapshots, 'find'>;
  /** Of an archive: what of it can't be read. */
  damaged?: DamagedBlocks;
  close(): void;
}

export function openArchiveSource(job: ReplayJob, share: Share, say: (line: string) => void): RunSource {
  const { archive: dir, copies, connections, keyLog } = job;
  const archive = openArchive(dir);
  // All threads read all of it: one of them tells.
  const damaged = new DamagedBlocks(archive, (line) => share.index === 0 && say(line));
  const reading = damaged.reading();
  const packets = archive.packets(reading.packets);
  return {
    packets,
    decode: {
      ...archive.info.limits,
      ...reading.decode,
      wants: (id) => hasAny(share, id, copies),
      openTls: tlsReader(dir, keyLog),
    },
    damaged,
    engine: {
      share,
      connections: ConnectionIds.of(connections),
      mappings: new FixedMappings(job.mappings),
      lateBy: (session) => damaged.lateBy(session),
    },
    snapshots: readSnapshots(dir),
    close() {
      damaged.end();
      packets.close();
      archive.close();
    },
  };
}

/**
 * Captures from now on, into memory of the kernel's until it is read. Each thread has whole clients' connections, and all
 * copies of them. Throws as openRing does.
 *
 * The ring of `record`, which hands packets over up to 20 ms late: with the one of `intercept` a mirror took twice the CPU, and
 * lost packets where it was kept from the CPU for half a second; this one has room for some five. Later by as much is
 * the whole load, so that it stays what it was.
 */
export function openLiveCapture(
  live: LiveJob,
  { captureDriver, serverPorts = [] }: Pick<OpeningJob, 'captureDriver' | 'serverPorts'>,
  share: Share,
  onGap: (gap: CaptureGap, isUp: boolean) => void,
): Promise<PacketSource> {
  const { iface, filter, promiscuous, bufferOctets, originSec } = live;
  return openCapture(captureDriver, {
    iface,
    filter: clientShareFilter(filter, serverPorts, share),
    mode: 'throughput',
    promiscuous,
    originSec,
    onGap,
    ...(bufferOctets === undefined ? {} : { bufferOctets }),
  });
}

/** What a live source is opened with, besides its capture and job. */
interface LiveFacts {
  share: Share;
  keys: LiveKeys;
  say: (line: string) => void;
  /** The interface that is captured on was removed. */
  onGone: (why: string) => void;
}

/** The keys that a live run's TLS sessions are read with, as they are written; none without --keylog. */
export interface LiveKeys extends SecretSource {
  /** A session waits for its keys. */
  readonly awaited: boolean;
  close(): void;
}

/** Opens the file of --keylog. `say` is told, once in all threads, that sessions have no keys. Throws `bad-file` where it can't be had. */
export function openLiveKeys({ keyLog: path, saidNoKeys }: LiveJob, say: (line: string) => void): LiveKeys {
  const sayOnce = (line: string) => {
    if (Atomics.exchange(new Int32Array(saidNoKeys), 0, 1) === 0) say(line);
  };
  if (path !== undefined) {
    const onMissing = () =>
      sayOnce(
        `the keys of a session under TLS did not appear in ${path} within ${KEYS_MS / 1000} s: such sessions are skipped (tls) ` +
          '(check that all clients write to that file; sessions that began before the mirror cannot be read)',
      );
    return new FollowedKeys({ path, now: () => realClock.now(), onMissing });
  }
  return {
    awaited: false,
    close: () => {},
    of: () => {
      sayOnce(
        'sessions under TLS are skipped (tls), since mytape has no keys for them (try: --keylog FILE, the file that the clients write through ' +
          'SSLKEYLOGFILE; or have the clients connect without TLS)',
      );
      return undefined;
    },
  };
}

/** Keys that are awaited are looked for this often, ms. */
const KEYS_TICK_MS = 10;

async function afterTick(signal: AbortSignal): Promise<void> {
  await sleep(KEYS_TICK_MS, undefined, { signal }).catch(() => {});
}

/**
 * What `capture` has, the steps of its clock taken out. `say` is told of these, and of servers whose sessions are not mirrored
 * because another one has their port.
 */
export function liveSource(
  capture: PacketSource,
  job: ReplayJob,
  { share, keys, say, onGone }: LiveFacts,
): RunSource {
  const { originSec } = capture;
  const { places, idleMs } = job.live as LiveJob;
  const steps = new ClockStepTeller(originSec, 'mirror', say);
  // All threads have the same clock: one of them tells.
  const mended = new MendedSource(untilGone(capture, onGone), (step) => share.index === 0 && steps.add(step));
  const packets = new TickingSource(mended, () => keys.awaited, afterTick);
  const snapshots = new SnapshotFollower(job.archive);
  return {
    packets,
    decode: {
      ...limitsFor(idleMs),
      firstId: share.index,
      idStep: share.of,
      waits: LIVE_WAITS,
      openTls: (plain) => new TlsStream(keys, plain),
    },
    engine: {
      share: WHOLE,
      connections: LiveConnectionIds.of(job.connections),
      live: { now: () => mended.now(captureNow(originSec)) },
      mappings: new LiveMappings(job.mappings, places, (server, port, first) => {
        const [other, taken] = [server, first].map(({ text }) => endpointText(text, port));
        say(
          `sessions of ${other} are skipped, as other-server: -x ${port}-… has taken ${taken}, which was seen first ` +
            `(to mirror them, too, name both: -x ${taken}-HOST:PORT,${other}-HOST:PORT)`,
        );
      }),
    },
    snapshots,
    close() {
      packets.close();
      snapshots.close();
      keys.close();
    },
  };
}

/** What `capture` has; where its interface is removed it ends, and `onGone` is told: what was seen until then is replayed to its end. */
function untilGone(capture: PacketSource, onGone: (why: string) => void): PacketSource {
  return {
    linkType: capture.linkType,
    originSec: capture.originSec,
    stats: () => capture.stats(),
    close: () => capture.close(),
    async *[Symbol.asyncIterator]() {
      try {
        yield* capture;
      } catch (error) {
        if (!(error instanceof MytapeError && error.code === 'no-interface')) throw error;
        onGone(error.message);
      }
    },
  };
}

/** The addresses of the servers that mappings without address have taken, by number of the mapping. */
export function addressesTaken({ places }: LiveJob, mappings: readonly MappingJob[]): (string | undefined)[] {
  const live = new LiveMappings(mappings, places, () => {});
  return mappings.map((_, index) => live.addressOf(index)?.text);
}
