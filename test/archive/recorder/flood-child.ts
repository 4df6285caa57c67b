/** SYNs of clients that there are not, to a port of loopback: `flood-child PORT PER_SECOND`, without end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openMmsgInjector } from '../../../src/net/mmsg.ts';
import { parseAddress } from '../../../src/wire/address.ts';
import { SegmentWriter } from '../../../src/wire/emit.ts';
import { CTL } from '../../../src/wire/segment.ts';
import { Tuple } from '../../../src/wire/tuple.ts';

const TURN_MS = 10;

const [targetPort, perSecond] = process.argv.slice(2).map(Number);
const injector = openMmsgInjector();
const writer = new SegmentWriter(injector.octets, injector.view);
const target = parseAddress('127.0.0.1')!;
for (let n = 0; ; ) {
  for (let i = 0; i < (perSecond * TURN_MS) / 1000; i++, n++) {
    const client = parseAddress(`10.${1 + ((n >> 16) % 200)}.${(n >> 8) & 255}.${n & 255}`)!;
    const at = injector.slot();
    const tuple = new Tuple(client, 1024 + (n % 60_000), target, targetPort);
    injector.commit(writer.finish(at, writer.begin(at, tuple, n >>> 0, 0, CTL.syn, 64_000)));
  }
  injector.flush();
  await sleep(TURN_MS);
}
