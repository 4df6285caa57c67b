import { Command } from '@commander-js/extra-typings';
import { counted, formatCount } from '../counted.ts';
import { MytapeError } from '../errors.ts';
import { formatDuration, print, printJson } from '../report/output.ts';
import { type RunStatus, speedText } from '../run/control/control.ts';
import { askRun, type ControlRequest } from '../run/control/socket.ts';
import { parseSpeed } from './replay-options.ts';

const EXAMPLES = `
Examples:
  How far is it?           mytape ctl runs/monday status
  Twice as fast:           mytape ctl runs/monday speed 2
  Hold it for a while:     mytape ctl runs/monday pause      and then: mytape ctl runs/monday resume
  End it, in order:        mytape ctl runs/monday stop       what is under way finishes; again: now

The folder is that of the run's --out. Keys do the same on the run's own terminal: + - space q.
Exit code: 0 done, 1 no run is under way there, or it cannot do that, 2 usage.`;

const ACTIONS = ['status', 'pause', 'resume', 'stop', 'speed'] as const;

export function ctlCommand() {
  return new Command('ctl')
    .description('Asks the run in a folder how far it is, pauses it, changes its speed, or stops it.')
    .argument('<run>', "the run's folder")
    .argument('<what>', 'status, pause, resume, speed or stop')
    .argument('[x]', 'for speed: 0.01 to 1000, or max')
    .option('--json', 'print the status as one JSON object')
    .addHelpText('after', EXAMPLES)
    .action(async (folder, what, x, { json }) => {
      const status = await askRun(folder, requestOf(what, x));
      if (json === true) printJson(status);
      else print(statusLines(status));
    });
}

function requestOf(what: string, x: string | undefined): ControlRequest {
  const action = ACTIONS.find((one) => one === what);
  if (action === undefined)
    throw new MytapeError('usage', `${what} is not one of ${ACTIONS.join(', ')} (see: mytape ctl --help)`);
  if (action !== 'speed') {
    if (x !== undefined) throw new MytapeError('usage', `${what} takes nothing behind it: leave out ${x}`);
    return { do: action };
  }
  if (x === undefined) throw new MytapeError('usage', 'say which speed: mytape ctl RUN speed 2, or max');
  return { do: 'speed', speed: speedOf(x) };
}

function speedOf(text: string): number | 'max' {
  try {
    return speedText(parseSpeed(text));
  } catch (cause) {
    throw new MytapeError('usage', (cause as Error).message, { cause });
  }
}

/** For people. */
export function statusLines(status: RunStatus): string[] {
  const { state, pid, speed, loop, recorded, lateness_ms: lateness } = status;
  const speedLine =
    speed === 'live'
      ? 'as it happens'
      : speed === 'max'
        ? 'at full speed'
        : `at ${speed} times the recorded speed`;
  return [
    `${state} (process ${pid}) for ${formatDuration(status.elapsed_s * 1000)}, ${speedLine}`,
    ...(recorded === undefined
      ? []
      : [`at ${recorded.at} of the recording, ${recorded.percent} %${loop > 1 ? `, time ${loop}` : ''}`]),
    `${counted(status.answered, 'command')} answered, ${formatCount(status.lost)} lost, ` +
      `${counted(status.sessions_open, 'session')} open` +
      (status.reconnected > 0 ? `, ${formatCount(status.reconnected)} reconnections` : ''),
    `our lateness p50 ${lateness.p50} ms, p99 ${lateness.p99} ms, max ${lateness.max} ms`,
  ];
}
