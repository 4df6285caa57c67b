/** Scripted conversations: a server's greeting, a client's hello, and what a Dialogue makes of them. */
import assert from 'node:assert/strict';
import { CLIENT } from '../../../src/mysql/capabilities.ts';
import type { Command } from '../../../src/mysql/command.ts';
import { Dialogue, type DialogueOptions, type DialogueSink } from '../../../src/mysql/dialogue.ts';
import { writeHandshakeResponse } from '../../../src/mysql/handshake.ts';
import { ok, packets, payload } from './packets.ts';

export const CAPABILITIES = CLIENT.protocol41 | CLIENT.secureConnection | CLIENT.pluginAuth;

export const greeting = (capabilities: number = CAPABILITIES | CLIENT.compress) =>
  packets(
    0,
    payload(
      10,
      '8.0.36',
      0,
      9,
      0,
      0,
      0,
      new Uint8Array(8).fill(1),
      0,
      capabilities,
      capabilities >> 8,
      45,
      2,
      0,
      capabilities >> 16,
      capabilities >>> 24,
      21,
      new Uint8Array(10),
      new Uint8Array(12).fill(2),
      0,
      'mysql_native_password',
      0,
    ),
  );

export const hello = (capabilities: number = CAPABILITIES) =>
  writeHandshakeResponse(
    {
      capabilities,
      extendedCapabilities: 0,
      maxPacket: 0,
      charset: 45,
      user: 'u',
      authResponse: new Uint8Array(0),
    },
    1,
  );

/** Writes down what a Dialogue tells. */
export class Log {
  readonly lines: string[] = [];
  readonly commands: Command[] = [];
  readonly dialogue: Dialogue;

  constructor(options: DialogueOptions = {}) {
    this.dialogue = new Dialogue(this.#sink, options);
  }

  readonly #sink: DialogueSink = {
    login: ({ response, capabilities }) =>
      this.lines.push(`login ${response.user} ${capabilities.toString(16)}`),
    refused: ({ response }, errno) => this.lines.push(`refused ${response.user} ${errno}`),
    joined: (commands) => this.lines.push(`joined ${commands}`),
    command: (command) => {
      const { ordinal, com, packet } = command;
      this.commands.push(command);
      this.lines.push(
        `command ${ordinal} ${com} ${Buffer.from(packet).toString('base64').slice(0, 200)} ${packet.length}`,
      );
    },
    reply: ({ ordinal, reply }) => this.lines.push(`reply ${ordinal} ${JSON.stringify({ ...reply, at: 0 })}`),
    lost: (cause, commands) => this.lines.push(`lost ${cause} ${commands}`),
  };

  client(octets: Uint8Array): this {
    this.dialogue.fromClient(octets, 0, octets.length, 0);
    return this;
  }

  server(octets: Uint8Array): this {
    this.dialogue.fromServer(octets, 0, octets.length, 0);
    return this;
  }

  /** Nothing follows. */
  end(): this {
    this.dialogue.finish();
    return this;
  }

  /** The lines since the last call, shortened to what a scenario is about. */
  take(): string[] {
    const lines = this.lines.splice(0);
    return lines.map((line) =>
      line.replace(/^(command \d+ \d+) .*/, '$1').replace(/^(reply \d+) .*"kind":"(\w+)".*/, '$1 $2'),
    );
  }
}

/** One whose login is over. */
export function ready(options: DialogueOptions = {}): Log {
  const log = new Log(options).server(greeting()).client(hello()).server(packets(2, ok()));
  assert.deepEqual(log.take(), [`login u ${CAPABILITIES.toString(16)}`]);
  return log;
}
