import assert from 'node:assert/strict';
import { Background } from '../../../scripts/lab/background.ts';
import { PORT } from '../../../scripts/lab/server.ts';
import type { TestBed } from './path.ts';

/** SYNs to the server, each of which is a connection: by tcpdump's filter language. */
export const SYNS = `dst port ${PORT} and tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn`;
export const SYNS6 = `ip6 and dst port ${PORT} and ip6[40 + 13] & 0x12 = 2`;

/**
 * What target's eth0 sees during `work` of what matches `filter`: a line a packet, of tshark's `fields` (`-e ip.src …`),
 * separated by `|`.
 */
export async function seenOnTarget(
  bed: TestBed,
  filter: string,
  fields: string,
  work: () => Promise<unknown>,
): Promise<string[]> {
  const file = bed.fresh('seen.pcap');
  const capture = ['tcpdump', '-i', 'eth0', '--immediate-mode', '-U', '-Z', 'root', '-w', file];
  // Headers alone: tcpdump has room for as many packets as are of that length, and with whole ones that is eight.
  const command = [...capture, '-s', '128', filter];
  const tcpdump = await Background.start(bed.lab, 'target', command, /listening on/);
  await work();
  const { stderr } = await tcpdump.stop();
  assert.match(stderr, /\b0 packets dropped by kernel/);
  return bed.lines('target', `tshark -n -r ${file} -T fields -E 'separator=|' ${fields}`);
}
