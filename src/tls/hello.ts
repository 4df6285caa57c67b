/** The two hellos of a handshake (RFC 5246 7.4.1, RFC 8446 4.1), as far as a reader of records needs them. */
import { TLS13 } from './suites.ts';

/** Both hellos begin with legacy_version (2 octets) and random (32). */
const RANDOM = 2;
const SESSION_ID = 34;
const SUPPORTED_VERSIONS = 43;

/** The random by which a ServerHello says that it is a HelloRetryRequest: SHA-256 of that word (RFC 8446 4.1.3). */
const RETRY_RANDOM = 'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c';

export interface ServerHello {
  /** What was agreed upon: 0x0303, 0x0304, or another. */
  version: number;
  suite: number;
  random: Uint8Array;
  /** A HelloRetryRequest: another ClientHello and another ServerHello follow. */
  retry: boolean;
  compressed: boolean;
}

/** The client's random, from a ClientHello's body [from, to); a copy. Undefined: malformed. */
export function clientRandomOf(octets: Uint8Array, from: number, to: number): Uint8Array | undefined {
  return to - from > SESSION_ID ? copy(octets, from + RANDOM) : undefined;
}

/** Reads a ServerHello's body, [from, to). Undefined: malformed. Copies. */
export function readServerHello(octets: Uint8Array, from: number, to: number): ServerHello | undefined {
  if (to - from <= SESSION_ID) return undefined;
  const suite = from + SESSION_ID + 1 + octets[from + SESSION_ID];
  if (suite + 3 > to) return undefined;
  const random = copy(octets, from + RANDOM);
  const legacy = uint16(octets, from);
  const version = selectedVersion(octets, suite + 3, to);
  if (version < 0) return undefined;
  return {
    version: version === 0 ? legacy : version,
    suite: uint16(octets, suite),
    random,
    retry: version === TLS13 && Buffer.from(random).toString('hex') === RETRY_RANDOM,
    compressed: octets[suite + 2] !== 0,
  };
}

/** supported_versions of a ServerHello's extensions, which begin at `from`. 0: not there; -1: malformed. */
function selectedVersion(octets: Uint8Array, from: number, to: number): number {
  // TLS 1.2 may leave out the extensions altogether.
  if (from === to) return 0;
  if (from + 2 > to || from + 2 + uint16(octets, from) > to) return -1;
  const end = from + 2 + uint16(octets, from);
  for (let p = from + 2; p + 4 <= end; ) {
    const length = uint16(octets, p + 2);
    if (p + 4 + length > end) return -1;
    if (uint16(octets, p) === SUPPORTED_VERSIONS) return length === 2 ? uint16(octets, p + 4) : -1;
    p += 4 + length;
  }
  return 0;
}

function copy(octets: Uint8Array, at: number): Uint8Array {
  return new Uint8Array(octets.subarray(at, at + 32));
}

function uint16(octets: Uint8Array, at: number): number {
  return (octets[at] << 8) | octets[at + 1];
}
