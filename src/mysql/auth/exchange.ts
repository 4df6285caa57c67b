import { parseAuthSwitch } from '../handshake.ts';
import { NATIVE_PASSWORD, nativePassword } from '../native-password.ts';
import { framePacket, HEADER_OCTETS, MARK } from '../packet.ts';
import type { AuthAnswer, ServerKey } from './plugin.ts';
import { pluginOf } from './plugins.ts';
import { lacksKey, NO_KEY } from './rsa.ts';

/** Most packets of the server's in one exchange. MariaDB tries one plugin after another; no server has this many. */
const MOST_PACKETS = 32;

/** What the first answer's length, an octet in COM_CHANGE_USER and in logins without lenenc, can name. */
const MOST_FIRST_OCTETS = 250;

/** AuthNextFactor: MySQL's multi-factor authentication. */
export const NEXT_FACTOR = 0x02;

export type AuthStep =
  /** Send these octets: one packet, header included. Owned by the caller. */
  | { type: 'send'; octets: Uint8Array }
  | { type: 'wait' }
  /** `errno` is the server's, or 0 where the reason is ours. */
  | { type: 'failed'; errno: number; message: string };

/** Nobody's password. */
const WRONG_PASSWORD = 'wrong, as it was when this was recorded (mytape)';

/**
 * What to log in with. `wrong`: production refused the password, and so shall the target; a client that gave none
 * (`withPassword` is false) gives none again.
 */
export function passwordToSend(password: string, wrong: boolean, withPassword: boolean): string {
  if (!wrong) return password;
  return withPassword ? WRONG_PASSWORD : '';
}

/** Which of the server's keys to use: the wrong password is no secret, so it may go to anyone. */
export function keyFor(serverKey: ServerKey | undefined, wrong: boolean): ServerKey | undefined {
  return wrong ? 'ask' : serverKey;
}

/** The client's side of an authentication, from the first answer on: within a login, or within COM_CHANGE_USER. */
export class AuthExchange {
  readonly #user: string;
  readonly #password: string;
  readonly #serverKey: ServerKey | undefined;
  #secure = false;
  #plugin = NATIVE_PASSWORD;
  #scramble: Uint8Array = new Uint8Array(0);
  #packets = 0;
  #asksForKey = false;

  constructor(user: string, password: string, serverKey?: ServerKey) {
    this.#user = user;
    this.#password = password;
    this.#serverKey = serverKey;
  }

  /** What the server asked for last. */
  get plugin(): string {
    return this.#plugin;
  }

  /** The server's last, without a closing NUL. */
  get scramble(): Uint8Array {
    return this.#scramble;
  }

  /**
   * The first answer, by `plugin` if that can be answered here, else by mysql_native_password: the greeting names the server's
   * default, and a switch names what this user needs.
   */
  begin(plugin: string, scramble: Uint8Array, secure: boolean): Uint8Array {
    this.#plugin = plugin;
    this.#scramble = scramble;
    this.#secure = secure;
    const first = this.#ask();
    if (first.type === 'answer' && first.octets.length <= MOST_FIRST_OCTETS) return first.octets;
    this.#plugin = NATIVE_PASSWORD;
    return nativePassword(this.#password, scramble);
  }

  /** Takes the server's next packet, header included, if it is neither OK nor ERR; keeps nothing of it. */
  onPacket(octets: Uint8Array): AuthStep {
    const mark = octets.length > HEADER_OCTETS ? octets[HEADER_OCTETS] : -1;
    if (++this.#packets > MOST_PACKETS)
      return failed('the target does not come to an end of its authentication');
    if (mark === MARK.eof) {
      ({ plugin: this.#plugin, scramble: this.#scramble } = parseAuthSwitch(octets, 0, octets.length));
      return this.step(this.#ask(), nextSequence(octets));
    }
    if (mark === MARK.authMoreData) {
      return this.step(this.#ask(octets.slice(HEADER_OCTETS + 1)), nextSequence(octets));
    }
    if (mark === NEXT_FACTOR) {
      return failed(`the target wants a second factor of ${this.#user} (give the user a single one there)`);
    }
    if (mark >= 0 && pluginOf(this.#plugin)?.sendsUnmarked)
      return this.step(this.#ask(octets.slice(HEADER_OCTETS)), nextSequence(octets));
    return failed(`the target's authentication of ${this.#user} is not understood (${what(mark)})`);
  }

  /** The step that `answer` makes, as the packet of that sequence id. */
  step(answer: AuthAnswer, sequenceId: number): AuthStep {
    if (answer.type === 'wait') return answer;
    if (answer.type === 'answer') return { type: 'send', octets: framePacket(sequenceId, answer.octets) };
    const { why, advice } = answer;
    const what = advice === undefined ? why : `${why} (${advice})`;
    return failed(`the target wants ${this.#plugin} for ${this.#user}: ${what}`);
  }

  /** What the server's error in place of its next packet means, where it says less than is known; undefined: what it says. */
  refusedBy(errno: number): AuthStep | undefined {
    if (!lacksKey(errno, this.#asksForKey)) return undefined;
    return this.step({ type: 'refused', ...NO_KEY }, 0);
  }

  #ask(data?: Uint8Array): AuthAnswer {
    const answer = this.#answer(data);
    this.#asksForKey = answer.type === 'answer' && answer.asksForKey === true;
    return answer;
  }

  #answer(data?: Uint8Array): AuthAnswer {
    const plugin = pluginOf(this.#plugin);
    if (plugin === undefined) {
      const advice = 'give the user another plugin there';
      return { type: 'refused', why: 'mytape does not know it', advice };
    }
    const challenge = {
      password: this.#password,
      scramble: this.#scramble,
      secure: this.#secure,
      serverKey: this.#serverKey,
    };
    if (data === undefined) return plugin.first(challenge);
    return (
      plugin.more?.(challenge, data) ?? { type: 'refused', why: 'and more than that plugin gives (0x01)' }
    );
  }
}

/** The sequence id of what answers `packet`. */
export function nextSequence(packet: Uint8Array): number {
  return (packet[3] + 1) & 255;
}

export function failed(message: string): { type: 'failed'; errno: number; message: string } {
  return { type: 'failed', errno: 0, message };
}

function what(mark: number): string {
  return mark < 0 ? 'a packet of no payload' : `packet 0x${mark.toString(16).padStart(2, '0')}`;
}
