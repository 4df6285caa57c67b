import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lossesOfCapture, lossesOfRecording, packetsLost } from '../../src/report/losses.ts';

describe('packets that a capture lost', () => {
  test('have causes, of which only those that occur are named', () => {
    assert.deepEqual(packetsLost({ dropped: 0 }), {});
    assert.deepEqual(packetsLost({ dropped: 0, droppedByDisk: 0 }), {});
    assert.deepEqual(packetsLost({ dropped: 3, droppedByDisk: 4 }), { kernel: 3, disk: 4 });
    assert.deepEqual(packetsLost({ dropped: 0, droppedByDisk: 4 }), { disk: 4 });
    assert.deepEqual(packetsLost({ dropped: 0, lostByDamage: 2 }), { damage: 2 });
  });

  test('have a sentence each, with what to do', () => {
    assert.deepEqual(lossesOfRecording({}), []);
    const [kernel, disk] = lossesOfRecording({ kernel: 1, disk: 1200 });
    assert.match(kernel, /^the recording lost 1 packet while it was made: the kernel .*--buffer\)$/);
    assert.match(
      disk,
      /^the recording lost 1200 packets .*: its disk was full, .* gaps \(free room on the disk, /,
    );
    assert.match(
      lossesOfRecording({ damage: 2 })[0],
      /^the archive lost 2 packets or more after .*undamaged copy/,
    );
    assert.match(lossesOfCapture({ kernel: 2 })[0], /^the capture lost 2 packets: .*--buffer, more -C\)$/);
  });
});
