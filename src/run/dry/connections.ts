import type { SessionMeta } from '../../flow/events.ts';
import type { ConnectionTable } from '../../replay/session/live-connection-ids.ts';
import type { CaptureNs } from '../../time.ts';

/** Any number would do: what is sent to the target that is not there ends there. */
const SOME_CONNECTION = 1;

interface Recorded {
  id: number;
  from: CaptureNs;
  /** Infinity: it was open when the recording ended, or that was not read yet. */
  to: CaptureNs;
}

/**
 * Connections as a run at recorded times would find them, by when they were open in the recording: in a dry run one session may be over
 * long before another begins.
 */
export class DryConnections implements ConnectionTable {
  /** By recorded server and its number of the connection. */
  readonly #known = new Map<string, Recorded[]>();
  readonly #bySession = new Map<number, Recorded>();

  /** `session`, of the recorded server `server`, is to be replayed. */
  scheduled(session: SessionMeta, server: number): void {
    if (session.connectionId === 0 || this.#bySession.has(session.id)) return;
    const recorded = { id: session.id, from: session.at, to: Number.POSITIVE_INFINITY };
    const key = keyOf(server, session.connectionId);
    this.#bySession.set(session.id, recorded);
    this.#known.set(key, [...(this.#known.get(key) ?? []), recorded]);
  }

  /** Its end was read, and was recorded `at`. */
  ended({ id }: SessionMeta, at: CaptureNs): void {
    const recorded = this.#bySession.get(id);
    if (recorded !== undefined) recorded.to = at;
  }

  recorded(): void {}

  awaited(): void {}

  opened(): void {}

  closed(): void {}

  find(connectionId: number, _copy: number, server = 0, at: CaptureNs = 0): number | undefined {
    const known = this.#known.get(keyOf(server, connectionId)) ?? [];
    return known.some(({ from, to }) => from <= at && at <= to) ? SOME_CONNECTION : undefined;
  }

  isAwaited(): boolean {
    return false;
  }
}

function keyOf(server: number, connectionId: number): string {
  return `${server} ${connectionId}`;
}
