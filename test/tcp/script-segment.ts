/**
 * The segments of a script (test/tcp/scenarios/README.md): as text, and as octets of an IPv4 packet. Written apart from
 * src/wire/emit.ts, so that what it gets wrong is not wrong on both ends.
 */
import assert from 'node:assert/strict';
import { type Address, ipv4Number } from '../../src/wire/address.ts';
import { foldChecksum, sumWords } from '../../src/wire/checksum.ts';
import { CTL, type Segment } from '../../src/wire/segment.ts';
import { seqAdd, seqDiff } from '../../src/wire/sequence.ts';

const FLAG_LETTERS = { S: CTL.syn, F: CTL.fin, R: CTL.rst, P: CTL.psh, '.': CTL.ack } as const;

const IP_OCTETS = 20;
const TCP_OCTETS = 20;

/** A timestamp that the script leaves open: `*`. */
export type Stamp = number | '*';

export type Option =
  | { name: 'nop' | 'eol' | 'sackOK' }
  | { name: 'mss' | 'wscale'; value: number }
  | { name: 'TS'; val: Stamp; ecr: Stamp }
  | { name: 'sack'; blocks: [left: number, right: number][] };

/** Sequence numbers count from the initial one of the end that they belong to. */
export interface ScriptSegment {
  flags: number;
  seq: number;
  length: number;
  ack: number | undefined;
  win: number | undefined;
  options: Option[] | undefined;
}

/** Who sends a packet to whom, and where their sequence numbers begin. IPv4. */
export interface Ends {
  source: Address;
  sourcePort: number;
  destination: Address;
  destinationPort: number;
  sourceIss: number;
  destinationIss: number;
}

/** `P. 1:101(100) ack 1 win 500 <nop,nop,TS val * ecr 7>` */
export function parseSegment(text: string): ScriptSegment {
  const parts =
    /^([SFRP.]+)\s+(\d+):(\d+)\((\d+)\)(?:\s+ack\s+(\d+))?(?:\s+win\s+(\d+))?(?:\s+<([^>]*)>)?$/.exec(text);
  if (!parts) throw new Error(`no segment: ${text}`);
  const [, letters, from, to, count, ack, win, options] = parts;
  let flags = 0;
  for (const letter of letters) flags |= FLAG_LETTERS[letter as keyof typeof FLAG_LETTERS];
  const length = Number(count);
  assert.equal(Number(to) - Number(from), length, `${text}: the range is not as long as it says`);
  return {
    flags,
    seq: Number(from),
    length,
    ack: ack === undefined ? undefined : Number(ack),
    win: win === undefined ? undefined : Number(win),
    options: options === undefined ? undefined : parseOptions(options),
  };
}

function parseOptions(text: string): Option[] {
  const options: Option[] = [];
  for (const each of text.split(',').map((option) => option.trim())) {
    const [name, ...values] = each.split(/\s+/);
    if (name === 'nop' || name === 'eol' || name === 'sackOK') options.push({ name });
    else if (name === 'mss' || name === 'wscale') options.push({ name, value: Number(values[0]) });
    else if (name === 'TS' && values[0] === 'val' && values[2] === 'ecr') {
      options.push({ name, val: stamp(values[1]), ecr: stamp(values[3]) });
    } else if (name === 'sack') {
      const blocks = values.map((block) => block.split(':').map(Number) as [number, number]);
      options.push({ name, blocks });
    } else if (each !== '') throw new Error(`no option: ${each}`);
  }
  return options;
}

function stamp(text: string): Stamp {
  return text === '*' ? '*' : Number(text);
}

/** One spelling of a segment. What the script leaves out is left out: `like` says what that is. */
export function renderSegment(segment: ScriptSegment, like = segment): string {
  let letters = '';
  for (const [letter, bit] of Object.entries(FLAG_LETTERS)) if (segment.flags & bit) letters += letter;
  let text = `${letters} ${segment.seq}:${segment.seq + segment.length}(${segment.length})`;
  if (segment.ack !== undefined) text += ` ack ${segment.ack}`;
  if (segment.win !== undefined && like.win !== undefined) text += ` win ${segment.win}`;
  if (segment.options !== undefined && like.options !== undefined) {
    text += ` <${segment.options.map(renderOption).join(',')}>`;
  }
  return text;
}

function renderOption(option: Option): string {
  switch (option.name) {
    case 'mss':
    case 'wscale':
      return `${option.name} ${option.value}`;
    case 'TS':
      return `TS val ${option.val} ecr ${option.ecr}`;
    case 'sack':
      return `sack ${option.blocks.map((block) => block.join(':')).join(' ')}`;
    default:
      return option.name;
  }
}

/** TSval of a segment, or undefined. */
export function timestampOf(segment: ScriptSegment): Stamp | undefined {
  for (const option of segment.options ?? []) if (option.name === 'TS') return option.val;
  return undefined;
}

/** What a parsed packet is in a script. `iss` of who sent it, `peerIss` of who acknowledged octets are. */
export function readSegment(segment: Segment, iss: number, peerIss: number): ScriptSegment {
  return {
    flags: segment.flags & 0x1f,
    seq: seqDiff(segment.seq, iss),
    length: segment.dataLength,
    ack: segment.flags & CTL.ack ? seqDiff(segment.ack, peerIss) : undefined,
    win: segment.window,
    options: readOptions(segment, peerIss),
  };
}

function readOptions({ octets, view, tcpOffset, dataOffset }: Segment, peerIss: number): Option[] {
  const options: Option[] = [];
  for (let at = tcpOffset + TCP_OCTETS; at < dataOffset; ) {
    const kind = octets[at];
    const length = octets[at + 1];
    if (kind === 0) options.push({ name: 'eol' });
    else if (kind === 1) options.push({ name: 'nop' });
    else if (kind === 2) options.push({ name: 'mss', value: view.getUint16(at + 2) });
    else if (kind === 3) options.push({ name: 'wscale', value: octets[at + 2] });
    else if (kind === 4) options.push({ name: 'sackOK' });
    else if (kind === 8)
      options.push({ name: 'TS', val: view.getUint32(at + 2), ecr: view.getUint32(at + 6) });
    else if (kind === 5) {
      const blocks: [number, number][] = [];
      for (let i = at + 2; i < at + length; i += 8) {
        blocks.push([seqDiff(view.getUint32(i), peerIss), seqDiff(view.getUint32(i + 4), peerIss)]);
      }
      options.push({ name: 'sack', blocks });
    } else assert.fail(`option ${kind}, which no script knows`);
    at += kind < 2 ? 1 : length;
  }
  return options;
}

/**
 * The IPv4 packet of a segment that a script says; `octetAt(i)` is octet i of the sender's stream. Options are padded to
 * words. A TSecr of `*` is `echo`.
 */
export function writeSegment(
  segment: ScriptSegment,
  ends: Ends,
  echo: number,
  octetAt: (i: number) => number,
): Uint8Array {
  const options = (segment.options ?? []).flatMap((option) => optionOctets(option, ends, echo));
  while (options.length & 3) options.push(0);
  const data = IP_OCTETS + TCP_OCTETS + options.length;
  const octets = new Uint8Array(data + segment.length);
  const view = new DataView(octets.buffer);
  // RFC 791 (3.1): version 4, 5 words, length; don't fragment; time to live 64, protocol TCP.
  view.setUint32(0, (0x4500 << 16) | octets.length);
  view.setUint32(4, 0x4000);
  view.setUint32(8, 0x40060000);
  view.setUint32(12, ipv4Number(ends.source));
  view.setUint32(16, ipv4Number(ends.destination));
  view.setUint16(10, foldChecksum(sumWords(octets, 0, IP_OCTETS)));
  // RFC 9293 (3.1)
  view.setUint16(20, ends.sourcePort);
  view.setUint16(22, ends.destinationPort);
  view.setUint32(24, seqAdd(ends.sourceIss, segment.seq));
  view.setUint32(28, segment.ack === undefined ? 0 : seqAdd(ends.destinationIss, segment.ack));
  view.setUint8(32, ((data - IP_OCTETS) >> 2) << 4);
  view.setUint8(33, segment.flags);
  view.setUint16(34, segment.win ?? 0);
  octets.set(options, IP_OCTETS + TCP_OCTETS);
  for (let i = 0; i < segment.length; i++) octets[data + i] = octetAt(segment.seq - 1 + i);
  view.setUint16(36, foldChecksum(sumWords(octets, 12, octets.length, 6 + octets.length - IP_OCTETS)));
  return octets;
}

function optionOctets(option: Option, ends: Ends, echo: number): number[] {
  switch (option.name) {
    case 'eol':
      return [0];
    case 'nop':
      return [1];
    case 'mss':
      return [2, 4, option.value >> 8, option.value & 255];
    case 'wscale':
      return [3, 3, option.value];
    case 'sackOK':
      return [4, 2];
    case 'sack': {
      const edges = option.blocks.flat().map((edge) => seqAdd(ends.destinationIss, edge));
      return [5, 2 + 4 * edges.length, ...edges.flatMap(word)];
    }
    case 'TS': {
      if (option.val === '*') throw new Error('what the network brings needs a TS val');
      return [8, 10, ...word(option.val), ...word(option.ecr === '*' ? echo : option.ecr)];
    }
  }
}

function word(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}
