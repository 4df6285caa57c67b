import { type Address, ipv4Number } from './address.ts';

/** The four parts of a connection that we make: a client of ours (address and port) and the target. */
export class Tuple {
  readonly family: 4 | 6;
  readonly client: Address;
  readonly clientPort: number;
  readonly target: Address;
  readonly targetPort: number;
  /** Addresses of IPv4 as unsigned numbers in network order; 0 for IPv6. */
  readonly clientNumber: number;
  readonly targetNumber: number;
  /** Both ports as the first word of a TCP header, client's first; signed. */
  readonly ports: number;

  /** Both addresses are of one family. */
  constructor(client: Address, clientPort: number, target: Address, targetPort: number) {
    this.family = target.family;
    this.client = client;
    this.clientPort = clientPort;
    this.target = target;
    this.targetPort = targetPort;
    this.clientNumber = client.family === 4 ? ipv4Number(client) : 0;
    this.targetNumber = target.family === 4 ? ipv4Number(target) : 0;
    this.ports = (clientPort << 16) | targetPort;
  }
}
