import { type AuthPlugin, answer, withNul } from './plugin.ts';

/** The password as it is (MySQL manual, "Client-Side Cleartext Pluggable Authentication"): LDAP, PAM. */
export const clear: AuthPlugin = {
  name: 'mysql_clear_password',
  first: ({ password, secure }) =>
    secure
      ? answer(withNul(password))
      : {
          type: 'refused',
          why: 'that sends the password as it is, which is done over TLS only',
          advice: 'replay over TLS, or give the user another plugin there',
        },
};
