import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loginHint, loginRemedy } from '../../src/transport/login-remedies.ts';

const ACCOUNTS = (where: string) => `mysql -e "SELECT user, host, plugin, ssl_type FROM mysql.user${where}"`;

test('each kind of refusal has the line that ends it', () => {
  const cases: [number, string, RegExp][] = [
    [1040, 'Too many connections', /SET GLOBAL max_connections = 10000/],
    [
      1203,
      "User app already has more than 'max_user_connections'",
      /SET GLOBAL max_user_connections = 10000/,
    ],
    [
      1226,
      "User 'app' has exceeded the 'max_connections_per_hour' resource",
      /'app'@'%' WITH MAX_CONNECTIONS_PER_HOUR 0/,
    ],
    [1129, 'Host is blocked', /flush-hosts; .*max_connect_errors/],
    [1524, "Plugin 'mysql_native_password' is not loaded", /plugin that both sides support; .*IDENTIFIED BY/],
    [3118, 'Account is locked.', /ALTER USER 'app'@'%' ACCOUNT UNLOCK/],
    [4151, 'this account is locked', /ALTER USER 'app'@'%' ACCOUNT UNLOCK/],
    [1862, 'Your password has expired.', /has expired, and put it in the file of --users/],
    [3955, "Access denied for user 'app'@'h'. Account is blocked", /FAILED_LOGIN_ATTEMPTS.*ACCOUNT UNLOCK/],
    [4150, 'User is blocked', /FLUSH PRIVILEGES/],
    [
      3159,
      'Connections using insecure transport are prohibited',
      /--target-tls.*require_secure_transport = OFF/,
    ],
  ];
  for (const [errno, message, wanted] of cases)
    assert.match(loginHint({ errno, message, user: 'app' }), wanted, `${errno}`);
  for (const errno of [0, 1049, 1053]) assert.equal(loginHint({ errno, message: 'x', user: 'app' }), '');
});

test('a wrong password, or no account for that host: the SELECT that shows which', () => {
  const message = "Access denied for user 'app'@'10.2.0.5' (using password: YES)";
  const { why, lines } = loginRemedy({ errno: 1045, message, user: 'app' }) ?? { why: '', lines: [] };
  assert.match(why, /one must match 'app'@'10\.2\.0\.5' and have that password/);
  assert.deepEqual(lines, [ACCOUNTS(" WHERE user IN ('app', '')")]);
});

test('no account for a host at all: which one, and how to widen one', () => {
  const message = "Host '10.1.2.3' is not allowed to connect to this MySQL server";
  const { why, lines } = loginRemedy({ errno: 1130, message }) ?? { why: '', lines: [] };
  assert.match(why, /^no account admits 10\.1\.2\.3:/);
  assert.deepEqual(lines, [ACCOUNTS(''), `mysql -e "RENAME USER 'USER'@'HOST' TO 'USER'@'%'"`]);
});

test('a user of any name is quoted for SQL, and for the shell', () => {
  const { lines } = loginRemedy({ errno: 1045, message: '', user: 'o\'b"$(x)\\' }) ?? { lines: [] };
  assert.deepEqual(lines, [ACCOUNTS(` WHERE user IN ('o''b\\"\\$(x)\\\\\\\\', '')`)]);
});
