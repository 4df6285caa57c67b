/** Recordings that nobody recorded: sessions of point selects, the same octets on every machine and in every run. */
import { COM } from '../../src/mysql/command.ts';
import { framePacket } from '../../src/mysql/packet.ts';
import { ExchangeTape } from './exchange-tape.ts';
import { NullMysql } from './null-mysql.ts';
import { ROWS } from './pointselect.ts';

const STATEMENTS = 1_000;

/** Sessions of point selects, one row each. */
export class SyntheticTape extends ExchangeTape {
  readonly #row = new NullMysql().rows.octets;
  readonly #statements = Array.from({ length: STATEMENTS }, (_, i) => {
    const text = `SELECT c FROM sbtest1 WHERE id=${1 + ((i * 7919) % ROWS)}`;
    return framePacket(0, Buffer.concat([Uint8Array.of(COM.query), Buffer.from(text)]));
  });
  #asked = 0;

  query(session: number): void {
    this.client(session, this.#statements[this.#asked++ % STATEMENTS]);
    this.server(session, this.#row);
  }
}

/** `sessions` at once, each with `queries`, one after the other: a closed loop. */
export function makeLoop(folder: string, sessions: number, queries: number): void {
  const tape = new SyntheticTape(folder, sessions);
  for (let i = 0; i < sessions; i++) tape.open(i);
  for (let q = 0; q < queries; q++) for (let i = 0; i < sessions; i++) tape.query(i);
  for (let i = 0; i < sessions; i++) tape.close(i);
  tape.end();
}

/** `sessions` of one query each, never more than `atOnce` of them open. */
export function makeShort(folder: string, sessions: number, atOnce: number): void {
  const tape = new SyntheticTape(folder, sessions);
  for (let i = 0; i < sessions; i++) {
    if (i >= atOnce) tape.close(i - atOnce);
    tape.open(i);
    tape.query(i);
  }
  for (let i = Math.max(0, sessions - atOnce); i < sessions; i++) tape.close(i);
  tape.end();
}

/** Seconds of a recording of idle sessions: when they have all opened, when each asks its one query, when it is over. */
export interface IdlePlan {
  openedSec: number;
  askSec: number;
  endSec: number;
}

/** `sessions` that open, wait, ask one query each, and close. */
export function makeIdle(folder: string, sessions: number, plan: IdlePlan): void {
  const tape = new SyntheticTape(folder, sessions);
  const spread = (fromSec: number, toSec: number, each: (session: number) => void) => {
    for (let i = 0; i < sessions; i++) {
      tape.at = Math.max(tape.at, (fromSec + ((toSec - fromSec) * i) / sessions) * 1e9);
      each(i);
    }
  };
  spread(0, plan.openedSec, (i) => tape.open(i));
  spread(plan.askSec, plan.endSec, (i) => {
    tape.query(i);
    tape.close(i);
  });
  tape.end();
}
