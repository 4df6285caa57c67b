import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FixedMappings } from '../../src/replay/mappings.ts';
import { parseAddress } from '../../src/wire/address.ts';

function at(server: string, serverPort = 3307) {
  return { server: parseAddress(server)!, serverPort };
}

describe('mappings of an archive', () => {
  const mappings = new FixedMappings([
    { source: '10.0.0.5', port: 3307, target: 0 },
    { source: 'fd00::5', port: 3307, target: 1 },
    { source: '10.0.0.5', port: 3308, target: 0 },
  ]);

  test('each server has its own, by address and port', () => {
    assert.deepEqual(mappings.of(at('10.0.0.5')), { server: 0, target: 0 });
    assert.deepEqual(mappings.of(at('fd00::5')), { server: 1, target: 1 });
    assert.deepEqual(mappings.of(at('10.0.0.5', 3308)), { server: 2, target: 0 });
  });

  test('other servers have none', () => {
    for (const other of [at('10.0.0.6'), at('10.0.0.5', 3306), at('fd00::5', 3308)]) {
      assert.equal(mappings.of(other), undefined);
      assert.ok(mappings.isOther(other));
    }
  });
});
