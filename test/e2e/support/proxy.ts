/** A TCP proxy, as its own process: `node proxy.js PORT HOST:PORT DELAY_MS`, or with the path of a unix socket for PORT. It passes on each piece that comes, so much later. */
import { connect, createServer, type Socket } from 'node:net';

const [, , listen, to, delay] = process.argv;
const [host, port] = to.split(':');

function pass(from: Socket, onto: Socket): void {
  from.on('data', (octets) => setTimeout(() => onto.writable && onto.write(octets), Number(delay)));
  from.on('end', () => setTimeout(() => onto.end(), Number(delay)));
  from.on('error', () => onto.destroy());
  from.on('close', () => setTimeout(() => onto.destroy(), Number(delay)));
}

createServer({ allowHalfOpen: true }, (client) => {
  const server = connect({ host, port: Number(port), allowHalfOpen: true });
  pass(client, server);
  pass(server, client);
}).listen(/^\d+$/.test(listen) ? Number(listen) : listen, () => process.stderr.write('listening\n'));
