/** Copies of a packet, captured before and after address translation or at two ports, told from retransmissions. */
import type { CaptureNs } from '../time.ts';
import type { Segment } from '../wire/segment.ts';
import { seqAdd } from '../wire/sequence.ts';
import type { Side } from './coverage.ts';
import type { Flow } from './flow.ts';

/** A copy comes this soon after its packet, most retransmissions come later. */
const COPY_NS = 5e6;

/** Whether `segment`, which `mine` sent and has not taken in yet, is a copy of its newest packet. */
export function isCopy(flow: Flow, mine: Side, segment: Segment, at: CaptureNs): boolean {
  const { seq, sequenceLength } = segment;
  if (sequenceLength === 0 || seqAdd(seq, sequenceLength) !== mine.next) return false;
  if (Math.abs(at - flow.lastAt) >= COPY_NS) return false;
  // A translator may give its packets other identifications.
  return flow.isTwin || isSamePacket(mine, segment);
}

/** A retransmission is a packet of its own: it has another identification (RFC 6864), and mostly another time stamp. */
function isSamePacket(mine: Side, segment: Segment): boolean {
  if (segment.ipId !== 0) return segment.ipId === mine.ipId;
  return mine.stampedTo !== mine.next || mine.stamp === segment.tsVal;
}

/** `segment` is the newest of `mine`, which has taken it in. */
export function remember(mine: Side, segment: Segment): void {
  mine.ipId = segment.ipId;
  mine.stamp = segment.tsVal;
  mine.stampedTo = mine.next;
}
