import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Lab } from '../../scripts/lab/lab.ts';
import {
  ADDRESSES6,
  CLIENT_ADDRESSES,
  CLIENT_ADDRESSES6,
  endClientsNowhere,
  endClientsOnAssistant,
  endClientsOnTarget,
  hasIpv6,
  NOWHERE,
  namespacesOf,
  pidsIn,
} from '../../scripts/lab/network.ts';
import { readState } from '../../scripts/lab/state.ts';
import { MytapeError } from '../../src/errors.ts';
import { needsLab } from '../e2e/support/capability.ts';

const LOGIN = ['-P3307', '-uapp', '-papp-secret', '--batch', '--skip-column-names'];

function assertNothingLeft(name: string, runFolder: string): void {
  assert.deepEqual(namespacesOf(name), []);
  assert.equal(existsSync(runFolder), false);
  assert.equal(readState(name), undefined);
}

test('the lab: addresses, routes, servers, and nothing left of it', async (t) => {
  if (!needsLab(t)) return;
  const lab = await Lab.up({ name: 'mytape-t' });
  t.after(() => lab.down());

  await t.test('clients reach online from recorded addresses', async () => {
    for (const from of [undefined, CLIENT_ADDRESSES[3]]) {
      const query = ['-h', lab.addresses.online, ...LOGIN, '-e', 'SELECT USER()', 'sbtest'];
      const seen = await lab.run('client', 'mariadb', query, from === undefined ? {} : { from });
      assert.equal(seen.stdout.trim(), `app@${from ?? CLIENT_ADDRESSES[0]}`, seen.stderr);
    }
  });

  const viaOf = async (address: string) => {
    const { stdout } = await lab.run('target', 'ip', ['route', 'get', address]);
    return /(?:via|dev) (\S+)/.exec(stdout)?.[1];
  };

  await t.test('the target answers clients via the assistant, which lets it end there', async () => {
    assert.equal(await viaOf(CLIENT_ADDRESSES[5]), lab.addresses.assistant);
    const forward = await lab.run('assistant', 'cat', ['/proc/sys/net/ipv4/ip_forward']);
    assert.equal(forward.stdout.trim(), '0');
  });

  await t.test('over IPv6 as well', { skip: hasIpv6() ? false : 'no IPv6' }, async () => {
    const query = ['-h', ADDRESSES6.online, ...LOGIN, '-e', 'SELECT USER()', 'sbtest'];
    const seen = await lab.run('client', 'mariadb', query);
    assert.equal(seen.stdout.trim(), `app@${CLIENT_ADDRESSES6[0]}`, seen.stderr);
    assert.equal(await viaOf(CLIENT_ADDRESSES6[5]), ADDRESSES6.assistant);
    const forward = await lab.run('assistant', 'cat', ['/proc/sys/net/ipv6/conf/all/forwarding']);
    assert.equal(forward.stdout.trim(), '0');
  });

  await t.test('the clients’ answers end on the target, nowhere, and on the assistant again', async () => {
    endClientsOnTarget(lab.name);
    assert.equal(await viaOf(CLIENT_ADDRESSES[5]), NOWHERE);
    endClientsOnAssistant(lab.name);
    assert.equal(await viaOf(CLIENT_ADDRESSES[5]), lab.addresses.assistant);
    endClientsNowhere(lab.name);
    assert.equal(await viaOf(CLIENT_ADDRESSES[5]), undefined);
    endClientsOnAssistant(lab.name);
    assert.equal(await viaOf(CLIENT_ADDRESSES[5]), lab.addresses.assistant);
  });

  await t.test('counters move with the workload and not with our looking', async () => {
    const server = lab.server('online');
    const before = await server.counters();
    const idle = await server.counters();
    assert.equal(idle.Connections, before.Connections);
    assert.equal(idle.Com_select, before.Com_select);
    const query = ['-h', lab.addresses.online, ...LOGIN, '-e', 'SELECT 1; SELECT 2', 'sbtest'];
    assert.equal((await lab.run('client', 'mariadb', query)).code, 0);
    const after = await server.counters();
    assert.equal(after.Connections - before.Connections, 1);
    assert.equal(after.Com_select - before.Com_select, 2);
    assert.deepEqual(await server.processlist(), []);
  });

  await t.test('a snapshot of one server restored onto the other', async () => {
    const online = lab.server('online');
    const target = lab.server('target');
    await online.sql('CREATE TABLE sbtest.marker (id INT PRIMARY KEY)');
    await online.sql('INSERT INTO sbtest.marker VALUES (42)');
    await Promise.all([online.stop(), target.stop()]);
    const snapshot = join(lab.runFolder, 'start');
    online.snapshot(snapshot);
    target.restore(snapshot);
    await Promise.all([online.start(), target.start()]);
    assert.equal((await target.sql('SELECT id FROM sbtest.marker'))[0].id, 42);
    await target.kill9();
    await target.start();
    assert.equal((await target.sql('SELECT id FROM sbtest.marker'))[0].id, 42);
  });

  await t.test('its name is taken as long as it is up', async () => {
    await assert.rejects(
      Lab.up({ name: 'mytape-t' }),
      (error) => error instanceof MytapeError && error.code === 'refused',
    );
  });

  await t.test('down ends what was started inside and removes everything', async () => {
    const sleeper = lab.spawn('client', 'sleep', ['600']);
    const ended = once(sleeper, 'exit');
    await lab.down();
    await ended;
    assertNothingLeft('mytape-t', lab.runFolder);
  });
});

test('what an owner killed with -9 has left is cleared by the next of that name', async (t) => {
  if (!needsLab(t)) return;
  const script = `
    const { Lab } = await import(${JSON.stringify(new URL('../../scripts/lab/lab.js', import.meta.url).href)});
    const lab = await Lab.up({ name: 'mytape-t9', servers: ['online'] });
    process.stdout.write(lab.runFolder);
    setInterval(() => {}, 1000);`;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [folder] = (await once(owner.stdout, 'data')) as [Buffer];
  const exited = once(owner, 'exit');
  owner.kill('SIGKILL');
  await exited;
  assert.equal(pidsIn('mytape-t9-online').length, 1, 'its server outlives it');

  const lab = await Lab.up({ name: 'mytape-t9', servers: [] });
  t.after(() => lab.down());
  assert.equal(existsSync(folder.toString()), false);
  assert.deepEqual(pidsIn('mytape-t9-online'), []);
  await lab.down();
  assertNothingLeft('mytape-t9', lab.runFolder);
});

test('the end of the owner, however it comes, takes the lab down', async (t) => {
  if (!needsLab(t)) return;
  for (const [how, ending] of [
    ['SIGTERM', "process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000);"],
    ['an uncaught error', "setTimeout(() => { throw new Error('expected by the test'); });"],
  ]) {
    const script = `
      const { Lab } = await import(${JSON.stringify(new URL('../../scripts/lab/lab.js', import.meta.url).href)});
      await Lab.up({ name: 'mytape-te', servers: ['target'] });
      ${ending}`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
    await once(owner, 'exit');
    assert.deepEqual(namespacesOf('mytape-te'), [], how);
    assert.equal(readState('mytape-te'), undefined, how);
  }
});
