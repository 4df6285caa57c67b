/** Holds an archive's index against its segments: each row that is wrong has a name. */
import { basename } from 'node:path';
import { MytapeError } from '../../errors.ts';
import { type Built, buildIndex, codecOf } from '../index/build-index.ts';
import { Catalog } from '../index/catalog.ts';
import { CatalogWriter } from '../index/catalog-writer.ts';
import type { ArchiveFacts } from '../index/tables.ts';
import { checkFiles } from '../ours.ts';
import { repairIfNeeded } from '../reader.ts';
import { segmentPath } from '../segment.ts';
import { Comparison, type Finding } from './compare.ts';
import { DamagedIndex } from './damage.ts';
import { gather, type Known } from './known.ts';
import { cutsOf, describeLoss } from './losses.ts';
import { verifyBeside } from './verify-beside.ts';

export type { Finding } from './compare.ts';

export interface Verification {
  /** What the index says; undefined where that can't be read. */
  archive: ArchiveFacts | undefined;
  /** How many there were; `onFinding` was called for each. */
  findings: number;
  /** Those that are in the index or a segment. */
  ofIndex: number;
  /** What damage cost it, and is known to be lost: the index says it too. */
  losses: string[];
}

export interface VerifyOptions {
  onFinding: (finding: Finding) => void;
  /** Called now and then with the octets of segments that were read, and with all there are. */
  onProgress: (octets: number, of: number) => void;
}

/** Lines of SQLite's findings that are reported. */
const MOST_LINES = 20;

/**
 * Reads all of the archive in `dir`, which is repaired first where its recorder left it unclosed. Throws `bad-archive` where it can't be
 * verified: no archive, still being recorded, left unclosed and not ours.
 */
export function verifyArchive(dir: string, { onFinding, onProgress }: VerifyOptions): Verification {
  checkFiles(dir);
  const result: Verification = { archive: undefined, findings: 0, ofIndex: 0, losses: [] };
  const find = (finding: Finding) => {
    result.findings++;
    if (finding.file === undefined) result.ofIndex++;
    onFinding(finding);
  };
  try {
    const { live, notRepaired } = repairIfNeeded(dir);
    const refuse = (why: string) => new MytapeError('bad-archive', `cannot verify ${dir}: ${why}`);
    if (live) throw refuse('it is being recorded (wait until it is closed)');
    if (notRepaired !== undefined)
      throw refuse(`its recorder did not close it, and it is not repaired: ${notRepaired}`);
    verifyIndex(dir, result, find, onProgress);
  } catch (error) {
    if (error instanceof DamagedIndex) find({ what: error.what });
    else if (error instanceof MytapeError) throw error;
    else throw notVerified(dir, error as Error & { code?: string });
  }
  verifyBeside(dir, result.archive?.repaired === null, find);
  return result;
}

/** Of a disk that can't be read, or has no room for the index that the segments make. */
function notVerified(dir: string, cause: Error & { code?: string }): Error {
  const { code, message } = cause;
  if (code === undefined) return cause;
  const isFull = code === 'ENOSPC' || code === 'SQLITE_FULL';
  const next = isFull
    ? ` (make room in ${temporaryFolder()}, or name another folder: TMPDIR=FOLDER mytape verify ${dir})`
    : '';
  return new MytapeError('bad-archive', `cannot verify ${dir}: ${message}${next}`, { cause });
}

/** Where SQLite puts temporary databases (its documentation: Temporary Files Used By SQLite, 5). */
function temporaryFolder(): string {
  return process.env.SQLITE_TMPDIR ?? process.env.TMPDIR ?? '/var/tmp';
}

function verifyIndex(
  dir: string,
  result: Verification,
  find: (finding: Finding) => void,
  onProgress: VerifyOptions['onProgress'],
): void {
  const catalog = Catalog.open(dir);
  let truth: CatalogWriter | undefined;
  try {
    for (const line of catalog.quickCheck(MOST_LINES)) find({ what: `SQLite: ${line}` });
    const known = gather(catalog);
    result.archive = known.archive;
    // Rows of segments and blocks are compared below; of gaps, the segments know nothing.
    for (const { table, what, isUnreadable } of known.doubts)
      if (isUnreadable || table === 'archive' || table === 'gaps') find({ table, what });
    truth = CatalogWriter.createTemporary(dir, known.archive);
    const total = [...known.segments.values()].reduce((sum, { octets }) => sum + octets, 0);
    const built = buildIndex(dir, known, truth, {
      mends: 'never',
      onProgress: (octets) => onProgress(octets, Math.max(octets, total)),
    });
    result.losses.push(...cutsOf(known.archive));
    const right = truth.reader();
    const isWhole = tellOfSegments(dir, known, built, right.archive(), result, find);
    const comparison = new Comparison(dir, catalog, right, find);
    // Where packets were lost that the index has, it is not the index that is wrong.
    if (isWhole) comparison.compare();
    else comparison.checkSums();
  } finally {
    truth?.close();
    catalog.close();
  }
}

/** Returns whether nothing is lost but what the index knows of: that is no finding, since nothing can be done about it. */
function tellOfSegments(
  dir: string,
  { archive }: Known,
  { scans, losses }: Built,
  now: ArchiveFacts,
  result: Verification,
  find: (finding: Finding) => void,
): boolean {
  const codec = codecOf(archive.codec, dir);
  const isKnown = archive.lostByDamage > 0 && archive.lostByDamage === now.lostByDamage;
  const nameOf = (segment: number) => basename(segmentPath(dir, segment, codec));
  for (const loss of losses) {
    const what = `${nameOf(loss.segment)}: ${describeLoss(loss, archive.originSec)}`;
    if (isKnown && !result.losses.includes(what)) result.losses.push(what);
    else if (!isKnown) find({ what });
  }
  for (const { number, headWhole, torn } of scans) {
    if (!headWhole) find({ what: `${nameOf(number)}: its head is damaged` });
    if (torn !== undefined && !(isKnown && losses.some(({ segment }) => segment === number)))
      find({
        what: `${nameOf(number)}: it does not end as it should: ${torn.octets} octets after its last whole block`,
      });
  }
  return isKnown || losses.length === 0;
}
