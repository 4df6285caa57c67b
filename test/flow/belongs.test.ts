/** Which connection a segment belongs to, by what is told of scripted captures. */
import assert from 'node:assert/strict';
import { describe as suite, test } from 'node:test';
import { COM } from '../../src/mysql/command.ts';
import { writeHandshakeResponse } from '../../src/mysql/handshake.ts';
import { CTL } from '../../src/wire/segment.ts';
import { CAPABILITIES, greeting } from '../mysql/support/conversation.ts';
import { command, ok, packets } from '../mysql/support/packets.ts';
import { decode, describe } from './support/capture.ts';
import { Script, type Scripted, SERVER_PORT, scriptedSource } from './support/wire.ts';

const FIN = CTL.fin | CTL.ack;

const hello = (user: string) =>
  writeHandshakeResponse(
    {
      capabilities: CAPABILITIES,
      extendedCapabilities: 0,
      maxPacket: 0,
      charset: 45,
      user,
      authResponse: new Uint8Array(0),
    },
    1,
  );

/** A session of `user` up to here: 3 segments of the handshake, 3 of the login, 2 for each query. */
function session(user: string, ...queries: string[]): Script {
  const script = new Script().handshake().server(greeting()).client(hello(user)).server(packets(2, ok()));
  for (const sql of queries) script.client(command(COM.query, sql)).server(packets(1, ok()));
  return script;
}

/** The same segments, of a connection whose numbers are so much higher. */
function shifted(segments: readonly Scripted[], client: number, server: number): Scripted[] {
  return segments.map((segment) => ({
    ...segment,
    seq: segment.seq + (segment.fromClient ? client : server),
    ack: (segment.flags & CTL.ack) === 0 ? 0 : segment.ack + (segment.fromClient ? server : client),
  }));
}

/** Commands by session and user, each as `session user sql`; and what is lost or skipped. */
async function told(segments: Scripted[], gapsMs: Record<number, number> = {}): Promise<string[]> {
  const source = scriptedSource(segments);
  for await (const block of source) {
    let late = 0;
    for (let i = 0; i < block.count; i++) {
      late += (gapsMs[i] ?? 0) * 1e6;
      block.at[i] += late;
    }
  }
  const { events } = await decode(source, [SERVER_PORT]);
  const lines: string[] = [];
  for (const event of events) {
    const { id, login } = event.session;
    if (event.type === 'command') {
      const sql = Buffer.from(event.command.packet.subarray(5)).toString();
      lines.push(`${id} ${login?.user ?? '-'} ${event.command.com === COM.quit ? 'QUIT' : sql}`);
    } else if (event.type === 'lost' || event.type === 'skip') lines.push(describe(event));
  }
  return lines;
}

const APP = ['0 app select 1', '0 app QUIT'];
const quit = (script: Script) => script.client(command(COM.quit));
const closed = (script: Script) => quit(script).clientSays(FIN).serverSays(FIN).clientSays(CTL.ack);

suite('ports used anew', () => {
  const app = closed(session('app', 'select 1')).segments;
  const bob = session('bob', 'delete from t').segments;
  const BOB = ['1 bob delete from t'];

  test('after a proper close, with the same numbers', async () => {
    const segments = [...app, ...closed(session('app', 'select 2')).segments];
    assert.deepEqual(await told(segments, { [app.length]: 10_000 }), [
      ...APP,
      '1 app select 2',
      '1 app QUIT',
    ]);
  });

  for (const [name, missing] of [
    ['the SYN', [0]],
    ['the SYN-ACK', [1]],
    ['both SYNs', [0, 1]],
    ['the whole handshake', [0, 1, 2]],
  ] as const) {
    for (const [where, client, server] of [
      ['far ahead', 5e8, 7e8],
      ['a little ahead', 60_000, 60_000],
      ['behind', -50_000, -70_000],
    ] as const) {
      test(`without ${name}, numbers ${where}: another user's commands are his own`, async () => {
        const segments = [
          ...app,
          ...shifted(bob, client, server).filter((_, i) => !(missing as readonly number[]).includes(i)),
        ];
        assert.deepEqual(await told(segments, { [app.length]: 1000 }), [...APP, ...BOB]);
      });
    }
  }

  test('the end of the one before was not captured: the login shows', async () => {
    const open = session('app', 'select 1').segments;
    const segments = [...open, ...shifted(bob, 60_000, 90_000).slice(3)];
    assert.deepEqual(await told(segments), ['0 app select 1', ...BOB]);
  });

  for (const [end, open] of [
    ['nothing', session('app', 'select 1')],
    ['COM_QUIT', quit(session('app', 'select 1'))],
  ] as const) {
    const { segments } = open;
    const before = end === 'nothing' ? ['0 app select 1'] : APP;
    test(`numbers go on where the one before ended, by ${end}: greeting and hello show`, async () => {
      const next = (fromClient: boolean) => {
        const mine = segments.filter((segment) => segment.fromClient === fromClient);
        return Math.max(...mine.map(({ seq, data }) => seq + data.length));
      };
      const first = (fromClient: boolean) => bob.slice(3).find((one) => one.fromClient === fromClient)!.seq;
      const [client, server] = [true, false].map((who) => next(who) - first(who));
      const goesOn = shifted(bob, client, server).slice(3);
      assert.deepEqual(await told([...segments, ...goesOn], { [segments.length]: 1000 }), [
        ...before,
        ...BOB,
      ]);
    });
  }

  test('neither end nor login was captured: numbers that jump both ways are of nobody known', async () => {
    const open = session('app', 'select 1').segments;
    const segments = [...open, ...shifted(bob, 3e8, 5e8).slice(6)];
    assert.deepEqual(await told(segments), ['0 app select 1', '1 - delete from t']);
  });

  test('behind COM_QUIT nothing is said, though no FIN was captured', async () => {
    const open = quit(session('app', 'select 1')).segments;
    const segments = [...open, ...shifted(bob, 60_000, 60_000).slice(6)];
    assert.deepEqual(await told(segments), [...APP, '1 - delete from t']);
  });

  test('the same numbers within a moment, but another greeting', async () => {
    const other = session('bob', 'delete from t').segments.map((segment) => ({
      ...segment,
      data: segment.data.slice(),
    }));
    // The connection id.
    other[3].data[12] ^= 0xff;
    assert.deepEqual(await told([...app, ...other]), [...APP, ...BOB]);
  });

  test('a copy of each packet, some time later, is no other session', async () => {
    const copied = app.flatMap((segment, i) => (i < 3 ? [segment] : [segment, app[i - 3]]));
    assert.deepEqual(await told([...copied, ...app.slice(-3)]), APP);
  });

  test('a straggler of the session before does not cut the new one in two', async () => {
    const next = shifted(closed(session('bob', 'delete from t', 'select 2')).segments, 5e8, 7e8);
    const segments = [...app, ...next.slice(0, 8), app[6], app[7], ...next.slice(8)];
    assert.deepEqual(await told(segments), [...APP, ...BOB, '1 bob select 2', '1 bob QUIT']);
  });
});

suite('RST', () => {
  const after = (reset: Partial<Scripted>, more: (script: Script) => Script, ms = 0) => {
    const script = session('app', 'select 1');
    const like = script.segments.at(-1) as Scripted;
    const at = script.segments.length;
    const rest = more(script).segments.slice(at);
    const rst = { ...like, data: new Uint8Array(0), flags: CTL.rst, ...reset };
    return told([...script.segments.slice(0, at), rst, ...rest], { [at + 1]: ms });
  };
  const next = (fromClient: boolean) => {
    const { segments } = session('app', 'select 1').clientSays(CTL.ack).serverSays(CTL.ack);
    return segments.findLast((segment) => segment.fromClient === fromClient)?.seq as number;
  };
  const goesOn = (script: Script) =>
    quit(script.client(command(COM.query, 'select 2')).server(packets(1, ok())));
  const WHOLE = ['0 app select 1', '0 app select 2', '0 app QUIT'];

  for (const fromClient of [true, false]) {
    const who = fromClient ? "client's" : "server's";
    for (const off of [-1e6, -1000, 1, 60_000, 2e6, 1e9]) {
      test(`of the ${who}, ${off} from what is expected: the connection goes on`, async () => {
        const seq = next(fromClient) + off;
        assert.deepEqual(await after({ fromClient, seq }, goesOn), WHOLE);
        assert.deepEqual(await after({ fromClient, seq }, goesOn, 5000), WHOLE);
      });
    }
  }

  test('the one that is expected, which its sender disowns within a moment', async () => {
    assert.deepEqual(await after({ fromClient: false, seq: next(false) }, goesOn), WHOLE);
  });

  test('a query that was on its way when the server reset the connection is counted', async () => {
    const query = (script: Script) => script.client(command(COM.query, 'select 2'));
    assert.deepEqual(await after({ fromClient: false, seq: next(false) }, query), [
      '0 app select 1',
      '0 lost unheard 1',
    ]);
  });

  test('what the client said before its own RST was heard', async () => {
    const script = session('app', 'select 1').client(command(COM.query, 'select 2')).clientSays(CTL.rst);
    assert.deepEqual(await told(script.segments), ['0 app select 1', '0 app select 2']);
  });
});

suite('connections that are none of the server’s', () => {
  test("one that the server's host makes from the server's port", async () => {
    const { segments } = new Script(443).handshake().client(Buffer.from('x')).server(Buffer.from('y'));
    // The server's host is the one that calls.
    const outgoing = segments.map((segment) => ({ ...segment, fromClient: !segment.fromClient }));
    assert.deepEqual(await told(outgoing), []);
  });
});
