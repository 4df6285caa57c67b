import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { ownPorts } from '../../../src/net/host/own-ports.ts';

describe("this host's own ports", () => {
  const proc = mkdtempSync(join(tmpdir(), 'mytape-proc-'));
  after(() => rmSync(proc, { recursive: true }));
  mkdirSync(join(proc, 'net'));
  mkdirSync(join(proc, 'sys/net/ipv4'), { recursive: true });

  function rangeBeside(localRange: string): [number, number] {
    writeFileSync(join(proc, 'sys/net/ipv4/ip_local_port_range'), localRange);
    const { first, last } = ownPorts(proc);
    return [first, last];
  }

  test('the widest range that the kernel picks none of', () => {
    assert.deepEqual(rangeBeside('32768\t60999\n'), [10_000, 32_767]);
    assert.deepEqual(rangeBeside('1024\t29999\n'), [30_000, 65_535]);
    assert.deepEqual(rangeBeside('2000\t3000\n'), [10_000, 65_535]);
  });

  test('none left: said, with what to type', () => {
    assert.throws(() => rangeBeside('1024\t65535\n'), {
      code: 'system-call',
      message: /ports 1024 to 65535 .*sysctl -w net\.ipv4\.ip_local_port_range="32768 60999"/,
    });
  });

  test('ports of all sockets there are, of both IP versions', () => {
    const head = '  sl  local_address rem_address   st tx_queue rx_queue\n';
    const line = (sl: number, local: string, remote: string, state: string) =>
      `${String(sl).padStart(4)}: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 1681 1\n`;
    writeFileSync(
      join(proc, 'net/tcp'),
      head +
        line(0, '00000000:2BCB', '00000000:0000', '0A') +
        line(11, '0100007F:4E20', '0100007F:0CEB', '01'),
    );
    rangeBeside('32768\t60999\n');
    assert.deepEqual([...ownPorts(proc).taken], [11_211, 20_000]);
    const any = '0'.repeat(32);
    writeFileSync(join(proc, 'net/tcp6'), head + line(0, `${any}:4E21`, `${any}:0000`, '0A'));
    assert.deepEqual([...ownPorts(proc).taken], [11_211, 20_000, 20_001]);
  });
});
