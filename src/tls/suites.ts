/** The cipher suites that can be read: those with authenticated encryption (IANA's registry of TLS cipher suites). */

export const TLS12 = 0x0303;
export const TLS13 = 0x0304;

export interface Suite {
  version: typeof TLS12 | typeof TLS13;
  /** As node:crypto names it. */
  cipher: string;
  keyOctets: number;
  tagOctets: number;
  /** Of the PRF (TLS 1.2) or of HKDF (TLS 1.3). */
  hash: 'sha256' | 'sha384';
  hashOctets: number;
  /** Octets of the nonce that come from the key schedule … */
  ivOctets: number;
  /** … and those that stand before each record's ciphertext (RFC 5288 3); 0: the sequence number makes the nonce. */
  explicitOctets: number;
}

type Aead = Pick<Suite, 'cipher' | 'keyOctets' | 'tagOctets' | 'hash'>;

const GCM128: Aead = { cipher: 'aes-128-gcm', keyOctets: 16, tagOctets: 16, hash: 'sha256' };
const GCM256: Aead = { cipher: 'aes-256-gcm', keyOctets: 32, tagOctets: 16, hash: 'sha384' };
const CHACHA: Aead = { cipher: 'chacha20-poly1305', keyOctets: 32, tagOctets: 16, hash: 'sha256' };
const CCM128: Aead = { cipher: 'aes-128-ccm', keyOctets: 16, tagOctets: 16, hash: 'sha256' };
const CCM256: Aead = { ...CCM128, cipher: 'aes-256-ccm', keyOctets: 32 };
const CCM128_8: Aead = { ...CCM128, tagOctets: 8 };
const CCM256_8: Aead = { ...CCM256, tagOctets: 8 };

/** How the keys were agreed upon makes no difference to who has them, but the suites of TLS 1.2 name it. */
const SUITES: ReadonlyMap<number, Suite> = new Map([
  // RFC 8446 B.4
  ...suites(TLS13, GCM128, 0x1301),
  ...suites(TLS13, GCM256, 0x1302),
  ...suites(TLS13, CHACHA, 0x1303),
  ...suites(TLS13, CCM128, 0x1304),
  ...suites(TLS13, CCM128_8, 0x1305),
  // RSA, DHE_RSA, DHE_DSS, PSK, DHE_PSK, RSA_PSK (RFC 5288, 5487); ECDHE_ECDSA, ECDHE_RSA (RFC 5289), ECDHE_PSK (RFC 8442)
  ...suites(TLS12, GCM128, 0x009c, 0x009e, 0x00a2, 0x00a8, 0x00aa, 0x00ac, 0xc02b, 0xc02f, 0xd001),
  ...suites(TLS12, GCM256, 0x009d, 0x009f, 0x00a3, 0x00a9, 0x00ab, 0x00ad, 0xc02c, 0xc030, 0xd002),
  // ECDHE_RSA, ECDHE_ECDSA, DHE_RSA, and those of PSK (RFC 7905)
  ...suites(TLS12, CHACHA, 0xcca8, 0xcca9, 0xccaa, 0xccab, 0xccac, 0xccad, 0xccae),
  // RSA, DHE_RSA, PSK, DHE_PSK (RFC 6655), ECDHE_ECDSA (RFC 7251)
  ...suites(TLS12, CCM128, 0xc09c, 0xc09e, 0xc0a4, 0xc0a6, 0xc0ac),
  ...suites(TLS12, CCM256, 0xc09d, 0xc09f, 0xc0a5, 0xc0a7, 0xc0ad),
  ...suites(TLS12, CCM128_8, 0xc0a0, 0xc0a2, 0xc0a8, 0xc0aa, 0xc0ae),
  ...suites(TLS12, CCM256_8, 0xc0a1, 0xc0a3, 0xc0a9, 0xc0ab, 0xc0af),
]);

function suites(version: Suite['version'], aead: Aead, ...codes: number[]): [number, Suite][] {
  const explicitOctets = version === TLS12 && aead !== CHACHA ? 8 : 0;
  const hashOctets = aead.hash === 'sha384' ? 48 : 32;
  const suite = { version, ...aead, hashOctets, ivOctets: 12 - explicitOctets, explicitOctets };
  return codes.map((code) => [code, suite]);
}

/** The suite of this number, if it can be read and is one of `version`'s. */
export function suiteOf(version: number, code: number): Suite | undefined {
  const suite = SUITES.get(code);
  return suite?.version === version ? suite : undefined;
}
