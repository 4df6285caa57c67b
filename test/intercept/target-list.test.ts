import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MytapeError } from '../../src/errors.ts';
import { parseTarget, TargetList, targetText } from '../../src/intercept/target-list.ts';
import { parseAddress } from '../../src/wire/address.ts';

const has = (list: TargetList, host: string, port: number) => list.has(parseAddress(host)!, port);

describe('targets', () => {
  test('an address, a network, either IP version', () => {
    const list = new TargetList(['10.0.0.83:3307', '10.1.0.0/16:3306', '[fd00::/64]:3307'].map(parseTarget));
    assert.equal(list.text, '10.0.0.83:3307, 10.1.0.0/16:3306, [fd00::/64]:3307');
    assert.ok(has(list, '10.0.0.83', 3307));
    assert.ok(has(list, '10.1.255.1', 3306));
    assert.ok(has(list, 'fd00::17', 3307));
    for (const [host, port] of [
      ['10.0.0.83', 3306],
      ['10.0.0.84', 3307],
      ['10.2.0.1', 3306],
      ['fd00:0:0:1::17', 3307],
      ['::ffff:10.0.0.83', 3307],
    ] as const) {
      const address = parseAddress(host);
      assert.ok(address === undefined || !list.has(address, port), `${host} ${port}`);
    }
  });

  test('anything else is refused with the form that is right', () => {
    for (const text of [
      '',
      '3307',
      '10.0.0.83',
      '10.0.0.83:0',
      '10.0.0.83:65536',
      'db.test:3307',
      '10.0.0.83/16:3307',
      '10.0.0.0/33:3307',
      'fd00::83:3307',
      '[10.0.0.83]:3307',
      '*:3307',
      '10.0.0.83:3307 ',
    ]) {
      assert.throws(
        () => parseTarget(text),
        (error: MytapeError) => error.code === 'usage' && error.message.includes(`--target ${text} is not`),
        text,
      );
    }
  });

  test('as text', () => {
    assert.equal(targetText(parseAddress('10.0.0.83')!, 3307), '10.0.0.83:3307');
    assert.equal(targetText(parseAddress('fd00::83')!, 3307), '[fd00::83]:3307');
  });
});
