import type { ReceiverOwner, ReceiverPort, ReceiverStats } from '../intercept/ports.ts';
import type { Receiver } from '../intercept/receiver.ts';
import { RelayClient } from '../intercept/relay-client.ts';
import { connectRelay, type RelayAddress } from '../intercept/relay-socket.ts';
import { captureNow } from '../time.ts';
import type { PacketSource } from '../wire/packets.ts';

/** Where a packet transport's answers come from: the intercept's channels, or a receiver in this process. */
export interface AnswerSource {
  /** One port a channel: a flow keeps to the one its client port falls on. */
  ports: readonly ReceiverPort[];
  stats(): Promise<ReceiverStats>;
  /** Looks after the receive half's own timers, where it is in this process. */
  tick?(): void;
  /** Called when all connections are gone: lets the target's last segments be answered, then frees everything. */
  close(): Promise<void>;
}

/** How long a receiver in this process stays to acknowledge FINs whose first ACK was lost, ms: some RTOs of Linux. */
const LINGER_MS = 1_000;

/** Answers by a receiver in this process (`replay --local`). `onGone` is called if the capture fails. */
export function localAnswers(
  receiver: Receiver,
  source: PacketSource,
  owner: ReceiverOwner,
  onGone: (port: ReceiverPort, why: string) => void,
): AnswerSource {
  const port = receiver.attach(owner);
  let closing = false;
  const capture = (async () => {
    for await (const block of source) receiver.take(block, source.linkType, captureNow(source.originSec));
  })().catch((error: Error) => {
    if (!closing) onGone(port, error.message);
  });
  return {
    ports: [port],
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

/** Answers over so many channels to an intercept. `onGone` is called for each channel that is lost. */
export async function relayedAnswers(
  address: RelayAddress,
  key: Buffer | undefined,
  channels: number,
  owner: ReceiverOwner,
  onGone: (port: ReceiverPort, why: string) => void,
): Promise<AnswerSource> {
  const clients: RelayClient[] = [];
  try {
    for (let i = 0; i < channels; i++) {
      const socket = await connectRelay(address, key);
      const name = `${address.host}:${address.port}`;
      const client: RelayClient = await RelayClient.greet(socket, name, owner, (why) => onGone(client, why));
      clients.push(client);
    }
  } catch (error) {
    await Promise.all(clients.map((client) => client.close()));
    throw error;
  }
  // All channels tell of the one capture, and that of all its time.
  const before = await clients[0].stats();
  return {
    ports: clients,
    stats: async () => {
      const { packets, dropped } = await clients[0].stats();
      return { packets: packets - before.packets, dropped: dropped - before.dropped };
    },
    close: async () => {
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}
