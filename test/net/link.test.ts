import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { openRing } from '../../src/net/capture/ring.ts';
import { openMmsgInjector } from '../../src/net/mmsg.ts';
import { HERE, Pair, skip, THERE } from './namespaces.ts';
import {
  FAMILIES,
  type Family,
  numbersOf,
  putUdp,
  sendNumbers,
  sizeOf,
  stranger,
  THEIRS,
  upTo,
} from './traffic.ts';

describe('sending by the link', { skip, timeout: 60_000 }, () => {
  let pair: Pair;
  before(() => {
    pair = new Pair();
  });
  after(() => pair?.close());

  /** Sends `count` numbered packets in one go with this thread in the sender's namespace; answers what arrived. */
  async function sent(count: number, family: Family, prepare = () => {}): Promise<number[]> {
    const source = await pair.on('there', () =>
      openRing({ iface: THERE.iface, filter: 'udp dst port 9000', mode: 'latency' }),
    );
    const injector = await pair.on('here', () => {
      const opened = openMmsgInjector({ target: THEIRS[family] });
      prepare();
      sendNumbers(opened, 9000, 0, count, family);
      return opened;
    });
    assert.deepEqual(injector.stats(), { sent: count, refused: {} });
    injector.close();
    source.close();
    const got: number[] = [];
    for await (const block of source) got.push(...numbersOf(block));
    return got;
  }

  const nft = (...args: string[]) => execFileSync('ip', ['netns', 'exec', pair.name('here'), 'nft', ...args]);

  for (const family of FAMILIES) {
    test(`a known neighbour gets every packet, past the kernel’s own output, IPv${family}`, async () => {
      nft(
        'add table inet t; add chain inet t out { type filter hook output priority 0; }; add rule inet t out drop',
      );
      try {
        assert.deepEqual(await sent(200, family), upTo(200));
      } finally {
        nft('delete table inet t');
      }
    });

    test(`one that the kernel does not know is left to the kernel, IPv${family}`, async () => {
      pair.ip('here', 'neigh', 'del', THEIRS[family].text, 'dev', HERE.iface);
      assert.deepEqual(await sent(200, family), upTo(200));
    });
  }

  test('a batch with another host’s packet is left to the kernel, which knows the way', async () => {
    const injector = await pair.on('here', () => openMmsgInjector({ target: THEIRS[6] }));
    const source = await pair.on('there', () =>
      openRing({ iface: THERE.iface, filter: 'udp dst port 9000', mode: 'latency' }),
    );
    const other = stranger(6, 1);
    nft('add table inet t; add chain inet t out { type filter hook output priority 0; }');
    nft(`add rule inet t out ip6 daddr ${other.text} drop`);
    try {
      for (const [number, to] of [THEIRS[6], other, THEIRS[6]].entries()) {
        putUdp(injector, 9000, sizeOf(number), number, 6, undefined, to);
        injector.commit(sizeOf(number));
      }
      injector.close();
    } finally {
      nft('delete table inet t');
    }
    source.close();
    const got: number[] = [];
    for await (const block of source) got.push(...numbersOf(block));
    assert.deepEqual(got, [0, 2]);
  });
});
