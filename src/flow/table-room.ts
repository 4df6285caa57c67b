/**
 * Whether a table of connections has room for another one. Connections that no server answered have a bound of their own, so
 * that packets with forged addresses can't take the places of real clients.
 */
import { CTL, type Segment } from '../wire/segment.ts';
import { isAnswer } from './belongs.ts';
import type { Flow } from './flow.ts';
import type { FlowLimits } from './flow-limits.ts';

export class TableRoom {
  /** Connections that are not gone. */
  kept = 0;
  /** Connections that no server answered, including those that are gone and not forgotten. */
  #unanswered = 0;
  /** Those of them of which nothing came but SYN, SYN-ACK and RST. */
  #halfOpen = 0;
  /** Whether a server answered any connection: the capture has the servers' direction. */
  #hasAnswers = false;
  readonly #limits: FlowLimits;

  constructor(limits: FlowLimits) {
    this.#limits = limits;
  }

  /** No more connections without an answer are kept. */
  get isCrowded(): boolean {
    return this.#unanswered >= this.#mostUnanswered;
  }

  /** Whether all places are taken, or all that there are for connections without an answer. */
  get isFull(): boolean {
    return this.kept >= this.#limits.mostFlows || this.isCrowded;
  }

  /** Whether a connection that begins with `segment` may be kept. */
  admits(segment: Segment, fromClient: boolean): boolean {
    if (this.kept >= this.#limits.mostFlows) return false;
    if (isAnswer(segment, fromClient)) return true;
    const isHalfOpen = (segment.flags & (CTL.syn | CTL.rst)) !== 0;
    return !this.isCrowded && !(isHalfOpen && this.#halfOpen >= this.#limits.mostHalfOpen);
  }

  /** A connection begins: it is half-open until `changed` says otherwise. */
  began(): void {
    this.kept++;
    this.#unanswered++;
    this.#halfOpen++;
  }

  /** A segment of `flow` was taken in; what the connection was before it. */
  changed(flow: Flow, wasHalfOpen: boolean, wasAnswered: boolean): void {
    if (wasHalfOpen && !flow.isHalfOpen) this.#halfOpen--;
    if (wasAnswered || !flow.isAnswered) return;
    this.#unanswered--;
    this.#hasAnswers = true;
  }

  /** `flow`, which is gone, no longer counts among those without an answer. */
  forgot(flow: Flow): void {
    if (flow.isAnswered) return;
    this.#unanswered--;
    if (flow.isHalfOpen) this.#halfOpen--;
  }

  /** In a capture of the clients' direction only, no connection has an answer: there, half of all places are for them. */
  get #mostUnanswered(): number {
    const { mostHalfOpen, mostFlows } = this.#limits;
    return this.#hasAnswers ? mostHalfOpen : mostFlows / 2;
  }
}
