import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openArchive } from '../../src/archive/reader.ts';
import { ArchiveWriter } from '../../src/archive/writer.ts';
import { decodeSessions } from '../../src/flow/decode.ts';
import { PcapParser } from '../../src/wire/pcap.ts';
import { temporaryFolder } from './support.ts';

const FIXTURES = new URL('../../../fixtures/', import.meta.url);
/** The port of the server that they were made with (fixtures/make-captures.sh). */
const SERVER_PORT = 33_917;

for (const name of ['mariadb-cli', 'mysql2', 'sysbench-text', 'sysbench-prepared']) {
  test(`${name}: the index and the decoder agree on real traffic`, async (t) => {
    const dir = join(temporaryFolder(t), 'a');
    const parser = new PcapParser();
    parser.push(readFileSync(new URL(`${name}.pcap`, FIXTURES)));
    let writer: ArchiveWriter | undefined;
    const ports = [SERVER_PORT];
    while (parser.pull()) {
      const { linkType } = parser.format!;
      writer ??= ArchiveWriter.create(dir, { linkType, originSec: parser.originSec, serverPorts: ports });
      writer.write(parser.block);
    }
    assert.equal(parser.state, 'records');
    writer!.close({ packets: writer!.packets, dropped: 0 });

    const archive = openArchive(dir);
    const decoded = new Map<number, number>();
    for await (const events of decodeSessions(archive.packets(), { serverPorts: new Set(ports) })) {
      for (const event of events) {
        if (event.type !== 'command') continue;
        decoded.set(event.session.id, (decoded.get(event.session.id) ?? 0) + 1);
      }
    }
    assert.ok(decoded.size > 0);
    for (const session of archive.sessions()) {
      if (session.commands === null) continue;
      assert.equal(session.commands, decoded.get(session.id) ?? 0, `session ${session.id}`);
    }
    archive.close();
  });
}
