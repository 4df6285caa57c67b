import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LiveMappings } from '../../src/replay/live-mappings.ts';
import type { MappingJob } from '../../src/replay/mappings.ts';
import { parseAddress } from '../../src/wire/address.ts';

function at(server: string, serverPort = 3307) {
  return { server: parseAddress(server)!, serverPort };
}

describe('mappings of a mirror', () => {
  /** `threads` tables over the same memory, and what they say of other servers. */
  function mirror(jobs: readonly MappingJob[], threads = 1) {
    const places = LiveMappings.share(jobs);
    const said: string[] = [];
    const tables = Array.from(
      { length: threads },
      () =>
        new LiveMappings(jobs, places, (server, port, first) =>
          said.push(`${server.text} ${port}, not ${first.text}`),
        ),
    );
    return { tables, said };
  }

  const UNNAMED = { source: undefined, port: 3307, target: 0 };

  test('the first server of a port keeps it, in all threads; others are said once a thread', () => {
    const { tables, said } = mirror([UNNAMED], 2);
    const [one, two] = tables;
    assert.equal(one.addressOf(0), undefined);
    assert.ok(!one.isOther(at('10.0.0.6')), 'nobody has the port yet');
    assert.deepEqual(one.of(at('10.0.0.5')), { server: 0, target: 0 });
    assert.equal(two.of(at('10.0.0.6')), undefined);
    assert.equal(two.of(at('10.0.0.6')), undefined);
    assert.equal(two.of(at('fd00::5')), undefined);
    assert.deepEqual(two.of(at('10.0.0.5')), { server: 0, target: 0 });
    assert.ok(one.isOther(at('10.0.0.6')));
    assert.equal(two.addressOf(0)?.text, '10.0.0.5');
    assert.deepEqual(said, ['10.0.0.6 3307, not 10.0.0.5', 'fd00::5 3307, not 10.0.0.5']);
  });

  test('an IPv6 server may be the first', () => {
    const { tables } = mirror([{ ...UNNAMED, port: 3306 }, UNNAMED]);
    assert.deepEqual(tables[0].of(at('fd00::5')), { server: 1, target: 0 });
    assert.equal(tables[0].addressOf(1)?.text, 'fd00::5');
    assert.equal(tables[0].addressOf(0), undefined);
  });

  test('a server that is named goes where it was named to, and takes nobody’s place', () => {
    const { tables, said } = mirror([UNNAMED, { source: '10.0.0.5', port: 3307, target: 1 }]);
    assert.deepEqual(tables[0].of(at('10.0.0.5')), { server: 1, target: 1 });
    assert.deepEqual(tables[0].of(at('10.0.0.6')), { server: 0, target: 0 });
    assert.equal(tables[0].of(at('10.0.0.7')), undefined);
    assert.equal(tables[0].of(at('10.0.0.7', 3308)), undefined);
    assert.ok(tables[0].isOther(at('10.0.0.7', 3308)));
    assert.deepEqual(
      said,
      ['10.0.0.7 3307, not 10.0.0.6'],
      'of a port that no mapping names nothing is said',
    );
  });

  test('addresses that one server of this host listens on are one server', () => {
    const { tables, said } = mirror([{ ...UNNAMED, alike: ['127.0.0.1', '10.0.0.5', 'fd00::5'] }]);
    for (const own of ['10.0.0.5', 'fd00::5', '127.0.0.1'])
      assert.deepEqual(tables[0].of(at(own)), { server: 0, target: 0 }, own);
    assert.equal(tables[0].of(at('10.0.0.6')), undefined);
    assert.equal(said.length, 1);
  });
});
