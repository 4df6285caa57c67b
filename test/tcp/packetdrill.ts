/**
 * TCP scenarios as scripts, in packetdrill's manner: one line an event, at a time in seconds, absolute or `+` since the
 * line before.
 *
 *     +0    connect()                                what the user does: connect, write(octets), close, abort
 *     +0    > S 0:0(0) win 65535 <mss 1460,wscale 7> what we must send at that very moment …
 *     +.01  < S. 0:0(0) ack 1 win 29200 <mss 1460>   … and what the network brings
 *     +0    * established                            what the user must be told: established, data(N), fin, reset,
 *                                                    refused, failed, stale
 *
 * Sequence numbers count from each end's initial one; `.` in the flags is ACK. Anything sent or told that the script
 * does not ask for fails it. Our initial sequence number wraps soon, so that every scenario crosses 2^32.
 */
import assert from 'node:assert/strict';
import { RECEIVE_SHIFT, ReceiveHalf, type ReceiveSink, windowField } from '../../src/tcp/receive.ts';
import { NEVER, type SegmentOut, SendHalf } from '../../src/tcp/send.ts';
import { ManualClock } from '../../src/time.ts';
import { SegmentWriter } from '../../src/wire/emit.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { CTL, PARSE, Segment } from '../../src/wire/segment.ts';
import { seqAdd, seqDiff } from '../../src/wire/sequence.ts';

const ISS = 0xffffff80;
const IRS = 0xfffffff0;
const LOCAL_MSS = 1460;
const FLAG_LETTERS = { S: CTL.syn, F: CTL.fin, R: CTL.rst, P: CTL.psh, '.': CTL.ack } as const;

type Expectation = { kind: 'out' | 'told'; text: string; at: number };

interface Line {
  number: number;
  text: string;
  at: number;
  kind: '>' | '<' | '*' | 'call';
  rest: string;
}

function parseLines(script: string): Line[] {
  const lines: Line[] = [];
  let time = 0;
  script.split('\n').forEach((raw, i) => {
    const text = raw.replace(/(^|\s)(#|\/\/).*$/, '').trim();
    if (text === '') return;
    const parts = /^(\+?)(\d*\.?\d+)\s+(?:([><*])\s+)?(.+)$/.exec(text);
    if (!parts) throw new Error(`line ${i + 1} is no event: ${raw}`);
    time = parts[1] === '+' ? time + Number(parts[2]) : Number(parts[2]);
    const kind = (parts[3] ?? 'call') as Line['kind'];
    lines.push({ number: i + 1, text, at: Math.round(time * 1e6) / 1e3, kind, rest: parts[4].trim() });
  });
  return lines;
}

interface WireSegment {
  flags: number;
  seq: number;
  length: number;
  ack: number | undefined;
  win: number | undefined;
  options: string;
}

/** `P. 1:101(100) ack 1 win 500 <mss 1460>` */
function parseSegment(text: string): WireSegment {
  const parts =
    /^([SFRP.]+)\s+(\d+):(\d+)\((\d+)\)(?:\s+ack\s+(\d+))?(?:\s+win\s+(\d+))?(?:\s+<([^>]*)>)?$/.exec(text);
  if (!parts) throw new Error(`no segment: ${text}`);
  let flags = 0;
  for (const letter of parts[1]) flags |= FLAG_LETTERS[letter as keyof typeof FLAG_LETTERS];
  const length = Number(parts[4]);
  assert.equal(Number(parts[3]) - Number(parts[2]), length, `${text}: the range is not as long as it says`);
  return {
    flags,
    seq: Number(parts[2]),
    length,
    ack: parts[5] === undefined ? undefined : Number(parts[5]),
    win: parts[6] === undefined ? undefined : Number(parts[6]),
    options: parts[7] ?? '',
  };
}

function flagText(flags: number): string {
  let text = '';
  for (const [letter, bit] of Object.entries(FLAG_LETTERS)) if (flags & bit) text += letter;
  return text;
}

/** Octet `i` of either stream: so that what arrives can be told from what should have. */
export function streamOctet(i: number): number {
  return (i * 7 + (i >> 8)) & 0xff;
}

function streamOctets(from: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => streamOctet(from + i));
}

/** Both halves of our end joined by function calls, as in `replay --local`. */
class Endpoint implements SegmentOut, ReceiveSink {
  readonly clock = new ManualClock();
  readonly happened: Expectation[] = [];
  readonly send = new SendHalf(ISS, LOCAL_MSS);
  readonly receive = new ReceiveHalf(ISS);
  #connected = false;
  #written = 0;
  #read = 0;
  #window = windowField(false);
  readonly #octets = new Uint8Array(2048);
  readonly #writer = new SegmentWriter(this.#octets, new DataView(this.#octets.buffer));
  readonly #segment = new Segment();

  call(name: string, argument: number): void {
    const now = this.clock.now();
    if (name === 'connect') this.#connected = true;
    else if (name === 'write') {
      this.send.write(streamOctets(this.#written, argument));
      this.#written += argument;
    } else if (name === 'close') this.send.close();
    else if (name === 'abort') this.send.abort(this);
    else if (name === 'limitMss') this.send.limitMss(argument);
    else throw new Error(`nobody can ${name}()`);
    this.#dispatch(now);
  }

  /** Takes in one segment of the network's: written to octets and parsed again, as off the wire. */
  network(wire: WireSegment): void {
    const octets = new Uint8Array(128 + wire.length);
    const view = new DataView(octets.buffer);
    const writer = new SegmentWriter(octets, view);
    const seq = seqAdd(IRS, wire.seq);
    const ack = wire.ack === undefined ? 0 : seqAdd(ISS, wire.ack);
    let end = writer.begin(0, 1, 2, 3307, 40000, seq, ack, wire.flags, wire.win ?? 0);
    end = writeOptions(octets, view, end, wire.options);
    for (let i = 0; i < wire.length; i++) octets[end + i] = streamOctet(wire.seq - 1 + i);
    const length = writer.finish(0, end + wire.length);
    assert.equal(this.#segment.parse(octets, view, 0, length, LINKTYPE.raw), PARSE.ok);
    this.receive.process(this.#segment, this.clock.now(), this);
    this.#dispatch(this.clock.now());
  }

  /** The end of a turn: ACKs that no command carried. */
  endTurn(): void {
    if (this.receive.ackNow || this.clock.now() >= this.receive.pollAt) {
      this.#emit(this.receive.peerAck, CTL.ack, 0);
      this.receive.ackSent(this.receive.rcvNxt);
    }
  }

  /** Runs timers up to `until`, ms. */
  runTo(until: number): void {
    for (;;) {
      const next = Math.min(this.#connected ? this.send.pollAt : NEVER, this.receive.pollAt);
      if (next > until) break;
      this.clock.set(Math.max(next, this.clock.now()));
      this.#dispatch(this.clock.now());
      this.endTurn();
    }
    this.clock.set(until);
  }

  #dispatch(now: number): void {
    if (!this.#connected) return;
    const { state } = this.send;
    this.send.dispatch(now, this);
    if (state !== 'failed' && this.send.state === 'failed') this.#tell('failed');
  }

  segment(_half: SendHalf, seq: number, flags: number, length: number): void {
    this.#emit(seq, flags, length);
    if (flags & CTL.ack) this.receive.ackSent(this.receive.rcvNxt);
  }

  #emit(seq: number, flags: number, length: number): void {
    const { rcvNxt } = this.receive;
    const window = flags & CTL.syn ? windowField(false) : this.#window;
    let end = this.#writer.begin(0, 2, 1, 40000, 3307, seq, flags & CTL.ack ? rcvNxt : 0, flags, window);
    let options = '';
    if (flags & CTL.syn) {
      end = this.#writer.synOptions(0, this.send.mss, RECEIVE_SHIFT);
      options = ` <mss ${this.send.mss},wscale ${RECEIVE_SHIFT}>`;
    } else if (length > 0) {
      this.send.copyPayload(seq, length, this.#octets, end);
      const from = seqDiff(seq, ISS) - 1;
      for (let i = 0; i < length; i++) {
        assert.equal(this.#octets[end + i], streamOctet(from + i), `octet ${from + i} was sent wrong`);
      }
    }
    const from = seqDiff(seq, ISS);
    const ack = flags & CTL.ack ? ` ack ${seqDiff(rcvNxt, IRS)}` : '';
    const win = flags & CTL.syn ? ` win ${window}` : '';
    const text = `${flagText(flags)} ${from}:${from + length}(${length})${ack}${win}${options}`;
    this.happened.push({ kind: 'out', text, at: this.clock.now() });
    assert.ok(end + length <= this.#octets.length);
  }

  #tell(text: string): void {
    this.happened.push({ kind: 'told', text, at: this.clock.now() });
  }

  established(_half: ReceiveHalf, mss: number, shift: number, window: number): void {
    this.#window = this.receive.windowField;
    this.send.established(mss, shift, window, this.clock.now());
    this.#tell('established');
  }

  acked(_half: ReceiveHalf, ack: number, window: number): void {
    this.send.acked(ack, window, this.clock.now());
  }

  data(_half: ReceiveHalf, octets: Uint8Array, from: number, to: number): void {
    for (let i = from; i < to; i++) {
      assert.equal(octets[i], streamOctet(this.#read), `octet ${this.#read} arrived wrong`);
      this.#read++;
    }
    this.#tell(`data(${to - from})`);
  }

  fin(): void {
    this.#tell('fin');
  }

  reset(_half: ReceiveHalf, refused: boolean): void {
    this.send.dead();
    this.#tell(refused ? 'refused' : 'reset');
  }

  stale(_half: ReceiveHalf, seq: number): void {
    this.happened.push({
      kind: 'out',
      text: `R ${seqDiff(seq, ISS)}:${seqDiff(seq, ISS)}(0)`,
      at: this.clock.now(),
    });
    this.send.synAgain(this.clock.now());
  }
}

function writeOptions(octets: Uint8Array, view: DataView, end: number, text: string): number {
  let at = end;
  for (const option of text.split(',').map((each) => each.trim())) {
    const [name, value] = option.split(/\s+/);
    if (name === '') continue;
    if (name === 'mss') {
      view.setUint32(at, 0x02040000 | Number(value));
      at += 4;
    } else if (name === 'wscale') {
      octets.set([3, 3, Number(value)], at);
      at += 3;
    } else if (name === 'nop') octets[at++] = 1;
    else if (name === 'sackOK') {
      octets.set([4, 2], at);
      at += 2;
    } else throw new Error(`no option ${name}`);
  }
  while ((at - end) & 3) octets[at++] = 0;
  octets[32] = ((at - 20) >> 2) << 4;
  return at;
}

/** Runs a script; throws an AssertionError that names the line. */
export function runScenario(script: string): void {
  const endpoint = new Endpoint();
  const lines = parseLines(script);
  lines.forEach((line, i) => {
    const where = `line ${line.number}: ${line.text}`;
    // A command written at the moment an answer came carries its ACK: they are one turn.
    const sameTurn = line.kind !== '<' && i > 0 && line.at === lines[i - 1].at && line.kind === 'call';
    if (!sameTurn && line.kind !== '*') endpoint.endTurn();
    endpoint.runTo(line.at);
    if (line.kind === '>' || line.kind === '*') {
      const kind = line.kind === '>' ? 'out' : 'told';
      const found = endpoint.happened.findIndex((each) => each.kind === kind);
      assert.ok(found >= 0, `${where}\n  nothing of the kind happened; pending: ${pending(endpoint)}`);
      const [happened] = endpoint.happened.splice(found, 1);
      const wanted = kind === 'out' ? normalise(line.rest) : line.rest;
      assert.equal(happened.text, wanted, where);
      assert.ok(Math.abs(happened.at - line.at) < 0.5, `${where}\n  happened at ${happened.at / 1000} s`);
      return;
    }
    assert.deepEqual(
      endpoint.happened.map(({ text }) => text),
      [],
      `${where}\n  before it, this was not asked for`,
    );
    if (line.kind === '<') endpoint.network(parseSegment(line.rest));
    else {
      const call = /^(\w+)\((\d*)\)$/.exec(line.rest);
      if (!call) throw new Error(`${where}: no call`);
      endpoint.call(call[1], Number(call[2]));
    }
  });
  endpoint.endTurn();
  assert.deepEqual(
    endpoint.happened.map(({ text }) => text),
    [],
    'at the end, this was not asked for',
  );
}

function pending(endpoint: Endpoint): string {
  return (
    endpoint.happened
      .map(({ kind, text, at }) => `${kind === 'out' ? '>' : '*'} ${text} at ${at / 1000}`)
      .join('; ') || 'nothing'
  );
}

/** Our own segments in one spelling: flags in order, `win` only where we say it (on a SYN). */
function normalise(text: string): string {
  const segment = parseSegment(text);
  const to = segment.seq + segment.length;
  const ack = segment.ack === undefined ? '' : ` ack ${segment.ack}`;
  const win = segment.win === undefined ? '' : ` win ${segment.win}`;
  const options = segment.options === '' ? '' : ` <${segment.options}>`;
  return `${flagText(segment.flags)} ${segment.seq}:${to}(${segment.length})${ack}${win}${options}`;
}
