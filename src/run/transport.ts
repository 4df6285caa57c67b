import { readFileSync } from 'node:fs';
import { Receiver } from '../intercept/receiver.ts';
import { openCapture, openInjector } from '../net/capture/drivers.ts';
import { connectionsAThread } from '../net/host/descriptors.ts';
import { pathNow, pathTo } from '../net/route.ts';
import { protocolOf } from '../replay/protocol.ts';
import type { Share } from '../replay/share.ts';
import { GapTeller } from '../report/gap-teller.ts';
import { realClock } from '../time.ts';
import { localAnswers, relayedAnswers } from '../transport/answers.ts';
import type { ClientAddresses } from '../transport/clients.ts';
import { PacketTransport } from '../transport/packet.ts';
import { type Descriptors, SocketTransport } from '../transport/socket.ts';
import { TargetsTransport } from '../transport/targets.ts';
import type { Transport } from '../transport/transport.ts';
import { TOO_LONG_FILTER } from '../wire/icmp.ts';
import { clientAddresses, clientPorts } from './clients.ts';
import type { PacketJob, TargetJob, TransportJob } from './job.ts';

/** An injector's slot beyond the path's MTU: checksums are made a word at a time. */
const SLOT_SLACK_OCTETS = 16;

/**
 * The transport of one share of a run, to all targets. `say` is told, in words for people, what becomes of the way that answers
 * come. Throws where one of the targets' transports cannot be had; then none is left open.
 */
export async function openTransport(
  job: TransportJob,
  share: Share,
  say: (line: string) => void,
  clients: readonly ClientAddresses[],
): Promise<Transport> {
  const { targets, intercept } = job;
  const descriptors = { most: connectionsAThread(share.of), used: 0 };
  if (targets.length === 1) return openTo(targets[0], job, share, say, clients[0], descriptors);
  const opened: Transport[] = [];
  try {
    // A relay channel is one target's: the channels of an intercept know nothing of one another, as those of -C do.
    for (const [i, target] of targets.entries())
      opened.push(
        await openTo(target, job, share, (line) => say(`${target.name}: ${line}`), clients[i], descriptors),
      );
  } catch (error) {
    await Promise.all(opened.map((transport) => transport.close()));
    throw error;
  }
  return new TargetsTransport(opened, intercept !== undefined);
}

async function openTo(
  to: TargetJob,
  job: TransportJob,
  share: Share,
  say: (line: string) => void,
  clients: ClientAddresses,
  descriptors: Descriptors,
): Promise<Transport> {
  const { target, targetPort: port, tls } = to;
  if (job.transport === 'packet') return openPacketTransport({ ...job, ...to }, share, say, clients);
  const options = {
    target: target.text,
    port,
    clock: realClock,
    protocol: protocolOf(job.protocol),
    descriptors,
  };
  return new SocketTransport(tls === undefined ? options : { ...options, tls });
}

/** With an injector, and a capture or a channel, of its own. */
export async function openPacketTransport(
  job: PacketJob,
  share: Share,
  say: (line: string) => void,
  clients = clientAddresses(job.clients, job.target.family),
): Promise<PacketTransport> {
  const { target, targetPort, intercept } = job;
  const path = pathTo(target);
  const injector = await openInjector(job.sendDriver, {
    slotOctets: path.mtu + SLOT_SLACK_OCTETS,
    target,
  });
  const transport = new PacketTransport({
    target,
    targetPort,
    mtu: path.mtu,
    injector,
    clock: realClock,
    epochMs: Date.now(),
    secret: installationSecret(),
    pathMtu: () => pathNow(target)?.mtu ?? 0,
    clients,
    protocol: protocolOf(job.protocol),
    ports: clientPorts(job.clients, share, job.hostShare),
  });
  try {
    if (intercept === undefined) {
      const receiver = new Receiver(injector, realClock);
      const originSec = Math.floor(Date.now() / 1000);
      const gaps = new GapTeller(path.iface, originSec, say);
      const source = await openCapture(job.captureDriver, {
        iface: path.iface,
        filter: `(tcp and src host ${target.text} and src port ${targetPort}) or ${TOO_LONG_FILTER}`,
        mode: 'latency',
        promiscuous: false,
        incomingOnly: true,
        restMs: () => receiver.restMs(),
        originSec,
        onGap: (gap, isUp) => gaps.take(gap, isUp),
        ...(share.of > 1 ? { share } : {}),
      });
      transport.use(localAnswers(receiver, source, transport, say));
    } else {
      const key = job.key === undefined ? undefined : Buffer.from(job.key);
      transport.use(await relayedAnswers(intercept, key, transport, say));
    }
  } catch (error) {
    transport.dispose();
    throw error;
  }
  return transport;
}

/** RFC 6528's secret: the same from run to run on one host, so that a tuple used again gets a higher ISS. */
function installationSecret(): number {
  try {
    return Number.parseInt(readFileSync('/etc/machine-id', 'utf8').slice(0, 8), 16) >>> 0;
  } catch {
    return 0;
  }
}
