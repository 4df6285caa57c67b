/** What is said of a mirror that hears itself, and the mark by which it would. Decision 0034. */
import { markStatement, type VoiceProof } from '../replay/own-voice.ts';
import type { LoginJob } from './replay-logins.ts';
import type { TargetJob } from './replay-transport.ts';

const PROOF: Readonly<Record<VoiceProof, string>> = {
  greeting: 'a connection of its own came back, with the same nonce in the greeting',
  mark: 'a statement that no one but mytape makes came back',
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
    import('./target-client.ts'),
    import('./interlock.ts'),
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
