import { counted } from '../counted.ts';
import { isUnix, type RelayAddress, relayText } from '../intercept/relay-address.ts';
import { HOST_IS_BLOCKED } from '../mysql/login-errors.ts';
import { pathNow } from '../net/route.ts';
import type { Trouble, TroubleKind } from '../replay/engine/contact.ts';
import { RECONNECT_MS } from '../replay/session/recovery.ts';
import { explainConnectFailure, type PathFacts } from '../transport/diagnosis.ts';
import { loginHint } from '../transport/login-remedies.ts';
import { endpointText } from '../wire/address.ts';
import type { ReplayJob, TargetJob } from './job.ts';

/** Ordinary connections need no path of ours: what fails is the target, or the network to it. */
const SEEN_BY_SOCKET: Readonly<Record<Exclude<TroubleKind, 'blocked'>, string>> = {
  silent: 'is the address right, and does no firewall drop what is sent there? (see: ip route get)',
  mute: 'it takes connections, and then no greeting comes: does its server hang?',
  refused: 'it refuses them: does its server run, and is -x right?',
  reset: 'it ends them before the login: its error log may say why',
};

/** What a replay says, once, when its target cannot be reached: what was seen, what to type where, who tells more. */
export function troubleLines(trouble: Trouble, job: ReplayJob, to: TargetJob): string[] {
  const { kind, failures, wasReached } = trouble;
  const target = endpointText(to.target.text, to.targetPort);
  if (kind === 'blocked') {
    return [
      `${target} has blocked client hosts of this run, after too many incomplete handshakes ` +
        `(error ${HOST_IS_BLOCKED})${loginHint({ errno: HOST_IS_BLOCKED, message: '' })}`,
    ];
  }
  if (wasReached) {
    return [
      `${target} is gone: ${failures} connections in a row did not come about. ` +
        `Sessions try again for ${RECONNECT_MS / 1000} s`,
    ];
  }
  const seen =
    failures === 0
      ? `no answer from ${target} yet`
      : `the first ${counted(failures, 'connection')} to ${target} failed`;
  if (job.transport === 'socket') return [`${seen}: ${SEEN_BY_SOCKET[kind]}`];
  const [what, ...remedies] = explainConnectFailure(kind, factsOf(trouble, job, to));
  const doctor = ['  on this host: check every step of the path', `    ${doctorLine(job, to)}`];
  return [`${seen}: ${what}`, ...remedies, ...doctor];
}

function factsOf({ client }: Trouble, { archive, intercept }: ReplayJob, to: TargetJob): PathFacts {
  const { clients, target, targetPort } = to;
  const from =
    clients.from === 'self'
      ? { client: clients.address.text, clients: [clients.address.text] }
      : clients.from === 'range'
        ? { client: clients.range.split('/')[0], clients: [clients.range] }
        : { client, clients: [client] };
  return {
    ...from,
    archive,
    target: target.text,
    port: targetPort,
    via: hostOf(intercept) ?? pathNow(target)?.source.text ?? 'THIS-HOST',
    local: intercept === undefined,
    self: clients.from === 'self',
    reach: undefined,
  };
}

/** As it was named; undefined: this host. */
function hostOf(intercept: RelayAddress | undefined): string | undefined {
  return intercept === undefined || isUnix(intercept) ? undefined : intercept.host;
}

function doctorLine({ intercept, key, archive }: ReplayJob, { mapping, clients }: TargetJob): string {
  const parts = ['mytape doctor', `-x ${mapping}`];
  if (intercept === undefined) parts.push('--local');
  else parts.push(`-s ${relayText(intercept)}${key === undefined ? '' : ' --key-file FILE'}`);
  if (clients.from === 'self') parts.push('--clients self');
  else if (clients.from === 'range') parts.push(`--clients ${clients.range}`);
  return [...parts, `--archive ${archive}`].join(' ');
}
