import { networkInterfaces } from 'node:os';
import { EXIT } from '../errors.ts';
import { type RelayAddress, relayHost, relayText } from '../intercept/relay-address.ts';
import { readKeyFile } from '../intercept/relay-key.ts';
import { Guard } from '../net/guard.ts';
import type { Path } from '../net/route.ts';
import { ok, type Step, warning } from '../report/step.ts';
import { type ClientsChoice, type ClientsPlan, planClients } from '../run/clients.ts';
import type { RecordedSide } from '../run/interlock/recorded-side.ts';
import type { Mapping, PlannedMappings } from '../run/mapping.ts';
import { openPacketTransport } from '../run/transport.ts';
import { Range } from '../transport/clients.ts';
import type { PacketTransport } from '../transport/packet.ts';
import type { Address } from '../wire/address.ts';
import { checkPath } from './path.ts';
import {
  attempt,
  type Clients,
  checkArchive,
  checkForwarding,
  checkHost,
  checkIdentified,
  checkRoute,
  checkTls,
  checkWhole,
  namedClients,
  readRecorded,
  recordedClients,
} from './steps.ts';

export interface DoctorOptions {
  target: Mapping[];
  intercept?: RelayAddress | undefined;
  local?: true | undefined;
  keyFile?: string | undefined;
  archive?: string | undefined;
  client?: Address[] | undefined;
  clients: ClientsChoice;
  via?: Address | undefined;
  json?: true | undefined;
}

/** Who is told of the steps as they are done. */
export interface Listener {
  looking(at: string): void;
  tell(step: Step): void;
}

/** One run of `mytape doctor` through its steps, for one target. One that fails ends it, where the next would mean nothing without it. */
export class Examination {
  readonly #options: DoctorOptions;
  readonly #plan: PlannedMappings;
  /** Number of the target. */
  readonly #index: number;
  readonly #target: Address;
  readonly #port: number;
  readonly #side: () => Promise<RecordedSide>;
  readonly #listener: Listener;
  readonly #abort = new AbortController();
  #failed = false;
  #transport: PacketTransport | undefined;

  /** `side`: `sideReader` of the archive. */
  constructor(
    options: DoctorOptions,
    plan: PlannedMappings,
    index: number,
    side: () => Promise<RecordedSide>,
    listener: Listener,
  ) {
    this.#options = options;
    this.#plan = plan;
    this.#index = index;
    this.#target = plan.targets[index].address;
    this.#port = plan.targets[index].port;
    this.#side = side;
    this.#listener = listener;
  }

  get interrupted(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Has `run` close in order what is open; where nothing is, or the second time, ends the process. */
  interrupt(): void {
    if (this.#transport === undefined || this.interrupted) process.exit(EXIT.interrupted);
    this.#abort.abort();
  }

  async run(): Promise<void> {
    const { intercept, local } = this.#options;
    this.#tell(await attempt('this host', checkHost));
    const route = await attempt('route', () => checkRoute(this.#target));
    if (!('path' in route)) return this.#tell(route);
    this.#tell(route.step);
    const { path } = route;
    const via = this.#options.via ?? (await viaOf(intercept, path));
    const isSelf = this.#options.clients === 'self';
    if (!isSelf && (local || isHere(via))) this.#tell(checkForwarding(this.#target.family, path.iface));
    const plan = await attempt('clients', () => this.#planClients(via));
    if ('status' in plan) return this.#tell(plan);
    const clients = await this.#clients(plan, via);
    if (this.#failed) return;
    const guard = await attempt('kernel', () => this.#guard(plan));
    if (guard !== undefined && 'status' in guard) return this.#tell(guard);
    try {
      await this.#packets(path, via, plan, clients);
    } finally {
      await guard?.close();
    }
  }

  #planClients(via: Address): ClientsPlan {
    const assistant = this.#options.intercept === undefined ? undefined : via;
    return planClients(this.#options.clients, { target: this.#target, copies: 1, assistant, clients: [] });
  }

  /** Whose connections are tried. */
  async #clients(plan: ClientsPlan, via: Address): Promise<Clients> {
    const { archive, client, clients: choice } = this.#options;
    if (archive !== undefined) this.#listener.looking('the archive');
    const hosts = archive === undefined ? undefined : readRecorded(archive, this.#plan, this.#index);
    if (archive !== undefined && hosts !== undefined) {
      const place = this.#plan.targets[this.#index];
      this.#tell('status' in hosts ? hosts : checkArchive(archive, place, hosts));
      if (!this.#failed) this.#tell(...checkWhole(archive), ...(await checkTls(archive)));
      const unidentified = this.#failed ? undefined : checkIdentified(await this.#side(), place);
      if (unidentified !== undefined) this.#tell(unidentified);
    }
    if (plan.from === 'self') return { probes: [plan.address], prefixes: [] };
    if (choice instanceof Range) {
      const some = [0, Math.floor(choice.size / 2), choice.size - 1];
      return { probes: [...new Set(some)].map((index) => choice.at(index)), prefixes: [choice.text] };
    }
    const recorded = hosts === undefined || 'status' in hosts ? undefined : hosts;
    if (client === undefined && recorded === undefined) return { probes: [], prefixes: [] };
    const found =
      client !== undefined || recorded === undefined
        ? namedClients(client ?? [])
        : recordedClients(recorded, this.#target, via);
    this.#tell(...found.steps);
    return found.clients;
  }

  async #guard(plan: ClientsPlan): Promise<Guard | undefined> {
    if (plan.from !== 'self') return undefined;
    const guard = await Guard.raise({ target: this.#target, targetPort: this.#port, ...plan });
    this.#tell(ok('kernel', `an nft rule keeps ports ${plan.first} to ${plan.last} from this host's kernel`));
    return guard;
  }

  /** The steps that need the transport. */
  async #packets(path: Path, via: Address, plan: ClientsPlan, clients: Clients): Promise<void> {
    const { intercept, local, keyFile, archive } = this.#options;
    const name = intercept === undefined ? 'capture' : 'intercept';
    this.#listener.looking(`the ${name}`);
    const complaints: string[] = [];
    const opened = await attempt(name, () =>
      openPacketTransport(
        {
          target: this.#target,
          targetPort: this.#port,
          intercept,
          key: keyFile === undefined ? undefined : readKeyFile(keyFile),
          captureDriver: 'ring',
          sendDriver: 'mmsg',
          // Addresses of a range are named one by one.
          clients: plan.from === 'self' ? plan : { from: 'recorded' },
        },
        { index: 0, of: 1 },
        (line) => complaints.push(line),
      ),
    );
    if ('status' in opened) return this.#tell(opened);
    this.#transport = opened;
    try {
      const key = keyFile === undefined ? '' : ', same key';
      this.#tell(
        intercept === undefined
          ? ok(name, `answers can be captured on ${path.iface}`)
          : ok(name, `${relayText(intercept)} answers: same version${key}`),
      );
      if (clients.probes.length === 0) {
        return this.#tell(warning('path', 'not tried: name an archive (--archive), or a client (--client)'));
      }
      this.#listener.looking('the path');
      const facts = {
        target: this.#target.text,
        port: this.#port,
        via: via.text,
        local: local === true,
        self: plan.from === 'self',
        archive,
      };
      const { settings } = await this.#side();
      this.#tell(...(await checkPath(opened, clients, facts, settings, this.#abort.signal)));
      for (const line of complaints) this.#tell(warning(name, line));
    } finally {
      await opened.close();
    }
  }

  #tell(...steps: Step[]): void {
    for (const step of steps) {
      this.#failed ||= step.status === 'failed';
      this.#listener.tell(step);
    }
  }
}

/** The address that the target is to route the clients to. */
async function viaOf(intercept: RelayAddress | undefined, path: Path): Promise<Address> {
  return (await relayHost(intercept)) ?? path.source;
}

function isHere({ text }: Address): boolean {
  return Object.values(networkInterfaces()).some((own) => own?.some(({ address }) => address === text));
}
