import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  addressFromOctets,
  formatIpv4,
  ipv4Address,
  ipv4Number,
  parseAddress,
} from '../../src/wire/address.ts';

describe('addresses', () => {
  test('IPv4 and IPv6 come back from their text', () => {
    const octets = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      // Runs of zeros, where the notation is tricky.
      fc
        .array(fc.constantFrom(0, 0, 0, 1), { minLength: 16, maxLength: 16 })
        .map((list) => Uint8Array.from(list)),
    );
    fc.assert(
      fc.property(octets, (own) => {
        const address = addressFromOctets(own, 0, own.length === 4 ? 4 : 6);
        assert.equal(isIP(address.text), address.family);
        assert.deepEqual(parseAddress(address.text), address);
      }),
    );
  });

  test('IPv6 is written as RFC 5952 wants it', () => {
    const cases = {
      '2001:db8:0:0:1:0:0:1': '2001:db8::1:0:0:1',
      '2001:DB8::0001': '2001:db8::1',
      '0:0:0:0:0:0:0:0': '::',
      '::1': '::1',
      '1::': '1::',
      '::ffff:127.0.0.2': '::ffff:7f00:2',
      '1:2:3:4:5:6:10.0.0.1': '1:2:3:4:5:6:a00:1',
      '2001:db8:0:1:1:1:1:1': '2001:db8:0:1:1:1:1:1',
    };
    for (const [written, canonical] of Object.entries(cases))
      assert.equal(parseAddress(written)!.text, canonical);
  });

  test('numbers are unsigned, in network order', () => {
    assert.equal(ipv4Number(parseAddress('255.0.0.1')!), 0xff00_0001);
    assert.equal(ipv4Address(0xff00_0001).text, '255.0.0.1');
    assert.equal(formatIpv4(0xff00_0001), '255.0.0.1');
  });

  test('what is no address is undefined', () => {
    for (const text of [
      '',
      '1.2.3',
      '256.1.1.1',
      '1.2.3.4.5',
      'db.example',
      ':',
      '1:2',
      '1::2::3',
      'g::',
      '::1%eth0',
      '::ffff:1.2.3.256',
      '::1.2.3.4:5',
      '1:2:3:4:5:6:7:1.2.3.4',
    ]) {
      assert.equal(parseAddress(text), undefined, text);
    }
  });
});
