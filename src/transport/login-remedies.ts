/** What to do on the target about a login that it refused, by the error and its message. Pure. */
import {
  BLOCKED_BY_FAILED_LOGINS,
  BLOCKED_BY_PASSWORD_ERRORS,
  HOST_IS_BLOCKED,
  HOST_NOT_PRIVILEGED,
  loginErrorKind,
  TOO_MANY_CONNECTIONS,
  TOO_MANY_USER_CONNECTIONS,
  USER_LIMIT_REACHED,
} from '../mysql/login-errors.ts';

/** What to do, and the lines for a shell there. */
export interface LoginRemedy {
  why: string;
  lines: string[];
}

/** A refused login: the server's error and message, and who it was of (undefined: no login was tried). */
export interface Refusal {
  errno: number;
  message: string;
  user?: string | undefined;
}

/** The host as the server names it: `… for user 'app'@'10.1.2.3'`, `Host '10.1.2.3' is not allowed …`. */
const SEEN_HOST = /(?:'@|^Host )'([\w.:%-]{1,255})'/;

/** undefined: the server's message says all that there is to say. */
export function loginRemedy({ errno, message, user }: Refusal): LoginRemedy | undefined {
  const account = accountOf(user, '%');
  switch (loginErrorKind(errno)) {
    case 'password':
      return ofPassword(errno, message, user);
    case 'account':
      return {
        why: 'set the password again, so that the account has a login plugin that both sides support',
        lines: [statement(`ALTER USER ${account} IDENTIFIED BY 'PASSWORD'`)],
      };
    case 'locked':
      return { why: 'unlock the account', lines: [statement(`ALTER USER ${account} ACCOUNT UNLOCK`)] };
    case 'expired':
      return {
        why: 'set a new password, since this one has expired, and put it in the file of --users',
        lines: [statement(`ALTER USER ${account} IDENTIFIED BY 'PASSWORD'`)],
      };
    case 'host':
      return ofHost(errno, message);
    case 'limits':
      return ofLimit(errno, message, account);
    case 'tls':
      return {
        why: 'it requires TLS of every client: replay with --transport socket --target-tls, or turn that off',
        lines: [statement('SET GLOBAL require_secure_transport = OFF')],
      };
    default:
      return undefined;
  }
}

/** The same for one line, in parentheses and after a blank; '' for none. */
export function loginHint(refusal: Refusal): string {
  const remedy = loginRemedy(refusal);
  if (remedy === undefined) return '';
  const { why, lines } = remedy;
  return ` (on the target: ${[why, ...lines].join('; ')})`;
}

function ofPassword(errno: number, message: string, user: string | undefined): LoginRemedy {
  if (errno === BLOCKED_BY_FAILED_LOGINS) {
    return {
      why: 'too many wrong passwords blocked the account (FAILED_LOGIN_ATTEMPTS): unblock it',
      lines: [statement(`ALTER USER ${accountOf(user, '%')} ACCOUNT UNLOCK`)],
    };
  }
  if (errno === BLOCKED_BY_PASSWORD_ERRORS) {
    return {
      why: 'too many wrong passwords blocked the user (max_password_errors): unblock it',
      lines: [statement('FLUSH PRIVILEGES')],
    };
  }
  const host = seenHost(message);
  const who = host === undefined ? 'this client' : accountOf(user, host);
  return {
    why: `list the accounts with their hosts, and whether they require TLS (ssl_type): one must match ${who} and have that password`,
    lines: [accountsStatement(user)],
  };
}

function ofHost(errno: number, message: string): LoginRemedy {
  if (errno === HOST_IS_BLOCKED) {
    return {
      why: 'unblock the host, and allow more failed handshakes',
      lines: ['mariadb-admin flush-hosts', statement('SET GLOBAL max_connect_errors = 1000000')],
    };
  }
  if (errno !== HOST_NOT_PRIVILEGED) {
    return {
      why: "don't look up clients' names",
      lines: ['set skip_name_resolve = ON in its option file, and restart it'],
    };
  }
  const host = seenHost(message) ?? 'HOST';
  return {
    why: `no account admits ${host}: list the accounts with their hosts, and widen the host of each one that is replayed`,
    lines: [accountsStatement(undefined), statement("RENAME USER 'USER'@'HOST' TO 'USER'@'%'")],
  };
}

function ofLimit(errno: number, message: string, account: string): LoginRemedy | undefined {
  if (errno === TOO_MANY_CONNECTIONS)
    return { why: 'allow more connections', lines: [statement('SET GLOBAL max_connections = 10000')] };
  if (errno === TOO_MANY_USER_CONNECTIONS) {
    return {
      why: 'allow more connections for each user',
      lines: [statement('SET GLOBAL max_user_connections = 10000')],
    };
  }
  if (errno !== USER_LIMIT_REACHED) return undefined;
  const [, limit = 'max_user_connections'] = /'(max_\w+)'/.exec(message) ?? [];
  return {
    why: "lift this user's limit (0: no limit)",
    lines: [statement(`ALTER USER ${account} WITH ${limit.toUpperCase()} 0`)],
  };
}

/** The SELECT that shows the accounts of `user`, those of anonymous users with them; of everyone where it is undefined. */
function accountsStatement(user: string | undefined): string {
  const where = user === undefined ? '' : ` WHERE user IN (${quoted(user)}, '')`;
  return statement(`SELECT user, host, plugin, ssl_type FROM mysql.user${where}`);
}

/** The client's host, an address or a name, as the server's message has it. */
export function seenHost(message: string): string | undefined {
  return SEEN_HOST.exec(message)?.[1];
}

function accountOf(user: string | undefined, host: string): string {
  return `${quoted(user ?? 'USER')}@${quoted(host)}`;
}

/** `text` as a string of SQL. */
export function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** `sql` for a shell: it has quotes of its own, and may have a user's name in it. */
export function statement(sql: string): string {
  return `mysql -e "${sql.replace(/[\\"$`]/g, '\\$&')}"`;
}
