import type { Address } from '../wire/address.ts';
import { AF_INET, AF_INET6, addressOf, libc, MSG_DONTWAIT, openSocket, SOCK_RAW } from './libc.ts';

/** Where packets to a host go on the link: the host itself, or the gateway to it. */
export interface Neighbour {
  /** Index of the interface that they leave by. */
  index: number;
  /** Its Ethernet address, 6 octets. */
  mac: Uint8Array;
}

const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;

/** struct nlmsghdr: length 0, type 4, flags 6, sequence 8, port 12. */
const HEADER_OCTETS = 16;
const TYPE = 4;
const FLAGS = 6;
const SEQUENCE = 8;
const NLM_F_REQUEST = 1;
/** Types of rtnetlink(7); an answer has the type of what the kernel would tell by itself. */
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const RTM_NEWNEIGH = 28;
const RTM_GETNEIGH = 30;

/** struct rtmsg and struct ndmsg have 12 octets, the family in the first; attributes follow. */
const BODY_OCTETS = 12;
/** rtmsg: octets of the destination's prefix; kind of route. */
const ROUTE_PREFIX = HEADER_OCTETS + 1;
const ROUTE_TYPE = HEADER_OCTETS + 7;
const RTN_UNICAST = 1;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_VIA = 18;
const RTA_ENCAP = 22;
/** ndmsg: interface. */
const NEIGH_INDEX = HEADER_OCTETS + 4;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const ATTRIBUTE_OCTETS = 4;
const MAC_OCTETS = 6;

/** Room for one answer: a route has a dozen attributes. */
const ANSWER_OCTETS = 8192;

/**
 * Asks the kernel where packets go, by rtnetlink(7). It answers from its tables before `send` returns, and asks nobody on
 * the network. Of the namespace that it was made in.
 *
 * Kernels before 5.0 do not answer for a single neighbour: to them, all are unknown.
 */
export class Neighbours {
  readonly #fd = openSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, 'ask the kernel for routes');
  readonly #answer = new DataView(new ArrayBuffer(ANSWER_OCTETS));
  readonly #answerAt = addressOf(this.#answer);
  #sequence = 0;

  /** Who is next on the way to `target`, as far as the kernel knows already. Undefined also where it is this host itself. */
  next(target: Address): Neighbour | undefined {
    const family = target.family === 4 ? AF_INET : AF_INET6;
    const route = new DataView(new ArrayBuffer(BODY_OCTETS));
    route.setUint8(0, family);
    route.setUint8(ROUTE_PREFIX - HEADER_OCTETS, 8 * target.octets.length);
    if (!this.#ask(RTM_GETROUTE, RTM_NEWROUTE, route, RTA_DST, target.octets)) return undefined;
    const out = this.#attribute(RTA_OIF);
    // Tunnels, and gateways of the other version, are the kernel's business.
    const special = this.#attribute(RTA_VIA) ?? this.#attribute(RTA_ENCAP);
    if (this.#answer.getUint8(ROUTE_TYPE) !== RTN_UNICAST || out === undefined || special !== undefined) {
      return undefined;
    }
    const index = new DataView(out.buffer).getInt32(0, true);
    const hop = this.#attribute(RTA_GATEWAY) ?? target.octets;

    const neighbour = new DataView(new ArrayBuffer(BODY_OCTETS));
    neighbour.setUint8(0, family);
    neighbour.setInt32(NEIGH_INDEX - HEADER_OCTETS, index, true);
    if (!this.#ask(RTM_GETNEIGH, RTM_NEWNEIGH, neighbour, NDA_DST, hop)) return undefined;
    // Told only in states in which it may be used: not while it is asked for, nor when nobody answered.
    const mac = this.#attribute(NDA_LLADDR);
    return mac?.length === MAC_OCTETS ? { index, mac } : undefined;
  }

  close(): void {
    libc().close(this.#fd);
  }

  /** One question with one attribute; whether `#answer` now has an answer of the type that is wanted. */
  #ask(type: number, wanted: number, body: DataView, attribute: number, value: Uint8Array): boolean {
    const length = HEADER_OCTETS + BODY_OCTETS + ATTRIBUTE_OCTETS + value.length;
    const question = new Uint8Array(length);
    const view = new DataView(question.buffer);
    const sequence = ++this.#sequence;
    view.setUint32(0, length, true);
    view.setUint16(TYPE, type, true);
    view.setUint16(FLAGS, NLM_F_REQUEST, true);
    view.setUint32(SEQUENCE, sequence, true);
    question.set(new Uint8Array(body.buffer), HEADER_OCTETS);
    view.setUint16(HEADER_OCTETS + BODY_OCTETS, ATTRIBUTE_OCTETS + value.length, true);
    view.setUint16(HEADER_OCTETS + BODY_OCTETS + 2, attribute, true);
    question.set(value, length - value.length);
    const { send, recv } = libc();
    if (send(this.#fd, question, length, MSG_DONTWAIT) < 0) return false;
    const answer = this.#answer;
    while (recv(this.#fd, this.#answerAt, ANSWER_OCTETS, MSG_DONTWAIT) >= HEADER_OCTETS + BODY_OCTETS) {
      if (answer.getUint32(SEQUENCE, true) === sequence) return answer.getUint16(TYPE, true) === wanted;
    }
    return false;
  }

  /** A copy of the answer's attribute of this kind. */
  #attribute(kind: number): Uint8Array | undefined {
    const answer = this.#answer;
    const end = Math.min(answer.getUint32(0, true), ANSWER_OCTETS);
    for (let at = HEADER_OCTETS + BODY_OCTETS; at + ATTRIBUTE_OCTETS <= end; ) {
      const length = answer.getUint16(at, true);
      if (length < ATTRIBUTE_OCTETS || at + length > end) return undefined;
      if (answer.getUint16(at + 2, true) === kind) {
        return new Uint8Array(answer.buffer.slice(at + ATTRIBUTE_OCTETS, at + length));
      }
      at += (length + 3) & ~3;
    }
    return undefined;
  }
}
