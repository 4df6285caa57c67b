import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Neighbours } from '../../src/net/neighbour.ts';
import { addressFromOctets, parseAddress } from '../../src/wire/address.ts';
import { FOREIGN, FOREIGN6, HERE, Pair, skip, THERE } from './namespaces.ts';

describe('neighbours', { skip }, () => {
  let pair: Pair;
  let neighbours: Neighbours;
  before(async () => {
    pair = new Pair();
    neighbours = await pair.on('here', () => new Neighbours());
  });
  after(() => {
    neighbours?.close();
    pair?.close();
  });

  const versions = [
    { name: 'IPv4', own: HERE.address, next: THERE.address, foreign: FOREIGN, unknown: '10.111.0.77' },
    { name: 'IPv6', own: HERE.address6, next: THERE.address6, foreign: FOREIGN6, unknown: 'fd00:111::77' },
  ];
  for (const { name, own, next, foreign, unknown } of versions) {
    const look = (text: string) => {
      const found = neighbours.next(parseAddress(text)!);
      return found && { index: found.index, mac: Buffer.from(found.mac).toString('hex') };
    };
    const link = (iface: string) => JSON.parse(pair.ip('here', '-j', 'link', 'show', iface))[0].ifindex;
    const mac = () =>
      JSON.parse(pair.ip('there', '-j', 'link', 'show', THERE.iface))[0].address.replaceAll(':', '');

    test(`a host on the link, and one behind a gateway, ${name}`, () => {
      const expected = { index: link(HERE.iface), mac: mac() };
      assert.deepEqual(look(next), expected);
      const { octets } = parseAddress(foreign.split('/')[0])!;
      octets[octets.length - 1] = 9;
      assert.deepEqual(look(addressFromOctets(octets, 0, octets.length === 4 ? 4 : 6).text), expected);
    });

    test(`where the kernel rejects, nobody is next, ${name}`, () => {
      const version = name === 'IPv4' ? '-4' : '-6';
      pair.ip('here', version, 'route', 'add', 'unreachable', unknown);
      pair.ip('here', version, 'neigh', 'replace', unknown, 'lladdr', '02:00:00:00:00:77', 'dev', HERE.iface);
      assert.equal(look(unknown), undefined);
      pair.ip('here', version, 'route', 'del', 'unreachable', unknown);
      assert.deepEqual(look(unknown), { index: link(HERE.iface), mac: '020000000077' });
    });

    test(`one that is not known, or did not answer, is none, ${name}`, () => {
      for (const state of ['stale', 'failed']) {
        pair.ip('here', 'neigh', 'replace', unknown, 'lladdr', '02:00:00:00:00:78', 'dev', HERE.iface);
        pair.ip('here', 'neigh', 'change', unknown, 'dev', HERE.iface, 'nud', state);
        assert.equal(look(unknown)?.mac, state === 'stale' ? '020000000078' : undefined);
      }
      pair.ip('here', 'neigh', 'del', unknown, 'dev', HERE.iface);
      assert.equal(look(unknown), undefined);
    });

    test(`we are no neighbour of our own, and nobody is where no route goes, ${name}`, () => {
      pair.ip('here', 'neigh', 'replace', own, 'lladdr', '02:00:00:00:00:79', 'dev', 'lo');
      assert.equal(look(own), undefined);
      assert.equal(look(name === 'IPv4' ? '198.51.100.1' : '2001:db8::1'), undefined);
    });
  }
});
