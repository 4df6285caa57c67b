import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { resolveHost } from '../../src/net/host/resolve.ts';
import { sourceText } from '../../src/run/mapping.ts';
import {
  collectMappings,
  parseEndpoint,
  parseListen,
  parseMapping,
  parseRelay,
} from '../../src/verbs/endpoints.ts';

describe('endpoints', () => {
  test('HOST:PORT, names and IPv6 in brackets included', () => {
    assert.deepEqual(parseEndpoint('10.128.6.84:36525'), { host: '10.128.6.84', port: 36525 });
    assert.deepEqual(parseEndpoint('db-2.test:1'), { host: 'db-2.test', port: 1 });
    assert.deepEqual(parseEndpoint('[fd00::1]:3307'), { host: 'fd00::1', port: 3307 });
    for (const wrong of ['', 'host', ':3307', 'host:', 'fd00::1:3307', 'host:33x', 'a:b:1']) {
      assert.throws(() => parseEndpoint(wrong), /HOST:PORT, as in 10\.128\.6\.84:36525/, wrong);
    }
    assert.throws(() => parseEndpoint('host:65536'), /65536 is no port/);
  });

  test('-x', () => {
    assert.deepEqual(parseMapping('3307-10.1.2.3:3308'), {
      recordedPort: 3307,
      host: '10.1.2.3',
      port: 3308,
    });
    assert.deepEqual(parseMapping('3307-my-db:3308'), { recordedPort: 3307, host: 'my-db', port: 3308 });
    assert.deepEqual(parseMapping('3307-[::1]:3308'), { recordedPort: 3307, host: '::1', port: 3308 });
    assert.throws(() => parseMapping('my-db:3308'), /RECORDED_PORT-HOST:PORT/);
  });

  test("-x with the recorded server's address", () => {
    const { source, ...rest } = parseMapping('10.0.0.5:3307-db-2.test:3308');
    assert.equal(source?.text, '10.0.0.5');
    assert.deepEqual(rest, { recordedPort: 3307, host: 'db-2.test', port: 3308 });
    const v6 = parseMapping('[fd00:0::5]:3307-[fd00::3]:3308');
    assert.deepEqual([v6.source?.text, v6.host, v6.port], ['fd00::5', 'fd00::3', 3308]);
    assert.equal(sourceText(v6), '[fd00::5]:3307');
    for (const wrong of ['db:3307-h:1', '10.0.0:3307-h:1', '[10.0.0.5]:3307-h:1', '10.0.0.256:3307-h:1'])
      assert.throws(() => parseMapping(wrong), /is not the address of a recorded server/, wrong);
    for (const wrong of [
      'fd00::5:3307-h:1',
      '3307-fd00::3:3307',
      '10.0.0.5-h:1',
      '10.0.0.5:-h:1',
      '-h:1',
      '',
    ])
      assert.throws(() => parseMapping(wrong), /is not of the form/, wrong);
    assert.throws(() => parseMapping('10.0.0.5:70000-h:1'), /70000 is no port/);
  });

  test('several -x, and several in one', () => {
    const first = collectMappings('10.0.0.5:3307-10.1.0.5:3307,3308-10.1.0.5:3308');
    const all = collectMappings('[fd00::5]:3307-db:1, 3307-db:2', first);
    assert.deepEqual(all.map(sourceText), ['10.0.0.5:3307', '3308', '[fd00::5]:3307', '3307']);
    for (const [text, twice] of [
      ['3308-other:1', '3308'],
      ['10.0.0.5:3307-other:1', '10.0.0.5:3307'],
      ['[fd00:0:0::5]:3307-db:1', '[fd00::5]:3307'],
      ['3306-a:1,3306-b:1', '3306'],
    ])
      assert.throws(
        () => collectMappings(text, all),
        (error: Error) => error.message.includes(`${twice} is mapped twice`),
      );
    for (const wrong of ['', '3306-a:1,', ',3306-a:1', '3306-a:1;3305-a:1'])
      assert.throws(() => collectMappings(wrong), /is not of the form/, wrong);
  });

  test('-p listens everywhere or on one address', () => {
    assert.deepEqual(parseListen('36525'), { host: '0.0.0.0', port: 36525 });
    assert.deepEqual(parseListen('10.1.2.3:36525'), { host: '10.1.2.3', port: 36525 });
    assert.throws(() => parseListen('0'), /0 is no port/);
    assert.deepEqual(parseListen('/run/mytape.sock'), { path: '/run/mytape.sock' });
    assert.deepEqual(parseRelay('./relay.sock'), { path: './relay.sock' });
    assert.deepEqual(parseRelay('db.test:36525'), { host: 'db.test', port: 36525 });
    assert.throws(() => parseRelay('36525'), /36525 is not of the form HOST:PORT/);
  });

  test('a host is its address, or looked up', async () => {
    assert.equal((await resolveHost('fd00:0::1')).text, 'fd00::1');
    assert.equal((await resolveHost('localhost')).text, '127.0.0.1');
    await assert.rejects(resolveHost('no.such.host.invalid'), { code: 'usage' });
  });
});
