import { type AuthPlugin, answer, emptyPassword, withNul } from './plugin.ts';
import { encrypted, encryptedByKeyOf } from './rsa.ts';

const REQUEST_PUBLIC_KEY = 1;

/** MySQL manual, "SHA-256 Pluggable Authentication". */
export const sha256: AuthPlugin = {
  name: 'sha256_password',

  first(challenge) {
    const { password, secure } = challenge;
    if (password === '') return emptyPassword();
    return secure ? answer(withNul(password)) : encrypted(challenge, REQUEST_PUBLIC_KEY);
  },

  more: encryptedByKeyOf,
};
