import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accountFinding, accountsQuery } from '../../src/server/accounts.ts';

const row = (user: string, host: string, ssl_type = '') => ({ user, host, ssl_type });
const refusal = (host: string) => ({
  errno: 1045,
  message: `Access denied for user 'app'@'${host}' (using password: YES)`,
  user: 'app',
});
const found = (rows: ReturnType<typeof row>[], { host = '10.2.0.5', tls = false } = {}) =>
  accountFinding(rows, refusal(host), tls);

test('no account at all', () => {
  const { says, remedy } = found([]) ?? {};
  assert.equal(says, 'there is no such account');
  assert.deepEqual(remedy?.lines, ["CREATE USER 'app'@'%' IDENTIFIED BY 'PASSWORD'"]);
});

test('accounts of other hosts alone: which, and the statement that lets one in', () => {
  const { says, remedy } = found([row('app', '10.1.%'), row('app', '10.2.0.6')]) ?? {};
  assert.match(
    says ?? '',
    /sees it come from 10\.2\.0\.5, and no account admits that host, only 'app'@'10\.1\.%', 'app'@'10\.2\.0\.6'$/,
  );
  assert.deepEqual(remedy?.lines, [
    "RENAME USER 'app'@'10.1.%' TO 'app'@'%'",
    "CREATE USER 'app'@'10.2.0.5' IDENTIFIED BY 'PASSWORD'",
  ]);
});

test('an account that matches leaves the password alone', () => {
  for (const host of ['%', '10.2.%', '10.2.0._', '10.2.0.5', '10.2.0.0/255.255.255.0', 'db.example'])
    assert.equal(found([row('app', host)]), undefined, host);
  // The server sees a name, and may know the address as well.
  assert.equal(found([row('app', '127.0.0.1')], { host: 'localhost' }), undefined);
  assert.match(
    found([row('app', 'other.example')], { host: 'localhost' })?.says ?? '',
    /no account admits that host/,
  );
});

test('an account that wants TLS, or a certificate of the client', () => {
  const ssl = found([row('app', '%', 'ANY')]);
  assert.match(ssl?.says ?? '', /'app'@'%' requires TLS \(REQUIRE SSL\)/);
  assert.match(ssl?.remedy.why ?? '', /--target-tls/);
  assert.deepEqual(ssl?.remedy.lines, ["ALTER USER 'app'@'%' REQUIRE NONE"]);
  assert.equal(found([row('app', '%', 'ANY')], { tls: true }), undefined);
  assert.match(
    found([row('app', '%', 'X509')], { tls: true })?.says ?? '',
    /requires a client certificate.*X509/,
  );
});

test('a name of any kind is quoted in the question', () => {
  assert.match(accountsQuery("o'b\\"), /WHERE user IN \('o''b\\\\', ''\)$/);
});
