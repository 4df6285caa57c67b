import type { ReadStream } from 'node:tty';
import { SPEED_RANGE } from './control.ts';

/** What + and - multiply and divide the speed by. */
const STEP = 1.25;

/** Ctrl-C and Ctrl-Z, which a terminal in raw mode hands over as they are. */
const CTRL_C = '\x03';
const CTRL_Z = '\x1a';

/** What the keys do. */
export interface Keyed {
  /** Infinity: max; undefined: live. */
  readonly speed: number | undefined;
  readonly paused: boolean;
  setSpeed(speed: number): void;
  pause(): void;
  resume(): void;
  stop(): void;
}

/** A line's worth of what can be pressed. */
export function keysHelp({ speed }: Keyed): string {
  return speed === undefined ? 'q stop' : '+ - speed, space pause, q stop';
}

/**
 * Listens for single keys on a terminal while a run runs. The terminal is put back as it was by what this answers, and
 * whenever the process ends by itself.
 */
export function listenForKeys(terminal: ReadStream, run: Keyed): () => void {
  const onData = (text: string) => {
    for (const key of text) press(key, run, terminal);
  };
  const putBack = () => terminal.setRawMode(false);
  const onContinue = () => terminal.setRawMode(true);
  terminal.setRawMode(true);
  terminal.setEncoding('latin1');
  terminal.on('data', onData);
  // A terminal that goes away presses no keys; the run goes on.
  const onError = () => {};
  terminal.on('error', onError);
  terminal.resume();
  process.on('exit', putBack);
  process.on('SIGCONT', onContinue);
  return () => {
    terminal.off('data', onData);
    terminal.pause();
    terminal.off('error', onError);
    process.off('exit', putBack);
    process.off('SIGCONT', onContinue);
    putBack();
  };
}

function press(key: string, run: Keyed, terminal: ReadStream): void {
  const { speed } = run;
  switch (key) {
    case '+':
    // The same key without Shift.
    case '=':
      if (speed !== undefined) run.setSpeed(stepped(speed, STEP));
      break;
    case '-':
      if (speed !== undefined) run.setSpeed(stepped(speed, 1 / STEP));
      break;
    case ' ':
    case 'p':
      if (speed === undefined) break;
      if (run.paused) run.resume();
      else run.pause();
      break;
    case 'q':
    case CTRL_C:
      run.stop();
      break;
    case CTRL_Z:
      terminal.setRawMode(false);
      process.kill(process.pid, 'SIGTSTP');
      break;
  }
}

/** To three digits. Full speed has no next one, but a last before it. */
function stepped(speed: number, factor: number): number {
  if (!Number.isFinite(speed)) return factor > 1 ? speed : SPEED_RANGE.most;
  // 0.8 times 1.25 is to be 1 again.
  const next = Number((speed * factor).toPrecision(3));
  return Math.min(SPEED_RANGE.most, Math.max(SPEED_RANGE.least, next));
}
