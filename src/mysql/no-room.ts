/** Errors by which a server turns clients away because it is at a limit (MySQL manual, "Server Error Message Reference"). */

/** ER_CON_COUNT_ERROR: max_connections. */
export const TOO_MANY_CONNECTIONS = 1040;
/** ER_OUT_OF_RESOURCES: no memory. */
const OUT_OF_RESOURCES = 1041;
/** ER_CANT_CREATE_THREAD: no thread. */
const CANNOT_CREATE_THREAD = 1135;
/** ER_TOO_MANY_USER_CONNECTIONS: max_user_connections, of all users. */
export const TOO_MANY_USER_CONNECTIONS = 1203;
/** ER_USER_LIMIT_REACHED: of this user, at once or by the hour. Which of its limits the message alone tells. */
export const USER_LIMIT_REACHED = 1226;

const NO_ROOM: ReadonlySet<number> = new Set([
  TOO_MANY_CONNECTIONS,
  OUT_OF_RESOURCES,
  CANNOT_CREATE_THREAD,
  TOO_MANY_USER_CONNECTIONS,
  USER_LIMIT_REACHED,
]);

/** Whether a server that said `errno` to a client had no room for it: what it had to do then, not who the client was, decided that. */
export function saysNoRoom(errno: number): boolean {
  return NO_ROOM.has(errno);
}
