import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openRing } from '../../src/net/capture/ring.ts';
import { errnoName } from '../../src/net/libc.ts';
import { openMmsgInjector } from '../../src/net/mmsg.ts';
import { importOptional } from '../../src/net/optional.ts';
import { skip } from './namespaces.ts';

const NOBODY = 65534;

test('names errors as errno(3) does', { skip }, () => {
  assert.deepEqual([1, 11, 90, 105, 9999].map(errnoName), [
    'EPERM',
    'EAGAIN',
    'EMSGSIZE',
    'ENOBUFS',
    'errno 9999',
  ]);
});

test('without CAP_NET_RAW says what is needed', { skip }, () => {
  process.seteuid!(NOBODY);
  try {
    assert.throws(() => openRing({ iface: 'lo', mode: 'latency' }), {
      code: 'no-privilege',
      message: 'cannot capture on lo: needs CAP_NET_RAW (try: sudo setcap cap_net_raw+ep $(which node))',
    });
    assert.throws(() => openMmsgInjector(), {
      code: 'no-privilege',
      message: /cannot send packets .*CAP_NET_RAW/,
    });
  } finally {
    process.seteuid!(0);
  }
});

test('without an optional package says how to get it', async () => {
  await assert.rejects(importOptional('mytape-has-no-such-package'), {
    code: 'no-library',
    message: /npm install mytape-has-no-such-package/,
  });
});

test('a ring is unmapped when nothing can reach it any more', { skip }, async () => {
  const rings = () => readFileSync('/proc/self/maps', 'utf8').match(/socket:/g)?.length ?? 0;
  const openAndClose = async () => {
    const source = openRing({ iface: 'lo', mode: 'latency', filter: 'udp port 1' });
    assert.equal(rings(), 1);
    source.close();
    for await (const _ of source) assert.fail('a packet');
  };
  await openAndClose();
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let tries = 0; tries < 20 && rings() > 0; tries++) {
    collect();
    await sleep(5);
  }
  assert.equal(rings(), 0);
});
