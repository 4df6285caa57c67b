/** What a step of an examination found, and what to do about it. */
import { type Remedy, renderRemedies } from '../transport/diagnosis.ts';

export type Status = 'ok' | 'warning' | 'failed';

/** What one step found. */
export interface Step {
  name: string;
  status: Status;
  says: string;
  /** What to type, and where; empty where all is well. */
  remedies: Remedy[];
  /** Which target it is about, where there are several. */
  target?: string;
}

export function ok(name: string, says: string): Step {
  return { name, status: 'ok', says, remedies: [] };
}

export function warning(name: string, says: string, remedies: Remedy[] = []): Step {
  return { name, status: 'warning', says, remedies };
}

export function failed(name: string, says: string, remedies: Remedy[] = []): Step {
  return { name, status: 'failed', says, remedies };
}

/** The lines that people read. */
export function stepLines({ status, name, says, remedies }: Step): string[] {
  return [`${status.padEnd(8)} ${name.padEnd(11)} ${says}`, ...renderRemedies(remedies)];
}
