/** `-x` with several recorded servers: each one's sessions go to the target of its mapping, and to no other. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Background } from '../../scripts/lab/background.ts';
import { collect } from '../../scripts/lab/lab.ts';
import { CLIENT_ADDRESSES } from '../../scripts/lab/network.ts';
import { PORT, Server, USERS } from '../../scripts/lab/server.ts';
import { CLI, RELAY_PORT } from '../../scripts/lab/tape.ts';
import { until } from '../support/until.ts';
import { assertAddsUp, labTests, readSummary, type TestBed } from './support/path.ts';

/** Where the second servers listen, on the same hosts as the first. */
const PORT_B = 3308;

/** A second address of online, for a second server on the same port. */
const ADDRESS_B = '10.77.0.12';

const TABLE = 'CREATE TABLE sbtest.seen (id INT AUTO_INCREMENT PRIMARY KEY, who VARCHAR(40))';

/** Two recorded servers, and two targets. */
interface Servers {
  a: Server;
  b: Server;
  onto: Server;
  ontoB: Server;
}

let made: Promise<Servers> | undefined;

function serversOf(bed: TestBed): Promise<Servers> {
  made ??= makeServers(bed);
  return made;
}

async function makeServers({ lab, online: a, target: onto }: TestBed): Promise<Servers> {
  const start = join(lab.runFolder, 'start');
  const [b, ontoB] = (['online', 'target'] as const).map((host) => {
    const folder = join(lab.runFolder, `${host}-b`);
    mkdirSync(folder);
    const server = new Server(lab.namespace(host), folder, lab.server(host).brand.name);
    server.restore(start);
    return server;
  });
  const { code, stderr } = await lab.run('online', 'ip', ['addr', 'add', `${ADDRESS_B}/24`, 'dev', 'eth0']);
  assert.equal(code, 0, stderr);
  await a.stop();
  // The first server leaves the second address alone.
  await Promise.all([
    a.start([`--bind-address=${lab.addresses.online}`]),
    b.start([`--port=${PORT_B}`]),
    ontoB.start([`--port=${PORT_B}`]),
  ]);
  for (const server of [a, b, onto, ontoB]) await server.sql(TABLE);
  return { a, b, onto, ontoB };
}

/** Who said something to a server since it was last asked. */
async function seenBy(server: Server): Promise<string[]> {
  const rows = await server.sql('SELECT who FROM sbtest.seen ORDER BY who');
  await server.sql('TRUNCATE sbtest.seen');
  return rows.map(({ who }) => who);
}

/** `count` clients, each of its own address, that write who they are. */
async function write(bed: TestBed, who: string, host: string, port: number, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const insert = `INSERT INTO seen (who) VALUES ('${who}${n}'), (IF(CONNECTION_ID() > 0, '${who}${n} again', ''))`;
    const login = ['-h', host, `-P${port}`, '-uapp', `-p${USERS.app}`, '--no-auto-rehash'];
    const from = CLIENT_ADDRESSES[n];
    const { code, stderr } = await bed.lab.run('client', 'mariadb', [...login, '-e', insert, 'sbtest'], {
      from,
    });
    assert.equal(code, 0, stderr);
  }
}

function written(who: string, count: number, copies = 1): string[] {
  const all = Array.from({ length: count }, (_, n) => [`${who}${n}`, `${who}${n} again`]).flat();
  return all.flatMap((one) => Array<string>(copies).fill(one)).sort();
}

/** Three clients of the one server and two of the other, and what their recording is called. */
async function recorded(bed: TestBed, b: { host: string; port: number }): Promise<string> {
  const servers = await serversOf(bed);
  const { archive, summary } = await bed.recordAnyhow(async () => {
    await write(bed, 'a', bed.lab.addresses.online, PORT, 3);
    await write(bed, 'b', b.host, b.port, 2);
  }, ['-p', b.port === PORT ? `${PORT}` : `${PORT},${b.port}`]);
  assert.equal(summary.sessions, 5);
  assert.deepEqual([await seenBy(servers.a), await seenBy(servers.b)], [written('a', 3), written('b', 2)]);
  return archive;
}

/** Runs mytape with what every replay and mirror here has. */
async function mytape(
  bed: TestBed,
  host: 'online' | 'assistant',
  args: readonly string[],
): ReturnType<TestBed['lab']['run']> {
  return bed.lab.run(host, process.execPath, [CLI, ...args, '--users', bed.files.users]);
}

labTests('mapping', (it) => {
  let twoPorts: string;

  it('a port of the recording, and nothing of the other, by packets and by sockets', async (bed) => {
    const { onto, ontoB } = await serversOf(bed);
    twoPorts = await recorded(bed, { host: bed.lab.addresses.online, port: PORT_B });
    for (const [host, way] of [
      ['assistant', ['--local']],
      ['online', ['--transport', 'socket', '-C', '2']],
    ] as const) {
      const out = bed.fresh('run');
      const x = ['-x', `${PORT}-${bed.lab.addresses.target}:${PORT}`];
      const { code, stderr } = await mytape(bed, host, ['replay', twoPorts, ...x, ...way, '--out', out]);
      assert.equal(code, 0, stderr);
      assert.deepEqual([await seenBy(onto), await seenBy(ontoB)], [written('a', 3), []]);
      const { sessions, commands, mappings, ...summary } = readSummary(out);
      assertAddsUp({ ...summary, sessions, commands });
      assert.deepEqual(sessions.skipped, { 'other-server': 2 });
      assert.deepEqual(commands.skipped, { 'other-server': 2 * 2 }, 'an INSERT and a COM_QUIT each');
      assert.deepEqual(mappings, [
        `${bed.lab.addresses.online}:${PORT} -> ${bed.lab.addresses.target}:${PORT}`,
      ]);
    }
  });

  it('two ports onto two targets: each has its own, over one intercept, by threads, with a pool', async (bed) => {
    const { onto, ontoB } = await serversOf(bed);
    const { target, assistant } = bed.lab.addresses;
    const filter = `tcp and (src port ${PORT} or src port ${PORT_B})`;
    const relay = `${assistant}:${RELAY_PORT}`;
    const key = ['--key-file', bed.files.key];
    const command = [process.execPath, CLI, 'intercept', '-i', 'eth0', '-F', filter, '-p', relay, ...key];
    const intercept = await Background.start(bed.lab, 'assistant', command, /listening/);
    try {
      const x = ['-x', `${PORT}-${target}:${PORT}`, '-x', `${PORT_B}-${target}:${PORT_B}`];
      const doctor = ['doctor', ...x, '-s', relay, ...key, '--archive', twoPorts];
      const examined = await bed.lab.run('online', process.execPath, [CLI, ...doctor]);
      assert.equal(examined.code, 0, examined.stdout + examined.stderr);
      assert.equal(examined.stdout.match(/^ok +path/gm)?.length, 2, examined.stdout);
      for (const extra of [
        [],
        ['-C', '2', '-n', '2'],
        ['-C', '2', '-n', '2', '--pool', '2', '--max-connections', '4'],
      ]) {
        const out = bed.fresh('run');
        const args = ['replay', twoPorts, ...x, '-s', relay, ...key, ...extra, '--out', out];
        const { code, stderr } = await mytape(bed, 'online', args);
        assert.equal(code, 0, stderr);
        const copies = extra.length > 0 ? 2 : 1;
        assert.deepEqual(
          [await seenBy(onto), await seenBy(ontoB)],
          [written('a', 3, copies), written('b', 2, copies)],
        );
        const summary = readSummary(out);
        assertAddsUp(summary);
        assert.deepEqual([summary.sessions.completed, summary.sessions.skipped], [5 * copies, {}]);
        assert.equal(summary.mappings?.length, 2);
      }
    } finally {
      await intercept.stop();
    }
    await bed.assertNobodyOnTarget();
  });

  it("from this host's own address to two targets", async (bed) => {
    const { onto, ontoB } = await serversOf(bed);
    const { target } = bed.lab.addresses;
    const x = ['-x', `${PORT}-${target}:${PORT},${PORT_B}-${target}:${PORT_B}`];
    const way = ['--local', '--clients', 'self', '--out', bed.fresh('run')];
    const { code, stderr } = await mytape(bed, 'online', ['replay', twoPorts, ...x, ...way]);
    assert.equal(code, 0, stderr);
    assert.deepEqual([await seenBy(onto), await seenBy(ontoB)], [written('a', 3), written('b', 2)]);
  });

  it('a run that was killed goes on with the same mappings', async (bed) => {
    const { onto, ontoB } = await serversOf(bed);
    const { target } = bed.lab.addresses;
    const out = bed.fresh('run');
    const x = ['-x', `${PORT}-${target}:${PORT},${PORT_B}-${target}:${PORT_B}`];
    const way = ['--transport', 'socket', '--speed', '0.04', '--users', bed.files.users, '--out', out];
    const command = [process.execPath, CLI, 'replay', twoPorts, ...x, ...way];
    const running = bed.lab.spawn('online', command[0], command.slice(1), { stdio: 'ignore' });
    const ended = collect(running);
    const seen = async () => (await onto.sql('SELECT who FROM sbtest.seen')).length;
    await until('something came to the target', async () => (await seen()) > 0);
    running.kill('SIGKILL');
    await ended;
    assert.ok((await seen()) < 6, 'it was killed too late to say anything');
    const { code, stderr } = await bed.lab.run('online', process.execPath, [CLI, 'replay', '--resume', out]);
    const summary = readSummary(out);
    // What was under way is lost; on a slow machine the kill may fall between two sessions.
    assert.equal(code, summary.sessions.lost > 0 ? 5 : 0, stderr);
    assertAddsUp(summary);
    assert.deepEqual([summary.resumed, summary.sessions.skipped, summary.mappings?.length], [1, {}, 2]);
    assert.deepEqual([await seenBy(onto), await seenBy(ontoB)], [written('a', 3), written('b', 2)]);
  });

  it('one of the targets is gone: the sessions of the other go on', async (bed) => {
    const { onto } = await serversOf(bed);
    const { target } = bed.lab.addresses;
    const x = ['-x', `${PORT}-${target}:${PORT},${PORT_B}-${target}:1`];
    const out = bed.fresh('run');
    const way = ['--transport', 'socket', '--out', out];
    const refused = await mytape(bed, 'online', ['replay', twoPorts, ...x, ...way]);
    assert.equal(refused.code, 3, 'what cannot be asked may be production');
    const run = ['replay', twoPorts, ...x, ...way, '--allow-unchecked-target'];
    const { code, stderr } = await mytape(bed, 'online', run);
    assert.equal(code, 5, stderr);
    assert.match(
      stderr,
      new RegExp(`${target}:1 cannot be connected to: nothing listens there: ECONNREFUSED`),
    );
    assert.deepEqual(await seenBy(onto), written('a', 3));
    assert.deepEqual(readSummary(out).sessions.lost_by, { connect: 2 });
  });

  it('two servers on one port: refused with the choices, each of which can be typed', async (bed) => {
    const { a, b, onto, ontoB } = await serversOf(bed);
    await b.stop();
    await b.start([`--bind-address=${ADDRESS_B}`]);
    const archive = await recorded(bed, { host: ADDRESS_B, port: PORT });
    const { online, target } = bed.lab.addresses;
    const way = ['--transport', 'socket', '--out', bed.fresh('run')];
    const refused = await mytape(bed, 'online', ['replay', archive, '-x', `3307-${target}:3307`, ...way]);
    assert.equal(refused.code, 2, refused.stderr);
    const choices = refused.stderr.match(/-x \S+(?= +#)/g) ?? [];
    assert.deepEqual(choices, [`-x ${online}:3307-${target}:3307`, `-x ${ADDRESS_B}:3307-${target}:3307`]);
    assert.deepEqual([await seenBy(onto), await seenBy(ontoB)], [[], []]);
    for (const [i, choice] of choices.entries()) {
      const { code, stderr } = await mytape(bed, 'online', ['replay', archive, ...choice.split(' '), ...way]);
      assert.equal(code, 0, stderr);
      assert.deepEqual(await seenBy(onto), [written('a', 3), written('b', 2)][i]);
    }
    const both = ['-x', `${online}:3307-${target}:${PORT_B}`, '-x', `3307-${target}:3307`];
    const { code, stderr } = await mytape(bed, 'online', ['replay', archive, ...both, ...way]);
    assert.equal(code, 0, stderr);
    assert.deepEqual([await seenBy(onto), await seenBy(ontoB)], [written('b', 2), written('a', 3)]);
    assert.deepEqual([await seenBy(a), await seenBy(b)], [[], []], 'something came back to those recorded');
  });

  it('live: the first server of a port stays, and a second one is named; both, where both are said', async (bed) => {
    const { onto, ontoB } = await serversOf(bed);
    const { online, target } = bed.lab.addresses;
    const mirror = async (...x: string[]) => {
      const out = bed.fresh('mirror');
      const args = ['mirror', ...x, '-i', 'eth0', '--transport', 'socket', '-C', '2', '--out', out];
      const command = [process.execPath, CLI, ...args, '--users', bed.files.users];
      const running = await Background.start(bed.lab, 'online', command, /mirroring on/);
      await write(bed, 'a', online, PORT, 2);
      await write(bed, 'b', ADDRESS_B, PORT, 4);
      await sleep(300);
      const { code, stderr } = await running.stop();
      assert.equal(code, 0, stderr);
      const summary = readSummary(out);
      assertAddsUp(summary);
      return { stderr, summary };
    };
    const one = await mirror('-x', `3307-${target}:3307`);
    assert.deepEqual([await seenBy(onto), await seenBy(ontoB)], [written('a', 2), []]);
    assert.deepEqual(one.summary.sessions.skipped, { 'other-server': 4 });
    assert.deepEqual(one.summary.mappings, [`${online}:3307 -> ${target}:3307`]);
    const said = `sessions of ${ADDRESS_B}:3307 are skipped, as other-server: -x 3307-… has taken ${online}:3307`;
    assert.equal(one.stderr.split(said).length, 2, one.stderr);
    const both = await mirror('-x', `${ADDRESS_B}:3307-${target}:${PORT_B},3307-${target}:3307`);
    assert.deepEqual([await seenBy(onto), await seenBy(ontoB)], [written('a', 2), written('b', 4)]);
    assert.deepEqual(both.summary.sessions.skipped, {});
  });
});
