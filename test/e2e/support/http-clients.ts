/** Clients of http-service.ts at `argv[2]`, each with one connection that is kept alive. */
import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { HTTP_PORT } from './http-service.ts';

const CLIENTS = 4;
const ROUNDS = 8;

const [, , host] = process.argv;

function ask(agent: Agent, method: string, path: string, body?: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request({ agent, host, port: HTTP_PORT, method, path }, (response) => {
      let octets = 0;
      response.on('data', (chunk: Buffer) => {
        octets += chunk.length;
      });
      response.on('end', () => resolve(octets));
      response.on('error', reject);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

async function client(number: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let round = 0; round < ROUNDS; round++) {
    const path = `/client/${number}/round/${round}`;
    await ask(agent, 'GET', path);
    await ask(agent, 'POST', path, Buffer.alloc(10 ** (round % 6), path));
    const size = 1 + round * 40_000;
    assert.equal(await ask(agent, 'GET', `/large/${size}`), size);
  }
  agent.destroy();
}

await Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)));
