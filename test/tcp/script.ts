/**
 * TCP scenarios as scripts, and what runs them against one TCP or another. The notation: test/tcp/scenarios/README.md.
 */
import assert from 'node:assert/strict';
import { seqDiff } from '../../src/wire/sequence.ts';
import { parseSegment, renderSegment, type ScriptSegment, timestampOf } from './script-segment.ts';

/** Octet `i` of either stream: so that what arrives can be told from what should have. */
export function streamOctet(i: number): number {
  return (i * 7 + (i >> 8)) & 0xff;
}

/** `sent` by the TCP under test, or `told` to its user; `at` in ms of the backend's clock. */
export type Happened =
  | { kind: 'sent'; segment: ScriptSegment; at: number }
  | { kind: 'told'; what: string; at: number }
  | { kind: 'told'; what: 'data'; length: number; at: number };

/** A TCP under test, seen from its user above and the network below. */
export abstract class Backend {
  /** Lines that begin with this word, and none that begin with another's, are for it. */
  abstract readonly name: 'ours' | 'kernel';
  /** Whether `win` of what it sends is held against the script. */
  abstract readonly comparesWindows: boolean;
  /** What happened and no line has asked for yet, oldest first. */
  readonly happened: Happened[] = [];
  /** The newest TSval sent. */
  stamp = 0;

  /** Ms since the script began. */
  abstract now(): number;
  /** Lets time pass until `at`. */
  abstract sleepTo(at: number): void | Promise<void>;
  /** Lets time pass until something of this kind has happened, or it is certain that nothing did in time. */
  abstract expect(kind: Happened['kind'], due: number, tolerance: number): void | Promise<void>;
  /** How much sooner or later than `after` ms behind the line before such a thing may happen, ms. */
  abstract tolerance(kind: Happened['kind'], after: number): number;
  /** The user does something. */
  abstract call(name: string, argument: number): void;
  /** The network brings a segment. */
  abstract network(segment: ScriptSegment): void;
  /** The turn that the last line began is over: ACKs that no command carried go out. */
  abstract endTurn(): void;
  /** The script is over: whatever else the TCP has to say by now. */
  abstract finish(): void | Promise<void>;

  protected sent(segment: ScriptSegment, at = this.now()): void {
    const val = timestampOf(segment);
    if (typeof val === 'number') {
      if (this.stamp !== 0) assert.ok(seqDiff(val, this.stamp) >= 0, 'TS val went back');
      this.stamp = val;
    }
    this.happened.push({ kind: 'sent', segment, at });
  }

  protected told(what: string): void {
    this.happened.push({ kind: 'told', what, at: this.now() });
  }

  protected toldData(length: number): void {
    this.happened.push({ kind: 'told', what: 'data', length, at: this.now() });
  }
}

export interface Line {
  number: number;
  text: string;
  /** Ms since the line before. */
  after: number;
  kind: '>' | '<' | '*' | 'call';
  rest: string;
}

/** The lines that are for this backend. */
export function parseScript(script: string, backend: Backend['name']): Line[] {
  const lines: Line[] = [];
  let time = 0;
  script.split('\n').forEach((raw, i) => {
    const text = raw.replace(/(^|\s)#.*$/, '').trim();
    if (text === '') return;
    const parts = /^(?:(ours|kernel)\s+)?(\+?)(\d*\.?\d+)\s+(?:([><*])\s+)?(.+)$/.exec(text);
    if (!parts) throw new Error(`line ${i + 1} is no event: ${raw}`);
    const [, only, plus, seconds, mark, rest] = parts;
    if (only !== undefined && only !== backend) return;
    const at = plus === '+' ? time + Number(seconds) : Number(seconds);
    const after = Math.round((at - time) * 1e6) / 1e3;
    assert.ok(after >= 0, `line ${i + 1} goes back in time: ${raw}`);
    time = at;
    lines.push({ number: i + 1, text, after, kind: (mark ?? 'call') as Line['kind'], rest: rest.trim() });
  });
  return lines;
}

/** Why the script is not held against Linux: `# kernel: no, <reason>`; undefined where it is. */
export function notForKernel(script: string): string | undefined {
  return /^# kernel: no, (.+)$/m.exec(script)?.[1];
}

/** Runs a script; throws an AssertionError that names the line. */
export async function runScript(script: string, backend: Backend): Promise<void> {
  /** When the line before happened. */
  let last = 0;
  for (const [i, line] of parseScript(script, backend.name).entries()) {
    const where = `line ${line.number}: ${line.text}`;
    // A command written at the moment an answer came carries its ACK: they are one turn.
    const sameTurn = line.kind === '*' || (line.kind === 'call' && line.after === 0 && i > 0);
    if (!sameTurn) backend.endTurn();
    const due = last + line.after;
    if (line.kind === '>') {
      last = Math.max(last, await sent(backend, line, due, where));
      continue;
    }
    if (line.kind === '*') {
      await told(backend, line, due, where);
      // Not when it was told: what follows does not wait for the user.
      last = due;
      continue;
    }
    await backend.sleepTo(due);
    nothingElse(backend, `${where}\n  before it, this was not asked for`);
    if (line.kind === '<') backend.network(parseSegment(line.rest));
    else {
      const call = /^(\w+)\((\d*)\)$/.exec(line.rest);
      if (!call) throw new Error(`${where}: no call`);
      backend.call(call[1], Number(call[2]));
    }
    last = backend.now();
  }
  await backend.finish();
  nothingElse(backend, 'at the end, this was not asked for');
}

async function sent(backend: Backend, line: Line, due: number, where: string): Promise<number> {
  const tolerance = backend.tolerance('sent', line.after);
  await backend.expect('sent', due, tolerance);
  const i = backend.happened.findIndex((each) => each.kind === 'sent');
  const happened = backend.happened[i];
  assert.ok(happened?.kind === 'sent', `${where}\n  nothing was sent; pending: ${pending(backend)}`);
  backend.happened.splice(i, 1);
  const wanted = parseSegment(line.rest);
  if (!backend.comparesWindows) wanted.win = undefined;
  assert.equal(renderSegment(asWanted(happened.segment, wanted), wanted), renderSegment(wanted), where);
  inTime(happened.at, due, tolerance, where);
  return happened.at;
}

/** A TSval that the script leaves open is as it says, whatever it is. */
function asWanted(segment: ScriptSegment, wanted: ScriptSegment): ScriptSegment {
  if (timestampOf(wanted) !== '*' || segment.options === undefined) return segment;
  const options = segment.options.map((each) => (each.name === 'TS' ? { ...each, val: '*' as const } : each));
  return { ...segment, options };
}

async function told(backend: Backend, line: Line, due: number, where: string): Promise<void> {
  const tolerance = backend.tolerance('told', line.after);
  const data = /^data\((\d+)\)$/.exec(line.rest);
  let left = data === null ? 0 : Number(data[1]);
  let at = due;
  do {
    await backend.expect('told', due, tolerance);
    const i = backend.happened.findIndex((each) => each.kind === 'told');
    const happened = backend.happened[i];
    assert.ok(happened?.kind === 'told', `${where}\n  nothing was told; pending: ${pending(backend)}`);
    at = happened.at;
    assert.equal(happened.what, data === null ? line.rest : 'data', `${where}; pending: ${pending(backend)}`);
    // A stream has no seams: two pieces may come as one, and one as two.
    if ('length' in happened && happened.length > left) {
      happened.length -= left;
      left = 0;
    } else {
      if ('length' in happened) left -= happened.length;
      backend.happened.splice(i, 1);
    }
  } while (left > 0);
  inTime(at, due, tolerance, where);
}

function inTime(at: number, due: number, tolerance: number, where: string): void {
  const off = at - due;
  assert.ok(Math.abs(off) <= tolerance, `${where}\n  happened ${off.toFixed(1)} ms after its time`);
}

function nothingElse(backend: Backend, message: string): void {
  if (backend.happened.length > 0) assert.fail(`${message}: ${pending(backend)}`);
}

function pending(backend: Backend): string {
  const texts = backend.happened.map((each) => {
    const what =
      each.kind === 'sent'
        ? `> ${renderSegment(each.segment)}`
        : 'length' in each
          ? `* data(${each.length})`
          : `* ${each.what}`;
    return `${what} at ${(each.at / 1000).toFixed(3)}`;
  });
  return texts.join('; ') || 'nothing';
}
