import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Lab } from '../lab/lab.ts';
import { tape } from '../lab/tape.ts';
import { command, explain, fact } from './narrator.ts';

const SHOWN = 6;

/** Step: `mytape ls`, and every segment read by tools that know nothing of us. False where they read something else. */
export async function inspectArchive(lab: Lab, archive: string, packets: number): Promise<boolean> {
  command('online', ['mytape', 'ls', archive]);
  const listed = await tape(lab, 'online', ['ls', archive]);
  const lines = listed.stdout.trimEnd().split('\n');
  for (const line of lines.slice(0, SHOWN)) fact(line);
  if (lines.length > SHOWN + 1) fact(`… ${lines.length - SHOWN - 1} more lines`);
  if (lines.length > SHOWN) fact(lines[lines.length - 1]);
  if (listed.code !== 0) fact(`mytape ls ended with exit code ${listed.code}: ${listed.stderr}`, false);

  explain('Each segment is one LZ4 frame around a pcap file, so the tools that you have can read it:');
  const segments = readdirSync(archive).filter((name) => name.endsWith('.pcap.lz4'));
  let byTcpdump = 0;
  let byTshark = 0;
  for (const name of segments.sort()) {
    const file = join(archive, name);
    const pipe = 'set -o pipefail; lz4 -dc "$0" | tcpdump --count -r -';
    command('online', `lz4 -dc ${name} | tcpdump --count -r -`);
    const tcpdump = await lab.run('online', 'bash', ['-c', pipe, file]);
    command('online', ['tshark', '-r', name]);
    const tshark = await lab.run('online', 'tshark', ['-r', file, '-T', 'fields', '-e', 'frame.number']);
    const counts = [
      Number(/(\d+) packets?$/m.exec(tcpdump.stdout)?.[1]),
      tshark.stdout.trimEnd().split('\n').length,
    ];
    const whole = tcpdump.code === 0 && tshark.code === 0;
    const size = (statSync(file).size / 1e6).toFixed(1);
    fact(`${basename(file)}: ${size} MB; tcpdump reads ${counts[0]} packets, tshark ${counts[1]}`, whole);
    if (!whole) fact(tcpdump.stderr + tshark.stderr, false);
    byTcpdump += counts[0];
    byTshark += counts[1];
  }
  const equal = byTcpdump === packets && byTshark === packets;
  fact(`recorded = read back by both: ${packets} = ${byTcpdump} = ${byTshark}`, equal);
  return listed.code === 0 && segments.length > 0 && equal;
}
