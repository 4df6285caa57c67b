import { COM, type Command } from '../mysql/command.ts';
import { sqlAt } from './sql.ts';

/** How much of a COM_QUERY's text is looked at. */
const HEAD_OCTETS = 256;

/** KILL, behind blanks and comments. */
const KILL = /^(?:\s|\/\*(?!!)(?:[^*]|\*(?!\/))*\*\/|(?:#|--\s)[^\n]*\n)*kill\s/i;

/** Whether a statement that begins so is worth a look: most are not. A letter k, a blank, or a comment. */
function mayKill(first: number): boolean {
  return (first | 0x20) === 0x6b || first <= 0x20 || first === 0x2f || first === 0x23 || first === 0x2d;
}

/**
 * Why a command must not, or cannot yet, be sent to another server than the one it was made for. undefined: it can.
 */
export function skipCauseOf(command: Command): string | undefined {
  switch (command.com) {
    case COM.query:
      if (command.reply?.kind === 'infile') return 'local-infile';
      return mayKill(command.packet[sqlAt(command.packet)]) && isKill(command.packet) ? 'kill' : undefined;
    case COM.processKill:
      return 'kill';
    case COM.shutdown:
      return 'shutdown';
    case COM.changeUser:
      return 'change-user';
    default:
      return undefined;
  }
}

/** `KILL 17` names a connection of the recorded server: here it would hit somebody else's. */
function isKill(packet: Uint8Array): boolean {
  const from = sqlAt(packet);
  const length = Math.min(HEAD_OCTETS, packet.length - from);
  const head = Buffer.from(packet.buffer, packet.byteOffset + from, length);
  return KILL.test(head.toString('latin1'));
}
