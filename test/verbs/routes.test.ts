import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { interleave, recordArchive, sessionFrames } from '../archive/support.ts';
import { mytape } from './mytape.ts';

const VIA = ['--via', '203.0.113.84'];

/** One session of each client, recorded from 10.0.0.9 (IPv4) and fd00::9 (IPv6). */
function archiveOf(dir: string, clients: readonly string[]): string {
  recordArchive(dir, interleave(clients.map((client, i) => sessionFrames(client, 40_001 + i, 1))));
  return dir;
}

describe('mytape routes', () => {
  let folder: string;
  let tape: string;
  let scattered: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    const near = ['198.51.100.4', '198.51.100.7', '198.51.100.5', '198.51.100.6', '198.51.100.9'];
    tape = archiveOf(join(folder, 'a.tape'), [...near, 'fd77::1', 'fd77::2', 'fd77::3']);
    const far = Array.from({ length: 80 }, (_, i) => `198.51.${100 + (i % 2)}.${2 * i + 1}`);
    scattered = archiveOf(join(folder, 'scattered.tape'), far);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('the fewest lines that hold the clients and nobody else, and on which host to type them', () => {
    const { status, stdout, stderr } = mytape('routes', tape, ...VIA, '--via', 'fd77::84');
    assert.equal(status, 0, stderr);
    assert.equal(
      stdout,
      [
        '# on the target: answers to 8 recorded clients go to the assistant 203.0.113.84, fd77::84',
        'ip route add 198.51.100.4/30 via 203.0.113.84',
        'ip route add 198.51.100.9 via 203.0.113.84',
        'ip -6 route add fd77::1 via fd77::84',
        'ip -6 route add fd77::2/127 via fd77::84',
        '',
      ].join('\n'),
    );
    assert.equal(stderr, '');
  });

  test('clients of the other IP version are told of, not routed by the wrong one', () => {
    const { status, stdout, stderr } = mytape('routes', tape, ...VIA);
    assert.equal(status, 0);
    assert.doesNotMatch(stdout, /fd77/);
    assert.match(stdout, /5 recorded clients/);
    assert.match(
      stderr,
      /no route for fd77::1 \(and 2 more such\): it is IPv6, and no --via is\. 3 sessions/,
    );
  });

  test('a client that is the assistant, the target, a recorded server or kept gets no route', () => {
    const dir = archiveOf(join(folder, 'own.tape'), [
      '203.0.113.84',
      '203.0.113.83',
      '10.0.0.9',
      '127.0.0.1',
      '192.0.2.1',
      '198.51.100.4',
    ]);
    const args = [dir, ...VIA, '-x', '3307-203.0.113.83:3307', '--keep', '192.0.2.0/24'];
    const { stdout, stderr } = mytape('routes', ...args);
    assert.equal(
      stdout,
      '# on the target 203.0.113.83: answers to 1 recorded client go to the assistant 203.0.113.84\n' +
        'ip route add 198.51.100.4 via 203.0.113.84\n',
    );
    assert.match(stderr, /203\.0\.113\.84: it is the assistant/);
    assert.match(stderr, /203\.0\.113\.83: it is the target itself/);
    assert.match(stderr, /10\.0\.0\.9: it is a recorded server/);
    assert.match(stderr, /127\.0\.0\.1: it is loopback/);
    assert.match(stderr, /192\.0\.2\.1: it is of --keep/);
    const left = JSON.parse(mytape('routes', ...args, '--json').stdout);
    assert.deepEqual(
      left.routes.map(({ line }: { line: string }) => line),
      ['ip route add 198.51.100.4 via 203.0.113.84'],
    );
    assert.equal(left.left_out.length, 5);
  });

  test('many lines: what wider prefixes come to is said, and they stop short of what is kept', () => {
    const exact = mytape('routes', scattered, ...VIA);
    assert.equal(exact.stdout.split('\n').length, 80 + 2);
    assert.match(exact.stderr, /these are 80 lines; --prefix 24 makes it 1, and cuts off/);
    const wide = mytape('routes', scattered, ...VIA, '--prefix', '24');
    assert.match(wide.stdout, /\nip route add 198\.51\.100\.0\/23 via 203\.0\.113\.84\n$/);
    assert.equal(wide.stderr, '');
    const kept = mytape('routes', scattered, ...VIA, '--prefix', '/24', '--keep', '198.51.101.128/25');
    assert.match(
      kept.stdout,
      /\nip route add 198\.51\.100\.0\/24 via .*\nip route add 198\.51\.101\.0\/25 via/,
    );
    const assistant = mytape('routes', scattered, '--via', '198.51.100.2', '--prefix', '24');
    assert.doesNotMatch(assistant.stdout, /198\.51\.100\.0\/2[0-9] /, 'holds the assistant');
  });

  test('--delete takes the same routes away', () => {
    const { stdout } = mytape('routes', tape, ...VIA, '--delete');
    assert.match(stdout, /\nip route del 198\.51\.100\.4\/30 via 203\.0\.113\.84\n/);
  });

  test('usage errors say the right form', () => {
    const fails = (message: RegExp, ...args: string[]) => {
      const out = mytape('routes', ...args);
      assert.match(out.stderr, message);
      assert.equal(out.status, 2, out.stderr);
      assert.equal(out.stdout, '');
    };
    fails(/required option '--via/, tape);
    fails(/assistant is no address, as in 10\.128\.6\.84/, tape, '--via', 'assistant');
    fails(/a second one/, tape, ...VIA, '--via', '203.0.113.85');
    fails(/99 is no length of a prefix \(8 to 32\)/, tape, ...VIA, '--prefix', '99');
    fails(/neither an address nor a prefix/, tape, ...VIA, '--keep', '10.1.0.1/16');
  });

  test('no archive, and one without sessions', () => {
    const none = mytape('routes', join(folder, 'none'), ...VIA);
    assert.equal(none.status, 1);
    assert.match(none.stderr, /there is no archive/);
    const empty = join(folder, 'empty.tape');
    recordArchive(empty, []);
    const out = mytape('routes', empty, ...VIA);
    assert.equal(out.status, 1);
    assert.match(out.stderr, /has no session/);
  });
});
