/** What a plugin of the client's side answers by. */
export interface Challenge {
  password: string;
  /** The server's nonce, without a closing NUL. */
  scramble: Uint8Array;
  /** Only the server reads what is sent: TLS. */
  secure: boolean;
  serverKey?: ServerKey | undefined;
}

/**
 * The RSA key that a password may be encrypted with where the way is not secure: the one the server names when asked, whoever
 * that is, or one known beforehand. undefined: none. As MySQL's `--get-server-public-key` and `--server-public-key-path`.
 */
export type ServerKey = 'ask' | { pem: string };

/** A plugin's next move. */
export type AuthAnswer =
  /** The payload of a packet. */
  | { type: 'answer'; octets: Uint8Array; asksForKey?: true }
  /** The server speaks next. */
  | { type: 'wait' }
  /** For the operator: `why` goes on from "the target wants PLUGIN for USER: ", `advice` is what to do about it. */
  | { type: 'refused'; why: string; advice?: string };

/** The client's side of an authentication plugin, without state: what came last tells what comes next. */
export interface AuthPlugin {
  /** As servers name it. */
  readonly name: string;
  /** To the greeting, or to an AuthSwitchRequest. */
  first(challenge: Challenge): AuthAnswer;
  /** To AuthMoreData, of which `data` is what follows the mark. Plugins without it are asked once. */
  more?(challenge: Challenge, data: Uint8Array): AuthAnswer;
  /** Its server's side sends `data` without the mark in front: MariaDB does so where it can't be taken for another packet. */
  readonly sendsUnmarked?: boolean;
}

const NUL = Uint8Array.of(0);

export function answer(octets: Uint8Array): AuthAnswer {
  return { type: 'answer', octets };
}

/** `password` as a `string<NUL>`. */
export function withNul(password: string): Uint8Array {
  return new TextEncoder().encode(`${password}\0`);
}

/** What MySQL's newer plugins send for an empty password. */
export function emptyPassword(): AuthAnswer {
  return answer(NUL);
}
