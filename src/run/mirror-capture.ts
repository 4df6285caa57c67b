/** Where a mirror captures, and what. */

import { type CapturePlace, placeToCapture } from '../capture/interfaces.ts';
import { MytapeError } from '../errors.ts';
import { ANY_INTERFACE } from '../net/capture/ring.ts';
import { LiveMappings } from '../replay/live-mappings.ts';
import type { MappingJob } from '../replay/mappings.ts';
import { sayLine } from '../report/output.ts';
import type { LiveJob } from './job.ts';
import { mappingWords, type PlannedMappings } from './mapping.ts';

/** What the command line says of the capture. */
interface CaptureChoices {
  filter?: string | undefined;
  buffer?: number | undefined;
  idleSession: number;
  keylog?: string | undefined;
}

/**
 * Where to capture for all mappings, and what of it. `named`: the interface that the user chose. Throws 'usage' where servers
 * are on several interfaces, or nothing says on which one.
 */
export function planLive(
  { filter, buffer, idleSession, keylog }: CaptureChoices,
  plan: PlannedMappings,
  named: string | undefined,
): { live: LiveJob; mappings: MappingJob[] } {
  const places = plan.jobs.map(({ source, port }) => placeToCapture(port, named, source));
  const [{ iface, why }] = places;
  const elsewhere = places.findIndex((place) => place.iface !== iface);
  if (elsewhere > 0) {
    const [one, other] = [plan.mappings[0], plan.mappings[elsewhere]].map(mappingWords);
    throw new MytapeError(
      'usage',
      `the server of -x ${one} is on ${iface}, that of -x ${other} on ${places[elsewhere].iface}: capture both with -i ${ANY_INTERFACE}, or run two mirrors`,
    );
  }
  if (why !== undefined) sayLine(`capturing on ${iface}: ${why}`);
  const wanted = filter ?? places.map(serverFilter).join(' or ');
  return {
    live: {
      iface,
      filter: `(${wanted}) and ${othersFilter(plan)}`,
      promiscuous: places.some(({ isHere }) => !isHere),
      bufferOctets: buffer,
      idleMs: idleSession,
      originSec: Math.floor(Date.now() / 1000),
      places: LiveMappings.share(plan.jobs),
      keyLog: keylog,
      saidNoKeys: new SharedArrayBuffer(4),
    },
    mappings: plan.jobs.map((job, i) => ({ ...job, alike: places[i].alike })),
  };
}

/** All but what the targets say and hear: the mirror's own packets. */
export function othersFilter({ targets }: PlannedMappings): string {
  return targets.map(({ address, port }) => `not (${endFilter([address.text], port)})`).join(' and ');
}

/** What a server says and hears, in pcap's syntax. */
function serverFilter({ port, servers }: CapturePlace): string {
  return servers === undefined ? `tcp port ${port}` : endFilter(servers, port);
}

function endFilter(hosts: readonly string[], port: number): string {
  const towards = (end: 'src' | 'dst') =>
    `(tcp ${end} port ${port} and (${hosts.map((host) => `${end} host ${host}`).join(' or ')}))`;
  return `${towards('dst')} or ${towards('src')}`;
}
