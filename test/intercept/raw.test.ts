/** A channel of which the protocol is not known, through the relay: parts of answers cross it, as they come. */

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { MYSQL_ANSWERS, RAW_ANSWERS } from '../../src/intercept/answer-protocol.ts';
import { partOf } from '../../src/intercept/raw-reader.ts';
import { RelayClient } from '../../src/intercept/relay-client.ts';
import type { Reply } from '../../src/mysql/reply.ts';
import type { Progress } from '../../src/tcp/progress.ts';
import { ipv4Address } from '../../src/wire/address.ts';
import { CTL } from '../../src/wire/segment.ts';
import { Tuple } from '../../src/wire/tuple.ts';
import { startIntercept, until } from './relay-bed.ts';
import { blockOf, makePacket, RecordingOwner } from './support.ts';

const CLIENT = 0x0a010203;
const TARGET = 0xc0a80001;
const ISS = 1_000;
const IRS = 5_000;

class PartsOwner extends RecordingOwner {
  readonly parts: Reply[] = [];
  rcvNxt = 0;

  override reply(_id: number, { rcvNxt }: Progress, reply: Reply): void {
    this.parts.push(reply);
    this.rcvNxt = rcvNxt;
  }
}

async function channel(t: TestContext, raw: boolean) {
  const { address, receiver } = await startIntercept(t, undefined);
  const owner = new PartsOwner();
  const client = await RelayClient.open({
    address,
    key: undefined,
    owner,
    target: { address: ipv4Address(TARGET), port: 6379 },
    protocol: raw ? RAW_ANSWERS : MYSQL_ANSWERS,
    events: { lost: () => {}, back: () => {}, gone: () => {}, taken: () => {} },
  });
  t.after(() => client.close());
  client.register(1, new Tuple(ipv4Address(CLIENT), 40_000, ipv4Address(TARGET), 6379), ISS);
  client.flush();
  await until(() => owner.told.length === 1, 'what was told');
  const take = (seq: number, flags: number, data?: Uint8Array) => {
    const fields = { src: TARGET, dst: CLIENT, srcPort: 6379, dstPort: 40_000, seq, ack: ISS + 1, flags };
    receiver.take(blockOf(makePacket({ ...fields, ...(data && { data }) })), 0);
  };
  take(IRS, CTL.syn | CTL.ack);
  return { owner, take };
}

describe('a raw channel', () => {
  test('tells what comes in parts, before anything was asked, and up to where it may be acknowledged', async (t) => {
    const { owner, take } = await channel(t, true);
    const banner = Buffer.from('220 ready\r\n');
    take(IRS + 1, CTL.ack, banner);
    const rest = new Uint8Array(1_400).fill(255);
    take(IRS + 1 + banner.length, CTL.ack, rest);
    await until(() => owner.parts.length === 2, 'what was told');
    assert.deepEqual(owner.parts, [partOf(banner, 0, banner.length, 0), partOf(rest, 0, rest.length, 0)]);
    assert.equal(owner.rcvNxt, IRS + 1 + banner.length + rest.length);
    assert.ok(owner.told.every(([what]) => what !== 'checkpoint' && what !== 'packet' && what !== 'desync'));
  });

  test('another is read as MySQL by the same intercept', async (t) => {
    const { owner, take } = await channel(t, false);
    take(IRS + 1, CTL.ack, Uint8Array.from([3, 0, 0, 0, 10, 49, 0]));
    await until(() => owner.told.some(([what]) => what === 'packet'), 'what was told');
    assert.equal(owner.parts.length, 0);
  });
});
