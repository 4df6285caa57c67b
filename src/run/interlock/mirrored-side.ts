/** The servers that a mirror captures, as far as this host shows who they are. Decision 0033. */
import { CLOCKS_DIFFER_MS, type ServerIdentity, tellsApart } from '../../archive/server-identity.ts';
import type { ServerKey } from '../../mysql/auth/plugin.ts';
import { thisHostsAddresses } from '../../net/host/this-host.ts';
import type { MappingJob } from '../../replay/mappings.ts';
import { askTarget } from '../../server/facts.ts';
import { serversHere } from '../../server/here.ts';
import type { SnapshotServer } from '../../snapshot/server.ts';
import { endpointText } from '../../wire/address.ts';
import { endpointKey } from '../../wire/endpoint.ts';
import type { RecordedSide } from './recorded-side.ts';

/** How the user of `--snapshot-from` logs in. */
interface SnapshotLogin {
  password: string | undefined;
  serverKey: ServerKey | undefined;
}

/**
 * Who must not be the target: any server of this host at a port that is mirrored, and the mirrored servers by who they are, where a
 * process of this host shows it or the one that snapshots are of says so.
 */
export async function mirroredSide(
  mappings: readonly MappingJob[],
  server: SnapshotServer | undefined,
  account: SnapshotLogin,
): Promise<RecordedSide> {
  const ports = [...new Set(mappings.map(({ port }) => port))];
  const own = [...thisHostsAddresses()];
  const endpoints = new Set([
    ...ports.flatMap((port) => own.map((address) => endpointKey(address, port))),
    ...mappings.flatMap(({ source, port }) => (source === undefined ? [] : [endpointKey(source, port)])),
  ]);
  const known = serversHere(ports);
  const asked = server === undefined ? undefined : await askWhoItIs(server, account);
  const isKnown = ({ source, port }: MappingJob) =>
    known.some((one) => one.port === port && (source === undefined || one.addresses.includes(source))) ||
    (mappings.length === 1 && asked !== undefined && tellsApart(asked));
  const nowMs = Date.now();
  return {
    endpoints,
    identities: [
      ...known.map(({ identity }) => ({ ...identity, identifiedMs: nowMs })),
      ...(asked === undefined ? [] : [{ ...asked, identifiedMs: nowMs - CLOCKS_DIFFER_MS }]),
    ],
    uuids: new Set(),
    settings: [],
    unidentified: mappings
      .filter((mapping) => !isKnown(mapping))
      .map(({ source, port }) => ({
        name: source === undefined ? `the server of port ${port}` : endpointText(source, port),
        greetings: [],
      })),
    what: `${mappings.length === 1 ? 'the' : 'a'} server that is mirrored`,
    users: [],
  };
}

/** undefined: it does not answer, which the snapshotter reports. */
async function askWhoItIs(
  { user, host, port }: SnapshotServer,
  { password = '', serverKey }: SnapshotLogin,
): Promise<ServerIdentity | undefined> {
  const { identity } = await askTarget({ host, port, tls: undefined, serverKey }, [{ user, password }]);
  return identity;
}
