/** Two servers, as online and as target: `mysql:mariadb11`. */
import { MytapeError } from '../../../src/errors.ts';
import { BRANDS, type BrandName } from './brands.ts';

export interface Pair {
  online: BrandName;
  target: BrandName;
}

/** What `npm run test:matrix` takes the end-to-end suites through, beside the pair of `npm test`. */
export const PAIRS: readonly string[] = [
  'mysql:mysql',
  'mariadb11:mariadb11',
  'mariadb:mariadb11',
  'mariadb:mysql',
  'mysql:mariadb',
];

export const OWN_PAIR = 'mariadb:mariadb';

export function parsePair(text: string): Pair {
  const [online, target] = text.split(':').map((name) => BRANDS.find((each) => each === name));
  if (online === undefined || target === undefined)
    throw new MytapeError('usage', `no pair of servers ${text}: two of ${BRANDS.join(', ')}, as mysql:mysql`);
  return { online, target };
}

export function nameOf({ online, target }: Pair): string {
  return `${online}:${target}`;
}
