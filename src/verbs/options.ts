/** Readers of option values, shared by the verbs. What they can't read they refuse with the form that is right. */
import { InvalidArgumentError } from 'commander';

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const SIZE_OCTETS: Readonly<Record<string, number>> = {
  '': 1,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
};

/** `10s`, `5m`, `1h`, `250ms`, `1d` -> milliseconds. */
export function parseDurationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  const ms = match ? Number(match[1]) * DURATION_MS[match[2]] : 0;
  if (ms > 0) return ms;
  throw new InvalidArgumentError('A duration is a number and its unit: 500ms, 10s, 5m, 1h, 1d.');
}

/** `64Mi`, `1Gi`, `512Ki` or plain octets -> octets. */
export function parseSizeOctets(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|)$/.exec(text);
  const octets = match ? Math.round(Number(match[1]) * SIZE_OCTETS[match[2]]) : 0;
  if (octets > 0) return octets;
  throw new InvalidArgumentError('A size is a number and its unit: 64Mi, 1Gi, 512Ki; or plain octets.');
}

/** `3307` or `3307,3308` -> ports, each once. */
export function parsePorts(text: string): number[] {
  const ports = text.split(',').map((part) => (/^\d{1,5}$/.test(part) ? Number(part) : 0));
  if (ports.every((port) => port >= 1 && port <= 65535)) return [...new Set(ports)];
  throw new InvalidArgumentError(
    'Ports are numbers from 1 to 65535, separated by commas: 3306 or 3307,3308.',
  );
}

/** A session's id, for an option that can be given again and again. */
export function collectSession(text: string, before: number[] = []): number[] {
  if (/^\d+(,\d+)*$/.test(text)) return [...before, ...text.split(',').map(Number)];
  throw new InvalidArgumentError('A session is named by its number in `mytape ls`: 17, or several: 17,18.');
}

/** For an option that may be given several times. */
export function collectText(text: string, before: string[] = []): string[] {
  return [...before, text];
}

/** `10%`, as a part of 1; not 0 %. */
export function parsePart(text: string): number {
  const part = parsePartOrNone(text);
  if (part > 0) return part;
  throw new InvalidArgumentError(`${text} leaves nothing: give more than 0%, as in 10%.`);
}

/** `95%`, as a part of 1; `0%` is 0. */
export function parsePartOrNone(text: string): number {
  const [, percent] = /^(\d+(?:\.\d+)?)%$/.exec(text) ?? [];
  const part = Number(percent) / 100;
  if (part <= 1) return part;
  throw new InvalidArgumentError(`${text} is no part: say it in percent, as in 10%.`);
}

/** `1/2`: the first of two shares, whose index counts from 0. */
export function parseShare(text: string): { index: number; of: number } {
  const [, nth, of] = (/^(\d{1,2})\/(\d{1,2})$/.exec(text) ?? []).map(Number);
  if (nth >= 1 && nth <= of) return { index: nth - 1, of };
  throw new InvalidArgumentError(
    `${text} is no share: give 1/2 on the first of two hosts, 2/2 on the second.`,
  );
}

/** A moment, or a time of any day. */
export type TimeChoice =
  | { epochMs: number }
  /** Since midnight, local time, ms; and how long what was named lasts: `20:00` is a minute, `20:00:30` a second. */
  | { ofDayMs: number; lastsMs: number };

const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
const OF_DAY = /^(\d\d?):(\d\d)(?::(\d\d))?$/;

/** `2026-01-31T09:00:00+01:00` (RFC 3339), or `09:00`, `09:00:30`: local time, of a day that the reader chooses. */
export function parseTime(text: string): TimeChoice {
  const ofDay = OF_DAY.exec(text);
  if (ofDay !== null) {
    const [hours, minutes, seconds] = ofDay.slice(1).map((part = '0') => Number(part));
    if (hours < 24 && minutes < 60 && seconds < 60) {
      const ofDayMs = (hours * 3600 + minutes * 60 + seconds) * 1000;
      return { ofDayMs, lastsMs: ofDay[3] === undefined ? 60_000 : 1_000 };
    }
  }
  const [, year, month, day, ...rest] = RFC_3339.exec(text) ?? [];
  const epochMs = Date.parse(text.replace(/[Tt ]/, 'T').toUpperCase());
  // Date.parse takes 31 February for a day in March.
  const exists = Number(day) <= new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  if (rest.length > 0 && exists && Number.isFinite(epochMs)) return { epochMs };
  throw new InvalidArgumentError(
    `${text} is no time: say 2026-01-31T09:00:00Z (or +01:00), or 09:00 or 09:00:30 of local time.`,
  );
}

/** The moment that `choice` names: of a time of day the next one behind `nowMs`. Ms since 1970. */
export function nextTime(choice: TimeChoice, nowMs: number): number {
  if ('epochMs' in choice) return choice.epochMs;
  const at = new Date(nowMs);
  const setTime = () => at.setHours(0, 0, 0, choice.ofDayMs);
  if (setTime() > nowMs) return at.getTime();
  at.setDate(at.getDate() + 1);
  return setTime();
}

/** A stretch of time, ms since 1970, both ends included. */
export interface TimeSpan {
  firstMs: number;
  lastMs: number;
}

/**
 * The moment that `choice` names in `span`, ms since 1970. Of a time of day the first one that fits, by when it begins and ends; where
 * none does, the one that is nearest to the span.
 */
export function timeIn(
  choice: TimeChoice,
  { firstMs, lastMs }: TimeSpan,
  fits: (beginsMs: number, endsMs: number) => boolean,
): number {
  if ('epochMs' in choice) return choice.epochMs;
  const day = new Date(firstMs);
  day.setDate(day.getDate() - 1);
  let nearest = { atMs: Number.NaN, awayMs: Number.POSITIVE_INFINITY };
  for (;;) {
    const atMs = new Date(day).setHours(0, 0, 0, choice.ofDayMs);
    if (fits(atMs, atMs + choice.lastsMs)) return atMs;
    const awayMs = Math.max(0, firstMs - atMs, atMs - lastMs);
    if (awayMs < nearest.awayMs) nearest = { atMs, awayMs };
    // Of an empty span neither end is a number.
    if (!(atMs <= lastMs)) return nearest.atMs;
    day.setDate(day.getDate() + 1);
  }
}
