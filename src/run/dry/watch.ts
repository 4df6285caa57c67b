/** Counts what a dry run would do. */
import type { SessionMeta } from '../../flow/events.ts';
import { type Command, comName, hasText } from '../../mysql/command.ts';
import { textOf } from '../../mysql/query-attributes.ts';
import { FixedMappings } from '../../replay/mappings.ts';
import type { LostCause, Observer, Outcome } from '../../replay/outcome.ts';
import type { ClockStepJson, OnClockStep } from '../../report/clock-steps.ts';
import type { RecordingFacts } from '../../report/recording.ts';
import type { Picked } from '../../report/run-facts.ts';
import type { Summary } from '../../report/summary.ts';
import { Digester } from '../../sql/digest/digest.ts';
import type { CaptureNs } from '../../time.ts';
import { TargetsTransport } from '../../transport/targets.ts';
import type { Transport } from '../../transport/transport.ts';
import { clientAddresses } from '../clients.ts';
import type { Waivers } from '../interlock/interlock.ts';
import type { RecordedSide } from '../interlock/recorded-side.ts';
import type { ReplayJob } from '../job.ts';
import { mappingText } from '../mapping.ts';
import { DryConnections } from './connections.ts';
import type { ChangedStatement, DryPlace, DryReport, UnsentStatement } from './report.ts';
import { kindOf, shown } from './statement.ts';
import { DryTarget, Openings } from './target.ts';

/** Digests that are told apart; those behind them count as one. */
const MOST_DIGESTS = 1_000;

/** Statements that are sent otherwise than recorded: so many are shown. */
const MOST_CHANGES = 5;

/** What of a job is looked at. */
type DryJob = Pick<ReplayJob, 'logins' | 'transport' | 'targets' | 'mappings'>;

export interface DryRunFacts extends RecordingFacts {
  packets: number;
  /** Texts of statements are reported, and not their digests only. */
  withText: boolean;
  /** The recorded moment that would be due at once. */
  anchorAt: CaptureNs;
  servers: RecordedSide;
  waivers: Waivers;
  /** When it would begin, ms since 1970; undefined: at once. */
  startMs: number | undefined;
  picked: Picked | undefined;
  /** Where the recording's clock was set, and what becomes of that. */
  clockSteps: ClockStepJson[];
  onClockStep: OnClockStep;
}

/** Watches what the engine decides. */
export class DryRun implements Observer {
  /** To all targets. */
  readonly transport: Transport;
  readonly connections = new DryConnections();
  readonly #targets: readonly DryTarget[];
  /** Sessions and commands of each target that would be sent, copies included. */
  readonly #counts: readonly { sessions: number; commands: number }[];
  readonly #openings = new Openings();
  readonly #mappings: FixedMappings;
  readonly #job: DryJob;
  readonly #digester = new Digester();
  readonly #unsent = new Map<string, UnsentStatement>();
  /** Commands that would be sent, by digest. */
  readonly #sent = new Map<string, { hash: string; digest: string; commands: number }>();
  readonly #kinds = new Map<string, number>();
  readonly #users = new Map<string, { sessions: number; password: boolean }>();
  readonly #clients = new Set<string>();
  readonly #changes: ChangedStatement[] = [];
  readonly #changedDigests = new Set<string>();
  /** The recorded texts of commands that may be sent otherwise. */
  readonly #recorded = new WeakMap<Command, string>();
  readonly #withText: boolean;
  /** Sessions under TLS without keys. */
  #locked = 0;

  constructor(job: DryJob, withText: boolean) {
    this.#withText = withText;
    const { targets, transport, mappings } = job;
    this.#job = job;
    this.#targets = targets.map(({ clients, target }) => {
      const speakers = transport === 'packet' ? clientAddresses(clients, target.family) : undefined;
      return new DryTarget(speakers, this.#openings);
    });
    this.#counts = targets.map(() => ({ sessions: 0, commands: 0 }));
    this.#mappings = new FixedMappings(mappings);
    this.transport =
      this.#targets.length === 1 ? this.#targets[0] : new TargetsTransport(this.#targets, false);
  }

  begun(session: SessionMeta): void {
    for (const target of this.#targets) target.begun(session);
  }

  scheduled(session: SessionMeta, copy: number): void {
    this.#countsOf(session).sessions++;
    if (copy > 0) return;
    this.connections.scheduled(session, this.#mappings.of(session)?.server ?? 0);
    this.#clients.add(session.client.text);
    this.#user(session, true);
  }

  ended(session: SessionMeta, at?: CaptureNs): void {
    if (at !== undefined) this.connections.ended(session, at);
  }

  sessionSkipped(session: SessionMeta, cause: string): void {
    if (cause === 'unknown-user') this.#user(session, false);
    if (cause === 'tls') this.#locked++;
  }

  #user({ login }: SessionMeta, password: boolean): void {
    const name = login?.user ?? '';
    const user = this.#users.get(name) ?? { sessions: 0, password };
    user.sessions++;
    user.password &&= password;
    this.#users.set(name, user);
  }

  /** Before anything is done about it. */
  captured(_session: SessionMeta, command: Command): void {
    if (this.#changes.length < MOST_CHANGES && hasText(command))
      this.#recorded.set(command, shown(command.packet));
  }

  #countsOf(session: SessionMeta): { sessions: number; commands: number } {
    return this.#counts[this.#mappings.of(session)?.target ?? 0];
  }

  answered({ session, command, text }: Outcome): void {
    this.#countsOf(session).commands++;
    const kind = kindOf(command, text);
    this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1);
    if (hasText(text)) this.#sentBy(text);
    const answering = this.#targets.find((target) => target.answering !== undefined)?.answering;
    const recorded = this.#recorded.get(command);
    if (recorded === undefined || answering === undefined) return;
    if (this.#changes.length === MOST_CHANGES) return;
    const sent = shown(answering);
    if (sent === recorded) return;
    const digest = this.#digestOf(command.packet, command.dialect);
    if (this.#changedDigests.has(digest)) return;
    this.#changedDigests.add(digest);
    this.#changes.push({
      recorded: digest,
      sent: this.#digestOf(answering, command.dialect),
      ...(this.#withText ? { recorded_text: recorded, sent_text: sent } : {}),
    });
  }

  #sentBy(text: Command): void {
    const digest = this.#digestOf(text.packet, text.dialect);
    const known = this.#sent.get(digest);
    if (known !== undefined) known.commands++;
    else if (this.#sent.size < MOST_DIGESTS)
      this.#sent.set(digest, { hash: this.#digester.hash(), digest, commands: 1 });
  }

  lost(session: SessionMeta, _copy: number, command: Command, cause: LostCause): void {
    this.#unsentBy(`lost: ${cause}`, session, command, 1);
  }

  skipped(session: SessionMeta, command: Command, cause: string, copies: number): void {
    this.#unsentBy(cause, session, command, copies);
  }

  #unsentBy(cause: string, session: SessionMeta, command: Command, copies: number): void {
    const digest = hasText(command) ? this.#digestOf(command.packet, command.dialect) : comName(command.com);
    const key = `${cause}\0${digest}`;
    const known = this.#unsent.get(this.#unsent.size < MOST_DIGESTS || this.#unsent.has(key) ? key : cause);
    if (known !== undefined) {
      known.commands += copies;
      return;
    }
    const isOther = this.#unsent.size >= MOST_DIGESTS;
    const text = this.#withText && hasText(command) ? { text: shown(command.packet) } : {};
    const unsent = {
      cause,
      hash: isOther || !hasText(command) ? '' : this.#digester.hash(),
      digest: isOther ? 'others' : digest,
      commands: copies,
      session: session.id,
      ...text,
    };
    this.#unsent.set(isOther ? cause : key, unsent);
  }

  #digestOf(packet: Uint8Array, dialect = 0): string {
    const text = textOf(packet);
    this.#digester.read(text, 0, text.length, dialect);
    return this.#digester.text();
  }

  /** Without routes, interlock, and what the recording lacks. */
  report(
    summary: Summary,
    schedule: { lastsMs: number } & Pick<DryRunFacts, 'startMs' | 'clockSteps' | 'onClockStep'>,
  ): DryReport {
    const { captured, sessions, commands, picked, copies, speed, reasons } = summary;
    const byCount = (a: { commands: number }, b: { commands: number }) => b.commands - a.commands;
    return {
      dry_run: true,
      captured,
      ...(picked === undefined ? {} : { picked }),
      copies,
      sessions: {
        scheduled: sessions.scheduled,
        skipped: sessions.skipped,
        refused_as_recorded: sessions.refused,
      },
      commands: {
        scheduled: commands.scheduled,
        skipped: commands.skipped,
        lost: commands.lost,
        kinds: Object.fromEntries([...this.#kinds].sort(([, a], [, b]) => b - a)),
      },
      sent: [...this.#sent.values()].sort(byCount),
      unsent: [...this.#unsent.values()].sort(byCount),
      tls_without_keys: this.#locked,
      users: Object.fromEntries([...this.#users].sort(([a], [b]) => (a < b ? -1 : 1))),
      everybody_as: this.#job.logins.as?.user,
      clients: {
        recorded: this.#clients.size,
        addresses: this.#addresses(new Set(this.#targets.flatMap(({ addresses }) => [...addresses]))),
      },
      targets: this.#places(),
      routes: [],
      changes: this.#changes,
      schedule: {
        speed,
        begins: schedule.startMs === undefined ? undefined : new Date(schedule.startMs).toISOString(),
        lasts_s: Math.round(schedule.lastsMs) / 1000,
        most_connections: this.#openings.most,
        on_clock_step: schedule.onClockStep,
      },
      clock_steps: schedule.clockSteps,
      interlock: [],
      invalid_by: [],
      // Of a run that was not made, only what its recording lacks can be said.
      unread: reasons.find((reason) => /^the recording could not be read/.test(reason)),
    };
  }

  /** Without routes. */
  #places(): DryPlace[] {
    const { targets, mappings } = this.#job;
    return targets.map(({ name }, index) => ({
      target: name,
      mappings: mappings
        .filter(({ target }) => target === index)
        .map(({ source, port }) => mappingText(source, port, name)),
      ...this.#counts[index],
      most_connections: this.#targets[index].openings.most,
      addresses: this.#addresses(this.#targets[index].addresses),
      routes: [],
    }));
  }

  #addresses(spoken: ReadonlySet<string>): string[] | 'this host' {
    if (this.#job.transport === 'socket') return 'this host';
    return [...spoken].sort();
  }
}
