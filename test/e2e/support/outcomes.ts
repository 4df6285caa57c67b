/**
 * Replays an archive as fast as the target takes it, over sockets, and tells which answers differ, as a process of its own:
 * `node outcomes.js '{"archive":…}'` on host assistant. Prints a DivergingCommand a line, as JSON.
 */
import { openArchive } from '../../../src/archive/reader.ts';
import { readSnapshots } from '../../../src/archive/snapshots.ts';
import { readKeyLog } from '../../../src/capture/key-log-file.ts';
import { decodeSessions } from '../../../src/flow/decode.ts';
import { COM, type Command } from '../../../src/mysql/command.ts';
import { textOf } from '../../../src/mysql/query-attributes.ts';
import { Engine } from '../../../src/replay/engine/engine.ts';
import type { Divergence, Observer } from '../../../src/replay/outcome.ts';
import { ConnectionIds } from '../../../src/replay/session/connection-ids.ts';
import { openLogins } from '../../../src/run/logins.ts';
import { realClock } from '../../../src/time.ts';
import { KeyLog } from '../../../src/tls/key-log.ts';
import { TlsStream } from '../../../src/tls/stream.ts';
import { SocketTransport } from '../../../src/transport/socket.ts';
import { planLogins } from '../../../src/verbs/plan-logins.ts';

export interface OutcomesJob {
  archive: string;
  recordedPort: number;
  target: string;
  port: number;
  users: string;
  keyLog: string;
}

export interface DivergingCommand {
  session: number;
  /** Which of the session's commands, from 0. */
  ordinal: number;
  com: number;
  /** Of a COM_QUERY, or of the statement that it executes. */
  text: string;
  divergence: Divergence;
}

/** Counts each session's commands, and tells of those whose answers differ. */
class Divergences implements Observer {
  readonly #ordinals = new WeakMap<Command, number>();
  readonly #captured = new Map<number, number>();
  readonly #tell: (command: DivergingCommand) => void;

  constructor(tell: (command: DivergingCommand) => void) {
    this.#tell = tell;
  }

  captured({ id }: { id: number }, command: Command): void {
    const ordinal = this.#captured.get(id) ?? 0;
    this.#captured.set(id, ordinal + 1);
    this.#ordinals.set(command, ordinal);
  }

  answered(...[{ session, command, text }, divergence]: Parameters<NonNullable<Observer['answered']>>): void {
    if (divergence === 'none') return;
    this.#tell({
      session: session.id,
      ordinal: this.#ordinals.get(command) ?? -1,
      com: command.com,
      text:
        text.com === COM.query || text.com === COM.stmtPrepare
          ? Buffer.from(textOf(text.packet)).toString('utf8')
          : '',
      divergence,
    });
  }
}

const job = JSON.parse(process.argv[2]) as OutcomesJob;
const archive = openArchive(job.archive);
const source = archive.packets();
const keys = new KeyLog();
keys.add(readKeyLog(job.keyLog));
const transport = new SocketTransport({ target: job.target, port: job.port, clock: realClock });
const told = new Divergences((command) => process.stdout.write(JSON.stringify(command) + '\n'));
const engine = new Engine(
  {
    copies: 1,
    speed: Number.POSITIVE_INFINITY,
    clock: realClock,
    // MySQL logs nobody in without it, but by TLS; MariaDB is not asked.
    ...openLogins(
      await planLogins({ users: job.users, getServerPublicKey: true }),
      readSnapshots(job.archive),
    ),
    connections: ConnectionIds.create(archive.info.sessions, 1),
  },
  transport,
  [told],
);
await engine.run(
  decodeSessions(source, {
    serverPorts: new Set([job.recordedPort]),
    openTls: (plain) => new TlsStream(keys, plain),
  }),
);
source.close();
await transport.close();
archive.close();
