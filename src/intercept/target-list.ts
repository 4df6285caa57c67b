import { MytapeError } from '../errors.ts';
import type { Address } from '../wire/address.ts';
import { formatPrefix, holds, type Prefix, parsePrefix, widthOf } from '../wire/prefixes.ts';

export interface PortSpan {
  first: number;
  last: number;
}

/** Addresses that lie in all of `nets`, and ports that lie in all of `ports`; none: any. */
export interface TargetRule {
  nets: readonly Prefix[];
  ports: readonly PortSpan[];
}

/** The targets that an intercept may send packets to. */
export class TargetList {
  readonly #rules: readonly TargetRule[];

  constructor(rules: readonly TargetRule[]) {
    this.#rules = rules;
  }

  has(address: Address, port: number): boolean {
    return this.#rules.some(
      ({ nets, ports }) =>
        nets.every((net) => holds(net, address)) &&
        ports.every(({ first, last }) => first <= port && port <= last),
    );
  }

  /** For people: `10.128.6.83:3307, port 3306 of any address`. */
  get text(): string {
    return this.#rules.map(ruleText).join(', ');
  }
}

function ruleText({ nets, ports }: TargetRule): string {
  const span = ports.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`));
  const port = span.join(' and ');
  if (nets.length === 0) return `port ${port} of any address`;
  const [net] = nets;
  if (nets.length > 1) return `port ${port} of what is in all of ${nets.map(formatPrefix).join(' and ')}`;
  return `${net.base.family === 6 ? `[${formatPrefix(net)}]` : formatPrefix(net)}:${port}`;
}

/** `10.128.6.83:3307`, `10.128.6.0/24:3307`, `[fd00::/64]:3307`. */
export function parseTarget(text: string): TargetRule {
  const [, v6, v4, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const net = parsePrefix(v6 ?? v4 ?? '');
  const port = Number(digits);
  if (net === undefined || port < 1 || port > 65535 || (v6 !== undefined) !== (net.base.family === 6)) {
    throw new MytapeError(
      'usage',
      `--target ${text} is not of the form CIDR:PORT, as in 10.128.6.83:3307, 10.128.6.0/24:3307 or [fd00::83]:3307`,
    );
  }
  return { nets: [net], ports: [{ first: port, last: port }] };
}

/** `10.128.6.83:3307`, `[fd00::83]:3307`. */
export function targetText(address: Address, port: number): string {
  return ruleText({ nets: [netOf(address)], ports: [{ first: port, last: port }] });
}

/** One address as a net. */
export function netOf(address: Address): Prefix {
  return { base: address, bits: widthOf(address.family) };
}
