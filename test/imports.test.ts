/** The table of who may import whom, held; and no clock and no chance in the pure folders. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, test } from 'node:test';
import { ROOT } from './support/root.ts';

/** A folder imports only from itself and from rows above its own. */
const ROWS: readonly (readonly string[])[] = [
  ['time.ts', 'errors.ts', 'files.ts', 'printable.ts', 'counted.ts'],
  ['wire', 'mysql', 'sql', 'tls'],
  ['tcp', 'net'],
  ['flow', 'intercept'],
  ['archive', 'transport'],
  ['replay'],
  ['report', 'server'],
  ['snapshot', 'capture'],
  ['run'],
  ['doctor'],
  ['verbs'],
  ['cli.ts'],
];

const PURE = ['wire', 'mysql', 'sql', 'tls', 'tcp', 'flow'];
const IMPURE =
  /\b(?:Date|performance|setTimeout|setInterval|setImmediate|Math\.random|process\.hrtime|hrtime|randomBytes|randomInt|randomUUID|getRandomValues)\b|node:(?:timers|perf_hooks)/;

/** `import … from 'x'`, `export … from 'x'`, `import 'x'`, `import('x')`; the first group is what is before the name. */
const IMPORT = /((?:\bfrom|\bimport)\s*\(?\s*)(['"])([^'"\n]+)\2/g;

/** A string (kept) or a comment. */
const STRING_OR_COMMENT =
  /('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|\/\/.*|\/\*[\s\S]*?\*\//g;

interface Import {
  where: string;
  from: string;
  to: string;
}

interface Source {
  /** Relative to src. */
  path: string;
  /** Without comments; lines keep their numbers. */
  text: string;
}

/** Comments go, their line ends stay. */
function withoutComments(text: string): string {
  return text.replace(STRING_OR_COMMENT, (found, kept) => kept ?? found.replace(/[^\n]/g, ''));
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

/** A path's unit in the table: its folder, or the file itself where it lies in none. */
function unitOf(path: string): string {
  return path.split('/')[0];
}

function rowOf(path: string): number {
  return ROWS.findIndex((row) => row.includes(unitOf(path)));
}

function importsOf({ path, text }: Source): Import[] {
  return [...text.matchAll(IMPORT)].map((found) => {
    const to = found[3].startsWith('.') ? posix.join(posix.dirname(path), found[3]) : found[3];
    return { where: `src/${path}:${lineOf(text, found.index)}`, from: path, to };
  });
}

/** What one import does against the table, or undefined. */
function offence({ where, from, to }: Import): string | undefined {
  const unit = unitOf(from);
  if (to === 'koffi' && unit !== 'net') return `${where}: only net/ may import koffi`;
  // A path out of src begins with `..`; packages have rows no more than node's own modules do.
  if (to.startsWith('..')) return `${where}: ${to} is outside src`;
  if (!to.endsWith('.ts')) return undefined;
  if (unit === unitOf(to) || rowOf(to) < rowOf(from)) return undefined;
  return `${where}: ${unit} (row ${rowOf(from)}) may not import ${to} (row ${rowOf(to)})`;
}

function impurities({ path, text }: Source): string[] {
  if (!PURE.includes(unitOf(path))) return [];
  return text.split('\n').flatMap((line, i) => {
    const found = IMPURE.exec(line);
    return found ? [`src/${path}:${i + 1}: ${found[0]} in ${unitOf(path)}/, which is told the time`] : [];
  });
}

/** Ways to a terminal past report/output.ts, which escapes what it prints. Asking stdout for its width is none. */
const WRITES =
  /\bconsole\.|process\.std(?:out|err)\.(?:write|end|pipe)\b|\bwriteSync\((?:1|2|process\.std)|emitWarning/;

function rawWrites({ path, text }: Source): string[] {
  if (path === 'report/output.ts') return [];
  return text.split('\n').flatMap((line, i) => {
    const found = WRITES.exec(line);
    return found ? [`src/${path}:${i + 1}: ${found[0]} prints unescaped: use report/output.ts`] : [];
  });
}

const SOURCES: Source[] = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => {
    const full = join(entry.parentPath ?? entry.path, entry.name);
    return {
      path: full.slice(join(ROOT, 'src').length + 1).replaceAll('\\', '/'),
      text: withoutComments(readFileSync(full, 'utf8')),
    };
  });

/** `import … from 'x'` and `export … from 'x'` of more than types: what is loaded with the file that has it. */
const STATIC_IMPORT = /^(?:import|export) (?!type\b)[^;]*?\bfrom '([^']+)'/gm;

/** All that is loaded with `path`. */
function loadedWith(path: string, loaded = new Set<string>()): Set<string> {
  if (loaded.has(path)) return loaded;
  loaded.add(path);
  const { text } = SOURCES.find((source) => source.path === path) ?? { text: '' };
  for (const [, name] of text.matchAll(STATIC_IMPORT))
    loadedWith(name.startsWith('.') ? posix.join(posix.dirname(path), name) : name, loaded);
  return loaded;
}

/** A verb is loaded by the only imports that are not there from the start. */
const VERB_FILES = [
  ...(SOURCES.find(({ path }) => path === 'verbs/verbs.ts')?.text ?? '').matchAll(/import\('(\.[^']+)'\)/g),
].map(([, name]) => posix.join('verbs', name));

describe('imports', () => {
  test('the verbs were found', () => {
    assert.ok(VERB_FILES.length >= 12);
  });

  test('no verb waits for mysql2 at its start: those that ask a server import it later', () => {
    assert.ok(loadedWith('snapshot/snapshot.ts').has('mysql2'), 'the imports were not found');
    for (const path of VERB_FILES) {
      const atStart = loadedWith(path);
      assert.ok(atStart.size > 10, 'the imports were not found');
      assert.ok(!atStart.has('mysql2'), path);
    }
  });

  test('no verb is loaded but the one that is asked for', () => {
    const atStart = loadedWith('cli.ts');
    assert.ok(atStart.has('verbs/verbs.ts'), 'the imports were not found');
    for (const path of VERB_FILES) assert.ok(!atStart.has(path), path);
  });

  test('every source file has its row in the table', () => {
    assert.ok(SOURCES.length > 20, 'the sources were not found');
    const homeless = SOURCES.filter(({ path }) => rowOf(path) < 0).map(({ path }) => `src/${path}`);
    assert.deepEqual(homeless, []);
  });

  test('a folder imports only from rows above its own', () => {
    const imports = SOURCES.flatMap(importsOf);
    assert.ok(imports.length > SOURCES.length, 'the imports were not found');
    assert.deepEqual(
      imports.map(offence).filter((each) => each !== undefined),
      [],
    );
  });

  test('wire, mysql, sql, tls, tcp and flow read no clock, set no timer, draw no random number', () => {
    assert.deepEqual(SOURCES.flatMap(impurities), []);
  });

  test('only report/output.ts, which escapes it, writes to the terminal', () => {
    assert.deepEqual(SOURCES.flatMap(rawWrites), []);
    const [found] = rawWrites({ path: 'verbs/ls.ts', text: '\nprocess.stderr.write(name)' });
    assert.equal(found, 'src/verbs/ls.ts:2: process.stderr.write prints unescaped: use report/output.ts');
  });

  test('what the table forbids is found, with file and line', () => {
    const check = (path: string, raw: string) => {
      const source = { path, text: withoutComments(raw) };
      return [
        ...importsOf(source)
          .map(offence)
          .filter((each) => each !== undefined),
        ...impurities(source),
      ];
    };
    const upward = check('wire/x.ts', "// first\nimport type { A } from '../flow/a.ts';\n");
    assert.deepEqual(upward, ['src/wire/x.ts:2: wire (row 1) may not import flow/a.ts (row 3)']);
    assert.equal(check('tcp/x.ts', "export * from '../net/a.ts';").length, 1, 'a neighbour in the same row');
    assert.equal(check('replay/x.ts', "import { a } from '../verbs/a.ts';").length, 1);
    assert.equal(check('replay/x.ts', "const a = await import('../cli.ts');").length, 1);
    assert.equal(check('archive/x.ts', "import koffi from 'koffi';").length, 1);
    assert.equal(check('wire/x.ts', "import '../../test/a.ts';").length, 1);
    assert.equal(check('flow/x.ts', 'const t = Date.now();').length, 1);
    assert.equal(check('flow/x.ts', "import { setTimeout } from 'node:timers/promises';").length, 1);
    assert.equal(check('tcp/x.ts', '/* Math.random */ const a = 1; // Date').length, 0);
    assert.equal(check('replay/x.ts', "import { a } from '../tcp/a.ts'; Date.now();").length, 0);
  });
});
