/** Which servers of this host are recorded, or mirrored, at a port: decision 0033. */
import type { KnownServer } from '../archive/known-servers.ts';
import { serverProcessesOn } from '../net/host/server-process.ts';
import { thisHostsAddresses } from '../net/host/this-host.ts';

/** Those of this host's servers that listen on one of `ports`, and whose processes may be looked at. */
export function serversHere(ports: readonly number[]): KnownServer[] {
  return ports.flatMap((port) =>
    serverProcessesOn(port).map(({ addresses, ...identity }) => ({
      addresses: addresses ?? [...thisHostsAddresses()],
      port,
      identity: { ...identity, port },
    })),
  );
}
