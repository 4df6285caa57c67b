import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { addressFromOctets, ipv4Number, parseAddress } from '../../src/wire/address.ts';
import { AddressBook } from '../../src/wire/address-book.ts';

const v6 = (octets: Uint8Array) => addressFromOctets(octets, 0, 6);

describe('address book', () => {
  test('an IPv4 address is its own id', () => {
    const address = parseAddress('255.1.2.3')!;
    assert.equal(new AddressBook().add(address), ipv4Number(address));
  });

  test('one id an address, found wherever it stands; keys with ports are exact', () => {
    // Few different octets, so that the same address comes again and most differ little.
    const octets = fc.uint8Array({ minLength: 16, maxLength: 16, max: 1 });
    fc.assert(
      fc.property(fc.array(octets, { maxLength: 200 }), fc.array(octets), (added, asked) => {
        const book = new AddressBook();
        const ids = new Map<string, number>();
        for (const each of added) {
          const id = book.add(v6(each));
          assert.equal(id, ids.get(`${each}`) ?? 2 ** 32 + ids.size);
          ids.set(`${each}`, id);
          assert.ok(Number.isSafeInteger(id * 65536 + 65535));
        }
        for (const each of [...added, ...asked]) {
          const around = new Uint8Array(40).fill(1);
          around.set(each, 7);
          assert.equal(book.find(around, 7), ids.get(`${each}`) ?? -1);
        }
      }),
    );
  });

  test('many neighbours of one prefix keep apart, and a stranger is found to be none at once', () => {
    const book = new AddressBook();
    const octets = Uint8Array.from([0x20, 1, 0xd, 0xb8, ...Array<number>(12).fill(0)]);
    const view = new DataView(octets.buffer);
    const count = 100_000;
    for (let i = 0; i < count; i++) {
      view.setUint32(12, i);
      assert.equal(book.add(v6(octets)), 2 ** 32 + i);
    }
    const begin = process.cpuUsage();
    for (let i = 0; i < count; i++) {
      view.setUint32(12, i);
      assert.equal(book.find(octets, 0), 2 ** 32 + i);
      view.setUint32(8, i + 1);
      assert.equal(book.find(octets, 0), -1);
      view.setUint32(8, 0);
    }
    // 200,000 look-ups: far below this unless they all fall on one place.
    const { user, system } = process.cpuUsage(begin);
    assert.ok(user + system < 5e6, `${(user + system) / 1e6} s of CPU`);
  });
});
