/**
 * Sends whole IP packets, of either version, with source addresses that need not be ours, each to the destination that its
 * header names. Built in place: ask for a slot, write the
 * packet there, commit its length; nothing leaves before `flush` (or until the batch is full).
 *
 *     const at = injector.slot();               // offset of a free slot in injector.octets
 *     … write IP header and all at `at` …
 *     injector.commit(length);
 *     injector.flush();
 *
 * `octets` begins at, and slots lie at, a multiple of 4 octets in memory, and a slot's last 3 octets may be written beyond
 * the packet's end: checksums are made a word at a time.
 */
export interface Injector {
  readonly octets: Uint8Array;
  readonly view: DataView;
  /** Room in a slot: the largest packet that can be sent, IP header included. */
  readonly slotOctets: number;
  slot(): number;
  commit(length: number): void;
  flush(): void;
  stats(): InjectorStats;
  close(): void;
}

export interface InjectorStats {
  sent: number;
  /** Given up after the kernel refused them, by its error's name: EMSGSIZE, EPERM, ENETUNREACH … TCP sends them again. */
  refused: Record<string, number>;
}
