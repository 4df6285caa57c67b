import type { Reply } from './reply.ts';

/**
 * Errors by which a server has rolled back the whole transaction: ER_LOCK_DEADLOCK, and ER_TRANSACTION_ROLLBACK_DURING_COMMIT of a
 * group's certification (MySQL manual, "InnoDB Error Handling" and "Server Error Message Reference"). After any other error the
 * transaction goes on.
 */
const ROLLED_BACK = new Set([1213, 3101]);

/** Whether `reply` says that the server rolled back the transaction. */
export function isRolledBack(reply: Pick<Reply, 'kind' | 'errno'> | undefined): boolean {
  return reply?.kind === 'err' && ROLLED_BACK.has(reply.errno);
}
