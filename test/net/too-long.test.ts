import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { openRing } from '../../src/net/capture/ring.ts';
import { openMmsgInjector } from '../../src/net/mmsg.ts';
import { addressFromOctets, parseAddress } from '../../src/wire/address.ts';
import { SegmentWriter } from '../../src/wire/emit.ts';
import { IcmpError, TOO_LONG_FILTER } from '../../src/wire/icmp.ts';
import { PARSE } from '../../src/wire/segment.ts';
import { Tuple } from '../../src/wire/tuple.ts';
import { HERE, Pair, skip } from './namespaces.ts';

/** Behind `there`, whose next link takes less than the first one. */
const BEYOND = { 4: '10.113.0.5', 6: 'fd00:113::5' } as const;
const MTU = 1300;

describe('a router’s word on segments that are too long', { skip, timeout: 30_000 }, () => {
  let pair: Pair;
  before(() => {
    pair = new Pair();
    pair.ip('there', 'link', 'add', 'narrow', 'type', 'veth', 'peer', 'name', 'beyond');
    for (const iface of ['narrow', 'beyond']) pair.ip('there', 'link', 'set', iface, 'up', 'mtu', `${MTU}`);
    pair.ip('there', 'route', 'add', '10.113.0.0/16', 'dev', 'narrow');
    pair.ip('there', '-6', 'route', 'add', 'fd00:113::/64', 'dev', 'narrow');
    pair.ip('here', 'route', 'add', '10.113.0.0/16', 'via', '10.111.0.2');
    pair.ip('here', '-6', 'route', 'add', 'fd00:113::/64', 'via', 'fd00:111::2');
    for (const name of ['ipv4.ip_forward', 'ipv6.conf.all.forwarding']) {
      execFileSync('ip', ['netns', 'exec', pair.name('there'), 'sysctl', '-qw', `net.${name}=1`]);
    }
  });
  after(() => pair?.close());

  for (const family of [4, 6] as const) {
    test(`comes through the filter and names the segment, IPv${family}`, async () => {
      const own = parseAddress(family === 4 ? HERE.address : HERE.address6)!;
      const tuple = new Tuple(own, 41_000, parseAddress(BEYOND[family])!, 3307);
      const [source, injector] = await pair.on('here', () => [
        openRing({
          iface: HERE.iface,
          filter: `(tcp src port 3307) or (${TOO_LONG_FILTER})`,
          mode: 'latency',
        }),
        openMmsgInjector(),
      ]);
      const { octets, view } = injector;
      const writer = new SegmentWriter(octets, view);
      // The first is short enough, and nobody answers it.
      for (const [seq, length] of [
        [1000, 1200],
        [2000, 1400],
      ]) {
        const at = injector.slot();
        writer.begin(at, tuple, seq, 1, 0x10, 500);
        octets.fill(0x77, at + 100, at + length);
        injector.commit(writer.finish(at, at + length));
      }
      injector.close();
      assert.deepEqual(injector.stats(), { sent: 2, refused: {} });
      const icmp = new IcmpError();
      for await (const block of source) {
        assert.equal(block.count, 1);
        const answer = icmp.parse(
          block.octets,
          block.view,
          block.offset[0],
          block.length[0],
          source.linkType,
        );
        assert.equal(answer, PARSE.ok);
        assert.deepEqual(
          [icmp.family, icmp.srcPort, icmp.dstPort, icmp.seq, icmp.mtu],
          [family, 41_000, 3307, 2000, MTU],
        );
        assert.deepEqual(addressFromOctets(block.octets, icmp.srcOffset, family), tuple.client);
        assert.deepEqual(addressFromOctets(block.octets, icmp.dstOffset, family), tuple.target);
        break;
      }
    });
  }
});
