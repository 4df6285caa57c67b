// Fetches servers for the lab: `node dist/scripts/lab/servers/fetch.js mysql mariadb11`. Exit code 1 where one can't be had.
import { BRANDS, fetchBrand } from './brands.ts';

const say = (text: string) => process.stderr.write(`setup: ${text}\n`);
const wanted = BRANDS.filter((name) => process.argv.includes(name));
const outcomes = await Promise.allSettled(wanted.map((name) => fetchBrand(name, say)));
for (const [i, outcome] of outcomes.entries()) {
  if (outcome.status === 'fulfilled') continue;
  say(`${wanted[i]} can't be had: ${(outcome.reason as Error).message}`);
  process.exitCode = 1;
}
