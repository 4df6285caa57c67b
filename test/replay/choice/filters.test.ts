import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SessionMeta } from '../../../src/flow/events.ts';
import { type FilterChoices, Filters } from '../../../src/replay/choice/filters.ts';
import { parseAddress } from '../../../src/wire/address.ts';
import { Tape } from '../support/tape.ts';
import { replay } from '../support/world.ts';

/** Sessions of app, of ops and of nobody known, from three clients. */
function metas(): SessionMeta[] {
  const tape = new Tape();
  const clients = ['10.1.0.7', '10.1.0.8', 'fd00::7'];
  return [
    tape.session(0, { schema: 'shop' }),
    tape.session(0, { user: 'ops', schema: 'admin' }),
    tape.session(0, { late: true }),
  ].map(({ meta }, i) => ({ ...meta, client: parseAddress(clients[i])! }));
}

const left = (choices: FilterChoices) => {
  const filters = new Filters(choices);
  return metas().flatMap((meta) => (filters.has(meta) ? [meta.id] : []));
};

describe('which sessions run', () => {
  const cases: [FilterChoices, number[]][] = [
    [{}, [0, 1, 2]],
    [{ sessions: [1, 2, 77] }, [1, 2]],
    [{ includeUser: ['app'] }, [0]],
    [{ includeUser: ['app', 'ops'], excludeUser: ['ops'] }, [0]],
    // Who a session joined late belongs to is not known: it is not who is excluded.
    [{ excludeUser: ['app'] }, [1, 2]],
    [{ includeSchema: ['admin'] }, [1]],
    [{ excludeSchema: ['admin'] }, [0, 2]],
    [{ includeClient: ['10.1.0.0/29'] }, [0]],
    [{ includeClient: ['10.1.0.7', 'fd00::/16'] }, [0, 2]],
    [{ excludeClient: ['10.1.0.0/16'] }, [2]],
    [{ includeClient: ['10.0.0.0/8'], excludeClient: ['10.1.0.8'] }, [0]],
    [{ sample: 0 }, []],
  ];
  for (const [choices, ids] of cases)
    test(JSON.stringify(choices), () => assert.deepEqual(left(choices), ids));

  test('a client that is none is named', () => {
    assert.throws(
      () => new Filters({ includeClient: ['10.1.0'] }),
      /10\.1\.0 is neither an address nor a range/,
    );
  });

  test('shares have every session once, evenly, also of a sample, and of every second one', () => {
    const [meta] = metas();
    const idsOf = (choices: FilterChoices) => {
      const filters = new Filters(choices);
      return Array.from({ length: 10_000 }, (_, id) => id).filter((id) => filters.has({ ...meta, id }));
    };
    for (const of of [1, 2, 3, 7]) {
      const shares = Array.from({ length: of }, (_, index) => idsOf({ share: { index, of } }));
      assert.deepEqual(
        shares.flat().sort((a, b) => a - b),
        Array.from({ length: 10_000 }, (_, id) => id),
      );
      for (const ids of shares) {
        assert.ok(Math.abs(ids.length - 10_000 / of) < 200, `${ids.length} of 10,000 in 1 of ${of}`);
        // The threads of a host deal its sessions out by their numbers.
        const odd = ids.filter((id) => id % 2 === 1).length;
        assert.ok(Math.abs(odd - ids.length / 2) < 200, `${odd} of ${ids.length} are odd`);
      }
    }
    const halves = [0, 1].map((index) => idsOf({ sample: 0.2, share: { index, of: 2 } }));
    assert.deepEqual(
      halves.flat().sort((a, b) => a - b),
      idsOf({ sample: 0.2 }),
    );
    for (const ids of halves) assert.ok(Math.abs(ids.length - 1000) < 150, `${ids.length} of 2,000`);
  });

  test('a sample is about its part, and a larger one has the smaller one in it', () => {
    const [meta] = metas();
    const sampled = (sample: number) => {
      const filters = new Filters({ sample });
      return Array.from({ length: 10_000 }, (_, id) => id).filter((id) => filters.has({ ...meta, id }));
    };
    const [tenth, half] = [sampled(0.1), sampled(0.5)];
    assert.ok(Math.abs(tenth.length - 1000) < 100, `${tenth.length} of 10,000`);
    assert.ok(Math.abs(half.length - 5000) < 200, `${half.length} of 10,000`);
    const within = new Set(half);
    assert.ok(tenth.every((id) => within.has(id)));
  });
});

test('what is filtered out is counted by name, with all its commands and copies', async () => {
  const tape = new Tape();
  tape.session(0).query(1).query(2).quit(3);
  tape.session(0, { user: 'ops' }).query(1).quit(3);
  const filters = new Filters({ excludeUser: ['ops'] });
  const run = await replay(tape, { copies: 3, engine: { filters } });
  assert.deepEqual(run.summary.sessions.skipped, { filtered: 3 });
  assert.deepEqual(run.summary.commands.skipped, { filtered: 6 });
  assert.equal(run.summary.commands.answered, 9);
});
