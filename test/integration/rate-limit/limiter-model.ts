import type { Redis } from 'ioredis';
import { isCounted, type Quota } from '../../../src/rate-limit/pace.js';
import { SpentRecord } from '../../../src/rate-limit/spent-record.js';
import { heaviestWindow, type Arrival } from './arrivals.js';
import { scriptedRedis, take, type ScriptedRedis } from './scripted-redis.js';

/** What a case may be told to do wrong, to see that the model notices. */
export interface ModelOptions {
  script: string;
  pauseMs?: number;
  /** How long permits are used, ms after their time. The limiter allows 1000. */
  permitLifeMs?: number;
  withoutRestore?: boolean;
}

export interface ModelResult {
  grants: number;
  /** Windows that got more than their limit, in words. */
  violations: string[];
  /** Whether some window was used up to its limit. */
  isTight: boolean;
}

const STEPS = 20;
const SECOND = 1000;

/**
 * One random schedule on the shipped script: up to four processes with permits in hand, weights, pauses of processes,
 * clock steps, lost and rolled-back state. Requests are sent and arrive as late as the contract allows, and the
 * arrivals are counted exactly. The same seed gives the same schedule.
 */
export async function runModelCase(redis: Redis, seed: number, options: ModelOptions): Promise<ModelResult> {
  const scripted = scriptedRedis(redis, options.script, options.pauseMs);
  const model = new Model(scripted, randomNumbers(seed), options);
  try {
    return await model.run();
  } finally {
    await scripted.loseState();
    scripted.script.close();
  }
}

interface Request {
  quotas: Quota[];
  sendMs: number;
  /** Not after this. */
  expiresMs: number;
  /** From sending to the server's count. */
  travelMs: number;
  isDropped: boolean;
}

interface Process {
  spent: SpentRecord;
  requests: Request[];
  pausedUntilMs: number;
}

interface Seller {
  minute: Quota;
  long: Quota | null;
}

class Model {
  private readonly app: Quota;
  private readonly sellers: Seller[];
  private readonly processes: Process[];
  /** The true time; the server's clock shows this less what it was put back. */
  private nowMs = 1_700_000_000_000;
  private putBackMs = 0;
  private grants = 0;
  private goBack: (() => Promise<void>) | null = null;

  constructor(
    private readonly redis: ScriptedRedis,
    private readonly random: () => number,
    private readonly options: ModelOptions,
  ) {
    this.app = { scope: 'app', limit: this.between(5, 30), windowMs: 60 * SECOND, weight: 1, maxWeight: 1 };
    this.sellers = ['a', 'b'].slice(0, this.between(1, 2)).map((name) => this.aSeller(name));
    this.processes = Array.from({ length: this.between(1, 4) }, () => ({
      spent: new SpentRecord(),
      requests: [],
      pausedUntilMs: 0,
    }));
  }

  async run(): Promise<ModelResult> {
    await this.hello();
    this.nowMs += 5 * SECOND;
    for (let step = 0; step < STEPS; step += 1) await this.step();
    return this.judge();
  }

  private async step(): Promise<void> {
    const dice = this.random();
    if (dice < 0.76) await this.ask();
    else if (dice < 0.84) this.pause(this.oneOf(this.processes));
    else if (dice < 0.88) this.goBack = this.putBackMs === 0 ? await this.redis.takeSnapshot() : null;
    else if (dice < 0.92) this.putClockBack();
    else if (dice < 0.96) await this.loseState();
    else this.nowMs += this.random() * 30 * SECOND;
  }

  private async ask(): Promise<void> {
    const process = this.oneOf(this.processes);
    this.nowMs = Math.max(this.nowMs, process.pausedUntilMs);
    const { minute, long } = this.oneOf(this.sellers);
    const weight = this.between(1, minute.maxWeight);
    const ofSeller = [minute, ...(long === null ? [] : [long])].map((quota) => ({ ...quota, weight }));
    const quotas = this.random() < 0.2 ? [this.app] : [this.app, ...ofSeller];
    this.showTime();
    const taken = await take(this.redis.script, quotas, this.random() < 0.8 ? 2000 : 0);
    if (!taken.granted) {
      // As greedy as can be: back at the very moment the refusal named.
      this.nowMs += Math.min(taken.waitMs, 200 * SECOND) * this.oneOf([0.1, 1, 1]);
      return;
    }
    this.grants += 1;
    const readyMs = this.nowMs + taken.waitMs;
    process.spent.record(quotas, readyMs);
    const expiresMs = readyMs - taken.behindMs + (this.options.permitLifeMs ?? SECOND);
    const sendMs = readyMs + this.lateness() * (expiresMs - readyMs);
    process.requests.push({ quotas, sendMs, expiresMs, travelMs: this.lateness() * SECOND, isDropped: false });
    this.nowMs += this.random() < 0.5 ? 0 : this.random() * 3 * SECOND;
  }

  private pause(process: Process): void {
    process.pausedUntilMs = this.nowMs + this.random() * 10 * SECOND;
    for (const request of process.requests.filter(({ sendMs }) => sendMs > this.nowMs)) {
      request.sendMs = Math.max(request.sendMs, process.pausedUntilMs);
      request.isDropped ||= request.sendMs >= request.expiresMs;
    }
  }

  private putClockBack(): void {
    this.putBackMs += this.random() * 7200 * SECOND;
    this.goBack = null;
  }

  /** All state, or what was stored since the snapshot. Each process tells what it remembers within the pause. */
  private async loseState(): Promise<void> {
    if (this.goBack === null || this.random() < 0.5) await this.redis.loseState();
    else await this.goBack();
    this.goBack = null;
    await this.hello();
    for (const { spent } of this.processes) {
      this.nowMs += this.random() * 0.7 * SECOND;
      const knownAgeMs = await this.hello();
      if (this.options.withoutRestore === true) continue;
      for (const { quota, spent: second } of spent.youngerThan(knownAgeMs, this.nowMs)) {
        await this.redis.script.call({ operation: 'restore', quotas: [quota], second });
      }
    }
  }

  private async hello(): Promise<number> {
    this.showTime();
    return (await this.redis.script.call({ operation: 'hello', quotas: [] })).knownAgeMs;
  }

  private showTime(): void {
    this.redis.setClock(this.nowMs - this.putBackMs);
  }

  private judge(): ModelResult {
    const sent = this.processes.flatMap(({ requests }) => requests).filter(({ isDropped }) => !isDropped);
    const quotas = [
      this.app,
      ...this.sellers.flatMap(({ minute, long }) => [minute, ...(long === null ? [] : [long])]),
    ];
    const heaviest = quotas.map((quota) => ({
      quota,
      weight: heaviestWindow(arrivalsOf(quota, sent), quota.windowMs),
    }));
    const over = heaviest.filter(({ quota, weight }) => weight > quota.limit);
    return {
      grants: this.grants,
      violations: over.map(({ quota, weight }) => `${quota.scope}: ${weight} of ${quota.limit}`),
      isTight: heaviest.some(({ quota, weight }) => weight === quota.limit),
    };
  }

  private aSeller(name: string): Seller {
    const limit = this.between(4, 20);
    const maxWeight = this.between(1, 4);
    const minute = { scope: `${name}:minute`, limit, windowMs: 60 * SECOND, weight: 1, maxWeight };
    const long = { scope: `${name}:long`, limit: this.between(4, 12), windowMs: 180 * SECOND, weight: 1, maxWeight };
    return { minute, long: this.random() < 0.5 && isCounted(long) ? long : null };
  }

  /** 0 ≤ x < 1, often at the ends, where bounds break. */
  private lateness(): number {
    return this.oneOf([0, 0.999999, this.random()]);
  }

  private between(least: number, most: number): number {
    return least + Math.floor(this.random() * (most - least + 1));
  }

  private oneOf<T>(values: readonly T[]): T {
    const value = values[Math.floor(this.random() * values.length)];
    if (value === undefined) throw new Error('nothing to choose from');
    return value;
  }
}

function arrivalsOf(quota: Quota, sent: readonly Request[]): Arrival[] {
  return sent.flatMap(({ quotas, sendMs, travelMs }) => {
    const counted = quotas.find(({ scope }) => scope === quota.scope);
    return counted === undefined ? [] : [{ atMs: sendMs + travelMs, weight: counted.weight }];
  });
}

/** mulberry32: small, seeded, good enough to choose steps. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
