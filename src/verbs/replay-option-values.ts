/** What options of a replay stand for: filters, rules, TLS. Reads the files that they name. */
import { readFileSync } from 'node:fs';
import { MytapeError } from '../errors.ts';
import type { FilterChoices } from '../replay/choice/filters.ts';
import { RewriteRules, type RulesFile } from '../replay/choice/rules.ts';
import type { SelectionChoices } from '../replay/choice/selection.ts';
import type { Endpoint } from '../run/mapping.ts';
import type { TargetTls } from '../transport/target-tls.ts';
import type { RunOptions } from './replay-options.ts';

export function filtersOf(options: RunOptions): FilterChoices {
  const { sessions, sample, share, includeUser, excludeUser } = options;
  const { includeSchema, excludeSchema, includeClient, excludeClient } = options;
  const logins = { includeUser, excludeUser, includeSchema, excludeSchema };
  return { sessions, sample, share, ...logins, includeClient, excludeClient };
}

export function selectionOf(options: RunOptions): SelectionChoices {
  const { readOnly, writes, includeSql, excludeSql, includeDigest, excludeDigest } = options;
  if (readOnly === true && writes === 'first')
    throw new MytapeError('usage', '--read-only sends no writes at all: leave out --writes first');
  return { readOnly, writes, includeSql, excludeSql, includeDigest, excludeDigest };
}

/** The text of `--rewrite`'s file. */
export function rulesOf({ rewrite: file }: RunOptions): RulesFile | undefined {
  if (file === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new MytapeError('bad-file', `cannot read the rules ${file}: ${(cause as Error).message}`, {
      cause,
    });
  }
  RewriteRules.parse(text, file);
  return { file, text };
}

export function targetTls(
  { targetTls: verify, targetCa }: Pick<RunOptions, 'targetTls' | 'targetCa'>,
  { host }: Pick<Endpoint, 'host'>,
): TargetTls | undefined {
  if (verify === undefined) return undefined;
  const tls: TargetTls = { verify, servername: host };
  if (targetCa === undefined) return tls;
  try {
    return { ...tls, ca: readFileSync(targetCa, 'utf8') };
  } catch (cause) {
    throw new MytapeError('bad-file', `cannot read --target-ca ${targetCa}: ${(cause as Error).message}`, {
      cause,
    });
  }
}
