import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readPassword } from '../../src/verbs/passwords.ts';
import { commandObstacle } from '../e2e/support/capability.ts';

const PASSWORDS = fileURLToPath(new URL('../../src/verbs/passwords.js', import.meta.url));

/** Asks for a password, and says what it got, in hexadecimal. */
const ASKS = `
const { readPassword } = await import(${JSON.stringify(PASSWORDS)});
const password = await readPassword({ prompt: 'password of app: ' }).catch(({ message }) => 'error: ' + message);
console.log('got', password === undefined ? 'nothing' : Buffer.from(password).toString('hex'));
`;

describe('a password', () => {
  let folder: string;
  let file: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    file = join(folder, 'password');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function write(text: string, mode = 0o600): void {
    writeFileSync(file, text);
    chmodSync(file, mode);
  }

  test('is the first line of the file, before what is set in the environment', async () => {
    const env = { MYTAPE_PASSWORD: 'of the environment' };
    for (const [text, password] of [
      [' pass word \nsecond\n', ' pass word '],
      ['dos\r\n', 'dos'],
      ['no newline', 'no newline'],
      ['', ''],
    ]) {
      write(text);
      assert.equal(await readPassword({ file, env }), password);
    }
    assert.equal(await readPassword({ env }), 'of the environment');
    assert.equal(await readPassword({ env: { MYTAPE_PASSWORD: '' } }), '');
  });

  test('of a file that others can read, or that is not there, is refused with the way out', async () => {
    write('secret', 0o640);
    await assert.rejects(readPassword({ file, env: {} }), new RegExp(`chmod 600 ${file}`));
    await assert.rejects(
      readPassword({ file: join(folder, 'none'), env: { MYTAPE_PASSWORD: 'x' } }),
      /cannot read the password file .*none: ENOENT.*first line/,
    );
  });

  test('is asked for on a terminal only', async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', ASKS], { env: withoutPassword() });
    child.stdin.end('secret\n');
    assert.equal(await outputOf(child), 'got nothing\n');
  });

  const obstacle = commandObstacle('script');
  test('is asked for without an echo', { skip: obstacle ?? false }, async () => {
    const onTerminal = async (typed: string) => {
      // util-linux's script gives its child a terminal.
      const node = `'${process.execPath}' '${join(folder, 'asks.mjs')}'`;
      writeFileSync(join(folder, 'asks.mjs'), ASKS);
      const child = spawn('script', ['-qec', node, '/dev/null'], { env: withoutPassword() });
      child.stdout.on('data', (chunk) => {
        if (chunk.includes('password of app: ')) child.stdin.write(typed);
      });
      return outputOf(child);
    };
    const got = (text: string) => `got ${Buffer.from(text).toString('hex')}`;
    assert.equal(await onTerminal('pässw0rd\r'), `password of app: \r\n${got('pässw0rd')}\r\n`);
    assert.equal(await onTerminal('wrogn\x7f\x7fng\r'), `password of app: \r\n${got('wrong')}\r\n`);
    const given = await onTerminal('half\x03');
    assert.ok(given.startsWith('password of app: \r\ngot '), given);
    assert.match(given, new RegExp(Buffer.from('error: no password was given').toString('hex')));
  });
});

function withoutPassword(): NodeJS.ProcessEnv {
  const { MYTAPE_PASSWORD: _, ...env } = process.env;
  return env;
}

function outputOf(child: ReturnType<typeof spawn>): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    child.stdout?.on('data', (chunk) => {
      text += chunk;
    });
    child.once('close', () => resolve(text));
  });
}
