import { COM, type Command, hasText } from '../../mysql/command.ts';
import { commandPacket, payloadOf } from '../../mysql/framing.ts';
import { sqlAt, textOf, withText } from '../../mysql/query-attributes.ts';
import { type Kill, killOf } from '../../sql/kill.ts';
import { endsServer } from '../../sql/shutdown.ts';
import type { SchemaRemap } from '../accounts/remap.ts';
import type { RewriteRules } from '../choice/rules.ts';
import { processKillId, withKillId, withProcessKillId } from './kill.ts';

/**
 * Why a command must not be sent to another server than the one it was made for; undefined: it may. Notes what of its text
 * matters later: to be called once for each command, whatever the number of its copies.
 */
export function screen(command: Command): string | undefined {
  const { com, packet } = command;
  if (com === COM.shutdown) return 'shutdown';
  if (com === COM.processKill) command.mayKill = true;
  if (com !== COM.query) return undefined;
  if (endsServer(packet, sqlAt(packet), command.dialect ?? 0)) return 'shutdown';
  if (killIn(command) !== undefined) command.mayKill = true;
  return lacksFile(command) ? 'local-infile' : undefined;
}

/** Whether it read a file of which the capture lacks something, as far as its recorded answer is known. */
export function lacksFile(command: Command): boolean {
  return command.reply?.kind === 'infile' && !isSendable(command);
}

/** Whether the capture holds the file that `command` read. */
export function isSendable({ file }: Command): boolean {
  return file?.whole === true && !file.tooLong;
}

/** The recorded connection that `command` kills, which it names by its number; undefined: none, or in another way. */
export function killedBy(command: Command): number | undefined {
  if (command.com === COM.processKill) return processKillId(command.packet);
  const kill = killIn(command);
  return kill === undefined || kill.what === 'other' ? undefined : kill.id;
}

/**
 * The packet to send for a command that `mayKill`: `find` answers the target's connection in the place of the recorded one. undefined where there is none: the number would hit somebody else's.
 */
export function withTargetOfKill(
  command: Command,
  find: (connectionId: number) => number | undefined,
): Uint8Array | undefined {
  const { com, packet } = command;
  if (com === COM.processKill) {
    const recorded = processKillId(packet);
    const id = recorded === undefined ? undefined : find(recorded);
    return id === undefined ? undefined : withProcessKillId(packet, id);
  }
  const kill = killIn(command);
  if (kill === undefined) return packet;
  const id = kill.what === 'other' ? undefined : find(kill.id);
  return id === undefined || kill.what === 'other' ? undefined : withKillId(packet, kill, id);
}

/** What the text of a COM_QUERY kills. */
function killIn({ packet, dialect = 0 }: Command): Kill | undefined {
  return killOf(packet, sqlAt(packet), true, dialect);
}

/** The packet of `command` with the text that the run's rules make of its statement; its own where they leave it as it is. */
export function rewrittenPacket(command: Command, rules: RewriteRules): Uint8Array {
  const { packet } = command;
  if (!hasText(command)) return packet;
  const before = textOf(packet);
  const text = rules.text(before);
  return text === before ? packet : withText(packet, text);
}

/** The packet of `command` with the target's names of schemas; its own where it has none of them. */
export function remappedPacket({ com, packet, dialect = 0 }: Command, remap: SchemaRemap): Uint8Array {
  switch (com) {
    case COM.query:
    case COM.stmtPrepare: {
      const before = textOf(packet);
      const text = remap.text(before, dialect);
      return text === before ? packet : withText(packet, text);
    }
    case COM.initDb:
    case COM.createDb:
    case COM.dropDb: {
      // Its octets as characters: whatever the character set, names are told apart by them.
      const name = Buffer.from(payloadOf(packet).subarray(1)).toString('latin1');
      const other = remap.name(name);
      return other === name ? packet : commandPacket([com], Buffer.from(other, 'latin1'));
    }
    default:
      return packet;
  }
}

/** `command` with the names that only one copy has: the same, or another that has all but its packet of it, as long as it lives. */
export function commandWithSchemas(command: Command, schemas: SchemaRemap): Command {
  const packet = remappedPacket(command, schemas);
  return packet === command.packet ? command : Object.create(command, { packet: { value: packet } });
}
