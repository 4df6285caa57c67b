import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareSettings } from '../../../src/run/interlock/server-settings.ts';

const HOST = 'the target 10.0.0.83';
const said = (...args: Parameters<typeof compareSettings>) =>
  compareSettings(...args).map(({ name, status, says }) => `${status} ${name}: ${says}`);

test('nothing is said where nothing is known of what was recorded', () => {
  assert.deepEqual(compareSettings({ version: '9.7.4' }, [], HOST), []);
});

test('the same release is well, whatever its last number', () => {
  assert.deepEqual(
    said({ version: '10.11.19-MariaDB-0+deb12u1' }, [{ version: '5.5.5-10.11.6-MariaDB' }], HOST),
    ['ok version: the target is MariaDB 10.11.19, the recorded server was MariaDB 10.11.6'],
  );
});

test('another brand, or another release, is a warning that says which', () => {
  const recorded = [{ version: '10.11.6-MariaDB' }];
  const [brand] = said({ version: '9.7.4-2' }, recorded, HOST);
  assert.match(
    brand,
    /^warning version: the target is MySQL 9\.7\.4, the recorded server was MariaDB 10\.11\.6: .* one of them only/,
  );
  const [release] = said({ version: '11.8.9-MariaDB' }, recorded, HOST);
  assert.match(release, /^warning version: the target is MariaDB 11\.8\.9, .* where the releases do/);
  // Of several recorded servers one is enough.
  assert.match(said({ version: '9.7.4' }, [...recorded, { version: '9.7.1' }], HOST)[0], /^ok version/);
});

test('sql_mode: in any order the same; else what it lacks and has beside, and the line that sets it', () => {
  const recorded = [{ version: '9.7.1', sqlMode: 'ANSI_QUOTES,NO_ZERO_DATE' }];
  assert.match(
    said({ version: '9.7.4', sqlMode: 'NO_ZERO_DATE,ANSI_QUOTES' }, recorded, HOST)[1],
    /^ok sql_mode: .*, as recorded$/,
  );
  const target = { version: '9.7.4', sqlMode: 'STRICT_TRANS_TABLES,NO_ZERO_DATE' };
  const [, mode] = compareSettings(target, recorded, HOST);
  assert.equal(mode.status, 'warning');
  assert.match(mode.says, /^the target's lacks ANSI_QUOTES, and also has STRICT_TRANS_TABLES:/);
  assert.deepEqual(mode.remedies, [
    {
      host: HOST,
      why: "set the recorded server's, for new connections",
      lines: [`mysql -e "SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_ZERO_DATE'"`],
    },
  ]);
  const mariadb = [{ version: '11.8.9-MariaDB' }];
  const [, unknown] = said({ version: '9.7.4', sqlMode: '' }, mariadb, HOST);
  assert.match(unknown, /^warning sql_mode: .* is empty; .*not known/);
  // One release has one default.
  assert.equal(said({ version: '9.7.4', sqlMode: '' }, [{ version: '9.7.1' }], HOST).length, 1);
});

test('what is no name of a mode gets into no line to type', () => {
  const recorded = [{ version: '9.7.1', sqlMode: '$(rm),ANSI_QUOTES' }];
  const [, mode] = compareSettings({ version: '9.7.1', sqlMode: '' }, recorded, HOST);
  assert.deepEqual(mode.remedies[0].lines, [`mysql -e "SET GLOBAL sql_mode = 'ANSI_QUOTES'"`]);
});
