import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tlsHint } from '../../src/report/tls-hint.ts';

test('sessions under TLS: how many, of which keys are there, and what to do', () => {
  assert.equal(tlsHint({ sessions: 5, tls: 0, keyed: 0 }), undefined);
  assert.equal(tlsHint({ sessions: 5, tls: 3, keyed: 3 }), undefined);
  assert.match(
    tlsHint({ sessions: 5, tls: 5, keyed: 0 }) as string,
    /^5 of 5 sessions are under TLS: they can't be replayed without keys \(/,
  );
  assert.match(
    tlsHint({ sessions: 2000, tls: 1500, keyed: 3 }) as string,
    /^1,500 of 2,000 sessions are under TLS, with keys for 3: the others can't be replayed without keys \(/,
  );
});
