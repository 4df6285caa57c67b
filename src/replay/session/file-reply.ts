import type { Command } from '../../mysql/command.ts';
import type { Connection } from '../../transport/transport.ts';
import { endOfFile, filePackets } from './file-packets.ts';
import { isSendable } from './rewrite.ts';
import type { Script } from './script.ts';

/** LOCAL INFILE: the files that the target asks for within its answer to one command. */
export class FileReply {
  /** One that was asked for was not to be had. */
  isMissing = false;
  readonly #command: Command;
  /** The sequence id of a request that was not answered yet, else -1. */
  #askedBy = -1;
  #sent = 0;

  constructor(command: Command) {
    this.#command = command;
  }

  /** The target asked for the next file, by a packet of that sequence id. */
  asked(sequenceId: number): void {
    this.#askedBy = sequenceId;
  }

  /**
   * Sends the file that was asked for, or, where the capture does not hold it whole, that there is none. As long as the capture
   * may still tell, nothing is sent: `script` has the session told when that changes, and this is to be called again.
   */
  send(connection: Connection, script: Script<Command>): void {
    if (this.#askedBy < 0) return;
    const command = this.#command;
    const { file } = command;
    const first = (this.#askedBy + 1) & 255;
    const packets = file && isSendable(command) ? filePackets(file, this.#sent, first) : undefined;
    const isOver = packets !== undefined || file?.tooLong === true;
    if (!isOver && !script.isAnswerKnown(command)) return;
    this.#askedBy = -1;
    this.#sent++;
    if (packets === undefined) this.isMissing = true;
    connection.writeLogin(packets ?? endOfFile(first));
  }
}
