import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ETHERNET_OCTETS, FrameWriter, OPTION } from '../../scripts/bench/frames.ts';
import { NullMysql, type Saying, saying } from '../../scripts/bench/null-mysql.ts';
import { type Frames, ISS, NullServer } from '../../scripts/bench/null-server.ts';
import { COM } from '../../src/mysql/command.ts';
import { framePacket } from '../../src/mysql/packet.ts';
import { foldChecksum, sumWords } from '../../src/wire/checksum.ts';
import { LINKTYPE, makeBlock } from '../../src/wire/packets.ts';
import { CTL, PARSE, Segment } from '../../src/wire/segment.ts';

const CLIENT_ISS = 5000;
const SLOT = 2048;
const CLIENT = { source: 0x0a4d400a, destination: 0x0a4d0003, sourcePort: 40000, destinationPort: 3308 };

interface Sent {
  flags: number;
  seq: number;
  ack: number;
  data: Uint8Array;
  tsEcr: number;
  sackPermitted: boolean;
  windowShift: number;
}

/** A client and the server that it talks to, on a wire that keeps what the server says. */
class Talk {
  readonly mysql = new NullMysql(3);
  readonly #sent: Sent[] = [];
  readonly #server: NullServer;
  readonly #block = makeBlock(new Uint8Array(SLOT), 1, LINKTYPE.ethernet);
  readonly #writer = new FrameWriter(this.#block.octets, this.#block.view);
  readonly #options: number;

  constructor(options: number) {
    this.#options = options;
    const octets = new Uint8Array(SLOT);
    const view = new DataView(octets.buffer);
    const frames: Frames = {
      octets,
      view,
      slot: () => 0,
      commit: (length) => this.#sent.push(parsed(octets.slice(0, length))),
      flush: () => {},
    };
    this.#server = new NullServer(frames, this.mysql, () => undefined);
  }

  /** The client's segment; answers what the server sends at once. */
  say(seq: number, ack: number, flags: number, what?: Saying, nowMs = 0): Sent[] {
    const options = flags & CTL.syn ? this.#options : this.#options & OPTION.timestamps;
    const octets = what?.octets ?? new Uint8Array(0);
    this.#writer.tsVal = 77;
    const sum = what?.sums[0] ?? 0;
    const length = this.#writer.write(0, CLIENT, seq, ack, flags, options, octets, 0, octets.length, sum);
    this.#block.count = 1;
    this.#block.length[0] = length;
    this.#server.take(this.#block, nowMs);
    return this.#sent.splice(0);
  }

  tick(nowMs: number): Sent[] {
    this.#server.tick(nowMs);
    return this.#sent.splice(0);
  }

  /** Up to the greeting; answers where the client's login and the server's answer to it begin. */
  connect(): { seq: number; ack: number } {
    this.say(CLIENT_ISS, 0, CTL.syn);
    const [greeting] = this.say(CLIENT_ISS + 1, ISS + 1, CTL.ack);
    return { seq: CLIENT_ISS + 1, ack: ISS + 1 + greeting.data.length };
  }

  /** Up to the welcome. */
  login(): { seq: number; ack: number } {
    const { seq, ack } = this.connect();
    const login = saying(framePacket(1, new Uint8Array(60)));
    const [welcome] = this.say(seq, ack, CTL.ack | CTL.psh, login);
    assert.deepEqual(welcome.data, this.mysql.welcome.octets);
    return { seq: seq + login.octets.length, ack: ack + welcome.data.length };
  }
}

/** Fails where a checksum is wrong. */
function parsed(frame: Uint8Array): Sent {
  const segment = new Segment();
  const view = new DataView(frame.buffer);
  assert.equal(segment.parse(frame, view, 0, frame.length, LINKTYPE.ethernet), PARSE.ok);
  const { tcpOffset } = segment;
  assert.equal(foldChecksum(sumWords(frame, ETHERNET_OCTETS, tcpOffset)), 0, 'IP checksum');
  const pseudo = sumWords(frame, segment.srcOffset, segment.srcOffset + 8) + 6 + frame.length - tcpOffset;
  assert.equal(foldChecksum(sumWords(frame, tcpOffset, frame.length, pseudo)), 0, 'TCP checksum');
  const { flags, seq, ack, tsEcr, sackPermitted, windowShift, srcPort, dstPort } = segment;
  assert.deepEqual([srcPort, dstPort], [CLIENT.destinationPort, CLIENT.sourcePort]);
  const data = frame.slice(segment.dataOffset);
  return { flags, seq, ack, data, tsEcr, sackPermitted, windowShift };
}

function command(com: number, text = ''): Saying {
  return saying(framePacket(0, Buffer.concat([Uint8Array.of(com), Buffer.from(text)])));
}

test('a SYN-ACK has the options that the SYN offers, and no others', () => {
  const all = OPTION.syn | OPTION.sackPermitted | OPTION.timestamps | OPTION.windowScale;
  const [full] = new Talk(all).say(CLIENT_ISS, 0, CTL.syn);
  assert.deepEqual([full.flags, full.seq, full.ack], [CTL.syn | CTL.ack, ISS, CLIENT_ISS + 1]);
  assert.deepEqual([full.sackPermitted, full.windowShift, full.tsEcr], [true, 7, 77]);
  const [plain] = new Talk(OPTION.syn).say(CLIENT_ISS, 0, CTL.syn);
  assert.deepEqual([plain.sackPermitted, plain.windowShift, plain.tsEcr], [false, -1, -1]);
});

test('a greeting is sent again until the login comes', () => {
  const talk = new Talk(OPTION.timestamps);
  const { seq, ack } = talk.connect();
  assert.equal(talk.tick(199).length, 0);
  const [again] = talk.tick(201);
  assert.deepEqual([again.seq, again.ack, again.data], [ISS + 1, seq, talk.mysql.greeting.octets]);
  talk.say(seq, ack, CTL.ack | CTL.psh, saying(framePacket(1, new Uint8Array(60))), 202);
  assert.equal(talk.tick(10_000).length, 0);
});

test('a SELECT has rows, and the same command again has the same answer at the same place', () => {
  const talk = new Talk(OPTION.timestamps);
  const { seq, ack } = talk.login();
  const query = command(COM.query, 'SELECT 1');
  const first = talk.say(seq, ack, CTL.ack | CTL.psh, query);
  assert.deepEqual([first[0].seq, first[0].ack], [ack, seq + query.octets.length]);
  assert.deepEqual(first[0].data, talk.mysql.rows.octets);
  assert.deepEqual(talk.say(seq, ack, CTL.ack | CTL.psh, query), first);
});

test('commands in one segment are answered one behind the other; those without an answer are acknowledged', () => {
  const talk = new Talk(0);
  const { seq, ack } = talk.login();
  const two = saying(command(COM.ping).octets, command(COM.query, 'select 1').octets);
  const answers = talk.say(seq, ack, CTL.ack, two);
  assert.deepEqual(
    answers.map((answer) => answer.data),
    [talk.mysql.ok.octets, talk.mysql.rows.octets],
  );
  assert.equal(answers[1].seq, ack + talk.mysql.ok.octets.length);
  const close = command(COM.stmtClose, '\x01\0\0\0');
  const [pure] = talk.say(seq, ack, CTL.ack, close);
  assert.deepEqual([pure.flags, pure.ack, pure.data.length], [CTL.ack, seq + close.octets.length, 0]);
});

test('COM_QUIT and FIN are answered with FIN', () => {
  const talk = new Talk(0);
  const { seq, ack } = talk.login();
  const [fin] = talk.say(seq, ack, CTL.ack, command(COM.quit));
  assert.deepEqual([fin.flags, fin.seq, fin.ack], [CTL.fin | CTL.ack, ack, seq + 5]);
  const [both] = talk.say(seq, ack, CTL.fin | CTL.ack, command(COM.quit));
  assert.deepEqual([both.flags, both.seq, both.ack], [CTL.fin | CTL.ack, ack, seq + 6]);
  const [last] = talk.say(seq + 5, ack, CTL.fin | CTL.ack);
  assert.deepEqual([last.flags, last.seq, last.ack], [CTL.fin | CTL.ack, ack, seq + 6]);
});

test('an answer of many rows comes in segments that follow one another', () => {
  const rows = new NullMysql(100).rows;
  assert.ok(rows.sums.length > 1);
  assert.equal(rows.cuts.at(-1), rows.octets.length);
  for (const [i, sum] of rows.sums.entries()) {
    assert.equal(sum, sumWords(rows.octets, rows.cuts[i], rows.cuts[i + 1]));
  }
});
