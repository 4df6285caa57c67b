/** `--clients`, as it is typed. */
import { InvalidArgumentError } from 'commander';
import type { ClientsChoice } from '../run/clients.ts';
import { Range } from '../transport/clients.ts';

export function parseClients(text: string): ClientsChoice {
  if (text === 'recorded' || text === 'self') return text;
  const range = Range.parse(text);
  if (range instanceof Range) return range;
  throw new InvalidArgumentError(`${text} is neither recorded nor self, and ${range}.`);
}
