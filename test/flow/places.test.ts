import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Flow } from '../../src/flow/flow.ts';
import { FlowPlaces, OUTGOING } from '../../src/flow/places.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { Segment } from '../../src/wire/segment.ts';
import { tcpFrame } from '../archive/support.ts';

function segmentFrom(client: string, clientPort: number): Segment {
  const octets = tcpFrame({ client, clientPort, fromClient: true, seq: 1, flags: 2 });
  const segment = new Segment();
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  assert.equal(segment.parse(octets, view, 0, octets.length, LINKTYPE.ethernet), 0);
  return segment;
}

test('a connection is found by its ends until it is removed, and is at all places that it has', () => {
  const places = new FlowPlaces<Flow>(10);
  const [a, b] = [segmentFrom('10.0.0.1', 40_001), segmentFrom('10.0.0.2', 40_001)];
  const flow = new Flow(0, 0);
  assert.equal(places.find(a, true), undefined);
  places.put(a, true, flow);
  places.put(b, true, flow);
  assert.deepEqual([places.find(a, true), places.find(b, true)], [flow, flow]);
  assert.deepEqual([places.has(a, true), places.has(a, false)], [true, false]);
  assert.deepEqual([...places.flows()], [flow]);
  places.remove(flow);
  assert.deepEqual([places.find(a, true), places.find(b, true)], [undefined, undefined]);
  assert.equal(places.flows().size, 0);
});

test('a connection that took the ends of another stays when that one is removed', () => {
  const places = new FlowPlaces<Flow>(10);
  const segment = segmentFrom('10.0.0.1', 40_001);
  const [first, second] = [new Flow(0, 0), new Flow(1, 0)];
  places.put(segment, true, first);
  places.put(segment, true, second);
  places.remove(first);
  assert.equal(places.find(segment, true), second);
});

test('ends of connections that are none of ours are forgotten when there are too many', () => {
  const places = new FlowPlaces<Flow>(2);
  const segments = [1, 2, 3].map((i) => segmentFrom(`10.0.0.${i}`, 40_001));
  for (const segment of segments) places.put(segment, true, OUTGOING);
  assert.deepEqual(
    segments.map((segment) => places.find(segment, true)),
    [undefined, undefined, OUTGOING],
  );
  assert.equal(places.has(segments[2], true), false);
});
