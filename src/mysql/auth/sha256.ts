import { type AuthPlugin, answer, emptyPassword, withNul } from './plugin.ts';
import { encrypted } from './rsa.ts';

const REQUEST_PUBLIC_KEY = 1;

/** MySQL manual, "SHA-256 Pluggable Authentication". */
export const sha256: AuthPlugin = {
  name: 'sha256_password',

  first({ password, secure }) {
    if (password === '') return emptyPassword();
    return answer(secure ? withNul(password) : Uint8Array.of(REQUEST_PUBLIC_KEY));
  },

  more: encrypted,
};
