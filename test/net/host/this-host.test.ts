import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { isThisHost, unmapped } from '../../../src/net/host/this-host.ts';
import { type Address, parseAddress } from '../../../src/wire/address.ts';

const address = (text: string) => parseAddress(text) as Address;

test('every form of loopback, the unspecified address and each own address is this host', () => {
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const texts = own.map(({ address: text }) => text).filter((text) => !text.includes('%'));
  const forms = ['127.0.0.1', '127.0.0.2', '127.255.255.254', '0.0.0.0', '::', '::1'];
  const mapped = ['::ffff:7f00:2', '::ffff:0:0'];
  for (const text of [...forms, ...mapped, ...texts]) assert.ok(isThisHost(address(text)), text);
});

test('other addresses are not', () => {
  // RFC 5737, RFC 3849: addresses of documentation are nobody's.
  for (const text of ['192.0.2.1', '2001:db8::1', '::ffff:c000:201', '126.255.255.255', '128.0.0.0'])
    assert.ok(!isThisHost(address(text)), text);
});

test('an IPv4 address in IPv6 is the IPv4 address', () => {
  assert.equal(unmapped(address('::ffff:a80:653')).text, '10.128.6.83');
  for (const text of ['10.0.0.1', '::1', 'fd00::ffff:a80:653'])
    assert.equal(unmapped(address(text)).text, text);
});
