import type { CaptureNs } from '../time.ts';

export const REPLY_KINDS = ['ok', 'err', 'rows', 'infile', 'none', 'text'] as const;
export type ReplyKind = (typeof REPLY_KINDS)[number];

/**
 * What the answer to one command amounts to. The same for a recorded and a replayed answer, because one reader
 * (reply-reader.ts) makes both.
 */
export interface Reply {
  kind: ReplyKind;
  /** Error code, 0 unless `kind` is err (of the first error, where results came before it). */
  errno: number;
  /** What that error says, without its SQLSTATE; left out where it says nothing, or the packet came in parts. */
  message?: string;
  /** Sum over all results of the answer. */
  affected: number;
  /** Columns of the first result set. */
  columns: number;
  /** Rows of all result sets. */
  rows: number;
  /** Octets of the answer on the wire, packet headers included. */
  octets: number;
  /** 32-bit hash of the row packets in their order … */
  hash: number;
  /** … and one that is blind to their order. */
  hashUnordered: number;
  /** From COM_STMT_PREPARE's OK, else 0. */
  statementId: number;
  /** Parameters of that statement, else 0. */
  params: number;
  /** Server status flags (STATUS) of its last OK or EOF; 0 where it has none: ERR, COM_STMT_PREPARE, COM_STATISTICS. */
  status: number;
  /** The last insert id of its last OK that has one, else 0. */
  insertId: number;
  /** When its last octet came: CaptureNs for a recorded answer; for a replayed one, whatever its feeder passed. */
  at: CaptureNs;
}

/** An OK that tells nothing. */
export const NO_REPLY: Readonly<Reply> = {
  kind: 'ok',
  errno: 0,
  affected: 0,
  columns: 0,
  rows: 0,
  octets: 0,
  hash: 0,
  hashUnordered: 0,
  statementId: 0,
  params: 0,
  status: 0,
  insertId: 0,
  at: 0,
};
