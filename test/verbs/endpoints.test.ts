import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseEndpoint, parseListen, parseMapping, resolveHost } from '../../src/verbs/endpoints.ts';

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

  test('-p listens everywhere or on one address', () => {
    assert.deepEqual(parseListen('36525'), { host: undefined, port: 36525 });
    assert.deepEqual(parseListen('10.1.2.3:36525'), { host: '10.1.2.3', port: 36525 });
    assert.throws(() => parseListen('0'), /0 is no port/);
  });

  test('a host is its address, or looked up', async () => {
    assert.equal((await resolveHost('fd00:0::1')).text, 'fd00::1');
    assert.equal((await resolveHost('localhost')).text, '127.0.0.1');
    await assert.rejects(resolveHost('no.such.host.invalid'), { code: 'usage' });
  });
});
