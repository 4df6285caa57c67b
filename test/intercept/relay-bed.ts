/** Intercepts, replays and strangers of a test, by TCP with a key and by Unix sockets without one. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Lobby } from '../../src/intercept/lobby.ts';
import {
  MESSAGE,
  MessageReader,
  MessageWriter,
  RELAY_MAGIC,
  RELAY_VERSION,
} from '../../src/intercept/messages.ts';
import type { Target } from '../../src/intercept/ports.ts';
import { Receiver } from '../../src/intercept/receiver.ts';
import { isUnix, type RelayAddress } from '../../src/intercept/relay-address.ts';
import { RelayClient } from '../../src/intercept/relay-client.ts';
import { type RelayLimits, RelayRoom } from '../../src/intercept/relay-room.ts';
import { RelayChannel } from '../../src/intercept/relay-server.ts';
import { listenRelay } from '../../src/intercept/relay-socket.ts';
import { writeAim } from '../../src/intercept/relayed-flow.ts';
import { parseTarget, TargetList } from '../../src/intercept/target-list.ts';
import type { Progress } from '../../src/tcp/progress.ts';
import { ManualClock } from '../../src/time.ts';
import { ipv4Address } from '../../src/wire/address.ts';
import { Tuple } from '../../src/wire/tuple.ts';
import { until as untilSo } from '../support/until.ts';
import { FakeInjector, RecordingOwner } from './support.ts';

export const KEY = Buffer.alloc(32, 7);
export const TARGET = 0xc0a80001;
export const CLIENT = 0xfa010203;
export const AIM: Target = { address: ipv4Address(TARGET), port: 3307 };

/** What a receive half tells along: nothing of it matters to who uses this. */
export const PROGRESS: Progress = {
  ack: 1,
  window: 2,
  rcvNxt: 3,
  tsRecent: 0,
  pure: false,
  sackCount: 0,
  sack: new Uint32Array(8),
};

export const tupleOf = (clientPort: number) =>
  new Tuple(ipv4Address(CLIENT), clientPort, ipv4Address(TARGET), 3307);

/** Waits until `seen` is, or fails. */
export function until(seen: () => boolean, what: string): Promise<void> {
  return untilSo(what, seen, 5);
}

/** A path for a socket, in a folder that goes with the test. */
export function socketPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'mytape-relay-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'relay.sock');
}

export interface Intercept {
  address: RelayAddress;
  injector: FakeInjector;
  receiver: Receiver;
  room: RelayRoom;
  lobby: Lobby;
  channels: RelayChannel[];
  log: string[];
  /** As a process that ends: all that it has is gone, and the place is free. */
  stop(): void;
}

interface InterceptChoices {
  address?: RelayAddress;
  limits?: Partial<RelayLimits>;
  lobby?: Lobby;
}

/** An intercept without a capture, whose targets are AIM's network: with a key by TCP on loopback, else at a path. */
export async function startIntercept(
  t: TestContext,
  key: Buffer | undefined,
  { address, limits, lobby = new Lobby() }: InterceptChoices = {},
): Promise<Intercept> {
  const at = address ?? (key === undefined ? { path: socketPath(t) } : { host: '127.0.0.1', port: 0 });
  const injector = new FakeInjector(128);
  const receiver = new Receiver(injector, new ManualClock(1));
  const targets = new TargetList([parseTarget('192.168.0.0/24:3307'), parseTarget('192.168.0.1:6379')]);
  const channels: RelayChannel[] = [];
  const log: string[] = [];
  const room = new RelayRoom(limits);
  const server = await listenRelay(at, {
    key,
    lobby,
    onChannel: (socket, guest) => {
      const stats = () => ({ packets: 2 ** 40 + 1, dropped: 5 });
      const say = (event: string, detail: string) => log.push(`${event}: ${detail}`);
      channels.push(new RelayChannel(socket, guest, { receiver, targets, room, stats, log: say }));
    },
    onRefused: (from, why) => log.push(`refused: ${from} ${why}`),
  });
  const stop = () => {
    server.close();
    for (const channel of channels) channel.close();
  };
  t.after(stop);
  return { address: addressOf(server, at), injector, receiver, room, lobby, channels, log, stop };
}

function addressOf(server: Server, asked: RelayAddress): RelayAddress {
  return isUnix(asked) ? asked : { host: asked.host, port: (server.address() as AddressInfo).port };
}

export interface Replay {
  client: RelayClient;
  owner: RecordingOwner;
  /** What became of the channel. */
  events: string[];
}

export async function connect(
  t: TestContext,
  address: RelayAddress,
  key: Buffer | undefined,
  target = AIM,
): Promise<Replay> {
  const owner = new RecordingOwner();
  const events: string[] = [];
  const client = await RelayClient.open({
    address,
    key,
    owner,
    target,
    events: {
      lost: (why) => events.push(`lost: ${why}`),
      back: () => events.push('back'),
      gone: (why) => events.push(`gone: ${why}`),
      taken: () => events.push('taken'),
    },
  });
  t.after(() => client.close());
  return { client, owner, events };
}

export interface Wire {
  address: RelayAddress;
  /** Ends all that is connected, without a word of either end's. */
  cut(): void;
  /** Lets nothing through any more, and ends nothing. */
  hold(): void;
}

/** What lies between a replay and an intercept at `to`. */
export async function startWire(t: TestContext, to: RelayAddress): Promise<Wire> {
  const sockets: Socket[] = [];
  const join = (near: Socket) => {
    const far = net.connect({ ...to });
    far.on('error', () => {});
    for (const [from, onto] of [
      [near, far],
      [far, near],
    ]) {
      from.pipe(onto);
      from.on('close', () => onto.destroy());
    }
    sockets.push(near, far);
  };
  const address = await startStranger(t, join, isUnix(to) ? 'unix' : 'tcp');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  return {
    address,
    cut: () => {
      for (const socket of sockets.splice(0)) socket.destroy();
    },
    hold: () => {
      for (const socket of sockets) socket.removeAllListeners('close').unpipe().pause();
    },
  };
}

/** A server that is no intercept: runs `onSocket` for whoever comes. */
export async function startStranger(
  t: TestContext,
  onSocket: (socket: Socket) => void,
  way: 'unix' | 'tcp' = 'unix',
): Promise<RelayAddress> {
  const at = way === 'unix' ? { path: socketPath(t) } : { host: '127.0.0.1', port: 0 };
  const sockets: Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(at, resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return addressOf(server, at);
}

/** Sends `octets` to an intercept and answers the messages that come back until it closes: type and text. */
export function talk(address: RelayAddress, octets: Uint8Array): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const said: string[] = [];
    const reader = new MessageReader((type, _view, all, at, length) => {
      said.push(`${type} ${Buffer.from(all.subarray(at + 8, at + length)).toString()}`);
    });
    const socket = net.connect({ ...address }, () => socket.write(octets));
    socket.on('data', (part) => assert.ok(reader.feed(part)));
    socket.on('close', () => resolve(said));
    // Whoever still sends a while after he was refused is reset.
    socket.on('error', (error) => {
      if (said.length === 0) reject(error);
    });
  });
}

export function hello(version: number, magic = RELAY_MAGIC): Uint8Array {
  const writer = new MessageWriter();
  const at = writer.begin(MESSAGE.hello, 0, 0, 16);
  writer.view.setUint32(at + 8, magic);
  writer.view.setUint16(at + 12, version);
  return writer.take();
}

/** Hello, and the target. */
export function greeting(replay = new Uint8Array(16), target = AIM): Uint8Array {
  const writer = new MessageWriter();
  writeAim(writer, replay, target);
  return Buffer.concat([hello(RELAY_VERSION), writer.take()]);
}
