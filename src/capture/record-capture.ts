/** What a recording opens while mytape still has the rights that it was started with. */
import type { KnownServer } from '../archive/known-servers.ts';
import { DEFAULT_PORT } from '../mysql/port.ts';
import { type CaptureDriver, openCapture } from '../net/capture/drivers.ts';
import { makeArchiveFolder, type RunAs } from '../net/host/run-as.ts';
import { GapTeller } from '../report/gap-teller.ts';
import { sayLine } from '../report/output.ts';
import { serversHere } from '../server/here.ts';
import type { PacketSource } from '../wire/packets.ts';
import { defaultInterface } from './interfaces.ts';

export interface CaptureChoices {
  interface?: string | undefined;
  output: string;
  port?: number[] | undefined;
  filter?: string | undefined;
  buffer?: number | undefined;
  captureDriver: CaptureDriver;
}

/** A capture that runs, and what it is of. */
export interface RecordCapture {
  source: PacketSource;
  iface: string;
  filter: string;
  serverPorts: number[];
  /** Tells and counts the times in which the interface is down. */
  gaps: GapTeller;
  /** Those of this host that are recorded. */
  servers: KnownServer[];
}

/**
 * Begins to capture, and makes the archive's folder for `runAs`. `others`: the filter of what is not to be left out, beside that of the
 * options. Throws as openCapture does, and `disk` where the folder can't be made.
 */
export async function openRecordCapture(
  options: CaptureChoices,
  runAs: RunAs,
  others?: string,
): Promise<RecordCapture> {
  const iface = options.interface ?? defaultInterface();
  const serverPorts = options.port ?? (options.filter === undefined ? [DEFAULT_PORT] : []);
  const wanted = options.filter ?? serverPorts.map((port) => `tcp port ${port}`).join(' or ');
  const filter = others === undefined ? wanted : `(${wanted}) and ${others}`;
  const originSec = Math.floor(Date.now() / 1000);
  const gaps = new GapTeller(iface, originSec, sayLine);
  const source = await openCapture(options.captureDriver, {
    iface,
    filter,
    mode: 'throughput',
    originSec,
    onGap: (gap, isUp) => gaps.take(gap, isUp),
    ...(options.buffer === undefined ? {} : { bufferOctets: options.buffer }),
  });
  try {
    makeArchiveFolder(runAs, options.output);
  } catch (error) {
    await discard(source);
    throw error;
  }
  return { source, iface, filter, serverPorts, gaps, servers: serversHere(serverPorts) };
}

/** Closes a source without using what it has. */
export async function discard(source: PacketSource): Promise<void> {
  source.close();
  for await (const _ of source);
}
