import { setImmediate } from 'node:timers/promises';
import { Command } from '@commander-js/extra-typings';
import { tlsReader } from '../../archive/keys.ts';
import { type Archive, openArchive, type PacketSelection } from '../../archive/reader.ts';
import { DamagedBlocks } from '../../capture/damaged-blocks.ts';
import { readKeyLog } from '../../capture/key-log-file.ts';
import { EXIT, MytapeError } from '../../errors.ts';
import { type DecodeOptions, decodeSessions } from '../../flow/decode.ts';
import type { CloseHow, FlowEvent } from '../../flow/events.ts';
import { lossObjects, sayState } from '../../report/archive-state.ts';
import { drained, LineWriter, sayLine } from '../../report/output.ts';
import type { PacketSource } from '../../wire/packets.ts';
import { collectSession } from '../options.ts';
import { toJson } from './json.ts';
import { type ShownLine, ShownLines } from './lines.ts';
import { SessionText } from './text.ts';

/** Where stdout is no terminal. */
const PLAIN_WIDTH = 100;

const EXAMPLES = `
Examples:
  mytape show peak.tape 17                 session 17 as a conversation (mytape ls peak.tape lists sessions)
  mytape show peak.tape 17 18 --raw        two sessions, with whole statements
  mytape show peak.tape --json             every session, as JSON
  mytape show peak.tape --json | jq -r 'select(.type == "command") | .sql // empty'

Text: a line a command, with the time since the session's first packet, the command, its answer and the latency. Long values
are cut to the terminal's width, or to ${PLAIN_WIDTH} characters; control characters are escaped.

Both hold statements with their values: passwords, and customers' data. mytape replay DIR --dry-run prints statements without.

JSON: an object a line, of type session, command, lost (commands that were sent and can't be told), skipped (a session that
can't be read); first, where the archive lacks something, dropped, gap, flood or partial, as ls has them. Lines of different sessions alternate; within a session they are in order. at_ns counts nanoseconds from
the beginning of the second in which the archive's first packet was captured. A reply is null where it is unknown, and of
kind "none" where the command has no answer. Octets of a statement that are not UTF-8 are written as \\xNN.

Exit code: 0 done, 1 failed, 2 usage, 130 interrupted.`;

interface ShowOptions {
  json?: true | undefined;
  raw?: true | undefined;
  keylog?: string | undefined;
}

export function showCommand() {
  return new Command('show')
    .argument('<dir>', 'the archive')
    .argument('[session...]', 'sessions, by their numbers in `mytape ls`: 17 18', collectSession)
    .option('--json', 'print a JSON object a line; without a session: all sessions')
    .option('--raw', 'print long values whole')
    .option(
      '--keylog <file>',
      'TLS keys of recorded sessions, as SSLKEYLOGFILE has them, besides those in the keys.log of the archive',
    )
    .addHelpText('after', EXAMPLES)
    .action(async (dir, sessions, options) => {
      process.exitCode = await show(dir, [...new Set(sessions as number[])], options);
    });
}

async function show(dir: string, sessions: readonly number[], options: ShowOptions): Promise<number> {
  if (sessions.length === 0 && options.json === undefined) {
    throw new MytapeError(
      'usage',
      `name a session to show: mytape show ${dir} 0 (mytape ls ${dir} lists them); or print all with --json`,
    );
  }
  if (options.json === true && options.raw === true) {
    throw new MytapeError('usage', '--raw is for text: leave it out, --json always has whole statements');
  }
  const keyLog = options.keylog === undefined ? undefined : readKeyLog(options.keylog);
  const archive = openArchive(dir);
  try {
    sayState(archive);
    for (const id of sessions) {
      if (archive.session(id) !== undefined) continue;
      throw new MytapeError('usage', `${dir} has no session ${id} (see: mytape ls ${dir})`);
    }
    const reading = new Reading(archive, tlsReader(dir, keyLog));
    if (options.json) await showJson(archive, reading, sessions);
    else await showText(archive, reading, sessions, options.raw === true);
    if (reading.interrupted) return EXIT.interrupted;
    return reading.damaged.packets > 0 ? EXIT.failed : EXIT.done;
  } finally {
    archive.close();
  }
}

async function showJson(archive: Archive, reading: Reading, sessions: readonly number[]): Promise<void> {
  const closes = await reading.closes(sessions);
  const out = new LineWriter();
  for (const lost of lossObjects(archive)) out.json(lost);
  await reading.lines(sessions, out, (line) => {
    const { id } = line.session;
    const row = line.type === 'session' ? archive.session(id) : undefined;
    const object = toJson(line, { row, close: closes.get(id) ?? 'cut' });
    if (object !== undefined) out.json(object);
  });
}

/** One session after another, whole: their lines would be hard to follow if they alternated. */
async function showText(
  archive: Archive,
  reading: Reading,
  sessions: readonly number[],
  raw: boolean,
): Promise<void> {
  const { originSec } = archive.info;
  const width = process.stdout.columns ?? PLAIN_WIDTH;
  const closes = await reading.closes(sessions);
  const out = new LineWriter();
  for (const [i, id] of sessions.entries()) {
    const text = new SessionText({ originSec, width, raw });
    const known = { row: archive.session(id), close: closes.get(id) ?? 'cut' };
    if (i > 0) out.line('');
    await reading.lines([id], out, (line) => {
      for (const shown of text.lines(line, known)) out.line(shown);
    });
  }
}

/** Reads an archive's sessions, as often as is asked, up to the packet that was its last when it was opened. */
class Reading {
  /** Ctrl-C was typed: no more lines. */
  interrupted = false;
  readonly damaged: DamagedBlocks;
  readonly #archive: Archive;
  readonly #openTls: DecodeOptions['openTls'];

  constructor(archive: Archive, openTls: DecodeOptions['openTls']) {
    this.#archive = archive;
    this.damaged = new DamagedBlocks(archive, sayLine);
    this.#openTls = openTls;
  }

  /**
   * How these sessions (none: all) end. Known only when all was read, and wanted before their commands, which are too many to be
   * kept: so everything is read twice.
   */
  async closes(sessions: readonly number[]): Promise<Map<number, CloseHow>> {
    const closes = new Map<number, CloseHow>();
    for await (const events of this.#events(sessions)) {
      for (const event of events) {
        if (event.type === 'close' || event.type === 'skip') closes.set(event.session.id, event.how);
      }
    }
    return closes;
  }

  /** Prints the lines of these sessions (none: all) to `out` by `print`. */
  async lines(sessions: readonly number[], out: LineWriter, print: (line: ShownLine) => void): Promise<void> {
    const lines = new ShownLines(print);
    try {
      for await (const events of this.#events(sessions)) {
        for (const event of events) lines.add(event);
        out.flush();
        await drained();
      }
    } finally {
      if (!this.interrupted) lines.finish();
      out.flush();
    }
  }

  async *#events(sessions: readonly number[]): AsyncGenerator<FlowEvent[]> {
    if (this.interrupted) return;
    const wanted = new Set(sessions);
    const reading = this.damaged.reading();
    const packets = this.#packets(sessions, reading.packets);
    const stop = () => {
      this.interrupted = true;
      packets.close();
    };
    process.once('SIGINT', stop);
    try {
      const { serverPorts, limits } = this.#archive.info;
      const decoded = decodeSessions(packets, {
        ...limits,
        ...reading.decode,
        serverPorts: new Set(serverPorts),
        openTls: this.#openTls,
        ...(sessions.length === 0 ? {} : { wants: (id: number) => wanted.has(id) }),
      });
      for await (const events of this.damaged.named(decoded)) {
        // Blocks that were read at once come one after another without a turn of the event loop, which Ctrl-C needs.
        await setImmediate();
        // Then the decoder ends every session where it was stopped, which is not where the session ended.
        if (this.interrupted) return;
        yield events;
      }
    } finally {
      process.off('SIGINT', stop);
    }
  }

  /** All packets, since ids are counted from the first one, up to the last of these sessions. */
  #packets(sessions: readonly number[], selection: PacketSelection): PacketSource {
    let most = sessions.length === 0 ? this.#archive.info.packets : 0;
    for (const id of sessions) most = Math.max(most, 1 + (this.#archive.session(id)?.lastPacket ?? 0));
    return firstPackets(this.#archive.packets(selection), Math.min(most, this.#archive.info.packets));
  }
}

/** The first `most` packets of `source`. */
function firstPackets(source: PacketSource, most: number): PacketSource {
  return {
    linkType: source.linkType,
    originSec: source.originSec,
    stats: () => source.stats(),
    close: () => source.close(),
    async *[Symbol.asyncIterator]() {
      let left = most;
      for await (const block of source) {
        block.count = Math.min(block.count, left);
        left -= block.count;
        yield block;
        if (left === 0) return;
      }
    },
  };
}
