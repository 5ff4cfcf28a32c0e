import type { Clock } from './clock.js';
import type { Settings } from './settings.js';

interface TrueStock {
  quantity: number;
  /** Earlier numbers and until when they held. */
  past: { quantity: number; until: number }[];
}

/**
 * What the seller's warehouse really holds, told to the simulator only so that it can judge writes.
 * SKUs are compared without outer white space.
 */
export class Truth {
  readonly #stock = new Map<string, TrueStock>();
  readonly #clock: Clock;
  readonly #settings: () => Settings;
  #isGiven = false;

  constructor(clock: Clock, settings: () => Settings) {
    this.#clock = clock;
    this.#settings = settings;
  }

  /** Whether anything was ever told; without it, stock numbers cannot be judged. */
  get isGiven(): boolean {
    return this.#isGiven;
  }

  set(sku: string, quantity: number): void {
    this.#isGiven = true;
    const known = this.#stock.get(sku.trim());
    if (!known) {
      this.#stock.set(sku.trim(), { quantity, past: [] });
      return;
    }
    const now = this.#clock.now();
    known.past = known.past.filter(({ until }) => until >= now - this.#settings().judgeGraceMs);
    known.past.push({ quantity: known.quantity, until: now });
    known.quantity = quantity;
  }

  /** The SKU is no longer in the warehouse's list at all. */
  remove(sku: string): void {
    this.#stock.delete(sku.trim());
  }

  clear(): void {
    this.#stock.clear();
    this.#isGiven = false;
  }

  quantity(sku: string): number | undefined {
    return this.#stock.get(sku.trim())?.quantity;
  }

  entries(): [string, number][] {
    return [...this.#stock].map(([sku, { quantity }]) => [sku, quantity]);
  }

  /** The least and most that a write may rest on: the numbers of the grace time, less the seller's buffer. */
  publishable(sku: string, sellerId: string): { least: number; most: number } | undefined {
    const known = this.#stock.get(sku.trim());
    if (!known) return undefined;
    const settings = this.#settings();
    const buffer = settings.buffers[sellerId] ?? settings.buffer;
    const since = this.#clock.now() - settings.judgeGraceMs;
    const recent = known.past.filter(({ until }) => until > since).map(({ quantity }) => quantity);
    const quantities = [known.quantity, ...recent].map((quantity) => Math.max(0, quantity - buffer));
    return { least: Math.min(...quantities), most: Math.max(...quantities) };
  }
}
