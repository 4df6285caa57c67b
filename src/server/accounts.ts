/** Why a server refused a user's login, by the accounts that it has of that user. Pure. */
import { type LoginRemedy, quoted, type Refusal, seenHost } from '../transport/login-remedies.ts';
import type { Row } from './client.ts';

/** The accounts that a login of `user` may meet; needs SELECT on mysql.user. */
export function accountsQuery(user: string): string {
  return `SELECT user AS user, host AS host, ssl_type AS ssl_type FROM mysql.user WHERE user IN (${quoted(user)}, '')`;
}

export interface AccountFinding {
  /** Goes on from "app cannot log in: ". */
  says: string;
  remedy: LoginRemedy;
}

/** What the rows of accountsQuery show of `refusal`; undefined: only a wrong password is left. `tls`: the login was over TLS. */
export function accountFinding(
  rows: readonly Row[],
  { user = '', message }: Refusal,
  tls: boolean,
): AccountFinding | undefined {
  const accounts = rows.map(({ user, host, ssl_type }) => ({
    user: String(user),
    host: String(host),
    tls: String(ssl_type ?? ''),
  }));
  const named = accounts.filter((account) => account.user === user);
  const host = seenHost(message) ?? '%';
  if (accounts.length === 0) {
    return {
      says: 'there is no such account',
      remedy: {
        why: 'create it, and give it the grants that SHOW GRANTS shows on the recorded server',
        lines: [`CREATE USER '${user}'@'%' IDENTIFIED BY 'PASSWORD'`],
      },
    };
  }
  const matching = accounts.filter((account) => mayMatch(account.host, host));
  if (matching.length === 0) {
    const [first] = named.length > 0 ? named : accounts;
    const hosts = accounts.map((account) => `'${account.user}'@'${account.host}'`).join(', ');
    return {
      says: `the target sees it come from ${host}, and no account admits that host, only ${hosts}`,
      remedy: {
        why: 'let that account in from any host (it keeps its password and grants); or create one for this host, and grant it the same (SHOW GRANTS)',
        lines: [
          `RENAME USER '${first.user}'@'${first.host}' TO '${first.user}'@'%'`,
          `CREATE USER '${first.user}'@'${host}' IDENTIFIED BY 'PASSWORD'`,
        ],
      },
    };
  }
  const wanting = matching.find((account) => account.tls !== '');
  if (wanting === undefined) return undefined;
  const account = `'${wanting.user}'@'${wanting.host}'`;
  // ANY: REQUIRE SSL. X509 and SPECIFIED want a certificate of the client's, and mytape has none.
  if (wanting.tls === 'ANY' && tls) return undefined;
  const says =
    wanting.tls === 'ANY'
      ? `${account} requires TLS (REQUIRE SSL)`
      : `${account} requires a client certificate (${wanting.tls}), and mytape has none`;
  return {
    says,
    remedy: {
      why: 'replay with --transport socket --target-tls, or relax the requirement on the test server',
      lines: [`ALTER USER ${account} REQUIRE ${wanting.tls === 'ANY' ? 'NONE' : 'SSL'}`],
    },
  };
}

/** Whether an account's host may hold for the client that the server calls `seen`: an address, or a name. */
function mayMatch(pattern: string, seen: string): boolean {
  // A network, or the one is a name and the other an address: the server knows both of the client, and we don't.
  if (pattern.includes('/') || isAddress(pattern) !== isAddress(seen)) return true;
  const like = pattern
    .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll('%', '.*')
    .replaceAll('_', '.');
  return new RegExp(`^${like}$`, 'i').test(seen);
}

function isAddress(host: string): boolean {
  return /^[\d.%_:]+$/.test(host) || /^[\da-f:%]*:[\da-f:.%]*$/i.test(host);
}
