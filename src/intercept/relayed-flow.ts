import type { Address } from '../wire/address.ts';
import { addressFromOctets } from '../wire/address.ts';
import { Tuple } from '../wire/tuple.ts';
import { MESSAGE, type MessageWriter } from './messages.ts';
import type { Resumption, Target } from './ports.ts';

/** `register` and, longer, `resume` (docs/relay-protocol.md), octet offsets. */
const ISS = 8;
const TARGET_PORT = 12;
const CLIENT_PORT = 14;
const TARGET = 16;
const CLIENT = 32;
const REGISTER_OCTETS = 48;
const RCV_NXT = 48;
const ACK = 52;
const TS_RECENT = 56;
const MSS = 60;
const SHIFT = 62;
const FLAGS = 63;
const CAPABILITIES = 64;
const EXTENDED_CAPABILITIES = 68;
const EXPECT = 72;
const TS_VAL = 76;
const STATE = 80;

/** `aim`, octet offsets. */
const REPLAY = 8;
export const REPLAY_OCTETS = 16;
const AIM_PORT = 24;
const AIM_ADDRESS = 28;
const AIM_OCTETS = 44;

/** RFC 7323 (2.3). */
const MOST_SHIFT = 14;

/** Addresses of a channel that are remembered, so that its flows share them. */
const MOST_ADDRESSES = 65_536;

const FLAG = { sackPermitted: 1, timestamps: 2, commandPhase: 4 } as const;

/** `replay`: REPLAY_OCTETS random octets that say which replay a channel belongs to. */
export function writeAim(writer: MessageWriter, replay: Uint8Array, { address, port }: Target): void {
  const at = writer.begin(MESSAGE.aim, address.family, 0, AIM_OCTETS);
  const { view } = writer;
  writer.octets(at + REPLAY, replay);
  view.setUint16(at + AIM_PORT, port);
  view.setUint16(at + AIM_PORT + 2, 0);
  for (let i = at + AIM_ADDRESS; i < at + AIM_OCTETS; i += 4) view.setUint32(i, 0);
  writer.octets(at + AIM_ADDRESS, address.octets);
}

export function writeRegister(writer: MessageWriter, id: number, tuple: Tuple, iss: number): void {
  const at = writer.begin(MESSAGE.register, tuple.family, id, REGISTER_OCTETS);
  putTuple(writer, at, tuple, iss);
}

export function writeResume(writer: MessageWriter, id: number, tuple: Tuple, from: Resumption): void {
  const { peer, commandPhase, state } = from;
  const at = writer.begin(MESSAGE.resume, tuple.family, id, STATE + (state?.length ?? 0));
  putTuple(writer, at, tuple, from.iss);
  const { view } = writer;
  view.setUint32(at + RCV_NXT, from.rcvNxt);
  view.setUint32(at + ACK, from.ack);
  view.setUint32(at + TS_RECENT, from.tsRecent);
  view.setUint16(at + MSS, Math.max(0, peer.mss));
  view.setInt8(at + SHIFT, peer.shift);
  const flags =
    (peer.sackPermitted ? FLAG.sackPermitted : 0) |
    (peer.timestamps ? FLAG.timestamps : 0) |
    (commandPhase === undefined ? 0 : FLAG.commandPhase);
  view.setUint8(at + FLAGS, flags);
  view.setUint32(at + CAPABILITIES, commandPhase?.capabilities ?? 0);
  view.setUint32(at + EXTENDED_CAPABILITIES, commandPhase?.extendedCapabilities ?? 0);
  view.setUint32(at + EXPECT, (from.expect ?? 0) << 24);
  view.setUint32(at + TS_VAL, from.tsVal);
  if (state !== undefined) writer.octets(at + STATE, state);
}

function putTuple(writer: MessageWriter, at: number, tuple: Tuple, iss: number): void {
  const { view } = writer;
  view.setUint32(at + ISS, iss);
  view.setUint16(at + TARGET_PORT, tuple.targetPort);
  view.setUint16(at + CLIENT_PORT, tuple.clientPort);
  for (let i = at + TARGET; i < at + REGISTER_OCTETS; i += 4) view.setUint32(i, 0);
  writer.octets(at + TARGET, tuple.target.octets);
  writer.octets(at + CLIENT, tuple.client.octets);
}

/** A window shift as a peer may have it: no larger than the largest, −1 none. */
export function shiftOf(shift: number): number {
  return Math.max(-1, Math.min(MOST_SHIFT, shift));
}

/** Reads `aim`, `register` and `resume` of one channel. Flows of one address share the object that stands for it. */
export class FlowFields {
  readonly #addresses = new Map<string, Address>();

  /** Of an `aim` message; undefined where its address is of no IP version. */
  aim(view: DataView, octets: Uint8Array, at: number): { replay: string; target: Target } | undefined {
    const family = octets[at + 3];
    if (family !== 4 && family !== 6) return undefined;
    const replay = Buffer.from(octets.subarray(at + REPLAY, at + REPLAY + REPLAY_OCTETS)).toString('hex');
    const address = this.#address(octets, at + AIM_ADDRESS, family);
    return { replay, target: { address, port: view.getUint16(at + AIM_PORT) } };
  }

  /** The tuple of the message at `at`, or undefined where its addresses are of no IP version. */
  tuple(view: DataView, octets: Uint8Array, at: number): Tuple | undefined {
    const family = octets[at + 3];
    if (family !== 4 && family !== 6) return undefined;
    const client = this.#address(octets, at + CLIENT, family);
    const target = this.#address(octets, at + TARGET, family);
    return new Tuple(client, view.getUint16(at + CLIENT_PORT), target, view.getUint16(at + TARGET_PORT));
  }

  iss(view: DataView, at: number): number {
    return view.getUint32(at + ISS);
  }

  /** Of a `resume` message; its state is valid as long as `octets` are. */
  resumption(view: DataView, octets: Uint8Array, at: number, length: number): Resumption {
    const flags = octets[at + FLAGS];
    const mss = view.getUint16(at + MSS);
    const expect = octets[at + EXPECT];
    return {
      iss: this.iss(view, at),
      rcvNxt: view.getUint32(at + RCV_NXT),
      ack: view.getUint32(at + ACK),
      tsVal: view.getUint32(at + TS_VAL),
      tsRecent: view.getUint32(at + TS_RECENT),
      peer: {
        mss: mss === 0 ? -1 : mss,
        shift: shiftOf(view.getInt8(at + SHIFT)),
        sackPermitted: (flags & FLAG.sackPermitted) !== 0,
        timestamps: (flags & FLAG.timestamps) !== 0,
      },
      commandPhase:
        flags & FLAG.commandPhase
          ? {
              capabilities: view.getUint32(at + CAPABILITIES),
              extendedCapabilities: view.getUint32(at + EXTENDED_CAPABILITIES),
            }
          : undefined,
      expect: expect === 0 ? undefined : expect,
      state: length > STATE ? octets.subarray(at + STATE, at + length) : undefined,
    };
  }

  #address(octets: Uint8Array, at: number, family: 4 | 6): Address {
    const address = addressFromOctets(octets, at, family);
    const known = this.#addresses.get(address.text);
    if (known !== undefined) return known;
    if (this.#addresses.size === MOST_ADDRESSES) this.#addresses.clear();
    this.#addresses.set(address.text, address);
    return address;
  }
}
