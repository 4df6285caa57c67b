import { COM, type Command } from '../mysql/command.ts';
import { framePayload, payloadOf } from '../mysql/framing.ts';
import { textOf, withText } from '../mysql/query-attributes.ts';
import { killOf, processKillId, withKillId, withProcessKillId } from './kill.ts';
import type { SchemaRemap } from './remap.ts';
import { endsServer } from './shutdown.ts';
import { sqlAt } from './sql.ts';

/** Why a command must not, or cannot, be sent to another server than the one it was made for. undefined: it can. */
export function skipCauseOf(command: Command): string | undefined {
  switch (command.com) {
    case COM.query:
      if (endsServer(command.packet, sqlAt(command.packet))) return 'shutdown';
      // Of its file the capture lacks something.
      return command.reply?.kind === 'infile' && !isSendable(command) ? 'local-infile' : undefined;
    case COM.shutdown:
      return 'shutdown';
    default:
      return undefined;
  }
}

/** Whether the capture holds the file that `command` read. */
export function isSendable({ file }: Command): boolean {
  return file?.whole === true && !file.tooLong;
}

/**
 * The packet to send for a COM_QUERY or COM_PROCESS_KILL that may name a connection of the recorded server: `find` answers
 * the target's in its place. undefined where there is none: the number would hit somebody else's.
 */
export function withTargetOfKill(
  { com, packet }: Command,
  find: (connectionId: number) => number | undefined,
): Uint8Array | undefined {
  if (com === COM.processKill) {
    const recorded = processKillId(packet);
    const id = recorded === undefined ? undefined : find(recorded);
    return id === undefined ? undefined : withProcessKillId(packet, id);
  }
  const kill = killOf(packet, sqlAt(packet), true);
  if (kill === undefined) return packet;
  const id = kill.what === 'other' ? undefined : find(kill.id);
  return id === undefined || kill.what === 'other' ? undefined : withKillId(packet, kill, id);
}

/** Gives `command` the target's names of schemas, in place: once for all its copies. */
export function remapCommand(command: Command, remap: SchemaRemap): void {
  const { com, packet } = command;
  switch (com) {
    case COM.query:
    case COM.stmtPrepare: {
      const before = textOf(packet);
      const text = remap.text(before);
      if (text !== before) command.packet = withText(packet, text);
      break;
    }
    case COM.initDb:
    case COM.createDb:
    case COM.dropDb: {
      // Its octets as characters: whatever the character set, names are told apart by them.
      const name = Buffer.from(payloadOf(packet).subarray(1)).toString('latin1');
      const other = remap.name(name);
      if (other !== name)
        command.packet = framePayload(Buffer.concat([Uint8Array.of(com), Buffer.from(other, 'latin1')]));
    }
  }
}
