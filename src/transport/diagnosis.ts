/**
 * Words for a connection over packets that did not come about: what was seen, what that means, and what to type on which
 * host. `mytape doctor` prints them, and `mytape replay` after its first failures. Pure: whoever saw it says so here.
 */
import { endpointText } from '../wire/address.ts';
import { statement } from './login-remedies.ts';

/** How many routes are spelt out. */
const MOST_ROUTES = 8;

/** What was seen of a connection that failed before the target's greeting. */
export type ConnectFailure =
  /** The SYN was not answered within 3 s, not even by RST. */
  | 'silent'
  /** The SYN was answered by RST. */
  | 'refused'
  /** The SYN-ACK came, and then RST in place of the greeting. */
  | 'reset'
  /** The connection stands, and no greeting came. */
  | 'mute';

/** How an ordinary connection from this host to the same port went. */
export type Reach = 'open' | 'refused' | 'silent';

export interface PathFacts {
  /** Address that the SYN came from. */
  client: string;
  /** All that clients may speak from, as `ip route add` takes it; `client` itself where it is not known. */
  clients: readonly string[];
  /** The archive that they are of, where `mytape routes` can say the same at length. */
  archive: string | undefined;
  target: string;
  port: number;
  /** Address of the host whose capture was to see the answers, as the target knows it; its own: that is the target itself. */
  via: string;
  /** Whether that is this host and this process (`--local`), and no intercept elsewhere. */
  local: boolean;
  /** `--clients self`: the client is this host's own address. */
  self: boolean;
  /** undefined: nobody tried. */
  reach: Reach | undefined;
}

/** What to do on one host. */
export interface Remedy {
  /** The host, as in `on …`. */
  host: string;
  why: string;
  /** Lines for a shell there, in their order. */
  lines: string[];
}

export interface Diagnosis {
  what: string;
  remedies: Remedy[];
}

/** The lines that people read: what is wrong, then for each host what to type there. */
export function explainConnectFailure(kind: ConnectFailure, facts: PathFacts): string[] {
  const { what, remedies } = diagnoseConnectFailure(kind, facts);
  return [what, ...renderRemedies(remedies)];
}

export function renderRemedies(remedies: readonly Remedy[]): string[] {
  return remedies.flatMap(({ host, why, lines }) => [
    `  on ${host}: ${why}`,
    ...lines.map((line) => `    ${line}`),
  ]);
}

export function diagnoseConnectFailure(kind: ConnectFailure, facts: PathFacts): Diagnosis {
  if (kind === 'refused') return refused(facts);
  if (kind === 'reset') return reset(facts);
  if (kind === 'mute') return mute(facts);
  if (facts.reach === 'refused') return refused(facts);
  return facts.reach === 'silent' ? dead(facts) : silent(facts);
}

/** `HOST:PORT`, IPv6 in brackets. */
export function endpoint({ target, port }: Pick<PathFacts, 'target' | 'port'>): string {
  return endpointText(target, port);
}

export function targetHost({ target }: Pick<PathFacts, 'target'>): string {
  return `the target ${target}`;
}

function captureHost(facts: PathFacts): string {
  if (facts.local) return 'this host';
  return facts.via === facts.target ? targetHost(facts) : `the assistant ${facts.via}`;
}

/** `ip route` for the target, of the prefix's own IP version. */
export function routeLine(prefix: string, via: string, verb: 'add' | 'del' = 'add'): string {
  const family = familyOf(prefix);
  // A host that the relay is reached at by IPv4 can be the target's assistant by IPv6.
  const gateway = familyOf(via) === family ? via : `IPV${family}-ADDRESS-OF-${via}`;
  return `${ipCommand(prefix)} route ${verb} ${prefix} via ${gateway}`;
}

function ipCommand(address: string): string {
  return familyOf(address) === 6 ? 'ip -6' : 'ip';
}

/** The line that ends a host's forwarding of packets of an IP version. */
export function forwardOffLine(family: 4 | 6): string {
  return family === 6 ? 'sysctl -w net.ipv6.conf.all.forwarding=0' : 'sysctl -w net.ipv4.ip_forward=0';
}

function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

function answersOf({ target, port }: PathFacts): string {
  return `'tcp and src host ${target} and src port ${port}'`;
}

function refused(facts: PathFacts): Diagnosis {
  const { target, port } = facts;
  return {
    what: `the target refuses: nothing listens on port ${port} of ${target}, or a firewall rejects it`,
    remedies: [
      {
        host: targetHost(facts),
        why: 'see who listens on that port, and start the server, or mend the port in -x',
        lines: [`ss -ltnp 'sport = :${port}'`],
      },
    ],
  };
}

function dead(facts: PathFacts): Diagnosis {
  const { target, port } = facts;
  return {
    what: `${endpoint(facts)} answers nobody: neither ${facts.client} nor this host's own address`,
    remedies: [
      { host: 'this host', why: 'does the target live?', lines: [`ping -c 3 ${target}`] },
      {
        host: targetHost(facts),
        why: 'does the server listen on that port, and does a firewall drop what comes to it?',
        lines: [`ss -ltn 'sport = :${port}'`, 'nft list ruleset'],
      },
    ],
  };
}

function silent(facts: PathFacts): Diagnosis {
  const { client, target, port, via, reach } = facts;
  const but = reach === 'open' ? `${endpoint(facts)} answers this host's own address, but no` : `no`;
  const what = `${but} answer of ${endpoint(facts)} to ${client} came to ${captureHost(facts)}`;
  if (facts.self) {
    return {
      what,
      remedies: [
        { host: 'this host', why: 'do answers come, and by which interface?', lines: [watch(facts)] },
      ],
    };
  }
  const filter = answersOf(facts);
  const remedies: Remedy[] = [
    {
      host: targetHost(facts),
      why:
        via === target
          ? `route the clients to the interface that intercept captures on, mt0 say (check: ${getRoute(facts)})`
          : `route the clients via ${via} (check: ${getRoute(facts)})`,
      lines: routeLines(facts),
    },
  ];
  if (familyOf(client) === 4) {
    remedies.push({
      host: targetHost(facts),
      why: 'let it take packets of addresses that it would answer by another interface (check: sysctl -ar rp_filter)',
      lines: ['sysctl -w net.ipv4.conf.all.rp_filter=2'],
    });
  }
  remedies.push({
    host: captureHost(facts),
    why: 'keep it from forwarding the answers, and from redirecting the target to the real client',
    lines: [forwardOffLine(familyOf(client))],
  });
  remedies.push({
    host: captureHost(facts),
    why: facts.local
      ? 'do the answers come here, and by the interface that is captured?'
      : `do the answers come here? Then intercept needs that interface as -i, and -F ${filter}`,
    lines: [watch(facts)],
  });
  remedies.push({
    host: targetHost(facts),
    why:
      `do packets from ${client} arrive? If not, the network drops foreign source addresses: turn that check off, or use ` +
      '--clients self. If they arrive and nothing goes back to them, a firewall on that host drops them after tcpdump has seen them: ' +
      'let these clients in, or use --clients self',
    lines: [`tcpdump -ni any 'tcp and host ${client} and port ${port}'`, 'nft list ruleset'],
  });
  return { what, remedies };
}

function routeLines({ clients, archive, target, via }: PathFacts): string[] {
  const lines = clients
    .slice(0, MOST_ROUTES)
    .map((prefix) =>
      via === target ? `${ipCommand(prefix)} route add ${prefix} dev mt0` : routeLine(prefix, via),
    );
  if (clients.length <= MOST_ROUTES) return lines;
  const all = archive === undefined || via === target ? '' : `, from: mytape routes ${archive} --via ${via}`;
  return [...lines, `# … and ${clients.length - MOST_ROUTES} more${all}`];
}

function getRoute({ client }: PathFacts): string {
  return `${ipCommand(client)} route get ${client}`;
}

function watch(facts: PathFacts): string {
  return `tcpdump -ni any ${answersOf(facts)}`;
}

function reset(facts: PathFacts): Diagnosis {
  const { client } = facts;
  if (facts.self) {
    return {
      what: `the connection was reset right after it stood: the kernel of this host answered ${endpoint(facts)} as well`,
      remedies: [
        {
          host: 'this host',
          why: 'is the rule there that keeps the port range from the kernel, while mytape runs?',
          lines: ['nft list ruleset'],
        },
      ],
    };
  }
  return {
    what:
      `the connection of ${client} was reset right after it stood: the real ${client} (or a router) answered the target ` +
      `too. Most likely ${captureHost(facts)} forwards the target's answers: ip_forward is on there`,
    remedies: [
      {
        host: captureHost(facts),
        why: 'let the answers end there',
        lines: [forwardOffLine(familyOf(client))],
      },
      {
        host: captureHost(facts),
        why: `${client} must not be an address of that host's own (nothing printed is right)`,
        lines: [`${ipCommand(client)} addr show to ${client}`],
      },
      {
        host: targetHost(facts),
        why: `forget where ${facts.via} redirected it to (check: ${getRoute(facts)})`,
        lines: [`${ipCommand(client)} route flush cache`],
      },
    ],
  };
}

function mute(facts: PathFacts): Diagnosis {
  const { client } = facts;
  return {
    what: `${endpoint(facts)} took the connection of ${client}, and then no greeting came`,
    remedies: [
      ...(facts.self
        ? []
        : [
            {
              host: captureHost(facts),
              why: `forwarding must be off there: else the real ${client} hears the answers, and cuts the connection`,
              lines: [forwardOffLine(familyOf(client))],
            },
          ]),
      {
        host: targetHost(facts),
        why: 'is that port a MySQL server, and not hung? Does it look up the names of clients (skip_name_resolve=OFF) that no name server knows?',
        lines: [statement("SHOW VARIABLES LIKE 'skip_name_resolve'; SHOW PROCESSLIST")],
      },
    ],
  };
}
