import { parentPort, workerData } from 'node:worker_threads';
import { openRing } from '../../src/net/capture/ring.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { PARSE, Segment } from '../../src/wire/segment.ts';

/**
 * One share of a capture in a thread of its own (share.test.ts). Tells 'ready', and, when it is told to stop, what it got: a
 * segment's IP version and port, or the answer of `parse` for what is none.
 */
const source = openRing(workerData);
const segment = new Segment();
const got: string[] = [];
parentPort!.once('message', () => source.close());
parentPort!.postMessage('ready');
for await (const block of source) {
  for (let i = 0; i < block.count; i++) {
    const { octets, view, offset, length } = block;
    const answer = segment.parse(octets, view, offset[i], length[i], LINKTYPE.ethernet);
    got.push(answer === PARSE.ok ? `${segment.family} ${segment.dstPort}` : `none ${answer}`);
  }
}
parentPort!.postMessage(got);
