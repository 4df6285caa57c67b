import * as visits from '../../../scripts/lab/visits.ts';
import type { TestBed } from './path.ts';

export { makeVisits, type Visit, type VisitPlan } from '../../../scripts/lab/visits.ts';

export const clearVisits = ({ target }: TestBed) => visits.clearVisits(target);
export const visitsInOrder = ({ target }: TestBed) => visits.visitsInOrder(target);
export const visitsOn = ({ target }: TestBed) => visits.visitsOn(target);
