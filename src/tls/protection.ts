import { type CipherGCMTypes, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import { type RecordKeys, tls13Keys, updatedSecret } from './key-schedule.ts';
import { RECORD_HEADER_OCTETS } from './records.ts';
import { type Suite, TLS13 } from './suites.ts';

const NONCE_OCTETS = 12;
const SEQUENCE_OCTETS = 8;

/** What TLS 1.2 authenticates beside the ciphertext: sequence number, type, version, length (RFC 5246 6.2.3.3). */
const AAD12_OCTETS = SEQUENCE_OCTETS + RECORD_HEADER_OCTETS;

/** The keys of one direction for one span of its records, which are numbered from 0. */
export class Protection {
  readonly #suite: Suite;
  readonly #key: KeyObject;
  readonly #iv: Uint8Array;
  /** TLS 1.3: what a KeyUpdate makes the next keys from. */
  readonly #secret: Uint8Array | undefined;
  readonly #nonce = Buffer.alloc(NONCE_OCTETS);
  readonly #aad = Buffer.alloc(AAD12_OCTETS);

  constructor(suite: Suite, keys: RecordKeys, secret?: Uint8Array) {
    this.#suite = suite;
    this.#key = createSecretKey(keys.key);
    this.#iv = keys.iv;
    this.#secret = secret;
    this.#nonce.set(keys.iv);
  }

  static of(suite: Suite, secret: Uint8Array): Protection {
    return new Protection(suite, tls13Keys(suite, secret), secret);
  }

  /** The keys after a KeyUpdate; undefined in TLS 1.2. */
  updated(): Protection | undefined {
    const secret = this.#secret;
    return secret && Protection.of(this.#suite, updatedSecret(this.#suite, secret));
  }

  /** Octets of the shortest record, its header included. */
  get minRecordOctets(): number {
    const { version, explicitOctets, tagOctets } = this.#suite;
    // TLS 1.3 hides the content's type in one octet behind it.
    return RECORD_HEADER_OCTETS + explicitOctets + tagOctets + (version === TLS13 ? 1 : 0);
  }

  /** What the record [start, end) holds if it is number `sequence` under these keys; undefined: it is not. */
  open(octets: Uint8Array, start: number, end: number, sequence: number): Buffer | undefined {
    const { cipher, tagOctets, explicitOctets, version } = this.#suite;
    const from = start + RECORD_HEADER_OCTETS + explicitOctets;
    const tag = end - tagOctets;
    if (tag < from) return undefined;
    const nonce = this.#nonce;
    if (explicitOctets > 0) nonce.set(octets.subarray(from - explicitOctets, from), this.#iv.length);
    else this.#mixIn(sequence);
    const header = octets.subarray(start, start + RECORD_HEADER_OCTETS);
    try {
      const decipher = createDecipheriv(cipher as CipherGCMTypes, this.#key, nonce, {
        authTagLength: tagOctets,
      });
      decipher.setAuthTag(octets.subarray(tag, end));
      decipher.setAAD(version === TLS13 ? header : this.#aad12(header, sequence, tag - from), {
        plaintextLength: tag - from,
      });
      const content = decipher.update(octets.subarray(from, tag));
      decipher.final();
      return content;
    } catch {
      // The tag does not fit.
      return undefined;
    }
  }

  /** The nonce is the IV, with the sequence number xored into its end (RFC 8446 5.3, RFC 7905 2). */
  #mixIn(sequence: number): void {
    const nonce = this.#nonce;
    const iv = this.#iv;
    for (let i = NONCE_OCTETS - 1, left = sequence; i >= NONCE_OCTETS - SEQUENCE_OCTETS; i--) {
      nonce[i] = iv[i] ^ (left & 255);
      left = Math.floor(left / 256);
    }
  }

  #aad12(header: Uint8Array, sequence: number, length: number): Buffer {
    const aad = this.#aad;
    aad.writeUInt32BE(Math.floor(sequence / 2 ** 32), 0);
    aad.writeUInt32BE(sequence % 2 ** 32, 4);
    aad.set(header, SEQUENCE_OCTETS);
    aad.writeUInt16BE(length, AAD12_OCTETS - 2);
    return aad;
  }
}
