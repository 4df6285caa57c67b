import { openCapture } from '../../src/net/drivers.ts';
import { captureContract } from './contract.ts';

captureContract({
  name: 'cap',
  isRing: false,
  open: (options) => openCapture('cap', { ...options, mode: 'throughput' }),
});
