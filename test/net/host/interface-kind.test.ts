import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { leadsToNetwork } from '../../../src/net/host/interface-kind.ts';

test('hardware and what is built upon it leads to a network; a dummy, a veth and an unknown interface need not', (t) => {
  const sys = mkdtempSync(join(tmpdir(), 'mytape-sys-'));
  t.after(() => rmSync(sys, { recursive: true }));
  const folder = (iface: string) => join(sys, 'class/net', iface);
  mkdirSync(join(folder('eth0'), 'device'), { recursive: true });
  for (const [iface, uevent] of [
    ['bond0', 'DEVTYPE=bond\nINTERFACE=bond0\nIFINDEX=4\n'],
    ['eth0.7', 'DEVTYPE=vlan\nINTERFACE=eth0.7\nIFINDEX=5\n'],
    ['dummy0', 'INTERFACE=dummy0\nIFINDEX=6\n'],
  ]) {
    mkdirSync(folder(iface), { recursive: true });
    writeFileSync(join(folder(iface), 'uevent'), uevent);
  }
  const found = ['eth0', 'bond0', 'eth0.7', 'dummy0', 'nobody'].map((iface) => leadsToNetwork(iface, sys));
  assert.deepEqual(found, [true, true, true, false, false]);
});
