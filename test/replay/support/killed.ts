/** A target that is killed, or away for a while, and what sessions do about it. */
import assert from 'node:assert/strict';
import { COM } from '../../../src/mysql/command.ts';
import type { FakeConnection, FakeTarget, Reaction, Received, Welcome } from '../../transport/fake.ts';
import { Tape, type TapeSession } from './tape.ts';
import { type Run, replay, START_MS } from './world.ts';

export const USERS = { app: 'secret' };

/** What a connection was sent, in words. */
export function sent({ received }: FakeConnection): string[] {
  return received.map(({ com, packet, sql }) => {
    if (com === COM.initDb) return `use ${Buffer.from(packet.subarray(5))}`;
    if (com === COM.stmtPrepare) return `prepare ${sql}`;
    if (sql !== '') return sql;
    const name = Object.entries(COM).find(([, number]) => number === com)?.[0] as string;
    const named = [COM.stmtExecute, COM.stmtClose, COM.stmtSendLongData, COM.stmtReset] as number[];
    if (!named.includes(com)) return name;
    return `${name} ${new DataView(packet.buffer, packet.byteOffset).getUint32(5, true)}`;
  });
}

/** Ends each session's first connection when it is sent `DIE`, as a killed server does. */
export const dies =
  (
    serves: (received: Received) => Reaction | undefined = () => undefined,
  ): NonNullable<FakeTarget['reacts']> =>
  (received) =>
    received.sql === 'DIE' ? 'reset' : serves(received);

/** Not there from `fromMs` to `toMs` of the run. */
export function down(
  fromMs: number,
  toMs: number,
  meets: Welcome = 'refused',
): NonNullable<FakeTarget['meets']> {
  return ({ openedAt }) => (openedAt - START_MS >= fromMs && openedAt - START_MS < toMs ? meets : 'greets');
}

/** All connections end. */
export function cutAll({ transport }: Run): void {
  for (const connection of transport.connections) connection.cut('reset');
}

/** Sets up what `before` does, loses the connection, and says what the next one was sent ahead of `AFTER`. */
export async function rebuilt(
  before: (session: TapeSession) => void,
  serves?: (received: Received) => Reaction | undefined,
): Promise<{ run: Run; steps: string[]; lost: string[] }> {
  const tape = new Tape();
  const session = tape.session();
  before(session);
  session.query(200, 'DIE').query(300, 'AFTER').quit(400);
  const run = await replay(tape, { target: { users: USERS, reacts: dies(serves) } });
  const [, second] = run.transport.connections;
  const steps = sent(second);
  assert.deepEqual(steps.slice(-2), ['AFTER', 'quit']);
  const [{ lost, commands }] = run.book.reconnections;
  assert.equal(commands, steps.length - 2);
  return { run, steps: steps.slice(0, -2), lost };
}
