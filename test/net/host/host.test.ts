import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { forwardingSetting, hasNetRaw } from '../../../src/net/host/host.ts';

describe('this host', () => {
  let proc = '';
  const made: string[] = [];
  beforeEach(() => {
    proc = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    made.push(proc);
  });
  after(() => {
    for (const dir of made) rmSync(dir, { recursive: true, force: true });
  });

  function put(path: string, text: string): void {
    mkdirSync(dirname(join(proc, path)), { recursive: true });
    writeFileSync(join(proc, path), text);
  }

  test('CAP_NET_RAW in force, not only permitted', () => {
    put('self/status', 'Name:\tnode\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000001000\n');
    assert.equal(hasNetRaw(proc), false);
    put('self/status', 'CapPrm:\t0000000000002000\nCapEff:\t0000000000002000\n');
    assert.equal(hasNetRaw(proc), true);
    put('self/status', 'CapEff:\t000001ffffffffff\n');
    assert.equal(hasNetRaw(proc), true);
  });

  test('no /proc: nothing is had', () => {
    assert.equal(hasNetRaw(join(proc, 'none')), false);
    assert.equal(forwardingSetting(4, 'eth0', join(proc, 'none')), undefined);
  });

  test('forwarding: of all, or of the interface alone, each by its name', () => {
    put('sys/net/ipv4/ip_forward', '0\n');
    put('sys/net/ipv4/conf/eth0/forwarding', '0\n');
    put('sys/net/ipv4/conf/eth1/forwarding', '1\n');
    put('sys/net/ipv4/conf/eth0.7/forwarding', '1\n');
    put('sys/net/ipv6/conf/all/forwarding', '0\n');
    assert.equal(forwardingSetting(4, 'eth0', proc), undefined);
    assert.equal(forwardingSetting(4, 'eth1', proc), 'net.ipv4.conf.eth1.forwarding');
    assert.equal(forwardingSetting(4, 'eth0.7', proc), 'net/ipv4/conf/eth0.7/forwarding');
    assert.equal(forwardingSetting(6, 'eth1', proc), undefined);
    put('sys/net/ipv4/ip_forward', '1\n');
    put('sys/net/ipv6/conf/all/forwarding', '1\n');
    assert.equal(forwardingSetting(4, 'eth0', proc), 'net.ipv4.ip_forward');
    assert.equal(forwardingSetting(6, 'eth0', proc), 'net.ipv6.conf.all.forwarding');
  });
});
