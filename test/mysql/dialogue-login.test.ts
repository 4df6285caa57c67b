/** How conversations begin: refused logins, switches of plugins, the old protocol, compression. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { COM, type Command } from '../../src/mysql/command.ts';
import { Dialogue, type Layer, type Plain } from '../../src/mysql/dialogue.ts';
import type { LoginShown } from '../../src/mysql/recorded-login.ts';
import { CAPABILITIES, greeting, hello, Log, ready } from './support/conversation.ts';
import { column, command, eof, err, ok, packets, payload, row } from './support/packets.ts';

/** What a dialogue shows of the login and of its commands. */
function shown(turns: [fromClient: boolean, octets: Uint8Array][]): {
  login?: LoginShown;
  commands: Command[];
} {
  const seen: { login?: LoginShown; commands: Command[] } = { commands: [] };
  const dialogue = new Dialogue({
    login: (login) => {
      seen.login = login;
    },
    refused: (login) => {
      seen.login = login;
    },
    joined: () => {},
    command: (each) => seen.commands.push(each),
    reply: () => {},
    lost: (cause) => assert.fail(cause),
  });
  for (const [fromClient, octets] of turns) {
    if (fromClient) dialogue.fromClient(octets, 0, octets.length, 0);
    else dialogue.fromServer(octets, 0, octets.length, 0);
  }
  return seen;
}

test('whether a password was used shows behind the last switch of plugins', () => {
  const asked = (plugin: string) => packets(2, payload(0xfe, plugin, 0, new Uint8Array(20).fill(7), 0));
  const cases: [turns: [boolean, Uint8Array][], withPassword: boolean][] = [
    [[[false, packets(2, ok())]], false],
    [
      [
        [false, asked('mysql_native_password')],
        [true, packets(3, payload())],
        [false, packets(4, ok())],
      ],
      false,
    ],
    [
      [
        [false, asked('mysql_native_password')],
        [true, packets(3, new Uint8Array(20).fill(1))],
        [false, packets(4, ok())],
      ],
      true,
    ],
    [
      [
        [false, asked('caching_sha2_password')],
        [true, packets(3, payload(0))],
        [false, packets(4, ok())],
      ],
      false,
    ],
  ];
  for (const [turns, withPassword] of cases) {
    const { login } = shown([[false, greeting()], [true, hello()], ...turns]);
    assert.equal(login?.response.withPassword, withPassword);
    assert.equal(login?.connectionId, 9);
  }
});

test('a refused login tells the error, and nothing follows', () => {
  const log = new Log()
    .server(greeting())
    .client(hello())
    .server(packets(2, err(1049)));
  log.client(command(COM.ping)).server(packets(1, ok()));
  assert.deepEqual(log.take(), ['refused u 1049']);
});

test('the protocol of before 4.1: HandshakeResponse320, short OKs and EOFs', () => {
  const old = CLIENT.mysql | CLIENT.connectWithDb | CLIENT.transactions;
  const log = new Log()
    .server(greeting(CAPABILITIES | old))
    .client(packets(1, payload(old & 255, old >> 8, 0, 0, 1, 'old', 0, 'hash1234', 0, 'shop', 0)))
    .server(packets(2, payload(0, 0, 0, 2, 0)));
  assert.deepEqual(log.take(), [`login old ${old.toString(16)}`]);
  log
    .client(command(COM.query, 'select 1'))
    .server(packets(1, payload(1), payload('a definition'), payload(0xfe), row('x'), payload(0xfe)));
  log.client(command(COM.query, 'update t')).server(packets(1, payload(0, 3, 0)));
  log.client(command(COM.query, 'wrong')).server(packets(1, payload(0xff, 40, 4, 'no')));
  assert.deepEqual(
    log.lines.filter((line) => line.startsWith('reply')).map((line) => /"kind":"(\w+)"/.exec(line)?.[1]),
    ['rows', 'ok', 'err'],
  );
});

/** A compressed packet of these octets. */
function compressed(sequenceId: number, plain: Uint8Array, pack = true): Uint8Array {
  const body = pack ? deflateSync(plain) : plain;
  const before = pack ? plain.length : 0;
  return payload(
    body.length & 255,
    body.length >> 8,
    0,
    sequenceId,
    before & 255,
    before >> 8,
    0,
    new Uint8Array(body),
  );
}

const zipped = () => {
  const log = new Log();
  log
    .server(greeting())
    .client(hello(CAPABILITIES | CLIENT.compress))
    .server(packets(2, ok()));
  log.take();
  return log;
};

test('compressed: commands and answers as without, whatever ids the packets within have', () => {
  const log = zipped();
  const answer = packets(1, payload(1), column('a'), eof());
  const rows = packets(77, row('x'.repeat(200)), eof());
  log.client(compressed(0, command(COM.query, 'select 1'), false));
  log.server(compressed(1, answer)).server(compressed(2, rows));
  log
    .client(compressed(0, command(COM.query, `select '${'y'.repeat(300)}'`)))
    .server(compressed(1, packets(1, ok()), false));
  assert.deepEqual(log.take(), ['command 0 3', 'reply 0 rows', 'command 1 3', 'reply 1 ok']);
});

test('compressed: what is no compressed packet is a desync, and the way is found again', () => {
  const log = zipped();
  log.client(compressed(0, command(COM.ping), false)).server(payload(9, 0, 0, 1, 50, 0, 0, 'not deflated'));
  log.client(compressed(0, command(COM.ping), false)).server(compressed(1, packets(1, ok()), false));
  log.client(payload(9, 0, 0, 0, 50, 0, 0, 'not deflated'));
  log
    .client(compressed(0, command(COM.ping), false))
    .server(compressed(1, packets(1, ok()), false))
    .end();
  assert.deepEqual(log.take(), [
    'command 0 14',
    'lost desync 0',
    'command 1 14',
    'reply 1 ok',
    'lost desync 1',
    'command 2 14',
    'reply 2 ok',
  ]);
});

test('compressed: gaps in either direction cost what they held', () => {
  const log = zipped();
  log
    .client(compressed(0, command(COM.query, 'select 1'), false))
    .server(compressed(1, packets(1, payload(1), column('a'))));
  log.dialogue.gap(false, 100);
  log.server(compressed(3, packets(4, eof())));
  log.client(compressed(0, command(COM.ping), false)).server(compressed(1, packets(1, ok()), false));
  log.client(compressed(0, command(COM.ping), false).subarray(0, 5));
  log.dialogue.gap(true, 8);
  log.server(compressed(1, packets(1, ok()), false));
  log
    .client(compressed(0, command(COM.ping), false))
    .server(compressed(1, packets(1, ok()), false))
    .end();
  assert.deepEqual(log.take(), [
    'command 0 3',
    'lost gap 0',
    'command 1 14',
    'reply 1 ok',
    'lost gap 1',
    'command 2 14',
    'reply 2 ok',
  ]);
});

test("a LOCAL INFILE's file is kept with its command, the empty packet that ends it included", () => {
  const turns: [boolean, Uint8Array][] = [
    [false, greeting()],
    [true, hello()],
    [false, packets(2, ok())],
    [true, command(COM.query, 'load data')],
    [false, packets(1, payload(0xfb, 'f'))],
    [true, packets(2, payload('1,2\n'), payload('3,4\n'))],
  ];
  const half = shown(turns).commands[0].file;
  assert.equal(half?.whole, false);
  const { commands } = shown([...turns, [true, packets(4, payload())], [false, packets(5, ok(2))]]);
  const file = commands[0].file;
  assert.equal(file?.whole, true);
  assert.deepEqual(
    file?.packets.map((packet) => Buffer.from(packet.subarray(4)).toString()),
    ['1,2\n', '3,4\n', ''],
  );
  assert.equal(commands[0].reply?.kind, 'infile');
});

test('COM_CHANGE_USER: whether its client gave a password when asked, and its answer', () => {
  const log = ready();
  log
    .client(command(COM.changeUser, 'u2', 0, 0, 0))
    .server(packets(1, payload(0xfe, 'mysql_native_password', 0, new Uint8Array(20), 0)));
  log.client(packets(2, new Uint8Array(20).fill(3))).server(packets(3, ok()));
  log.client(command(COM.ping)).server(packets(1, ok()));
  assert.deepEqual(log.take(), ['command 0 17', 'reply 0 ok', 'command 1 14', 'reply 1 ok']);
  const { commands } = shown([
    [false, greeting()],
    [true, hello()],
    [false, packets(2, ok())],
    [true, command(COM.changeUser, 'u2', 0, 0, 0)],
    [false, packets(1, payload(0xfe, 'mysql_native_password', 0, new Uint8Array(20), 0))],
    [true, packets(2, new Uint8Array(20).fill(3))],
    [false, packets(3, ok())],
  ]);
  assert.equal(commands[0].withPassword, true);
});

/** A layer that adds 1 to each octet, and refuses when told to. */
class PlusOne implements Layer {
  readonly #plain: Plain;
  readonly awaitsKeys = false;
  state: 'ok' | 'no-key' | 'broken' = 'ok';

  constructor(plain: Plain) {
    this.#plain = plain;
  }

  fromClient(octets: Uint8Array, from: number, to: number): 'ok' | 'no-key' | 'broken' {
    const plain = octets.slice(from, to).map((octet) => octet - 1);
    if (this.state === 'ok') this.#plain.client(plain, 0, plain.length);
    return this.state;
  }

  fromServer(octets: Uint8Array, from: number, to: number): 'ok' | 'no-key' | 'broken' {
    const plain = octets.slice(from, to).map((octet) => octet - 1);
    if (this.state === 'ok') this.#plain.server(plain, 0, plain.length);
    return this.state;
  }

  gap(): 'ok' | 'no-key' | 'broken' {
    return this.state;
  }

  look(): 'ok' | 'no-key' | 'broken' {
    return this.state;
  }
}

const plusOne = (octets: Uint8Array) => new Uint8Array(octets).map((octet) => octet + 1);
const sslRequest = packets(1, payload(0, 0x0a, 0, 0, new Uint8Array(28)));
const overTls = (packet: Uint8Array) => plusOne(packet);

test('TLS that can be read: everything behind SSLRequest goes through it, also in the same segment', () => {
  const layers: PlusOne[] = [];
  const openTls = (plain: Plain) => {
    const layer = new PlusOne(plain);
    layers.push(layer);
    return layer;
  };
  const second = writeSecond();
  const log = new Log({ openTls }).server(greeting()).client(payload(sslRequest, overTls(second)));
  log.server(overTls(packets(3, ok())));
  log.client(overTls(command(COM.ping))).server(overTls(packets(1, ok())));
  assert.deepEqual(log.take().slice(1), ['command 0 14', 'reply 0 ok']);
  layers[0].state = 'broken';
  log.client(overTls(command(COM.ping)));
  assert.deepEqual(log.take(), ['lost desync 0']);
});

test('TLS whose keys are not known', () => {
  const openTls = (plain: Plain) => {
    const layer = new PlusOne(plain);
    layer.state = 'no-key';
    return layer;
  };
  const log = new Log({ openTls }).server(greeting()).client(sslRequest).client(overTls(writeSecond()));
  assert.deepEqual(log.take(), ['lost tls 0']);
});

/** HandshakeResponse41 behind an SSLRequest. */
function writeSecond(): Uint8Array {
  const packet = hello().slice();
  packet[3] = 2;
  return packet;
}
