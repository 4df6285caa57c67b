/** What is said inside the TLS sessions of an archive whose keys are known. Its index has their outside only. */
import { MytapeError } from '../errors.ts';
import { decodeSessions } from '../flow/decode.ts';
import { tlsReader } from './keys.ts';
import type { Archive } from './reader.ts';

/** What the index has of sessions that are not under TLS. */
export interface InsideTls {
  user: string | undefined;
  schema: string | undefined;
  /** null: some can't be made out. */
  commands: number | null;
}

export interface TlsSessions {
  /** Sessions under TLS. */
  tls: number;
  /** Those that could be opened, by number. */
  opened: ReadonlyMap<number, InsideTls>;
}

/**
 * Reads the TLS sessions of an archive, by its own secrets and those of `keyLog` (the text of a key log): once through the whole
 * archive, where there are both such sessions and secrets. What follows a damaged block stays closed. Throws as `readKeys`.
 */
export async function readTlsSessions(archive: Archive, keyLog?: string): Promise<TlsSessions> {
  const under = new Set<number>();
  for (const { id, tls } of archive.sessions()) if (tls) under.add(id);
  const opened = new Map<number, InsideTls>();
  const openTls = under.size === 0 ? undefined : tlsReader(archive.info.dir, keyLog);
  if (openTls === undefined) return { tls: under.size, opened };
  const { serverPorts, limits } = archive.info;
  const packets = archive.packets();
  try {
    const wants = (id: number) => under.has(id);
    const options = { ...limits, serverPorts: new Set(serverPorts), openTls, wants };
    for await (const events of decodeSessions(packets, options)) {
      for (const event of events) {
        const { id, login } = event.session;
        const inside = opened.get(id);
        if (event.type === 'open') opened.set(id, { user: login?.user, schema: login?.schema, commands: 0 });
        else if (inside === undefined) continue;
        else if (event.type === 'lost') inside.commands = null;
        else if (event.type === 'command' && inside.commands !== null) inside.commands++;
      }
    }
  } catch (error) {
    if (!(error instanceof MytapeError)) throw error;
  } finally {
    packets.close();
  }
  return { tls: under.size, opened };
}
