import { openInjector } from '../../src/net/capture/drivers.ts';
import { injectorContract } from './injector-contract.ts';

injectorContract({ name: 'mmsg', open: (options) => openInjector('mmsg', options) });
