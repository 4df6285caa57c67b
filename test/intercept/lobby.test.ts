import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import { Lobby } from '../../src/intercept/lobby.ts';
import { listenRelay } from '../../src/intercept/relay-socket.ts';
import { KEY, until } from './relay-bed.ts';

test('who has said no hello does not keep an intercept that stops', async () => {
  const lobby = new Lobby(0x7fffffff);
  const refused: string[] = [];
  const server = await listenRelay(
    { host: '127.0.0.1', port: 0 },
    {
      key: KEY,
      onChannel: () => assert.fail('it has no key'),
      onRefused: (_from, why) => refused.push(why),
      lobby,
    },
  );
  const silent = connect((server.address() as AddressInfo).port, '127.0.0.1');
  silent.on('error', () => {});
  await until(() => lobby.size === 1, 'the connection');
  server.close();
  lobby.close();
  await once(server, 'close');
  assert.deepEqual([lobby.size, refused], [0, ['said no hello before intercept stopped']]);
});
