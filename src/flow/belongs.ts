/**
 * Whether a segment belongs to the connection that had its ends last, or ports were used anew; and what the table learns of a
 * connection from each of its segments.
 */
import { countCommands } from '../mysql/command.ts';
import { PROTOCOL_V10 } from '../mysql/handshake.ts';
import { HEADER_OCTETS, payloadLength } from '../mysql/packet.ts';
import type { CaptureNs } from '../time.ts';
import { CTL, type Segment } from '../wire/segment.ts';
import { seqAdd, seqDiff } from '../wire/sequence.ts';
import { isCopy, remember } from './copies.ts';
import { hashOf, type Side } from './coverage.ts';
import type { Flow } from './flow.ts';
import { beginsLogin, isGreeting } from './login-evidence.ts';

/** Both directions jump by more than this at once: numbers of another connection, not octets that were missed. */
const JUMP_OCTETS = 1 << 20;

/** Octets before the newest that may still be sent again. */
const OLD_OCTETS = 1 << 24;

/** A RST this far past what the receiver expects may be in its window; the window's scale is not always known. */
const WINDOW_OCTETS = 1 << 20;

/** A SYN is not sent again so long after the first, once the connection stands. */
const SYN_AGAIN_NS = 500e6;

/** Of a packet that is COM_QUIT: its header, and one octet. */
const QUIT_OCTETS = 5;

/** What tells more of a connection than that it goes on, and ACK. */
const EVENTFUL = CTL.syn | CTL.fin | CTL.rst | CTL.ack;

/** So long after a reset, what was on its way may still come. */
export const RESET_GRACE_NS = 1e9;

/**
 * Whether `segment` is what nearly all are, the next of its direction and nothing more to be learnt from it: then it is
 * taken in.
 */
export function isNext(flow: Flow, segment: Segment, fromClient: boolean): boolean {
  const mine = fromClient ? flow.clientSide : flow.serverSide;
  const { seq, flags, wireDataLength } = segment;
  if (seq !== mine.next || (flags & EVENTFUL) !== CTL.ack || flow.resetAt >= 0 || flow.resetRefuted)
    return false;
  // The first to say more than SYN ends its being half-open.
  if (mine.ack < 0) return false;
  if (wireDataLength > 0) {
    if (!mine.hasData || mine.fin >= 0 || mine.quit >= 0 || segment.dataLength < wireDataLength) return false;
    const { octets, dataOffset: at } = segment;
    const id = octets[at + 3];
    if (fromClient) {
      const last = at + wireDataLength - 1;
      // What may be a login's first packet, or COM_QUIT.
      if (id === 1 || (octets[last] === 1 && octets[last - 1] === 0)) return false;
      const isOne = HEADER_OCTETS + payloadLength(octets, at) === wireDataLength;
      mine.isBetween = id === 0 && (isOne || isCommands(segment));
    } else if (flow.clientSide.quit >= 0 || (id === 0 && octets[at + HEADER_OCTETS] === PROTOCOL_V10))
      return false;
    mine.next = (seq + wireDataLength) >>> 0;
    mine.ipId = segment.ipId;
  }
  mine.ack = segment.ack;
  return true;
}

/** Whether the last octets of `segment` are those of COM_QUIT. */
function hasQuitsOctets({ octets, dataOffset, dataLength }: Segment): boolean {
  const end = dataOffset + dataLength;
  if (octets[end - 1] !== 1 || octets[end - QUIT_OCTETS] !== 1 || dataLength < QUIT_OCTETS) return false;
  return octets[end - 2] === 0 && octets[end - 3] === 0 && octets[end - 4] === 0;
}

/** Whether commands fill `segment`: behind it another command begins. */
function isCommands({ octets, dataOffset, dataLength, wireDataLength }: Segment): boolean {
  return dataLength === wireDataLength && countCommands(octets, dataOffset, dataOffset + dataLength) > 0;
}

/** Whether `segment`, which has the ends of `flow`, is one of its segments. */
export function belongs(flow: Flow, segment: Segment, fromClient: boolean, at: CaptureNs): boolean {
  const mine = fromClient ? flow.clientSide : flow.serverSide;
  const { flags, seq } = segment;
  if ((flags & CTL.syn) !== 0) {
    const isAck = (flags & CTL.ack) !== 0;
    // What no server sends to its client, and no client to its server, is noise.
    if (isAck === fromClient) return true;
    return fromClient ? isSameSyn(flow, seq, at) : isSameSynAck(flow, segment, at);
  }
  if ((flags & CTL.rst) !== 0) return true;
  if (mine.next < 0) return true;
  const other = fromClient ? flow.serverSide : flow.clientSide;
  const hasData = segment.wireDataLength > 0;
  // Behind its own FIN nobody says anything, nor a client behind COM_QUIT; and nothing comes before the SYN.
  if (mine.fin >= 0 && seqDiff(seq, mine.fin) > (hasData ? 0 : 1)) return false;
  if (hasData && mine.quit >= 0 && seqDiff(seq, mine.quit) > 0) return false;
  if (hasData && mine.iss >= 0 && seqDiff(seq, mine.iss) < 0) return false;
  const ahead = seqDiff(seq, mine.next);
  // At the same place another greeting, or another's hello: the numbers of a connection before, once more.
  const mayGreet = ahead < 0 && hasData && mine.firstHash >= 0 && seq === mine.first;
  if (mayGreet && beginsLogin(segment, fromClient) && hashOf(segment) !== mine.firstHash) return false;
  if (flow.clientFin && flow.serverFin) {
    const isFar = Math.abs(ahead) > JUMP_OCTETS;
    return hasData || isFar ? isSentAgain(mine, segment) : true;
  }
  const hasJumped = Math.abs(ahead) > JUMP_OCTETS && (flags & CTL.ack) !== 0;
  if (hasJumped && other.next >= 0 && Math.abs(seqDiff(segment.ack, other.next)) > JUMP_OCTETS) return false;
  // The numbers may go on from the connection before; but within a command, octets are what they are.
  const mayBeLogin =
    ahead > 0 ||
    (ahead === 0 && flow.clientSide.isBetween) ||
    (ahead < 0 && mine.iss >= 0 && seq !== mine.first);
  if (hasData && mine.hasData && mayBeLogin && beginsLogin(segment, fromClient)) return false;
  if (flow.resetAt < 0 || !hasData || at - flow.resetAt <= RESET_GRACE_NS) return true;
  // So long after its reset it goes on only if it was none.
  return isSentAgain(mine, segment) || (seq === mine.next && seqDiff(segment.ack, other.next) <= 0);
}

/**
 * Whether `segment` has data or the FIN of a server: it took the client's connection. SYN-ACK, RST and ACK alone are also sent
 * to whoever forges a client's address (a challenge ACK, RFC 9293 3.10.7.4).
 */
export function isAnswer({ flags, sequenceLength }: Segment, fromClient: boolean): boolean {
  return !fromClient && sequenceLength > 0 && (flags & (CTL.syn | CTL.rst)) === 0;
}

/** Whether `segment` repeats what was seen of `flow`, by both of its numbers. */
export function isOf(flow: Flow, segment: Segment, fromClient: boolean): boolean {
  const mine = fromClient ? flow.clientSide : flow.serverSide;
  const other = fromClient ? flow.serverSide : flow.clientSide;
  if ((segment.flags & (CTL.syn | CTL.ack)) !== CTL.ack || other.next < 0) return false;
  const acked = seqDiff(segment.ack, other.next);
  return isSentAgain(mine, segment) && acked <= 0 && acked > -OLD_OCTETS;
}

/** Octets of the connection that had been seen, or its FIN. */
function isSentAgain(mine: Side, { seq, sequenceLength }: Segment): boolean {
  if (mine.next < 0) return false;
  const beyond = seqDiff(seqAdd(seq, sequenceLength), mine.next);
  return beyond <= 0 && beyond > -OLD_OCTETS;
}

/** Whether a client's SYN is (once more) the one that began `flow`. */
function isSameSyn(flow: Flow, seq: number, at: CaptureNs): boolean {
  const { clientSide: client, serverSide: server } = flow;
  if (client.iss >= 0 && client.iss !== seq) return false;
  // The client's direction is captured late as a whole.
  if (!client.seen && client.first >= 0) return client.first === seqAdd(seq, 1);
  if (!client.seen) {
    const acked = seqDiff(server.ack, seqAdd(seq, 1));
    return server.ack >= 0 && acked >= 0 && acked < JUMP_OCTETS;
  }
  // Who sends a FIN has had the SYN answered long ago; so has who was greeted. Soon after, it is a copy.
  const isAnswered = flow.clientFin || flow.serverFin || server.hasData;
  if (isAnswered) return at - flow.synAt <= SYN_AGAIN_NS;
  // Captured behind what followed it.
  if (client.iss < 0) return client.first === seqAdd(seq, 1);
  return flow.resetAt < 0 || (!client.hasData && !server.hasData);
}

/** Whether a server's SYN-ACK answers the SYN that began `flow`. */
function isSameSynAck(flow: Flow, { seq, ack }: Segment, at: CaptureNs): boolean {
  const { clientSide: client, serverSide: server } = flow;
  // The SYN had come once more, too: a connection with the numbers of the one before, whose end was missed.
  const isAnswered = client.hasData || flow.clientFin || flow.serverFin || flow.resetAt >= 0;
  if (server.iss >= 0 && server.iss === seq) return !isAnswered || at - flow.synAt <= SYN_AGAIN_NS;
  const answersIt = client.first < 0 || client.first === ack;
  if (server.first < 0) return answersIt;
  // Its SYN-ACK was captured late, or the server has made a new one for the same SYN.
  const behind = seqDiff(server.next, seqAdd(seq, 1));
  const isLate = behind >= 0 && behind < JUMP_OCTETS;
  return answersIt && (isLate || (!client.hasData && !server.hasData));
}

/** Takes `segment` in, which belongs to `flow`. Returns whether it is a copy of the packet before it. */
export function track(flow: Flow, segment: Segment, fromClient: boolean, at: CaptureNs): boolean {
  const mine = fromClient ? flow.clientSide : flow.serverSide;
  const other = fromClient ? flow.serverSide : flow.clientSide;
  const { flags, seq } = segment;
  flow.resetRefuted = false;
  if ((flags & CTL.rst) !== 0) {
    if (isInWindow(mine, other, segment)) {
      flow.resetAt = at;
      flow.resetByClient = fromClient;
      flow.resetIsExact = isExact(mine, other.ack, seq);
    }
    return false;
  }
  const isSyn = (flags & CTL.syn) !== 0;
  if (isSyn && ((flags & CTL.ack) !== 0) === fromClient) return false;
  if (!isSyn) flow.isHalfOpen = false;
  if (isSyn) {
    // Sent again, or answered, once the old connection of the same ports is reset.
    flow.resetAt = -1;
    if (!fromClient && other.first < 0) other.first = segment.ack;
    flow.fromStart = true;
    if (flow.synAt < 0 || (!mine.hasData && !other.hasData)) flow.synAt = Math.max(flow.synAt, at);
  } else if (
    flow.resetAt >= 0 &&
    (at - flow.resetAt > RESET_GRACE_NS || fromClient === flow.resetByClient) &&
    goesOn(mine, segment)
  ) {
    flow.resetAt = -1;
    flow.resetRefuted = true;
  } else if (!fromClient && !mine.hasData && segment.dataLength > 0 && isGreeting(segment)) {
    flow.fromStart = true;
    other.expect(segment.ack);
  }
  const { sequenceLength } = segment;
  const isTwice = isCopy(flow, mine, segment, at);
  if (isTwice) flow.copies++;
  mine.sent(segment);
  if (sequenceLength > 0 && seqAdd(seq, sequenceLength) === mine.next) remember(mine, segment);
  if (segment.wireDataLength > 0) {
    if (fromClient) {
      mine.isBetween = isCommands(segment);
      mine.quit = mine.isBetween && hasQuitsOctets(segment) ? seqAdd(seq, segment.wireDataLength) : -1;
    } else if (other.quit >= 0) {
      // It was none: a server says nothing to that. Of another connection is what acknowledges more than was said.
      const isOwn = seqDiff(segment.ack, other.next) <= 0;
      if (isOwn && seqDiff(segment.ack, other.quit) >= 0) other.quit = -1;
    }
  }
  // Of several that come out of order, the newest.
  if ((flags & CTL.ack) !== 0 && (mine.ack < 0 || seqDiff(segment.ack, mine.ack) > 0)) mine.ack = segment.ack;
  if (!flow.isAnswered) flow.isAnswered = isAnswer(segment, fromClient) || acknowledgesSynAck(flow);
  return isTwice;
}

/** Whether the client acknowledged the server's SYN-ACK. Whoever forges the client's address does not know its number. */
function acknowledgesSynAck({ clientSide: { ack }, serverSide: { iss } }: Flow): boolean {
  return ack >= 0 && iss >= 0 && ack === seqAdd(iss, 1);
}

/** RFC 5961 (3.2), as far as it can be told from beside: the receiver takes a RST that it expects. */
function isInWindow(mine: Side, { ack }: Side, { seq }: Segment): boolean {
  // Nothing of this side was seen: it refuses the connection.
  if (isExact(mine, ack, seq)) return true;
  const ahead = seqDiff(seq, ack < 0 ? mine.next : ack);
  return ahead >= 0 && ahead < WINDOW_OCTETS;
}

function isExact({ next }: Side, ack: number, seq: number): boolean {
  return next < 0 || seq === next || seq === ack;
}

/** The side that is said to have sent a RST says more: it did not send it. */
function goesOn(mine: Side, { seq, wireDataLength, ack, flags }: Segment): boolean {
  if (wireDataLength > 0) return seqDiff(seqAdd(seq, wireDataLength), mine.next) > 0;
  return (flags & CTL.ack) !== 0 && mine.ack >= 0 && seqDiff(ack, mine.ack) > 0;
}
