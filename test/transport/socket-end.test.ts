import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endBy, type Reached } from '../../src/transport/socket-end.ts';

function end(code: string, reached: Reached, syscall?: string) {
  return endBy(Object.assign(new Error(`said ${code}`), { code, ...(syscall && { syscall }) }), reached);
}

test('the kernel’s errors, by cause', () => {
  const causes: [code: string, syscall: string, cause: string][] = [
    ['ECONNREFUSED', 'connect', 'refused'],
    ['ETIMEDOUT', 'connect', 'timeout'],
    ['EHOSTUNREACH', 'connect', 'timeout'],
    ['ENETUNREACH', 'connect', 'timeout'],
    ['ETIMEDOUT', 'read', 'timeout'],
    ['ECONNRESET', 'read', 'reset'],
    ['EPIPE', 'write', 'reset'],
  ];
  for (const [code, syscall, cause] of causes) {
    const reached = syscall === 'connect' ? 'nothing' : 'established';
    assert.deepEqual(end(code, reached, syscall), { cause }, `${code} of ${syscall}`);
    if (syscall !== 'connect') assert.deepEqual(end(code, 'tls', syscall), { cause }, `${code} in TLS`);
  }
});

test('what cannot even begin is refused, and says why', () => {
  for (const [code, syscall] of [
    ['EADDRNOTAVAIL', 'connect'],
    ['EMFILE', 'connect'],
    ['ENOTFOUND', 'getaddrinfo'],
  ]) {
    assert.deepEqual(end(code, 'nothing', syscall), { cause: 'refused', detail: `said ${code}` });
  }
});

test('TLS’s own errors', () => {
  assert.equal(end('ECONNRESET', 'tls').cause, 'fin', 'the target closed within the handshake');
  for (const code of [
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'ERR_SSL_WRONG_VERSION_NUMBER',
  ])
    assert.deepEqual(end(code, 'tls'), { cause: 'desync', detail: `TLS: said ${code}` });
});
