import type { AnswerProtocol } from '../intercept/answer-protocol.ts';
import type { ReceiverOwner, ReceiverPort, ReceiverStats, Target } from '../intercept/ports.ts';
import type { Receiver } from '../intercept/receiver.ts';
import type { RelayAddress } from '../intercept/relay-address.ts';
import { RelayClient } from '../intercept/relay-client.ts';
import { captureNow } from '../time.ts';
import type { PacketSource } from '../wire/packets.ts';

/** Where a packet transport's answers come from: an intercept, or a receiver in this process. */
export interface AnswerSource {
  readonly port: ReceiverPort;
  stats(): Promise<ReceiverStats>;
  /** Looks after the receive half's own timers, where it is in this process. */
  tick?(): void;
  /** Called when all connections are gone: lets the target's last segments be answered, then frees everything. */
  close(): Promise<void>;
}

/** A packet transport, as those see it who bring its answers. */
export interface AnswersOwner extends ReceiverOwner {
  /** Where its connections go. */
  readonly target: Target;
  readonly protocol: AnswerProtocol;
  /** The port has a receiver again that knows of nothing. */
  resume(): void;
  /** No more answers will come. */
  lost(): void;
}

/** Told, in words for people, what becomes of the way that answers come. */
export type Say = (line: string) => void;

/** How long a receiver in this process stays to acknowledge FINs whose first ACK was lost, ms: some RTOs of Linux. */
const LINGER_MS = 1_000;

/** Answers by a receiver in this process (`replay --local`). A capture that fails ends `owner`'s connections. */
export function localAnswers(
  receiver: Receiver,
  source: PacketSource,
  owner: AnswersOwner,
  say: Say,
): AnswerSource {
  const port = receiver.attach(owner, {
    delivered: undefined,
    protocol: owner.protocol,
  });
  let closing = false;
  const capture = (async () => {
    for await (const block of source) receiver.take(block, captureNow(source.originSec));
  })().catch((error: Error) => {
    if (closing) return;
    say(`the capture of answers failed: ${error.message}`);
    owner.lost();
  });
  return {
    port,
    stats: () => Promise.resolve(source.stats()),
    tick: () => receiver.tick(),
    close: async () => {
      closing = true;
      await new Promise((resolve) => setTimeout(resolve, LINGER_MS));
      port.disconnect();
      source.close();
      await capture;
    },
  };
}

/** Answers over a channel to an intercept. One that is lost is made again; one that stays lost ends `owner`'s connections. */
export async function relayedAnswers(
  address: RelayAddress,
  key: Buffer | undefined,
  owner: AnswersOwner,
  say: Say,
): Promise<AnswerSource> {
  const client = await RelayClient.open({
    address,
    key,
    owner,
    target: owner.target,
    protocol: owner.protocol,
    events: {
      lost: (why) => say(`intercept ${why}: trying to reach it again`),
      back: () => {
        say('intercept is back: connections are taken up again');
        owner.resume();
      },
      gone: (why) => {
        say(`intercept ${why}: its connections are lost`);
        owner.lost();
      },
      taken: () =>
        say(
          "another replay on this intercept has connections of the same client addresses and ports: this run's are lost (let it end first, or use another --clients)",
        ),
    },
  });
  // Its capture may have served others before us.
  const before = await client.stats().catch(async (error: Error) => {
    await client.close();
    throw error;
  });
  return {
    port: client,
    stats: async () => {
      const { packets, dropped } = await client.stats();
      // One that was started again has begun to count anew.
      const isAnew = packets < before.packets;
      return isAnew
        ? { packets, dropped }
        : { packets: packets - before.packets, dropped: dropped - before.dropped };
    },
    close: () => client.close(),
  };
}
