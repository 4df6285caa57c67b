import { MytapeError } from '../../errors.ts';
import type { PacketSource } from '../../wire/packets.ts';
import type { Injector } from '../injector.ts';
import { type MmsgOptions, openMmsgInjector } from '../mmsg.ts';
import { openRawSocketInjector } from '../raw-socket.ts';
import { openCap } from './cap.ts';
import { ANY_INTERFACE, openRing, type RingOptions } from './ring.ts';

/** What `--capture-driver` takes; the first is the default. */
export const CAPTURE_DRIVERS = ['ring', 'cap'] as const;
/** What `--send-driver` takes; the first is the default. */
export const SEND_DRIVERS = ['mmsg', 'raw-socket'] as const;

export type CaptureDriver = (typeof CAPTURE_DRIVERS)[number];
export type SendDriver = (typeof SEND_DRIVERS)[number];

/**
 * cap has one mode, is always promiscuous and hears both directions: it ignores those options. Errors: as openRing and openCap say;
 * 'usage' where cap is to capture on all interfaces.
 */
export async function openCapture(driver: CaptureDriver, options: RingOptions): Promise<PacketSource> {
  if (driver === 'cap' && options.iface === ANY_INTERFACE) {
    throw new MytapeError(
      'usage',
      `cannot capture on ${ANY_INTERFACE} with --capture-driver cap, which shows a packet once for each interface: name one interface, or use --capture-driver ring`,
    );
  }
  return driver === 'ring' ? openRing(options) : openCap(options);
}

/** raw-socket has no batches. Errors: as openMmsgInjector and openRawSocketInjector say. */
export async function openInjector(driver: SendDriver, options: MmsgOptions = {}): Promise<Injector> {
  return driver === 'mmsg' ? openMmsgInjector(options) : openRawSocketInjector(options);
}
