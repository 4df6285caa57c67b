/** Moments at which things are to be done: at random, as many clients together make them, but the same in every run. */
export class Arrivals {
  readonly #meanNs: number;
  #ns = 0;
  #state = 1;

  constructor(ratePerSec: number) {
    this.#meanNs = 1e9 / ratePerSec;
  }

  /** The next one, ns since the beginning: exponentially distributed gaps (a Poisson process). */
  next(): number {
    // Numerical Recipes' generator, modulo 2^32.
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    this.#ns -= Math.log((this.#state + 0.5) / 2 ** 32) * this.#meanNs;
    return this.#ns;
  }
}
