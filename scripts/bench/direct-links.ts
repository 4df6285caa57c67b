import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '../lab/lab.ts';
import type { NullWay } from './null-target.ts';
import type { PacketPath } from './replay-run.ts';

/** How long a kernel may take to call a new link up. */
const CARRIER_MS = 1_500;

/** Where a replay finds the null responder, and which interface of the assistant hears the answers. */
export interface DirectWay {
  target: string;
  answers: string;
}

/**
 * Links from host to host, without the bridge between: what a switch does is not the sender's work in life, and here it would
 * be done on the sender's time. Two of them: assistant and target, for answers and for `--local`; online and target.
 */
export async function directLinks(
  lab: Lab,
): Promise<{ ways: Record<PacketPath, DirectWay>; responder: NullWay }> {
  const at = async (host: 'target' | 'assistant' | 'online', script: string) => {
    const { code, stderr } = await lab.run(host, 'sh', ['-ec', script]);
    if (code !== 0) throw new Error(`links on ${host}: ${stderr}`);
  };
  const peer = (host: 'assistant' | 'online') => `peer name eth1 netns ${lab.namespace(host)}`;
  await at(
    'target',
    `ip link add eth1 type veth ${peer('assistant')}
     ip link add eth2 type veth ${peer('online')}
     ip addr add 10.78.1.1/24 dev eth1
     ip addr add 10.78.2.1/24 dev eth2
     ip link set eth1 up
     ip link set eth2 up`,
  );
  await at(
    'assistant',
    'ip addr add 10.78.1.2/24 dev eth1; ip link set eth1 up; ip route add 10.78.2.0/24 via 10.78.1.1',
  );
  await at('online', 'ip addr add 10.78.2.2/24 dev eth1; ip link set eth1 up');
  await sleep(CARRIER_MS);
  return {
    ways: {
      local: { target: '10.78.1.1', answers: 'eth1' },
      intercept: { target: '10.78.2.1', answers: 'eth1' },
    },
    responder: { in: ['eth1', 'eth2'], out: 'eth1', gateway: '10.78.1.2' },
  };
}
