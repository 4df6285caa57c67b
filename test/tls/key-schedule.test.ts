import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { tls12Keys, tls13Keys, updatedSecret } from '../../src/tls/key-schedule.ts';
import { suiteOf, TLS12, TLS13 } from '../../src/tls/suites.ts';

const hex = (octets: Uint8Array) => Buffer.from(octets).toString('hex');

describe('key schedule', () => {
  test("TLS 1.3: RFC 8448's traces (section 3)", () => {
    const suite = suiteOf(TLS13, 0x1301)!;
    const server = tls13Keys(
      suite,
      Buffer.from('b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38', 'hex'),
    );
    assert.equal(hex(server.key), '3fce516009c21727d0f2e4e86ee403bc');
    assert.equal(hex(server.iv), '5d313eb2671276ee13000b30');
    const client = tls13Keys(
      suite,
      Buffer.from('b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21', 'hex'),
    );
    assert.equal(hex(client.key), 'dbfaa693d1762c5b666af5d950258d01');
    assert.equal(hex(client.iv), '5bd3c71b836e0b76bb73265f');
  });

  test('lengths follow the suite', () => {
    const secret = new Uint8Array(48).fill(7);
    for (const [code, key, hash] of [
      [0x1301, 16, 32],
      [0x1302, 32, 48],
      [0x1303, 32, 32],
    ]) {
      const suite = suiteOf(TLS13, code)!;
      const keys = tls13Keys(suite, secret.subarray(0, hash));
      assert.deepEqual([keys.key.length, keys.iv.length], [key, 12]);
      assert.equal(updatedSecret(suite, secret.subarray(0, hash)).length, hash);
    }
    const random = new Uint8Array(32);
    for (const [code, key, iv] of [
      [0xc02f, 16, 4],
      [0xc030, 32, 4],
      [0xcca8, 32, 12],
    ]) {
      const { client, server } = tls12Keys(suiteOf(TLS12, code)!, secret, random, random);
      for (const keys of [client, server]) assert.deepEqual([keys.key.length, keys.iv.length], [key, iv]);
    }
  });

  test('a suite belongs to one version', () => {
    assert.equal(suiteOf(TLS12, 0x1301), undefined);
    assert.equal(suiteOf(TLS13, 0xc02f), undefined);
    assert.equal(suiteOf(TLS12, 0xc013), undefined, 'CBC');
  });
});
