import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import type { ReadStream } from 'node:tty';
import { keysHelp, listenForKeys } from '../../../src/run/control/keys.ts';

class FakeTerminal extends EventEmitter {
  raw: boolean[] = [];
  flows = false;
  setRawMode(raw: boolean): void {
    this.raw.push(raw);
  }
  setEncoding(): void {}
  resume(): void {
    this.flows = true;
  }
  pause(): void {
    this.flows = false;
  }
}

function pressed(speed: number | undefined, keys: string) {
  const terminal = new FakeTerminal();
  const did: string[] = [];
  const run = {
    speed,
    paused: false,
    setSpeed(to: number) {
      run.speed = to;
      did.push(String(to));
    },
    pause() {
      run.paused = true;
      did.push('pause');
    },
    resume() {
      run.paused = false;
      did.push('resume');
    },
    stop: () => did.push('stop'),
  };
  const exits = process.listenerCount('exit');
  const end = listenForKeys(terminal as unknown as ReadStream, run);
  assert.ok(terminal.flows);
  terminal.emit('data', keys);
  terminal.emit('error', new Error('EIO'));
  end();
  assert.deepEqual(terminal.raw, [true, false]);
  assert.ok(!terminal.flows, 'the process would not end');
  assert.deepEqual([terminal.listenerCount('data'), process.listenerCount('exit')], [0, exits]);
  return did;
}

test('keys, several at once', () => {
  assert.deepEqual(pressed(1, '++=-'), ['1.25', '1.56', '1.95', '1.56']);
  assert.deepEqual(pressed(1, '-+'), ['0.8', '1']);
  assert.deepEqual(pressed(1, ' pp'), ['pause', 'resume', 'pause']);
  assert.deepEqual(pressed(1, 'q\x03'), ['stop', 'stop']);
  assert.deepEqual(pressed(1, 'xyz\x1b[A\r'), []);
});

test('at the ends of the range', () => {
  assert.deepEqual(pressed(900, '++'), ['1000', '1000']);
  assert.deepEqual(pressed(0.0101, '--'), ['0.01', '0.01']);
  assert.deepEqual(pressed(Number.POSITIVE_INFINITY, '+-'), ['Infinity', '1000']);
});

test('a mirror can only be stopped', () => {
  assert.deepEqual(pressed(undefined, '+- pq'), ['stop']);
  assert.equal(keysHelp({ speed: undefined } as Parameters<typeof keysHelp>[0]), 'q stop');
});
