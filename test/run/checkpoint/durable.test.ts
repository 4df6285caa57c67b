import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { writeDurably, writeDurablyLater } from '../../../src/run/checkpoint/durable.ts';
import { temporaryFolder } from '../../archive/support.ts';

const WRITERS: Readonly<Record<string, (path: string, text: string) => Promise<void>>> = {
  'at once': async (path, text) => writeDurably(path, text),
  'off this thread': (path, text) => writeDurablyLater(path, text),
};

for (const [how, write] of Object.entries(WRITERS)) {
  describe(`a file that is replaced ${how}`, () => {
    function folderWith(t: TestContext): { folder: string; path: string; precious: string } {
      const folder = temporaryFolder(t);
      const [path, precious] = [join(folder, 'file'), join(folder, 'precious')];
      writeFileSync(precious, 'precious');
      return { folder, path, precious };
    }

    test('is for its owner only, and leaves nothing beside it', async (t) => {
      const { folder, path } = folderWith(t);
      await write(path, 'before');
      await write(path, 'after');
      assert.deepEqual([readFileSync(path, 'utf8'), statSync(path).mode & 0o777], ['after', 0o600]);
      assert.deepEqual(readdirSync(folder).sort(), ['file', 'precious']);
    });

    test('takes the place of links and FIFOs, also of those beside it, and follows none', async (t) => {
      const { path, precious } = folderWith(t);
      for (const name of [path, `${path}.tmp`, `${path}.later.tmp`]) symlinkSync(precious, name);
      await write(path, 'new');
      assert.deepEqual([readFileSync(path, 'utf8'), readFileSync(precious, 'utf8')], ['new', 'precious']);
      const fifo = `${path}-fifo`;
      execFileSync('mkfifo', [fifo, `${fifo}.tmp`, `${fifo}.later.tmp`]);
      await write(fifo, 'new');
      assert.equal(readFileSync(fifo, 'utf8'), 'new');
    });

    test('a folder in its place stays, and nothing is left beside it', async (t) => {
      const { folder, path } = folderWith(t);
      mkdirSync(path);
      await assert.rejects(write(path, 'new'), { code: 'EISDIR' });
      assert.ok(statSync(path).isDirectory());
      assert.deepEqual(readdirSync(folder).sort(), ['file', 'precious']);
    });
  });
}
