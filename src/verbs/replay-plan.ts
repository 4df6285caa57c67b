/** What a run's options amount to: its targets, and who speaks to each from where. */
import { MytapeError } from '../errors.ts';
import { relayHost } from '../intercept/relay-address.ts';
import { readKeyFile } from '../intercept/relay-key.ts';
import { SchemaPerCopy } from '../replay/accounts/schema-per-copy.ts';
import { CommandKinds } from '../replay/choice/command-kinds.ts';
import { Filters } from '../replay/choice/filters.ts';
import type { RulesFile } from '../replay/choice/rules.ts';
import { Selection } from '../replay/choice/selection.ts';
import { planClients } from '../run/clients.ts';
import type { ReplayJob, TargetJob } from '../run/job.ts';
import type { LoginJob } from '../run/logins.ts';
import { mappingWords, type PlannedMappings, planMappings, targetText } from '../run/mapping.ts';
import type { Address } from '../wire/address.ts';
import { planLogins } from './plan-logins.ts';
import { checkKey, checkTransport } from './replay-option-checks.ts';
import { filtersOf, rulesOf, selectionOf, targetTls } from './replay-option-values.ts';
import { MAPPING_FLAGS, type RunOptions } from './replay-options.ts';

/** What the options amount to, before the source is known. */
export interface RunPlan extends PlannedMappings {
  options: RunOptions;
  /** Host that catches the answers; undefined: this one. */
  assistant: Address | undefined;
  rules: RulesFile | undefined;
  logins: LoginJob;
  key: Uint8Array | undefined;
}

/** Says what is wrong with the options before anything is opened; reads files, and asks for a password, where one is needed. */
export async function planRun(options: RunOptions & { dryRun?: true | undefined }): Promise<RunPlan> {
  const { target: mappings = [], dryRun } = options;
  // A dry run speaks to nobody, and onto no target there is no way.
  if (dryRun !== true) {
    if (mappings.length === 0) throw noMapping();
    checkKey(options);
  }
  if (mappings.length > 0) checkTransport(options);
  new Filters(options);
  new Selection(selectionOf(options), new CommandKinds());
  if (options.schemaPerCopy !== undefined) new SchemaPerCopy(options.schemaPerCopy);
  const rules = rulesOf(options);
  return {
    options,
    rules,
    logins: await planLogins(options),
    key: options.keyFile === undefined ? undefined : readKeyFile(options.keyFile),
    ...(await planMappings(mappings)),
    assistant: await relayHost(options.intercept),
  };
}

function noMapping(): MytapeError {
  return new MytapeError(
    'usage',
    `required option '${MAPPING_FLAGS}' not specified: say which recorded server goes onto which target, e.g. -x 3307-10.128.6.83:3307`,
  );
}

/** The run's targets, and who speaks to each from where; `clients`: addresses of its recorded clients, where they are known before. */
export function planTargets(
  { options, mappings, targets, jobs, assistant }: RunPlan,
  clients: (target: number) => Iterable<string>,
): TargetJob[] {
  const { copies } = options;
  return targets.map((place, index) => {
    const { address: target, port: targetPort } = place;
    const facts = { target, copies, assistant, clients: clients(index) };
    return {
      name: targetText(place),
      mapping: mappings
        .filter((_, i) => jobs[i].target === index)
        .map(mappingWords)
        .join(','),
      target,
      targetPort,
      clients: planClients(options.clients, facts),
      tls: targetTls(options, place),
    };
  });
}

/** What of a job the options tell. */
export type PlannedJob = Omit<
  ReplayJob,
  'archive' | 'serverPorts' | 'mappings' | 'speed' | 'timing' | 'connections' | 'keyLog'
>;

export function plannedJob(
  { options, rules, logins, key }: RunPlan,
  targets: readonly TargetJob[],
): PlannedJob {
  return {
    targets,
    intercept: options.intercept,
    key,
    captureDriver: options.captureDriver,
    sendDriver: options.sendDriver,
    copies: options.copies,
    protocol: options.protocol,
    hostShare: options.share,
    transport: options.transport,
    logins,
    filters: filtersOf(options),
    selection: selectionOf(options),
    schemaPerCopy: options.schemaPerCopy,
    rules,
    maxConnections: options.maxConnections,
    connectRate: options.connectRate,
    order: options.order,
    pool: options.pool,
    pinTime: options.pinTime === true,
    connectTimeoutMs: options.connectTimeout,
    replyTimeoutMs: options.replyTimeout,
  };
}
