/**
 * Which part of a run one thread replays. Sessions and copies are dealt out so that every share has as many, whether the
 * archive has many sessions or the run many copies.
 */
export interface Share {
  /** 0 up to `of` - 1. */
  index: number;
  of: number;
  /** Copies are dealt out whole: what happens in one copy is seen in one share. There are no fewer than shares. */
  byCopy?: boolean;
}

export const WHOLE: Share = { index: 0, of: 1 };

/** Whether copy `copy` of session `id` (SessionMeta) is in this share. */
export function hasCopy(share: Share, id: number, copy: number): boolean {
  return (share.byCopy === true ? copy : id + copy) % share.of === share.index;
}

/** Whether this share has any of so many copies of a session: who has none need not decode it. */
export function hasAny(share: Share, id: number, copies: number): boolean {
  if (share.byCopy === true) return share.index < copies;
  return (share.index - (id % share.of) + share.of) % share.of < copies;
}

/** This share's part of `total` things: as even as whole numbers allow. */
export function partOf(share: Share, total: number): number {
  return Math.floor(total / share.of) + (share.index < total % share.of ? 1 : 0);
}

/** Whether it is this share that counts what concerns a recorded session as such, once for all its copies. */
export function counts(share: Share, id: number): boolean {
  return hasCopy(share, id, 0);
}
