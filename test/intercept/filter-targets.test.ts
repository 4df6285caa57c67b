import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MytapeError } from '../../src/errors.ts';
import { targetsOfFilter } from '../../src/intercept/filter-targets.ts';
import { parseAddress } from '../../src/wire/address.ts';

const at = (endpoint: string): [string, number] => {
  const i = endpoint.lastIndexOf(':');
  return [endpoint.slice(0, i), Number(endpoint.slice(i + 1))];
};

describe('targets of a filter', () => {
  const CASES: readonly [filter: string, inside: string[], outside: string[]][] = [
    ['tcp and src port 3307', ['10.0.0.83:3307', 'fd00::83:3307'], ['10.0.0.83:3306', '10.0.0.83:22']],
    ['tcp src port 3307', ['1.2.3.4:3307'], ['1.2.3.4:3306']],
    ['TCP AND SRC PORT 3307', ['1.2.3.4:3307'], ['1.2.3.4:3306']],
    [
      'tcp and src host 10.0.0.83 and src port 3307',
      ['10.0.0.83:3307'],
      ['10.0.0.84:3307', '10.0.0.83:22', 'fd00::83:3307'],
    ],
    ['src 10.0.0.83 && port 3307', ['10.0.0.83:3307'], ['10.0.0.84:3307', '10.0.0.83:22']],
    ['src net 10.0.0.0/24 and src port 3307', ['10.0.0.7:3307'], ['10.0.1.7:3307']],
    [
      'tcp and (src port 3306 or src port 3307)',
      ['1.2.3.4:3306', '1.2.3.4:3307'],
      ['1.2.3.4:3308', '1.2.3.4:22'],
    ],
    ['src port 3306 or 3307', ['1.2.3.4:3306', '1.2.3.4:3307'], ['1.2.3.4:3308']],
    ['tcp src port (3306 or 3307)', ['1.2.3.4:3306', '1.2.3.4:3307'], ['1.2.3.4:3308']],
    ['src portrange 3306-3309', ['1.2.3.4:3309'], ['1.2.3.4:3310']],
    [
      '(src host 10.0.0.1 and src port 3306) or (src host 10.0.0.2 and src port 3307)',
      ['10.0.0.1:3306', '10.0.0.2:3307'],
      ['10.0.0.1:3307', '10.0.0.2:3306'],
    ],
    // From left to right, both alike: (a or b) and c.
    [
      'src host 10.0.0.1 or src host 10.0.0.2 and src port 3306',
      ['10.0.0.1:3306', '10.0.0.2:3306'],
      ['10.0.0.1:22', '10.0.0.3:3306'],
    ],
    ['src port 3307 and not src host 10.0.0.1', ['10.0.0.1:3307'], ['10.0.0.1:22']],
    ['src port 3307 and ! (src port 22 or dst port 7)', ['10.0.0.1:3307'], ['10.0.0.1:22']],
    ['ip and dst net 10.1.0.0/16 and src port 3307', ['10.0.0.1:3307'], ['10.1.0.1:3306']],
    ['src host fd00::83 and src port 3307', ['fd00::83:3307'], ['fd00::84:3307', '10.0.0.1:3307']],
  ];
  for (const [filter, inside, outside] of CASES) {
    test(filter, () => {
      const targets = targetsOfFilter(filter);
      for (const endpoint of inside) {
        const [host, port] = at(endpoint);
        assert.ok(targets.has(parseAddress(host)!, port), endpoint);
      }
      for (const endpoint of outside) {
        const [host, port] = at(endpoint);
        assert.ok(!targets.has(parseAddress(host)!, port), endpoint);
      }
    });
  }

  test('where a port is not named, or something is not read, the targets have to be', () => {
    const nested = `${'('.repeat(100)}src port 1${')'.repeat(100)}`;
    const wide = Array.from({ length: 9 }, () => '(src port 1 or src port 2)').join(' and ');
    for (const filter of [
      '',
      'tcp',
      'ip',
      'src host 10.0.0.83',
      'src port 3307 or src host 10.0.0.83',
      'dst port 3307',
      'not src port 3307',
      'tcp and and',
      'src port',
      'src port mysql',
      'src host db.test and src port 3307',
      'tcp[0:2] = 3307',
      'src port 3307 and tcp[tcpflags] & tcp-syn != 0',
      'src or dst port 3307',
      'src port 70000',
      'src port 3307)',
      '(src port 3307',
      nested,
      wide,
    ]) {
      assert.throws(
        () => targetsOfFilter(filter),
        (error: MytapeError) => error.code === 'usage' && /name the targets: --target/.test(error.message),
        filter,
      );
    }
  });
});
