import { openCapture } from '../../../src/net/capture/drivers.ts';
import { captureContract } from '../capture-contract.ts';

captureContract({
  name: 'cap',
  isRing: false,
  open: (options) => openCapture('cap', { ...options, mode: 'throughput' }),
});
