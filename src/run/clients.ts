import { networkInterfaces } from 'node:os';
import { MytapeError } from '../errors.ts';
import { ownPorts } from '../net/host/own-ports.ts';
import { pathTo } from '../net/route.ts';
import { type Share, WHOLE } from '../replay/share.ts';
import {
  type ClientAddresses,
  OneClient,
  Range,
  RecordedClients,
  SpreadClients,
} from '../transport/clients.ts';
import type { PortOptions } from '../transport/ports.ts';
import type { Address } from '../wire/address.ts';

/** `--clients`: recorded clients' addresses, this host's own, or those of a range. */
export type ClientsChoice = 'recorded' | 'self' | Range;

/** Who speaks from where in a run. Plain data: it crosses to worker threads. */
export type ClientsPlan =
  | { from: 'recorded' }
  /** `clients`: the recorded clients' addresses, in an order that all threads have alike. */
  | { from: 'range'; range: string; copies: number; clients: readonly string[] }
  /** Ports: `first` to `last` but for those `taken`. */
  | { from: 'self'; address: Address; first: number; last: number; taken: ReadonlySet<number> };

export interface ClientsFacts {
  target: Address;
  copies: number;
  /** Host that catches the answers; undefined: this one. */
  assistant: Address | undefined;
  /** Addresses of the recorded clients. */
  clients: Iterable<string>;
}

/** Throws where nobody could speak from there. */
export function planClients(choice: ClientsChoice, facts: ClientsFacts): ClientsPlan {
  const { target, assistant, copies, clients } = facts;
  if (choice === 'recorded') return { from: 'recorded' };
  if (choice === 'self') {
    if (assistant !== undefined) {
      throw new MytapeError(
        'usage',
        "with --clients self the answers come to this host's own address: say --local in place of -s",
      );
    }
    return { from: 'self', address: pathTo(target).source, ...ownPorts() };
  }
  checkRange(choice, target, assistant);
  return { from: 'range', range: choice.text, copies, clients: [...new Set(clients)] };
}

/** Answers to a host's own address go to that host, whatever routes say: no range may have one of those at work here. */
function checkRange(range: Range, target: Address, assistant: Address | undefined): void {
  if (range.family !== target.family) {
    throw new MytapeError(
      'usage',
      `--clients ${range.text} is of IPv${range.family}, and the target ${target.text} is not: take a range of IPv${target.family}`,
    );
  }
  const hosts: [string, string][] = [[target.text, "the target's own address"]];
  if (assistant !== undefined) hosts.push([assistant.text, 'the address of the intercept']);
  for (const own of Object.values(networkInterfaces()).flat()) {
    if (own !== undefined) hosts.push([own.address, "this host's own address (--clients self is for that)"]);
  }
  for (const [text, whose] of hosts) {
    if (!range.has(text)) continue;
    throw new MytapeError(
      'usage',
      `--clients ${range.text} has ${text} in it, ${whose}: take a range that no host of yours is in`,
    );
  }
}

/** In each thread of the run; `family` is the target's. */
export function clientAddresses(plan: ClientsPlan, family: 4 | 6): ClientAddresses {
  if (plan.from === 'recorded') return new RecordedClients(family);
  if (plan.from === 'self') return new OneClient(plan.address);
  return new SpreadClients(Range.parse(plan.range) as Range, plan.copies, plan.clients);
}

/** Which ports of an address are one thread's: hosts that speak from the same addresses share them, and then the threads of each host. */
export function clientPorts(
  plan: ClientsPlan,
  { index, of }: Share,
  host: Pick<Share, 'index' | 'of'> = WHOLE,
): PortOptions {
  if (plan.from === 'self') return { first: plan.first, last: plan.last, except: plan.taken, index, of };
  return { index: host.index + host.of * index, of: host.of * of };
}
