import { NO_REPLY, type Reply } from '../../mysql/reply.ts';

/** A COM_STMT_BULK_EXECUTE on a target that has none: as many single executions, one after the other, with one answer. */
export class BulkParts {
  readonly #packets: readonly Uint8Array[];
  #next = 0;
  #reply: Reply | undefined;

  /** `packets` has at least one. */
  constructor(packets: readonly Uint8Array[]) {
    this.#packets = packets;
  }

  /** The first to send. */
  begin(): Uint8Array {
    return this.#packets[this.#next++];
  }

  /** One was answered: what to send now, or undefined where that was the last, or an error, behind which no more is carried out. */
  answered(reply: Reply): Uint8Array | undefined {
    const { affected, octets } = this.#reply ?? NO_REPLY;
    this.#reply = { ...reply, affected: affected + reply.affected, octets: octets + reply.octets };
    return reply.kind === 'err' ? undefined : this.#packets[this.#next++];
  }

  /** What all of them amount to; behind the last. */
  get reply(): Reply {
    return this.#reply ?? NO_REPLY;
  }
}
