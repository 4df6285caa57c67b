import { join } from 'node:path';
import { Background } from '../lab/background.ts';
import { PORT } from '../lab/server.ts';
import { Recording } from '../lab/tape.ts';
import { cpuMs } from './cpu.ts';
import { round } from './figures.ts';
import { runPointSelects } from './pointselect.ts';
import type { Bench } from './replay-run.ts';

const QUERIES = 300_000;

export interface RecordFigures {
  packets: number;
  dropped: number;
  tcpdump_us: number;
  record_us: number;
  ratio: number;
}

/**
 * CPU a packet of `mytape record` against `tcpdump -w`, side by side on the same packets: what the one suffers of the
 * machine's noise, the other suffers, too. Starting is not counted.
 */
export async function benchRecord({ lab, say }: Bench, archive: string): Promise<RecordFigures> {
  const pcap = join(lab.runFolder, 'bench.pcap');
  const tcpdump = await Background.start(
    lab,
    'online',
    ['tcpdump', '-i', 'eth0', '-w', pcap, '-B', '65536', `tcp port ${PORT}`],
    /listening on/,
  );
  const recording = await Recording.start(lab, archive);
  const before = { tcpdump: cpuMs(tcpdump.pid), record: cpuMs(recording.pid) };
  await runPointSelects(lab, 'client', lab.addresses.online, { threads: 50, queries: QUERIES });
  // Both write behind; a second is enough for record's own interval.
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  const after = { tcpdump: cpuMs(tcpdump.pid), record: cpuMs(recording.pid) };
  const summary = await recording.stop();
  await tcpdump.stop();
  const each = (ms: number) => round((ms * 1000) / summary.packets);
  const record = each(after.record - before.record);
  const dump = each(after.tcpdump - before.tcpdump);
  const ratio = round(record / dump);
  say(`  ${summary.packets} packets, ${summary.dropped} dropped by record's ring`);
  say(`  CPU a packet: tcpdump ${dump} µs, record ${record} µs: ${ratio} times tcpdump's`);
  return { packets: summary.packets, dropped: summary.dropped, tcpdump_us: dump, record_us: record, ratio };
}
