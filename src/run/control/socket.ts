/** How `mytape ctl` reaches a run: a Unix socket in the run's folder, a JSON object a line each way. */
import { existsSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { MytapeError } from '../../errors.ts';
import { isServed, listenPrivately } from '../../net/unix-socket.ts';
import { isInterrupted } from '../checkpoint/run-file.ts';
import { type RunControl, type RunStatus, SPEED_RANGE } from './control.ts';
import { checkPlace, clearPlace, findPlace, makePlace, removePointer } from './place.ts';

const ANSWER_MS = 10_000;

export type ControlRequest =
  | { do: 'status' | 'pause' | 'resume' }
  | { do: 'stop' }
  /** A number, or `max`. */
  | { do: 'speed'; speed: number | 'max' };

export type ControlAnswer = { status: RunStatus } | { error: string };

/** Others on this host cannot connect: its mode is 0600. Throws where a run is under way in `folder`, or no socket can be made. */
export async function openControl(folder: string, control: RunControl): Promise<{ close(): void }> {
  const before = findPlace(folder);
  if (await isServed(before)) {
    throw new MytapeError('usage', `a run is under way in ${folder}: choose another folder by --out`);
  }
  clearPlace(folder, before);
  const path = makePlace(folder);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    serve(socket, control);
  });
  await listen(server, path);
  // A run does not go on for the sake of who may ask.
  server.unref();
  return {
    close() {
      // It removes the socket's file.
      server.close();
      for (const socket of sockets) socket.end();
      removePointer(folder, path);
    },
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new MytapeError('bad-file', `cannot make the socket ${path}: ${cause.message}`, { cause })),
    );
    listenPrivately(server, path, resolve);
  });
}

async function serve(socket: Socket, control: RunControl): Promise<void> {
  for await (const line of createInterface({ input: socket })) {
    const answer = await answerTo(line, control);
    // The run may be over by now, and have closed it.
    if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`);
  }
  socket.end();
}

async function answerTo(line: string, control: RunControl): Promise<ControlAnswer> {
  try {
    const request = JSON.parse(line) as ControlRequest;
    if (request.do === 'stop') {
      // The run may be over before it could say anything more.
      const status = await control.status();
      control.stop();
      return { status: { ...status, state: 'stopping' } };
    }
    carryOut(request, control);
    return { status: await control.status() };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

function carryOut(request: Exclude<ControlRequest, { do: 'stop' }>, control: RunControl): void {
  switch (request.do) {
    case 'status':
      break;
    case 'pause':
      control.pause();
      break;
    case 'resume':
      control.resume();
      break;
    case 'speed': {
      const speed = request.speed === 'max' ? Number.POSITIVE_INFINITY : request.speed;
      if (speed !== Number.POSITIVE_INFINITY && !(speed >= SPEED_RANGE.least && speed <= SPEED_RANGE.most))
        throw new Error(`${request.speed} is no speed`);
      control.setSpeed(speed);
      break;
    }
    default:
      throw new Error('not known: status, pause, resume, speed and stop are');
  }
}

/** Whether a run is under way in `folder`. */
export function isUnderWay(folder: string): Promise<boolean> {
  return isServed(findPlace(folder));
}

/** Asks the run in `folder`. Throws where none is under way there, or it refuses. */
export async function askRun(folder: string, request: ControlRequest): Promise<RunStatus> {
  const path = findPlace(folder);
  checkPlace(folder, path);
  let answer: ControlAnswer;
  try {
    answer = await ask(path, request);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ECONNREFUSED')
      throw new MytapeError('bad-file', `cannot reach the run by ${path}: ${message}`, { cause });
    if (code === 'ECONNREFUSED') clearPlace(folder, path);
    throw new MytapeError('bad-file', notUnderWay(folder), { cause });
  }
  if ('status' in answer) return answer.status;
  throw new MytapeError('not-supported', answer.error);
}

function notUnderWay(folder: string): string {
  if (!existsSync(folder)) return `there is no folder ${folder}: name that of the run (its --out)`;
  if (isInterrupted(folder))
    return `the run in ${folder} was stopped or killed: mytape replay --resume ${folder} goes on with it`;
  return existsSync(join(folder, 'summary.json'))
    ? `the run in ${folder} is over: see its summary.json`
    : `no run is under way in ${folder}`;
}

function ask(path: string, request: ControlRequest): Promise<ControlAnswer> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const fail = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(ANSWER_MS, () => fail(new Error(`no answer for ${ANSWER_MS / 1000} s`)));
    socket.once('error', fail);
    const lines = createInterface({ input: socket });
    // What the socket meets it tells itself.
    lines.on('error', () => {});
    lines.once('line', (line) => {
      resolve(JSON.parse(line) as ControlAnswer);
      socket.end();
    });
    socket.once('close', () => reject(new Error('the run ended')));
    socket.write(`${JSON.stringify(request)}\n`);
  });
}
