/** New data folders of each brand, made once for each version: making one takes seconds, copying it a tenth of one. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Brand, Programs } from './brands.ts';
import { CACHE, makeCache } from './unpacked.ts';

/** Replaces `to`. */
export function copyFolder(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  execFileSync('cp', ['-a', '--sparse=always', '--reflink=auto', from, to], { stdio: 'pipe' });
}

/** A copy of MySQL's data is of another server: it makes a UUID of its own when it starts. */
export function forgetWho(data: string): void {
  rmSync(join(data, 'auto.cnf'), { force: true });
}

/** How a folder is made is a part of its name: a change there makes new ones. */
const made = createHash('sha256').update(readFileSync(fileURLToPath(new URL('brands.js', import.meta.url))));
const HOW = made.digest('hex').slice(0, 8);

/** Fills `folder`, which is replaced, with the data of a new server, without the lab's users yet. */
export function installData(brand: Brand, programs: Programs, folder: string): void {
  const template = join(CACHE, 'data', `${brand.name}-${programs.version}-${HOW}`);
  if (!existsSync(template)) makeTemplate(brand, programs, template);
  copyFolder(template, folder);
  forgetWho(folder);
}

function makeTemplate(brand: Brand, programs: Programs, template: string): void {
  makeCache();
  mkdirSync(join(CACHE, 'data'), { recursive: true, mode: 0o700 });
  const work = mkdtempSync(`${template}.new-`);
  try {
    const [data, temporary] = [join(work, 'data'), join(work, 'tmp')];
    mkdirSync(temporary);
    brand.install(programs, data, temporary);
    // Where another process was first, its folder is as good.
    if (!existsSync(template)) renameSync(data, template);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
