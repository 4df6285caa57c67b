/**
 * An HTTP server that answers each request by what it was asked, and counts requests by method, path and body: what it has
 * seen is asked for at `SEEN_PORT`, which nobody records. Its answers differ from run to run in nothing.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

export const HTTP_PORT = 8080;
export const SEEN_PORT = 8081;

const seen: Record<string, number> = {};

const service = createServer((request, response) => {
  const hash = createHash('sha1');
  let octets = 0;
  request.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    octets += chunk.length;
  });
  request.on('end', () => {
    const key = `${request.method} ${request.url} ${octets} ${hash.digest('hex')}`;
    seen[key] = (seen[key] ?? 0) + 1;
    response.sendDate = false;
    // /large/N: an answer of N octets.
    const large = /^\/large\/(\d+)$/.exec(request.url ?? '');
    response.end(large === null ? key : Buffer.alloc(Number(large[1]), key));
  });
});
service.keepAliveTimeout = 60_000;

if (process.argv[2] === 'serve') {
  createServer((_, response) => response.end(JSON.stringify(seen))).listen(SEEN_PORT);
  service.listen(HTTP_PORT, () => process.stderr.write('listening\n'));
}
