interface Hit {
  readonly at: number;
  readonly weight: number;
}

/** Exact sums over any stretch of the given length: what counts is what came in (now - length, now]. */
export class SlidingWindow {
  readonly #lengthMs: number;
  #hits: Hit[] = [];
  #first = 0;
  #sum = 0;
  #highest = 0;

  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs;
  }

  /** The largest sum that any stretch of this length has held so far. */
  get highest(): number {
    return this.#highest;
  }

  sum(now: number): number {
    let hit = this.#hits[this.#first];
    while (hit && hit.at <= now - this.#lengthMs) {
      this.#sum -= hit.weight;
      this.#first += 1;
      hit = this.#hits[this.#first];
    }
    if (this.#first > 4096 && this.#first * 2 > this.#hits.length) {
      this.#hits = this.#hits.slice(this.#first);
      this.#first = 0;
    }
    return this.#sum;
  }

  /** @returns the sum with the new hit. */
  add(now: number, weight = 1): number {
    this.sum(now);
    this.#hits.push({ at: now, weight });
    this.#sum += weight;
    if (this.#sum > this.#highest) this.#highest = this.#sum;
    return this.#sum;
  }

  /** Forgets the hits; the highest sum stays. */
  clear(): void {
    this.#hits = [];
    this.#first = 0;
    this.#sum = 0;
  }
}
