import { openInjector } from '../../src/net/capture/drivers.ts';
import { injectorContract } from './injector-contract.ts';

injectorContract({ name: 'raw-socket', open: (options) => openInjector('raw-socket', options) });
