/**
 * The errors by which a server refuses a login, or a COM_CHANGE_USER, each sorted once by what it says of the login. Sources: the
 * server error references of MySQL 9.7 ("Server Error Message Reference") and of MariaDB 11.8 ("Error Codes"); where both have
 * a number it means the same in both.
 */

/** What a refusal says. */
export type LoginErrorKind =
  /** The password is wrong, or no such user is known from that host, or too many wrong ones came before: servers leave it open which. */
  | 'password'
  /** The account is set up for what this client, or this server, cannot do: its plugin, its proxy user. */
  | 'account'
  /** The account is locked by an administrator. */
  | 'locked'
  /** The account's password has expired. */
  | 'expired'
  /** The client's host may not connect, whoever the user is. */
  | 'host'
  /** The server is at a limit: of connections, threads or memory, or of this user's. */
  | 'limits'
  /** The server is shutting down, is offline, or ended this connection. */
  | 'unavailable'
  /** The server wants TLS. */
  | 'tls'
  /** The schema does not exist, or is not for this user. */
  | 'schema';

/** ER_CON_COUNT_ERROR: max_connections. */
export const TOO_MANY_CONNECTIONS = 1040;
/** ER_ACCESS_DENIED_ERROR. */
export const ACCESS_DENIED = 1045;
/** ER_HOST_IS_BLOCKED: max_connect_errors handshakes from there, one after the other, came to no end. */
export const HOST_IS_BLOCKED = 1129;
/** ER_HOST_NOT_PRIVILEGED: no account at all is for that host. */
export const HOST_NOT_PRIVILEGED = 1130;
/** ER_TOO_MANY_USER_CONNECTIONS: max_user_connections, of all users. */
export const TOO_MANY_USER_CONNECTIONS = 1203;
/** ER_USER_LIMIT_REACHED: of this user, at once or by the hour. Which of its limits the message alone tells. */
export const USER_LIMIT_REACHED = 1226;
/** MySQL's ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK: FAILED_LOGIN_ATTEMPTS of the account. */
export const BLOCKED_BY_FAILED_LOGINS = 3955;
/** MariaDB's ER_USER_IS_BLOCKED: max_password_errors. */
export const BLOCKED_BY_PASSWORD_ERRORS = 4150;

const KINDS: ReadonlyMap<number, LoginErrorKind> = new Map([
  [ACCESS_DENIED, 'password'],
  // ER_ACCESS_DENIED_NO_PASSWORD_ERROR: by a plugin that takes no password (auth_socket, unix_socket).
  [1698, 'password'],
  // ER_ACCESS_DENIED_CHANGE_USER_ERROR: 1045 of a COM_CHANGE_USER that ends the connection.
  [1873, 'password'],
  [BLOCKED_BY_FAILED_LOGINS, 'password'],
  [BLOCKED_BY_PASSWORD_ERRORS, 'password'],
  // ER_NOT_SUPPORTED_AUTH_MODE.
  [1251, 'account'],
  // ER_SERVER_IS_IN_SECURE_AUTH_MODE: a password of before 4.1.
  [1275, 'account'],
  // ER_PLUGIN_IS_NOT_LOADED.
  [1524, 'account'],
  // ER_PLUGIN_REQUIRES_REGISTRATION.
  [4055, 'account'],
  // ER_ACCESS_DENIED_NO_PROXY_GRANT and ER_ACCESS_DENIED_NO_PROXY.
  [6126, 'account'],
  [6127, 'account'],
  // ER_ACCOUNT_HAS_BEEN_LOCKED, MySQL's and MariaDB's.
  [3118, 'locked'],
  [4151, 'locked'],
  // ER_MUST_CHANGE_PASSWORD_LOGIN.
  [1862, 'expired'],
  // ER_BAD_HOST_ERROR: its name cannot be looked up.
  [1042, 'host'],
  [HOST_IS_BLOCKED, 'host'],
  [HOST_NOT_PRIVILEGED, 'host'],
  [TOO_MANY_CONNECTIONS, 'limits'],
  // ER_OUT_OF_RESOURCES: no memory.
  [1041, 'limits'],
  // ER_CANT_CREATE_THREAD.
  [1135, 'limits'],
  [TOO_MANY_USER_CONNECTIONS, 'limits'],
  [USER_LIMIT_REACHED, 'limits'],
  // ER_DA_GLOBAL_CONN_LIMIT and ER_DA_CONN_LIMIT: memory of all connections, or of this one.
  [4081, 'limits'],
  [4082, 'limits'],
  // ER_SERVER_SHUTDOWN.
  [1053, 'unavailable'],
  // ER_CONNECTION_KILLED (MariaDB) and ER_SESSION_WAS_KILLED (MySQL).
  [1927, 'unavailable'],
  [3169, 'unavailable'],
  // ER_SERVER_OFFLINE_MODE, and with its reason.
  [3032, 'unavailable'],
  [6400, 'unavailable'],
  // ER_SERVER_ISNT_AVAILABLE.
  [3168, 'unavailable'],
  // ER_SECURE_TRANSPORT_REQUIRED.
  [3159, 'tls'],
  // ER_DBACCESS_DENIED_ERROR, ER_BAD_DB_ERROR, and MySQL's ER_DB_ACCESS_DENIED of partial revokes.
  [1044, 'schema'],
  [1049, 'schema'],
  [3879, 'schema'],
]);

/** Kinds whose errors are one and the same to a client: which of them a server says depends on its brand, and on the failures before. */
const ALIKE: ReadonlySet<LoginErrorKind | undefined> = new Set(['password', 'locked']);

/** What the error `errno` says of a login; undefined: it is none of a login's. */
export function loginErrorKind(errno: number): LoginErrorKind | undefined {
  return KINDS.get(errno);
}

/** Whether the password was not believed: another one is refused just so. */
export function refusesPassword(errno: number | undefined): boolean {
  return errno !== undefined && KINDS.get(errno) === 'password';
}

/** Whether it is one of these that leaves open whether the password, the user or the host was wrong, or TLS was missing. */
export function saysDenied(errno: number): boolean {
  return refusesPassword(errno) && errno !== BLOCKED_BY_FAILED_LOGINS && errno !== BLOCKED_BY_PASSWORD_ERRORS;
}

/** Whether two servers, or one at two moments, refused a login for the same reason. */
export function sameRefusal(a: number, b: number): boolean {
  const kind = KINDS.get(a);
  return a === b || (ALIKE.has(kind) && KINDS.get(b) === kind);
}

/** Whether a server that said `errno` to a client had no room for it: what it had to do then, not who the client was, decided that. */
export function saysNoRoom(errno: number): boolean {
  return KINDS.get(errno) === 'limits';
}

/** Whether the server was going away, or not open to clients, when it said `errno`. */
export function saysUnavailable(errno: number): boolean {
  return KINDS.get(errno) === 'unavailable';
}
