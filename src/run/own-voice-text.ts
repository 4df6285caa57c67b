/** What is said of a mirror that hears itself, and the mark by which it would. Decision 0034. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { markLine, markStatement, type VoiceProof } from '../replay/own-voice.ts';
import type { TargetJob } from './job.ts';
import type { LoginJob } from './logins.ts';

const PROOF: Readonly<Record<VoiceProof, string>> = {
  greeting: 'a connection of its own came back, with the same nonce in the greeting',
  mark: 'its mark, which no one else says, came back',
  statements: "statements that it had just made came back from the target's address",
};

export function ownVoiceText(proof: VoiceProof): string {
  return `the target leads back to the server that is mirrored, and the mirror heard itself: ${PROOF[proof]}; it has stopped`;
}

/**
 * Sends the mark to a target, on an ordinary connection of the first user who can log in. Resolves to whether it was sent: a target that
 * lets no user in was the interlock's to judge. Never rejects.
 */
export async function sayMark(
  { target, targetPort, tls }: TargetJob,
  logins: LoginJob,
  mark: string,
): Promise<boolean> {
  // They bring mysql2 along, which not every run needs.
  const [{ TargetClient }, { accountsOf }] = await Promise.all([
    import('../server/client.ts'),
    import('./interlock/interlock.ts'),
  ]);
  const { serverKey } = logins;
  const endMs = performance.now() + SAY_LIMIT_MS;
  for (const account of accountsOf(logins, [])) {
    const leftMs = endMs - performance.now();
    if (leftMs <= 0) return false;
    const client = new TargetClient({ host: target.text, port: targetPort, tls, serverKey }, account, leftMs);
    try {
      await client.ready();
      await client.ask(markStatement(mark));
      return true;
    } catch {
      // Another user may be let in.
    } finally {
      await client.end();
    }
  }
  return false;
}

const SAY_LIMIT_MS = 5_000;

/** How long a proxy has to pass the mark on before the connection is closed. */
const HEARING_MS = 1_000;
const AGAIN_MS = 1_000;

/** A mark that is said, or is being said. */
export interface RawMark {
  /** Resolves when the first try is over. Never rejects. */
  tried: Promise<void>;
  /** Ends further tries. */
  stop(): void;
}

/**
 * Says the mark to a target of whose protocol nothing is known: as a line of text, on an ordinary connection that is closed then. Where
 * the target can't be connected to, once more each second: it may lead back as soon as something listens there.
 */
export function sayRawMark(
  { target, targetPort }: Pick<TargetJob, 'target' | 'targetPort'>,
  mark: string,
): RawMark {
  const stopping = new AbortController();
  const { signal } = stopping;
  const again = async () => {
    for (;;) {
      await sleep(AGAIN_MS, undefined, { signal });
      if (await sayLineTo(target.text, targetPort, mark, signal)) return;
    }
  };
  const first = sayLineTo(target.text, targetPort, mark, signal);
  const tried = first.then((isSaid) => {
    // It is stopped by an abort.
    if (!isSaid) again().catch(() => {});
  });
  return { tried, stop: () => stopping.abort() };
}

/** Resolves whether the target took it: when it has closed, or `HEARING_MS` after. */
function sayLineTo(host: string, port: number, mark: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    let isSaid = false;
    socket.setTimeout(HEARING_MS, () => socket.destroy());
    socket.on('connect', () => socket.end(markLine(mark), () => (isSaid = true)));
    // What it answers does not matter; that it goes on and on must not.
    socket.on('data', () => {});
    const limit = setTimeout(() => socket.destroy(), 2 * HEARING_MS);
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(limit);
      resolve(isSaid);
    });
  });
}
