/** What is unusual about an archive, for people and for programs. */
import type { Archive } from '../archive/reader.ts';
import { counted } from '../counted.ts';
import { totalOf } from './causes.ts';
import { type FloodFacts, floodLine } from './flood.ts';
import { gapLines, gapsAsJson } from './gap-teller.ts';
import { lossesOfRecording, packetsLost } from './losses.ts';
import { sayLine } from './output.ts';
import { type TlsFacts, tlsHint } from './tls-hint.ts';

/** Says that packets were captured twice, where any were. */
export function sayCopies(copies: number): void {
  if (copies === 0) return;
  sayLine(
    `${counted(copies, 'packet was', 'packets were')} captured twice (before and after address translation, or at ` +
      'two ports): each counts once',
  );
}

/** What `--json` says of what the archive lacks, and of packets that are in no session because there was no room. */
export function lossObjects(archive: Archive): object[] {
  const { originSec, flooded, floodedData, partial } = archive.info;
  const by = packetsLost(archive.info);
  const dropped = totalOf(by);
  return [
    ...(dropped === 0 ? [] : [{ type: 'dropped', dropped, dropped_by: by }]),
    ...gapsAsJson(archive.gaps(), originSec).map((gap) => ({ type: 'gap', ...gap })),
    ...(flooded === 0 ? [] : [{ type: 'flood', packets: flooded, with_data: floodedData }]),
    ...(partial === null ? [] : [{ type: 'partial', why: partial }]),
  ];
}

/** Says that there was a flood, where there was one. */
export function sayFlood(facts: FloodFacts): void {
  const line = floodLine(facts);
  if (line !== undefined) sayLine(line);
}

/** Reports on stderr that sessions are under TLS and closed to us, where some are. Returns whether it did. */
export function sayTls(facts: TlsFacts): boolean {
  const line = tlsHint(facts);
  if (line !== undefined) sayLine(line);
  return line !== undefined;
}

/** Reports on stderr what is unusual about an archive. */
export function sayState(archive: Archive): void {
  const { dir, live, repairedNow, repaired, complete, partial, copies, notRepaired } = archive.info;
  for (const loss of lossesOfRecording(packetsLost(archive.info))) sayLine(`${dir}: ${loss}`);
  // While an import is at work it is no news that it has not finished.
  if (partial !== null && !live) sayLine(`${dir} is partial: ${partial}`);
  sayCopies(copies);
  sayFlood(archive.info);
  for (const line of gapLines(dir, archive.gaps(), archive.info.originSec)) sayLine(line);
  if (repairedNow) sayLine(`${dir} was not closed by its recorder; repaired: ${repaired}`);
  else if (live) sayLine(`${dir} is being recorded: this is what was durable a moment ago`);
  else if (!complete && repaired === null) {
    sayLine(
      `${dir} was not closed by its recorder, and is not repaired: ${notRepaired}; what its index misses is not shown`,
    );
  }
}
