import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brand, programsOf } from '../../scripts/lab/servers/brands.ts';
import { installData } from '../../scripts/lab/servers/template.ts';
import type { Certificate } from './certificate.ts';

export const PASSWORD = 'secret';

/** May log in as it likes, and by TLS only. */
export const USERS = { any: 'any', tls: 'tls_only' } as const;

const FIRST_START = [
  `CREATE USER ${USERS.any}@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('${PASSWORD}');`,
  `CREATE USER ${USERS.tls}@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('${PASSWORD}') REQUIRE SSL;`,
];

/** A real server on loopback. It may not listen yet. */
export interface MariaDb {
  port: number;
  stop(): Promise<void>;
}

export async function startMariaDb({ key, cert }: Certificate): Promise<MariaDb> {
  const folder = mkdtempSync(join(tmpdir(), 'mytape-mariadb-'));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const data = join(folder, 'data');
  installData(brand('mariadb'), programsOf('mariadb'), data);
  const port = await freePort();
  const server = spawn(
    'mariadbd',
    [
      '--no-defaults',
      '--user=root',
      `--datadir=${data}`,
      `--socket=${join(folder, 'mysql.sock')}`,
      `--pid-file=${join(folder, 'mariadbd.pid')}`,
      `--tmpdir=${folder}`,
      '--bind-address=127.0.0.1',
      `--port=${port}`,
      '--skip-name-resolve',
      '--performance-schema=OFF',
      '--innodb-buffer-pool-size=16M',
      '--innodb-log-file-size=32M',
      `--ssl-key=${file('key.pem', key)}`,
      `--ssl-cert=${file('cert.pem', cert)}`,
      `--init-file=${file('first-start.sql', `${FIRST_START.join('\n')}\n`)}`,
    ],
    { stdio: 'ignore' },
  );
  const exited = once(server, 'exit');
  return {
    port,
    stop: async () => {
      server.kill('SIGKILL');
      await exited;
      rmSync(folder, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
