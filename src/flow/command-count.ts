import type { DialogueSink, LostCause } from '../mysql/dialogue.ts';

/** Counts what a dialogue makes out, of a session that nothing else can be done with. */
export class CommandCount implements DialogueSink {
  readonly #owner: { counted(commands: number): void };

  constructor(owner: { counted(commands: number): void }) {
    this.#owner = owner;
  }

  login(): void {}
  refused(): void {}
  reply(): void {}

  joined(commands: number): void {
    this.#owner.counted(commands);
  }

  command(): void {
    this.#owner.counted(1);
  }

  lost(_cause: LostCause, commands: number): void {
    this.#owner.counted(commands);
  }
}
