/** What runs before this one have done of the same recording, as far as a run that goes on with it must know. */
export interface Done {
  /** Nothing of this session is left to do or to count. */
  isCounted(session: number): boolean;
  /** It was under way on the target when the run was interrupted: nobody knows how far it came. */
  wasBegun(session: number, copy: number): boolean;
}
