import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { type ConnectionOptions, createSecureContext, type SecureContext } from 'node:tls';
import { MytapeError } from '../errors.ts';

/** How connections to the target go on in TLS. */
export interface TargetTls {
  /**
   * What the target's certificate is held against, as MySQL's `--ssl-mode` has it: nothing (REQUIRED), the authorities only
   * (VERIFY_CA), or its name as well (VERIFY_IDENTITY).
   */
  verify: 'none' | 'ca' | 'identity';
  /** The authorities, in PEM; Node's own list where there are none. */
  ca?: string;
  /** The target's name: what SNI says and the certificate is to hold. `target` where it is left out. */
  servername?: string;
}

/** Options of `tls.connect`, made once for all connections: reading the authorities costs more than a handshake. */
export function tlsOptions(options: TargetTls, target: string): ConnectionOptions {
  const { verify, ca, servername = target } = options;
  return {
    secureContext: ca === undefined ? createSecureContext() : contextOf(ca),
    rejectUnauthorized: verify !== 'none',
    // What the certificate is held against; no address may go into SNI (RFC 6066 3).
    host: servername,
    ...(isIP(servername) === 0 ? { servername } : {}),
    ...(verify === 'identity' ? {} : { checkServerIdentity: () => undefined }),
  };
}

/** What to do about a certificate that was not accepted, by what TLS said; undefined: it spoke of something else. */
export function certificateAdvice(said: string): string | undefined {
  if (/altname|does not match|not cert's CN/i.test(said)) {
    return 'the certificate that MySQL makes for itself names no host: check its authority only, with --target-tls ca';
  }
  if (/self.signed|issuer|unable to verify/i.test(said)) {
    return "try: --target-ca FILE, which is ca.pem in MySQL's data folder, or --target-tls none";
  }
  return /certificate/i.test(said) ? 'try: --target-ca FILE, or --target-tls none' : undefined;
}

/** Node takes a file without certificates, or with broken ones, for an empty list: then no target would ever be accepted. */
function contextOf(ca: string): SecureContext {
  try {
    new X509Certificate(ca);
  } catch (cause) {
    const why = (cause as Error).message;
    throw new MytapeError('usage', `the authorities' file is no certificate in PEM: ${why}`, { cause });
  }
  return createSecureContext({ ca });
}
