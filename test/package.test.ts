/** What `npm pack` makes of a clone that nothing was built in, and that it installs as a command. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ROOT } from './support/root.ts';

/** What a clone has not. */
const NOT_CLONED = ['.git', 'node_modules', 'dist', 'runs'];
/** What npm says where what it needs is neither in its cache nor within reach. */
const OFFLINE = /ENOTCACHED|ENOTFOUND|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|ECONNREFUSED|ETIMEDOUT/;

const run = (command: string, args: string[], cwd: string) =>
  spawnSync(command, args, { cwd, encoding: 'utf8' });

describe('the package', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
  const clone = join(folder, 'clone');
  let tarball: string;
  let files: string[];

  before(() => {
    cpSync(ROOT, clone, {
      recursive: true,
      filter: (path) => path === ROOT || !NOT_CLONED.includes(path.slice(ROOT.length + 1)),
    });
    // Installed already, or all native modules would be compiled for it.
    symlinkSync(join(ROOT, 'node_modules'), join(clone, 'node_modules'));
    // Left there by sources that have been deleted since.
    mkdirSync(join(clone, 'dist/src'), { recursive: true });
    writeFileSync(join(clone, 'dist/src/deleted.js'), '');
    const packed = run('npm', ['pack', '--json', '--pack-destination', folder], clone);
    assert.equal(packed.status, 0, packed.stderr);
    const [made] = JSON.parse(packed.stdout) as [{ filename: string; files: { path: string }[] }];
    tarball = join(folder, made.filename);
    files = made.files.map(({ path }) => path);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('is built of all sources, and of nothing else', () => {
    const compiled = files.filter((path) => path.startsWith('dist/'));
    const sources = run('find', ['src', '-name', '*.ts'], clone).stdout.trim().split('\n');
    assert.ok(sources.length > 100);
    assert.deepEqual(compiled.sort(), sources.map((path) => `dist/${path.replace(/\.ts$/, '.js')}`).sort());
  });

  test('names no maps, since their sources are not in it', () => {
    const naming = files.filter(
      (path) =>
        path.endsWith('.js') && /^\/\/# sourceMappingURL/m.test(readFileSync(join(clone, path), 'utf8')),
    );
    assert.deepEqual(naming, []);
  });

  test('holds the command, what is read and copied, and no tests', () => {
    const others = files.filter((path) => !/^(dist|docs|contrib)\//.test(path));
    assert.deepEqual(others.sort(), [
      '.prebuild-installrc',
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'bin/mytape.js',
      'package.json',
    ]);
  });

  test('installs as a command, which is no library and downloads no compiled module', (t) => {
    const prefix = join(folder, 'prefix');
    // Compiling takes minutes, and is the same as `npm ci` does; what is tried here needs none of it.
    const installed = run(
      'npm',
      [
        ...['install', '--global', '--prefix', prefix, '--ignore-scripts', '--no-audit', '--no-fund'],
        ...['--prefer-offline', '--fetch-retries=0', tarball],
      ],
      folder,
    );
    if (OFFLINE.test(installed.stderr)) return t.skip("npm's registry is out of reach");
    assert.equal(installed.status, 0, installed.stderr);

    const command = join(prefix, 'bin/mytape');
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    assert.equal(run(command, ['--version'], folder).stdout, `${version}\n`);
    const help = run(command, ['record', '--help'], folder);
    assert.equal(help.status, 0, help.stderr);
    assert.match(help.stdout, /mytape record/);

    const modules = join(prefix, 'lib/node_modules');
    const { resolve } = createRequire(join(modules, 'neighbour.js'));
    assert.throws(() => resolve('mytape'), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' });
    assert.throws(() => resolve('mytape/dist/src/cli.js'), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' });

    for (const name of ['better-sqlite3', 'zstd-napi']) {
      const needing = join(modules, 'mytape/node_modules', name);
      const downloader = createRequire(join(needing, 'package.json')).resolve('prebuild-install/bin.js');
      const { status, stderr } = run(process.execPath, [downloader, '--verbose'], needing);
      assert.match(stderr, /not attempting download/, basename(needing));
      assert.equal(status, 1);
    }
  });
});
