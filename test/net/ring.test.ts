import { openCapture } from '../../src/net/drivers.ts';
import { captureContract } from './capture-contract.ts';

for (const mode of ['throughput', 'latency'] as const) {
  captureContract({
    name: `ring (${mode})`,
    isRing: true,
    open: (options) => openCapture('ring', { ...options, mode }),
  });
}
