import { NATIVE_PASSWORD, nativePassword } from '../native-password.ts';
import { type AuthPlugin, answer } from './plugin.ts';

export const native: AuthPlugin = {
  name: NATIVE_PASSWORD,
  first: ({ password, scramble }) => answer(nativePassword(password, scramble)),
};
