import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KeyLog } from '../../src/tls/key-log.ts';

const RANDOM = 'Ab'.repeat(32);
const MASTER = '01'.repeat(48);
const SECRET = '02'.repeat(32);

describe('key log', () => {
  test('secrets are found by the random, whatever the case of its digits', () => {
    const log = KeyLog.parse(`CLIENT_RANDOM ${RANDOM} ${MASTER}\n`);
    assert.deepEqual(log.of(RANDOM.toLowerCase()), { master: new Uint8Array(48).fill(1) });
    assert.equal(log.of('00'.repeat(32)), undefined);
    assert.equal(log.size, 1);
    assert.equal(log.badLines, 0);
  });

  test('the four secrets of TLS 1.3 are one session', () => {
    const log = new KeyLog();
    const labels = ['CLIENT_HANDSHAKE', 'SERVER_HANDSHAKE', 'CLIENT', 'SERVER'];
    for (const [i, label] of labels.entries()) {
      log.add(`${label}_TRAFFIC_SECRET${i < 2 ? '' : '_0'} ${RANDOM} ${`0${i}`.repeat(48)}\r\n`);
    }
    const of = (octet: number) => new Uint8Array(48).fill(octet);
    assert.deepEqual(log.of(RANDOM.toLowerCase()), {
      clientHandshake: of(0),
      serverHandshake: of(1),
      clientTraffic: of(2),
      serverTraffic: of(3),
    });
    assert.equal(log.size, 1);
  });

  test('comments, empty lines and other labels are nothing; bad lines are counted', () => {
    const log = KeyLog.parse(
      [
        '# a comment',
        '',
        `EXPORTER_SECRET ${RANDOM} ${SECRET}`,
        `CLIENT_EARLY_TRAFFIC_SECRET ${RANDOM} ${SECRET}`,
        'RSA 0123456789abcdef 00',
        `CLIENT_RANDOM ${RANDOM}`,
        `CLIENT_RANDOM ${RANDOM.slice(1)} ${MASTER}`,
        `CLIENT_RANDOM ${RANDOM} ${MASTER}0`,
        `CLIENT_RANDOM ${RANDOM} ${MASTER.replace('0', 'g')}`,
        '\0\0\0',
      ].join('\n'),
    );
    assert.equal(log.size, 0);
    assert.equal(log.badLines, 6);
  });

  test('of two the later one holds', () => {
    const log = KeyLog.parse(`CLIENT_RANDOM ${RANDOM} ${MASTER}\nCLIENT_RANDOM ${RANDOM} ${'03'.repeat(48)}`);
    assert.deepEqual(log.of(RANDOM.toLowerCase())?.master, new Uint8Array(48).fill(3));
  });
});
