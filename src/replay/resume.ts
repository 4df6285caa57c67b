/** What runs before this one have done of the same recording, as far as a run that goes on with it must know. */
export interface Done {
  /** Nothing of this session is left to do or to count. */
  isCounted(session: number): boolean;
  /**
   * Why a copy can't run: it was under way on the target when the run was interrupted; or the records that would tell whether it was are
   * gone. undefined: it can.
   */
  lostBy(session: number, copy: number): 'interrupted' | 'unknown-after-crash' | undefined;
  /** Its connection had been opened. */
  wasOpened(session: number, copy: number): boolean;
}
