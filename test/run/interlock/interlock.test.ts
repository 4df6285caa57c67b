import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, test } from 'node:test';
import type { ServerIdentity } from '../../../src/archive/server-identity.ts';
import { thisHostsAddresses } from '../../../src/net/host/this-host.ts';
import type { ProtocolName } from '../../../src/replay/protocol.ts';
import {
  accountsOf,
  interlock,
  judge,
  refuseRecordedAddress,
  type Waivers,
} from '../../../src/run/interlock/interlock.ts';
import type { RecordedSide } from '../../../src/run/interlock/recorded-side.ts';
import type { LoginJob } from '../../../src/run/logins.ts';
import type { TargetFacts } from '../../../src/server/facts.ts';
import { type Address, parseAddress } from '../../../src/wire/address.ts';
import { endpointKey } from '../../../src/wire/endpoint.ts';

const NONE: Waivers = { live: false, unchecked: false, unidentified: false };

const LOGINS: LoginJob = {
  users: new Map(),
  as: undefined,
  adopt: undefined,
  remapUser: new Map(),
  remapSchema: new Map(),
};

function recorded(address: string, port = 3307): RecordedSide {
  return {
    endpoints: new Set([endpointKey(address, port)]),
    identities: [],
    uuids: new Set(),
    settings: [],
    unidentified: [],
    what: 'the server that a.tape was recorded from',
    users: [],
  };
}

describe('the address of a recorded server', () => {
  const lock = (target: string, targetPort: number, side: RecordedSide) =>
    refuseRecordedAddress({ target: parseAddress(target) as Address, targetPort }, side);

  test('is refused; its other ports and other addresses are not', () => {
    assert.throws(() => lock('10.0.0.9', 3307, recorded('10.0.0.9')), {
      code: 'refused',
      message:
        '10.0.0.9:3307 is the server that a.tape was recorded from: replay onto a test server (or say --allow-live-target)',
    });
    lock('10.0.0.9', 3308, recorded('10.0.0.9'));
    lock('10.0.0.8', 3307, recorded('10.0.0.9'));
    assert.throws(() => lock('fd77::9', 3307, recorded('fd77::9')), /^MytapeError: \[fd77::9\]:3307 is/);
    assert.throws(() => lock('::ffff:10.0.0.9', 3307, recorded('10.0.0.9')), /is the server that/);
  });

  test('is refused by every form of this host, where the recorded server is here', () => {
    const others = Object.values(networkInterfaces()).flatMap((own) => own ?? []);
    const other = others.find(({ address, internal }) => !internal && !address.includes('%'))?.address;
    const forms = [
      '127.0.0.2',
      '127.9.9.9',
      '0.0.0.0',
      '::',
      '::1',
      '::ffff:127.0.0.1',
      other ?? '127.0.0.1',
    ];
    for (const form of forms)
      assert.throws(
        () => lock(form, 3307, recorded('127.0.0.1')),
        /is this host, as 127\.0\.0\.1:3307 is|is the server/,
        form,
      );
    assert.throws(() => lock('127.0.0.1', 3307, recorded(other ?? '::1')), /is this host, as /);
    for (const form of forms) lock(form, 3308, recorded('127.0.0.1'));
    lock('127.0.0.2', 3307, recorded('192.0.2.1'));
  });
});

describe('who is asked as', () => {
  const users = new Map([
    ['chg', 'a'],
    ['app', 'b'],
    ['late', 'c'],
    ['fourth', 'd'],
  ]);

  test('all users, in their order; or the one that everybody logs in as', () => {
    assert.deepEqual(
      accountsOf({ ...LOGINS, users }, ['x']).map(({ user }) => user),
      ['chg', 'app', 'late', 'fourth'],
    );
    const as = { user: 'one', password: 'p' };
    assert.deepEqual(accountsOf({ ...LOGINS, users, as }, []), [as]);
  });

  test('where no password is known, the recorded users, by their names there', () => {
    const remapUser = new Map([['old', 'new']]);
    assert.deepEqual(accountsOf({ ...LOGINS, remapUser }, ['old', 'app']), [
      { user: 'new', password: '' },
      { user: 'app', password: '' },
    ]);
  });
});

describe('what is held against a target', () => {
  const identity: ServerIdentity = {
    hostname: 'db2',
    port: 3306,
    serverId: 7,
    uuid: 'bb-2',
    startedMs: 0,
    version: '8.4.2',
  };
  const good: TargetFacts = {
    identity,
    connectionId: 50_000,
    seenAs: undefined,
    live: [],
    open: [],
    noEntry: undefined,
  };
  const replica = {
    name: 'replica',
    asks: 'is it a replica?',
    why: 'app: denied',
    grant: 'GRANT X TO app',
  } as const;
  const kinds = (facts: Partial<TargetFacts>, side: Partial<RecordedSide> = {}) =>
    judge('db:3306', { ...good, ...facts }, { ...recorded('10.0.0.9'), ...side }, 1e9);

  test('nothing, where all is known and well', () => {
    assert.deepEqual(kinds({}), []);
  });

  test('that it is a recorded server, by who it says it is, or by what a recorded result shows', () => {
    const [known] = kinds({}, { identities: [{ hostname: 'db1', port: 3306, uuid: 'bb-2' }] });
    assert.equal(known.kind, 'live');
    assert.match(known.says, /^db:3306 is the server that a\.tape was recorded from, by @@server_uuid bb-2$/);
    const [shown] = kinds({}, { uuids: new Set(['bb-2']) });
    assert.match(shown.says, /@@server_uuid bb-2, which the recording shows/);
  });

  test('that it is like a recorded server but for one sign, which may have been changed', () => {
    const seen = { hostname: 'db2', port: 3306, datadir: '/data' };
    const target = { ...identity, uuid: undefined, datadir: '/date', ownStartMs: 1e9 - 60_000 };
    const side = { identities: [seen, seen] };
    const [found, ...more] = kinds({ identity: target }, side);
    assert.deepEqual([found.kind, more], ['unidentified', []]);
    assert.match(
      found.says,
      /db:3306 may be the server .*: its host name is db2 too, and only @@datadir \/data differs/,
    );
    assert.match(found.advice, /--allow-unidentified/);
    assert.deepEqual(kinds({ identity: { ...target, port: 3307 } }, side), []);
    assert.deepEqual(kinds({ identity: target }, { identities: [{ ...seen, identifiedMs: 1e9 }] }), []);
  });

  test('that it looks live', () => {
    const [found] = kinds({ live: ['a', 'b'] });
    assert.deepEqual([found.kind, found.says], ['live', 'db:3306 looks live: a; b']);
  });

  test('that a question stayed open: which, why, and what would answer it', () => {
    const [{ kind, says, advice }] = kinds({ open: [replica] });
    assert.deepEqual(
      [kind, says],
      ['unchecked', 'db:3306 may be a live server: no answer to “is it a replica?” (app: denied)'],
    );
    assert.match(advice, /GRANT X TO app.*--allow-unchecked-target/);
  });

  test('that no one knows who was recorded, unless its greetings show another server', () => {
    const server = { name: '10.0.0.9:3307', greetings: [] };
    const [found] = kinds({}, { unidentified: [server] });
    assert.equal(found.kind, 'unidentified');
    assert.match(found.says, /nothing shows which server 10\.0\.0\.9:3307 is/);
    const greetings = [{ version: '8.4.2', connectionId: 90_000, atMs: 1e9 }];
    assert.deepEqual(kinds({}, { unidentified: [{ ...server, greetings }] }), []);
    const goesOn = [{ version: '8.4.2', connectionId: 49_990, atMs: 1e9 }];
    const [accused] = kinds({}, { unidentified: [{ ...server, greetings: goesOn }] });
    assert.deepEqual([accused.kind, /seems to be/.test(accused.says)], ['live', true]);
  });
});

describe('no answer, no run', () => {
  /** A port of this host where no one listens. */
  async function closedPort(): Promise<number> {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
  const lock = async (waivers: Partial<Waivers>, protocol?: ProtocolName, logins = LOGINS) => {
    const said: string[] = [];
    const target = parseAddress('127.0.0.1') as Address;
    const side = { target, targetPort: await closedPort(), tls: undefined, logins, protocol };
    const unidentified = [{ name: '192.0.2.1:3307', greetings: [] }];
    await interlock(
      side,
      { ...recorded('192.0.2.1'), unidentified: logins === LOGINS ? [] : unidentified },
      { ...NONE, ...waivers },
      (line) => said.push(line),
    );
    return said;
  };

  test('of a target that cannot be asked, unless that is waived', async () => {
    const why = {
      code: 'refused',
      exitCode: 3,
      message:
        /^127\.0\.0\.1:\d+ can be asked as no one: no user and password is known: name .*--users FILE.*; or, .*--allow-unchecked-target$/,
    };
    await assert.rejects(lock({}), why);
    await assert.rejects(lock({ unidentified: true }), why);
    const said = await lock({ unchecked: true });
    assert.match(said.join(), /can be asked as no one.*the run goes on, as you allowed/);
    assert.deepEqual(await lock({ live: true }), []);
  });

  test('of a target where nothing listens: by its cause, without a flag that would not help', async () => {
    const logins = { ...LOGINS, users: new Map([['app', 'secret']]) };
    await assert.rejects(lock({}, 'mysql', logins), {
      code: 'refused',
      exitCode: 3,
      lines: [],
      message:
        /^127\.0\.0\.1:\d+ cannot be connected to: nothing listens there: ECONNREFUSED: start the server, or mend its address and port$/,
    });
  });

  test('of a protocol that we do not know', async () => {
    await assert.rejects(lock({}, 'raw'), {
      exitCode: 3,
      message: /we can't query 127\.0\.0\.1:.*--allow-unchecked-target/,
    });
    assert.equal((await lock({ unchecked: true }, 'raw')).length, 1);
  });

  test('raw or not, a recorded address is refused first', async () => {
    const [own] = thisHostsAddresses();
    const side = {
      target: parseAddress('127.0.0.2') as Address,
      targetPort: 3307,
      tls: undefined,
      logins: LOGINS,
      protocol: 'raw' as const,
    };
    const all = { ...NONE, unchecked: true, unidentified: true };
    await assert.rejects(
      interlock(side, recorded(own), all, () => {}),
      /is this host/,
    );
  });
});
