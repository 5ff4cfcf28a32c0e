import type { SellerResource, Settings } from './settings.js';
import { SlidingWindow } from './window.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

interface ClientState {
  /** All requests, for the report: also those refused. */
  readonly anyMinute: SlidingWindow;
  /** Requests since the last block, for the limit. */
  counted: SlidingWindow;
  countedMs: number;
  blockedUntil: number;
  requests: number;
  requestsIntoBlock: number;
  blocks: number;
}

export interface ClientReport {
  readonly requests: number;
  readonly maxIn60s: number;
  readonly requestsIntoBlock: number;
  readonly blocks: number;
}

/**
 * The limit per Client ID: so many requests in any window, over all sellers. Who exceeds it is blocked for a while,
 * and each request sent into the block starts the block anew (allegro-api #3454, #6754).
 */
export class ApplicationLimit {
  readonly #clients = new Map<string, ClientState>();
  readonly #settings: () => Settings;

  constructor(settings: () => Settings) {
    this.#settings = settings;
  }

  /** Counts a request. @returns whether it is let through. */
  admit(clientId: string, now: number): boolean {
    const state = this.#state(clientId);
    state.requests += 1;
    state.anyMinute.add(now);
    const limit = this.#settings().applicationLimit;
    if (!limit) return true;
    if (now < state.blockedUntil) {
      state.requestsIntoBlock += 1;
      if (limit.prolong) state.blockedUntil = now + limit.blockMs;
      return false;
    }
    if (state.countedMs !== limit.windowMs) {
      state.counted = new SlidingWindow(limit.windowMs);
      state.countedMs = limit.windowMs;
    }
    if (state.counted.add(now) <= limit.requests) return true;
    state.blocks += 1;
    state.blockedUntil = now + limit.blockMs;
    state.counted.clear();
    return false;
  }

  report(): Record<string, ClientReport> {
    return Object.fromEntries(
      [...this.#clients].map(([clientId, { requests, anyMinute, requestsIntoBlock, blocks }]) => [
        clientId,
        { requests, maxIn60s: anyMinute.highest, requestsIntoBlock, blocks },
      ]),
    );
  }

  reset(): void {
    this.#clients.clear();
  }

  #state(clientId: string): ClientState {
    const known = this.#clients.get(clientId);
    if (known) return known;
    const state: ClientState = {
      anyMinute: new SlidingWindow(MINUTE_MS),
      counted: new SlidingWindow(MINUTE_MS),
      countedMs: MINUTE_MS,
      blockedUntil: 0,
      requests: 0,
      requestsIntoBlock: 0,
      blocks: 0,
    };
    this.#clients.set(clientId, state);
    return state;
  }
}

interface ResourceState {
  readonly minute: SlidingWindow;
  readonly hour: SlidingWindow;
  refused: number;
}

export interface ResourceReport {
  readonly maxPerMinute: number;
  readonly maxPerHour: number;
  readonly refused: number;
}

/** Limits per seller and resource, per minute and hour; offers in a command count one each. */
export class SellerLimits {
  readonly #resources = new Map<string, ResourceState>();
  readonly #settings: () => Settings;

  constructor(settings: () => Settings) {
    this.#settings = settings;
  }

  /** Takes `weight` from the seller's quota. @returns false, and takes nothing, when there is not so much left. */
  take(sellerId: string, resource: SellerResource, now: number, weight = 1): boolean {
    const state = this.#state(sellerId, resource);
    const limits = this.#settings().sellerLimits?.[resource];
    const tooManyInMinute = limits?.perMinute != null && state.minute.sum(now) + weight > limits.perMinute;
    const tooManyInHour = limits?.perHour != null && state.hour.sum(now) + weight > limits.perHour;
    if (tooManyInMinute || tooManyInHour) {
      state.refused += 1;
      return false;
    }
    state.minute.add(now, weight);
    state.hour.add(now, weight);
    return true;
  }

  /** By `sellerId resource`. */
  report(): Record<string, ResourceReport> {
    return Object.fromEntries(
      [...this.#resources].map(([key, { minute, hour, refused }]) => [
        key,
        { maxPerMinute: minute.highest, maxPerHour: hour.highest, refused },
      ]),
    );
  }

  reset(): void {
    this.#resources.clear();
  }

  #state(sellerId: string, resource: SellerResource): ResourceState {
    const key = `${sellerId} ${resource}`;
    const known = this.#resources.get(key);
    if (known) return known;
    const state = { minute: new SlidingWindow(MINUTE_MS), hour: new SlidingWindow(HOUR_MS), refused: 0 };
    this.#resources.set(key, state);
    return state;
  }
}
