import { openArchive } from '../../../src/archive/reader.ts';
import { decodeSessions } from '../../../src/flow/decode.ts';
import { CLIENT, has } from '../../../src/mysql/capabilities.ts';
import { COM } from '../../../src/mysql/command.ts';
import { KeyLog } from '../../../src/tls/key-log.ts';
import { TlsStream } from '../../../src/tls/stream.ts';

/** What a recording holds, by what a replay finds hard: each counted. */
export interface Contents {
  /** Commands by name (COM). */
  commands: Record<string, number>;
  /** Files of clients', sent whole. */
  files: number;
  compressedSessions: number;
  /** Those that cannot be read without keys. */
  encryptedSessions: number;
}

export async function contentsOf(folder: string, port: number, keyLog: string): Promise<Contents> {
  const names = new Map(Object.entries(COM).map(([name, com]) => [com as number, name]));
  const contents: Contents = { commands: {}, files: 0, compressedSessions: 0, encryptedSessions: 0 };
  const keys = new KeyLog();
  keys.add(keyLog);
  const serverPorts = new Set([port]);
  const archive = openArchive(folder);
  const source = archive.packets();
  for await (const events of decodeSessions(source, {
    serverPorts,
    openTls: (plain) => {
      contents.encryptedSessions++;
      return new TlsStream(keys, plain);
    },
  })) {
    for (const event of events) {
      if (event.type === 'open' && has(event.session.capabilities, CLIENT.compress))
        contents.compressedSessions++;
      if (event.type === 'reply' && event.command.file?.whole === true) contents.files++;
      if (event.type !== 'command') continue;
      const { com } = event.command;
      const name = names.get(com) ?? String(com);
      contents.commands[name] = (contents.commands[name] ?? 0) + 1;
    }
  }
  source.close();
  archive.close();
  return contents;
}
