/**
 * The captures of fixtures/cases, which were read wrongly once, through import, show and ls: what each wants is in
 * fixtures/README.md. An answer may be unknown where nothing in a capture decides; it may never be another's.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { FIXTURE_PORT } from './support/capture.ts';
import {
  CASES_FOLDER,
  CASES_PORT,
  type Capture,
  caseNames,
  type ShownObject,
  type Told,
  tell,
} from './support/cases.ts';
import { GOLDEN, goldenPath, keysOf } from './support/golden.ts';

function fileOf(name: string): string {
  const pcap = join(CASES_FOLDER, `${name}.pcap`);
  return existsSync(pcap) ? pcap : `${pcap}ng`;
}

const NAMES = caseNames();
const CAPTURES: readonly Capture[] = [
  ...NAMES.map((name) => ({ file: fileOf(name), port: CASES_PORT })),
  ...GOLDEN.map((name) => ({ file: goldenPath(name), port: FIXTURE_PORT, keys: keysOf(name) })),
];

let told: Told[];
before(() => {
  told = tell(CAPTURES);
});

/** The case of this number. */
function find(number: string): Told {
  return told[NAMES.findIndex((name) => name.startsWith(`${number}-`))];
}

function of(type: ShownObject['type'], { show }: Told, session?: number): ShownObject[] {
  return show.filter((line) => line.type === type && (session === undefined || line.session === session));
}

/** The text of each command, or its name where it has none. */
function commands(case_: Told, session?: number): string[] {
  return of('command', case_, session).map(({ sql, com }) => (sql ?? com).slice(0, 30).trimEnd());
}

/** Commands known to have been sent and not told. */
function lost(case_: Told, session?: number): number {
  const lines = [...of('lost', case_, session), ...of('skipped', case_, session)];
  return lines.reduce((sum, { commands }) => sum + (commands ?? 0), 0);
}

/** The answer to the command with this text is `truth`, or unknown. */
function answeredBy(case_: Told, sql: string, truth: Record<string, unknown>): void {
  for (const { reply } of of('command', case_).filter((line) => line.sql === sql)) {
    if (reply === null) continue;
    for (const [field, value] of Object.entries(truth))
      assert.equal(reply[field as keyof typeof reply], value, `${field} of the answer to ${sql}`);
  }
}

/** The only session that the client's port had. */
function sessionOf(case_: Told, client: string): ShownObject {
  const sessions = of('session', case_).filter((line) => line.client === client);
  assert.equal(sessions.length, 1, `sessions of ${client}`);
  return sessions[0];
}

const CLIENT = '10.0.0.1:40000';
const INSERT = 'insert into t values';

describe('captures that were read wrongly once', () => {
  test('01: of three PREPAREs in a row the second is missing: no statement has the id of another', () => {
    const case_ = find('01');
    assert.deepEqual(commands(case_), [
      ...['insert into a values (1)', 'drop table c', 'COM_STMT_EXECUTE', 'COM_STMT_CLOSE', 'COM_QUIT'],
    ]);
    assert.equal(lost(case_), 1);
    answeredBy(case_, 'insert into a values (1)', { kind: 'ok', statement: 1 });
    answeredBy(case_, 'drop table c', { kind: 'ok', statement: 3 });
  });

  test("02: joined late; a PREPARE's answer and the next PREPARE are missing: that answer is unknown", () => {
    const case_ = find('02');
    for (const { reply } of of('command', case_).filter(({ sql }) => sql === 'drop table a'))
      assert.equal(reply, null);
    assert.ok(of('command', case_).length + lost(case_) >= 3);
  });

  test('03: a segment is missing, later commands are longer than one: they are told', () => {
    const case_ = find('03');
    const inserts = [0, 2, 3, 4, 5, 6, 7].map((i) => `${INSERT} (${i},'xxxxx`);
    assert.deepEqual(commands(case_), [...inserts, 'COM_QUIT']);
    assert.equal(lost(case_), 1);
    for (const { sql } of of('command', case_))
      if (sql !== null) answeredBy(case_, sql, { kind: 'ok', affected: 1 });
  });

  test('04: joined late, commands longer than a segment: told, or counted', () => {
    const case_ = find('04');
    assert.equal(of('command', case_).length + lost(case_), 5);
  });

  test('05: answers captured before their queries: six queries with their answers', () => {
    const case_ = find('05');
    const queries = [0, 1, 2, 3, 4, 5].map((i) => `select ${i}`);
    assert.deepEqual(commands(case_), [...queries, 'COM_QUIT']);
    for (const { sql, reply } of of('command', case_))
      if (sql !== null) assert.deepEqual([reply?.kind, reply?.rows], ['rows', 1], sql);
    assert.equal(lost(case_), 0);
  });

  test('07: SYN-ACK before SYN: one session', () => {
    const case_ = find('07');
    assert.equal(sessionOf(case_, CLIENT).user, 'app');
    assert.deepEqual(commands(case_), ['select 1', 'COM_QUIT']);
  });

  test('08: a RST far outside of the window ends nothing', () => {
    const case_ = find('08');
    assert.deepEqual(commands(case_), ['select 1', 'select 2', 'select 3', 'COM_QUIT']);
    assert.equal(sessionOf(case_, CLIENT).close, 'quit');
    for (const { sql, reply } of of('command', case_)) if (sql !== null) assert.equal(reply?.rows, 1, sql);
    assert.equal(lost(case_), 0);
  });

  test('09: SYN, RST, the same SYN again, accepted, and 70 s without a packet: one session', () => {
    const case_ = find('09');
    assert.equal(of('session', case_).length, 2);
    const { session } = sessionOf(case_, CLIENT);
    assert.deepEqual(commands(case_, session), ['select 1', 'select 2', 'COM_QUIT']);
    const neighbour = sessionOf(case_, '10.0.0.1:40001').session;
    assert.deepEqual(commands(case_, neighbour), ['select 3', 'select 4', 'COM_QUIT']);
  });

  test('10: the same ports and ISN 10 s after a close: two sessions', () => {
    const case_ = find('10');
    const sessions = of('session', case_);
    assert.deepEqual(
      sessions.map(({ session }) => commands(case_, session)),
      [
        ['select 0', 'COM_QUIT'],
        ['select 1', 'COM_QUIT'],
      ],
    );
  });

  test('11: the same ports 1 s after a close, without a SYN: two sessions', () => {
    const case_ = find('11');
    assert.deepEqual(
      of('session', case_).map(({ session, user }) => [user, ...commands(case_, session)]),
      [
        ['app', 'select 1', 'COM_QUIT'],
        ['app', 'select 2', 'COM_QUIT'],
      ],
    );
  });

  test('13: data captured after the FIN that it belongs before: told', () => {
    const case_ = find('13');
    assert.deepEqual(commands(case_), ['select 2', 'select 3']);
    assert.equal(lost(case_), 1);
    for (const sql of ['select 2', 'select 3']) answeredBy(case_, sql, { kind: 'rows', rows: 1 });
  });

  test('14: joined late, with commands that have no answer: told or counted', () => {
    const case_ = find('14');
    for (const [client, total] of [
      [CLIENT, 4],
      ['10.0.0.1:40001', 1],
    ] as const) {
      const { session } = sessionOf(case_, client);
      assert.equal(of('command', case_, session).length + lost(case_, session), total, client);
    }
  });

  test("15: joined late, with MySQL 4.1's EOF of one octet: two answers", () => {
    const case_ = find('15');
    assert.deepEqual(commands(case_), ['select 1', 'select 2', 'COM_QUIT']);
    for (const { sql, reply } of of('command', case_))
      if (sql !== null) assert.deepEqual([reply?.kind, reply?.rows], ['rows', 1], sql);
    assert.equal(of('lost', case_).length, 0);
  });

  test('16: a connection that the server host makes from the port is no session', () => {
    const { show, ls } = find('16');
    assert.deepEqual([show, ls], [[], []]);
  });

  test('17: each packet captured before and after NAT: told once, and said', () => {
    const case_ = find('17');
    assert.deepEqual(commands(case_), [`${INSERT} (1)`, 'COM_QUIT']);
    assert.equal(of('command', case_)[0].reply?.affected, 1);
    assert.match(case_.said, /twice|duplicat/i);
  });

  test('22: packets cut by snaplen: coverage cut, and said at import', () => {
    const case_ = find('22');
    assert.equal(sessionOf(case_, CLIENT).coverage, 'cut');
    assert.equal(case_.ls[0].coverage, 'cut');
    assert.equal(of('command', case_).length + lost(case_), 5);
    assert.match(case_.said, /snaplen|cut/i);
  });

  test('23: no room, said after the login: refused with 1040 and 1203', () => {
    const case_ = find('23');
    assert.deepEqual(
      of('session', case_).map(({ user, refused }) => [user, refused]),
      [
        ['app', 1040],
        ['app', 1203],
      ],
    );
  });

  test("24: an error after the client's FIN: the login failed", () => {
    const case_ = find('24');
    assert.deepEqual(
      of('skipped', case_).map(({ cause }) => cause),
      ['login-failed'],
    );
  });
});

for (const name of NAMES.filter((each) => each.startsWith('enc-'))) {
  test(`${name}: read as without`, () => {
    const case_ = told[NAMES.indexOf(name)];
    assert.equal(case_.exitCode, 0, case_.said);
    const sessions = of('session', case_);
    assert.deepEqual(
      sessions.map(({ user, coverage, close }) => [user, coverage, close]),
      [['app', 'whole', 'quit']],
    );
    assert.deepEqual(commands(case_), ['select 1', 'select 2', 'COM_QUIT']);
    for (const { sql, reply } of of('command', case_))
      if (sql !== null) assert.deepEqual([reply?.kind, reply?.rows], ['rows', 1], sql);
    assert.equal(lost(case_), 0);
  });
}

for (const number of ['18', '19', '20']) {
  test(`${number}: steps of the clock are said, and taken out of the times`, () => {
    const case_ = find(number);
    assert.match(case_.said, /a jump of [\d,]+ s (ahead|back) at packet \d+/);
    const times = of('command', case_).map(({ at_ns }) => at_ns);
    assert.deepEqual(commands(case_), ['select 0', 'select 1', 'select 2', 'select 3', 'COM_QUIT']);
    assert.ok(
      times.every((at, i) => i === 0 || (at > times[i - 1] && at - times[i - 1] < 1e9)),
      `${times}`,
    );
  });
}

test('ls and show agree on the sessions of every capture, and on how many commands they had', () => {
  const wrong: string[] = [];
  for (const [i, case_] of told.entries()) {
    const { file } = CAPTURES[i];
    const shown = new Map(of('session', case_).map((line) => [line.session, line]));
    if (shown.size !== case_.ls.length) wrong.push(`${file}: ${shown.size} of ${case_.ls.length} sessions`);
    for (const { id, client, server, coverage, user, schema, commands } of case_.ls) {
      const line = shown.get(id);
      const same =
        line?.client === client &&
        line.server === server &&
        line.coverage === coverage &&
        (user === null || (line.user === user && line.schema === schema));
      if (!same) wrong.push(`${file}: session ${id} is shown as ${JSON.stringify(line)}`);
      const counted = of('command', case_, id).length + lost(case_, id);
      if (commands !== null && counted !== commands)
        wrong.push(`${file}: ${counted} of ${commands} commands of session ${id}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('in every capture ordinals have no holes, and a statement is prepared before its id is learnt', () => {
  for (const [i, case_] of told.entries()) {
    const { file } = CAPTURES[i];
    assert.ok(case_.exitCode === 0 || case_.show.length === 0, `${file}: ${case_.said}`);
    for (const { session } of of('session', case_)) {
      const ordinals = of('command', case_, session).map(({ ordinal }) => ordinal);
      assert.deepEqual(
        ordinals,
        ordinals.map((_, ordinal) => ordinal),
        `${file}, session ${session}`,
      );
    }
    for (const { com, reply } of of('command', case_))
      if (reply?.statement !== undefined) assert.equal(com, 'COM_STMT_PREPARE', file);
  }
});
