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

test('what cannot even begin says why: this host, or the name', () => {
  for (const [code, syscall, cause] of [
    ['EADDRNOTAVAIL', 'connect', 'no-port'],
    ['EMFILE', 'connect', 'no-descriptor'],
    ['ENFILE', 'connect', 'no-descriptor'],
    ['ENOTFOUND', 'getaddrinfo', 'refused'],
  ]) {
    assert.deepEqual(end(code, 'nothing', syscall), { cause, detail: `said ${code}` });
  }
});

test('TLS’s own errors', () => {
  assert.equal(end('ECONNRESET', 'tls').cause, 'fin', 'the target closed within the handshake');
  assert.deepEqual(end('ERR_SSL_WRONG_VERSION_NUMBER', 'tls'), {
    cause: 'tls',
    detail: 'TLS: said ERR_SSL_WRONG_VERSION_NUMBER',
  });
  const what = (message: string) =>
    endBy(Object.assign(new Error(message), { code: 'ERR_SSL' }), 'tls').detail;
  assert.equal(
    what('self-signed certificate'),
    "TLS: self-signed certificate (try: --target-ca FILE, which is ca.pem in MySQL's data folder, or --target-tls none)",
  );
  const own = 'MySQL_Server_9.7.4_Auto_Generated_Server_Certificate';
  assert.match(
    what(`Hostname/IP does not match certificate's altnames: Host: db.test. is not cert's CN: ${own}`) ?? '',
    /not cert's CN: .* \(the certificate that MySQL makes for itself names no host: .* with --target-tls ca\)$/,
  );
  assert.equal(
    what('certificate has expired'),
    'TLS: certificate has expired (try: --target-ca FILE, or --target-tls none)',
  );
  assert.equal(
    what('80AC:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../openssl/a.c:355:\n'),
    'TLS: wrong version number',
  );
});
