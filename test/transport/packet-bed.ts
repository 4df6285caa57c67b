/** The contract's bed for the packet transport: bed.ts in its words. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { SimulatedServer } from '../tcp/server.ts';
import { setUp, TICK_MS } from './bed.ts';
import { type ContractBed, type TargetConnection, USUAL } from './contract.ts';

/** Longest that anything may take, in simulated time, ms. */
const LONGEST_MS = 60_000;
const SETTLE_MS = 1_000;

export function packetBed(t: TestContext): ContractBed {
  const bed = setUp(t);
  const connections: TargetConnection[] = [];
  const byServer = new Map<SimulatedServer, TargetConnection>();
  const contract: ContractBed = {
    ...USUAL,
    transport: bed.transport,
    connections,
    refuse: () => {
      bed.target = 'reset';
    },
    until: async (done) => {
      // What was asked of the target has its turn, even where the answer is known.
      bed.run(TICK_MS);
      for (let waited = 0; !done(); waited += TICK_MS) {
        assert.ok(waited < LONGEST_MS, 'it never came');
        bed.run(TICK_MS);
      }
    },
    settle: async () => bed.run(SETTLE_MS),
  };
  bed.onOpen = (server) => {
    const connection = {
      got: [],
      fin: false,
      get reset() {
        return server.state === 'reset';
      },
      write: (octets: Uint8Array) => {
        server.write(octets);
        server.pump(bed.clock.now());
      },
      close: () => {
        server.close();
        server.pump(bed.clock.now());
      },
      cut: () => server.reset(),
    };
    byServer.set(server, connection);
    connections.push(connection);
    contract.onOpen(connection);
  };
  bed.onData = (server, octets) => {
    const connection = byServer.get(server)!;
    connection.got.push(new Uint8Array(octets));
    contract.onData(connection, octets);
  };
  bed.onFin = (server) => {
    const connection = byServer.get(server)!;
    connection.fin = true;
    contract.onFin(connection);
  };
  return contract;
}
