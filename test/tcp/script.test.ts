import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseAddress } from '../../src/wire/address.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { PARSE, Segment } from '../../src/wire/segment.ts';
import { Backend, type Happened, notForKernel, runScript, streamOctet } from './script.ts';
import {
  parseSegment,
  readSegment,
  renderSegment,
  type ScriptSegment,
  writeSegment,
} from './script-segment.ts';

/** Does as its list says, once it was called: `at` in ms, then a segment, or what its user is told. */
class Actor extends Backend {
  readonly name = 'ours';
  readonly comparesWindows = true;
  readonly received: string[] = [];
  readonly #plan: [at: number, mark: '>' | '*', text: string][];
  #now = 0;

  constructor(...plan: [at: number, mark: '>' | '*', text: string][]) {
    super();
    this.#plan = plan;
  }

  now(): number {
    return this.#now;
  }

  sleepTo(at: number): void {
    while (this.received.length > 0 && this.#plan.length > 0 && this.#plan[0][0] <= at) {
      const [when, mark, text] = this.#plan.shift()!;
      this.#now = when;
      const data = /^data\((\d+)\)$/.exec(text);
      if (mark === '>') this.sent(parseSegment(text));
      else if (data !== null) this.toldData(Number(data[1]));
      else this.told(text);
    }
    this.#now = at;
  }

  expect(_kind: Happened['kind'], due: number, tolerance: number): void {
    this.sleepTo(due + tolerance);
  }

  tolerance(_kind: Happened['kind'], after: number): number {
    return Math.max(5, after / 10);
  }

  call(name: string, argument: number): void {
    this.received.push(`${name} ${argument}`);
  }

  network(segment: ScriptSegment): void {
    this.received.push(renderSegment(segment));
  }

  endTurn(): void {}

  finish(): void {
    this.sleepTo(this.#now + 20);
  }
}

const script = (...lines: string[]) => lines.join('\n');

describe('scripts', () => {
  it('what happens as it stands passes, and the user’s and the network’s doings arrive', async () => {
    const actor = new Actor(
      [0, '>', 'S 0:0(0) win 9 <mss 1460>'],
      [11, '>', '. 1:1(0) ack 1 win 500'],
      [12, '*', 'established'],
    );
    await runScript(
      script(
        '# a comment',
        '0    connect()',
        '+0   > S 0:0(0) win 9 <mss 1460>  # and another',
        '0.01 < S. 0:0(0) ack 1 win 7 <mss 9,wscale 2>',
        'kernel +9 > R 1:1(0)',
        '+0   * established',
        'ours +0 > . 1:1(0) ack 1',
        '+.01 write(12)',
      ),
      actor,
    );
    assert.deepEqual(actor.received, ['connect 0', 'S. 0:0(0) ack 1 win 7 <mss 9,wscale 2>', 'write 12']);
  });

  it('what is not as it stands fails, by its line', async () => {
    const sent = (text: string, at = 0) => new Actor([at, '>', text]);
    const rejects = (line: string, actor: Actor, message: RegExp) =>
      assert.rejects(runScript(`0 connect()\n${line}`, actor), message);
    await rejects('0 > . 1:1(0) ack 1', sent('. 1:1(0) ack 2'), /line 2/);
    await rejects('0 > . 1:1(0) ack 1', sent('P. 1:1(0) ack 1'), /line 2/);
    await rejects('0 > . 1:1(0) ack 1 win 3', sent('. 1:1(0) ack 1 win 4'), /line 2/);
    await rejects('0 > . 1:1(0) ack 1 <>', sent('. 1:1(0) ack 1 <nop,nop,sack 5:6>'), /line 2/);
    await rejects('0 > . 1:1(0) ack 1', new Actor(), /line 2[\s\S]*nothing was sent; pending: nothing/);
    await rejects('0 * fin', sent('. 1:1(0) ack 1'), /nothing was told; pending: > \. 1:1\(0\) ack 1/);
    await rejects('0 * fin', new Actor([0, '*', 'reset']), /line 2/);
    await rejects('1 > . 1:1(0)', sent('. 1:1(0)', 850), /line 2[\s\S]*-150.0 ms after its time/);
    await rejects('1 > . 1:1(0)', sent('. 1:1(0)', 1150), /nothing was sent/);
    await rejects('1 write(1)', sent('. 1:1(0)', 850), /line 2[\s\S]*before it, this was not asked for: >/);
    await rejects('0 write(1)', sent('. 1:1(0)', 15), /at the end, this was not asked for: >/);
    await rejects('0 nonsense', new Actor(), /line 2: 0 nonsense: no call/);
  });

  it('time counts from when the line before happened', async () => {
    const actor = new Actor([1_080, '>', '. 1:1(0)'], [2_150, '>', '. 2:2(0)']);
    await runScript('0 connect()\n1 > . 1:1(0)\n2 > . 2:2(0)', actor);
  });

  it('data has no seams', async () => {
    const pieces = () => new Actor([0, '*', 'data(10)'], [0, '*', 'data(5)'], [1, '*', 'fin']);
    await runScript('0 connect()\n0 * data(15)\n0 * fin', pieces());
    await runScript('0 connect()\n0 * data(3)\n0 * data(12)\n0 * fin', pieces());
    await assert.rejects(runScript('0 connect()\n0 * data(16)\n0 * fin', pieces()), /line 2/);
    await assert.rejects(runScript('0 connect()\n0 * data(14)\n0 * fin', pieces()), /line 3/);
  });

  it('a TSval is as it likes, but never goes back; what it echoes counts', async () => {
    const stamps = (...vals: number[]) =>
      new Actor(
        ...vals.map((val): [number, '>', string] => [0, '>', `. 1:1(0) <nop,nop,TS val ${val} ecr 7>`]),
      );
    const line = '0 > . 1:1(0) <nop,nop,TS val * ecr 7>';
    await runScript(script('0 connect()', line, line, line), stamps(4294967290, 4294967290, 3));
    await assert.rejects(runScript(script('0 connect()', line, line), stamps(5, 4)), /TS val went back/);
    await assert.rejects(runScript(script('0 connect()', line.replace('7>', '8>')), stamps(5)), /line 2/);
  });

  it('a script says why it is not for the kernel', () => {
    assert.equal(notForKernel('# RFC\n# kernel: no, it takes an hour\n0 connect()'), 'it takes an hour');
    assert.equal(notForKernel('# RFC\n0 connect()\nkernel +0 close()'), undefined);
  });
});

describe('segments of scripts', () => {
  it('text to octets and back', () => {
    const ends = {
      source: parseAddress('10.0.0.1')!,
      sourcePort: 1,
      destination: parseAddress('10.0.0.2')!,
      destinationPort: 2,
      sourceIss: 0xffffff00,
      destinationIss: 0xfffffff0,
    };
    for (const text of [
      'S 0:0(0) win 64240 <mss 1460,sackOK,TS val 5 ecr 0,nop,wscale 7>',
      'P. 300:303(3) ack 90 win 1 <nop,nop,TS val 4294967295 ecr 6,nop,nop,sack 100:200 1:50>',
      'FR. 0:0(0) ack 0 win 0 <wscale 3,eol>',
      'F. 1:6(5) ack 7 win 8 <>',
    ]) {
      const octets = writeSegment(parseSegment(text), ends, 0, streamOctet);
      const segment = new Segment();
      const view = new DataView(octets.buffer);
      assert.equal(segment.parse(octets, view, 0, octets.length, LINKTYPE.raw), PARSE.ok);
      assert.equal(renderSegment(readSegment(segment, ends.sourceIss, ends.destinationIss)), text);
    }
  });

  it('an echo left open is the newest TSval', () => {
    const ends = { source: parseAddress('10.0.0.1')!, destination: parseAddress('10.0.0.2')! };
    const numbers = { sourcePort: 1, destinationPort: 2, sourceIss: 0, destinationIss: 0 };
    const wire = parseSegment('. 1:1(0) ack 1 <nop,nop,TS val 9 ecr *>');
    const octets = writeSegment(wire, { ...ends, ...numbers }, 77, streamOctet);
    assert.equal(new DataView(octets.buffer).getUint32(40 + 8), 77);
  });

  it('what is no segment is refused', () => {
    for (const text of ['', 'X 0:0(0)', 'S 0:1(0)', 'S 0:0(0) <mystery 4>', 'S 0:0(0) ack']) {
      assert.throws(() => parseSegment(text), text);
    }
  });
});
