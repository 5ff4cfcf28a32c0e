import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import {
  createRateLimiter,
  LimiterUnavailable,
  type AcquireOptions,
  type Grant,
  type LimiterEvent,
  type Quota,
  type RateLimiter,
  type RateLimiterOptions,
} from '../../../src/rate-limit/limiter.js';
import type { ScriptRedis } from '../../../src/rate-limit/redis-script.js';
import { startRedisProxy } from './redis-proxy.js';

const app: Quota = { scope: 'app', limit: 620, windowMs: 60_000, weight: 1, maxWeight: 1 };
const APP_SPACING_MS = 100;
/** Two permits a second. */
const slow: Quota = { ...app, scope: 'slow', limit: 124 };
const hourly: Quota = { ...app, scope: 'hourly', limit: 1000, windowMs: 3_600_000 };

let clientId: string;
let events: LimiterEvent[];
let toClose: (() => void)[];

beforeEach(() => {
  clientId = randomUUID();
  events = [];
  toClose = [];
});

afterEach(() => {
  for (const close of toClose) close();
});

function testRedisUrl(): string {
  const url = process.env['TEST_REDIS_URL'];
  if (url === undefined) throw new Error('TEST_REDIS_URL is not set; `npm test` starts a Redis and sets it');
  return url;
}

function connect(url = testRedisUrl()): Redis {
  const redis = new Redis(url, { maxRetriesPerRequest: 1, retryStrategy: () => 50 });
  redis.on('error', () => undefined);
  toClose.push(() => redis.disconnect());
  return redis;
}

/** A limiter on a connection of its own, as another process would have it. */
function aLimiter(options: Partial<RateLimiterOptions> = {}): RateLimiter {
  const onEvent = (event: LimiterEvent): void => void events.push(event);
  const limiter = createRateLimiter({ redis: connect(), clientId, pauseMs: 1, onEvent, ...options });
  toClose.push(() => limiter.close());
  return limiter;
}

async function grantOf(limiter: RateLimiter, quotas: Quota[], options: AcquireOptions = {}): Promise<Grant> {
  const outcome = await limiter.acquire(quotas, options);
  if (outcome.kind === 'refused') throw new Error(`refused: ${JSON.stringify(outcome)}`);
  return outcome;
}

async function until(condition: () => boolean | Promise<boolean>, deadlineMs = 10_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not so within ${deadlineMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('acquire', () => {
  it('grants each permit at its time and none earlier', async () => {
    const limiter = aLimiter();
    const times = await Promise.all(
      Array.from({ length: 6 }, async () => {
        await grantOf(limiter, [app]);
        return performance.now();
      }),
    );
    const sorted = times.toSorted((a, b) => a - b);
    // Of what one answer took, the process and Redis may disagree about the time.
    const toleranceMs = 60;
    sorted.forEach((time, index) =>
      expect(time - (sorted[0] ?? 0)).toBeGreaterThan(index * APP_SPACING_MS - toleranceMs),
    );
  });

  it('waits inline for a slot that is near', async () => {
    const limiter = aLimiter();
    await grantOf(limiter, [app, slow]);
    const grant = await grantOf(limiter, [app, slow]);
    expect(grant.waitMs).toBeGreaterThan(300);
  });

  it('refuses what is further away than the inline wait, says until when, and takes nothing', async () => {
    const limiter = aLimiter();
    await grantOf(limiter, [app, slow]);
    const refusal = await limiter.acquire([app, slow], { maxInlineWaitMs: 20 });
    expect(refusal).toMatchObject({ kind: 'refused', scope: 'slow', reason: 'quota' });
    const retryInMs = refusal.kind === 'refused' ? refusal.retryInMs : 0;
    expect(retryInMs).toBeGreaterThan(200);
    expect(retryInMs).toBeLessThanOrEqual(500);
    expect(await limiter.usage([app, slow])).toMatchObject([{ usedInWindow: 1 }, { usedInWindow: 1 }]);
  });

  it('refuses an inline wait of 0 only when there is no room', async () => {
    const limiter = aLimiter();
    await grantOf(limiter, [app]);
    expect(await limiter.acquire([app], { maxInlineWaitMs: 0 })).toMatchObject({ kind: 'refused', scope: 'app' });
    await until(async () => (await limiter.peek([app])).waitMs === 0);
    // The one that was refused counts its wait from when it heard of it, which is a little later.
    expect(await aLimiter().acquire([app], { maxInlineWaitMs: 0 })).toMatchObject({ kind: 'granted' });
  });

  it('gives up the wait when it is aborted', async () => {
    const limiter = aLimiter();
    await grantOf(limiter, [app, slow]);
    const abort = new AbortController();
    const waiting = limiter.acquire([app, slow], { signal: abort.signal });
    abort.abort(new Error('cancelled by the user'));
    await expect(waiting).rejects.toThrow('cancelled by the user');
    await expect(limiter.acquire([app], { signal: abort.signal })).rejects.toThrow('cancelled by the user');
  });

  it('refuses a quota that cannot be kept', async () => {
    await expect(aLimiter().acquire([{ ...app, weight: 2 }])).rejects.toThrow(RangeError);
    await expect(aLimiter().acquire([])).rejects.toThrow(RangeError);
  });

  it('drops a permit that was not used within 1 s of its time and takes another one', async () => {
    const limiter = aLimiter();
    await grantOf(limiter, [app]);
    const patient = { maxInlineWaitMs: 30_000 };
    const freshOnes = [1, 2].map(async () => (await grantOf(limiter, [app], patient)).isFresh());
    await until(async () => (await limiter.usage([app]))[0]?.usedInWindow === 3);
    stallFor(1500);
    expect(await Promise.all(freshOnes)).toEqual([true, true]);
    expect(events).toContainEqual({ kind: 'permit_dropped', reason: 'late' });
    expect((await limiter.usage([app]))[0]?.usedInWindow).toBeGreaterThan(3);
  });

  it('gives a permit that is fresh for less than a second', async () => {
    const grant = await grantOf(aLimiter(), [app]);
    expect(grant.isFresh()).toBe(true);
    stallFor(1000);
    expect(grant.isFresh()).toBe(false);
  });

  it('does not care what time the worker believes it is', async () => {
    const realNow = Date.now;
    const limiter = aLimiter();
    await grantOf(limiter, [app]);
    try {
      Date.now = () => realNow() + 600_000;
      await grantOf(limiter, [app]);
      Date.now = () => realNow() - 600_000;
      const started = performance.now();
      await Promise.all([grantOf(limiter, [app]), grantOf(limiter, [app]), grantOf(limiter, [app])]);
      expect(performance.now() - started).toBeGreaterThan(2 * APP_SPACING_MS - 60);
    } finally {
      Date.now = realNow;
    }
  });
});

function stallFor(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe('the order within a process', () => {
  async function servedOrder(
    limiter: RateLimiter,
    requests: { name: string; options: AcquireOptions }[],
  ): Promise<string[]> {
    const order: string[] = [];
    await Promise.all(
      requests.map(async ({ name, options }) => {
        await grantOf(limiter, [app], { maxInlineWaitMs: 30_000, ...options });
        order.push(name);
      }),
    );
    return order;
  }

  it('has danger before the rest of the account', async () => {
    const scheduled = Array.from({ length: 20 }, (_, n) => ({ name: `scheduled ${n}`, options: {} }));
    const danger = { name: 'danger', options: { priority: 'danger' as const } };
    const order = await servedOrder(aLimiter(), [...scheduled, danger]);
    expect(order.indexOf('danger')).toBeLessThanOrEqual(8);
  });

  it('has small accounts through while a big one works', async () => {
    const big = Array.from({ length: 20 }, (_, n) => ({ name: `big ${n}`, options: { party: 'big' } }));
    const small = ['a', 'b', 'c'].flatMap((party) =>
      [1, 2].map((n) => ({ name: `small ${party}${n}`, options: { party } })),
    );
    const order = await servedOrder(aLimiter(), [...big, ...small]);
    const lastSmall = Math.max(...small.map(({ name }) => order.indexOf(name)));
    // Turns of four accounts: the small ones' second requests are among the first eight. What a stalled process drops
    // is taken anew in the same order, behind the permits in hand: two for each account that waits.
    expect(lastSmall).toBeLessThan(4 * 2 + 4 * 2);
  });
});

describe('the order among processes', () => {
  it('gives small accounts half of the rate while three other processes work on a big one', async () => {
    const fast: Quota = { ...app, limit: 3100 };
    const sent = { big: 0, small: 0 };
    let isOver = false;
    async function work(limiter: RateLimiter, party: string, size: keyof typeof sent): Promise<void> {
      while (!isOver) if ((await limiter.acquire([fast], { party })).kind === 'granted') sent[size] += 1;
    }
    const lanes = Array.from({ length: 12 });
    const big = [aLimiter(), aLimiter(), aLimiter()].flatMap((limiter) => lanes.map(() => work(limiter, 'big', 'big')));
    await until(() => sent.big >= 50);
    const before = sent.big;
    const limiter = aLimiter();
    const small = Array.from({ length: 9 }, (_, n) => lanes.map(() => work(limiter, `small ${n}`, 'small')));
    await until(() => sent.small >= 200, 60_000);
    isOver = true;
    const ofBig = sent.big - before;
    await Promise.all([...big, ...small.flat()]);
    // Equal shares of the four processes would be 600; the first permits of the small ones stand behind those in hand.
    expect(ofBig).toBeLessThanOrEqual(200 + 3 * 12);
  });
});

describe('peek', () => {
  /** 50 a second: within 2 s there is room for 100. */
  const fast: Quota = { ...app, limit: 3100 };

  it('tells of requests that wait in other processes, and of those that were let in just now', async () => {
    const [one, other] = [aLimiter(), aLimiter()];
    const abort = new AbortController();
    setMaxListeners(0, abort.signal);
    const options = { signal: abort.signal, maxInlineWaitMs: 60_000 };
    const waiting = Array.from({ length: 60 }, () => one.acquire([app], options).catch(() => null));
    await until(async () => (await other.peek([app])).waitMs > 2000);
    expect(await other.peek([app])).toMatchObject({ scope: 'app' });
    abort.abort(new Error('enough'));
    await Promise.all(waiting);
    await until(async () => (await other.peek([app], { arriving: 15 })).waitMs < 2000);
    expect((await one.peek([app], { arriving: 15 })).waitMs).toBeGreaterThanOrEqual(2000);
  });

  it('keeps the requests in flight under 2 s × rate, over all processes and accounts', async () => {
    const limiters = [aLimiter(), aLimiter()];
    let inFlight = 0;
    let most = 0;
    let sent = 0;
    let held = 0;
    async function send(limiter: RateLimiter, party: string): Promise<void> {
      inFlight += 1;
      most = Math.max(most, inFlight);
      if ((await limiter.acquire([fast], { party })).kind === 'granted') sent += 1;
      inFlight -= 1;
    }
    // What a workflow does for each batch: ask for room, sleep or send five at a time.
    async function work(limiter: RateLimiter, party: string): Promise<void> {
      while (sent < 250) {
        const { waitMs } = await limiter.peek([fast], { arriving: 5 });
        if (waitMs < 2000) {
          for (let n = 0; n < 2; n += 1) await Promise.all(Array.from({ length: 5 }, () => send(limiter, party)));
        } else {
          held += 1;
          await new Promise((resolve) => setTimeout(resolve, waitMs));
        }
      }
    }
    const batches = Array.from({ length: 60 }, (_, n) => limiters.map((limiter) => work(limiter, `account ${n % 10}`)));
    await Promise.all(batches.flat());
    expect(held).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(100);
  });
});

describe('a 429', () => {
  it('stops the process that saw it and every other one', async () => {
    const [one, other] = [aLimiter(), aLimiter()];
    await one.penalise([app], 5000);
    for (const limiter of [one, other]) {
      expect(await limiter.acquire([app])).toMatchObject({ kind: 'refused', reason: 'penalty', scope: 'app' });
    }
    expect((await other.usage([app]))[0]?.blockedForMs).toBeGreaterThan(3000);
  });

  it('stops permits that are in hand', async () => {
    const limiter = aLimiter();
    const inHand = await grantOf(limiter, [app]);
    const waiting = limiter.acquire([app]);
    await until(async () => (await limiter.usage([app]))[0]?.usedInWindow === 2);
    await limiter.penalise([app], 5000);
    expect(inHand.isFresh()).toBe(false);
    expect(await waiting).toMatchObject({ kind: 'refused', reason: 'penalty' });
    expect(events).toContainEqual({ kind: 'permit_dropped', reason: 'penalty' });
  });

  it('lasts 60 s and some jitter when Allegro does not say how long', async () => {
    const limiter = aLimiter({ random: () => 0.5 });
    await limiter.penalise([app], null);
    expect(events).toContainEqual({ kind: 'penalised', scope: 'app', blockedForMs: 62_500 });
  });

  it('tells that somebody else uses the quota', async () => {
    await aLimiter().penalise([app], 1000);
    expect(events).toContainEqual({ kind: 'assumed_limit_lowered', scope: 'app', limit: 620, assumedLimit: 558 });
  });

  it('of a seller leaves the application alone, also when two requests learn of it at once', async () => {
    const limiter = aLimiter();
    const near: Quota = { ...hourly, scope: 'near', limit: 1 };
    await grantOf(limiter, [app, near]);
    // Both block the application until Redis has told that only the seller is meant.
    await Promise.all([limiter.penalise([app, near], 60_000), limiter.penalise([app, near], 60_000)]);
    await grantOf(limiter, [app]);
  });

  it('is followed by one probe, over all processes, and by full pace when that is answered', async () => {
    const [one, other] = [aLimiter(), aLimiter()];
    await one.penalise([app], 300);
    const outcomes = [one, other, one, other].map((limiter) => limiter.acquire([app], { maxInlineWaitMs: 1500 }));
    const granted: Grant[] = [];
    for (const outcome of await Promise.all(outcomes)) if (outcome.kind === 'granted') granted.push(outcome);
    expect(granted.map(({ probe }) => probe)).toEqual([true]);
    await one.unanswered([app]);
    expect(await grantOf(other, [app])).toMatchObject({ probe: true });
    await one.answered([app]);
    const next = await Promise.all([one, other].map((limiter) => grantOf(limiter, [app])));
    expect(next.map(({ probe }) => probe)).toEqual([false, false]);
  });

  it('gives a probe back that nobody waits for any more when it is granted', async () => {
    const redis = connect();
    const waiting = new AbortController();
    const leavesWhenGranted: ScriptRedis = {
      get status() {
        return redis.status;
      },
      async evalsha(sha, keyCount, ...rest) {
        const answer: unknown = await redis.evalsha(sha, keyCount, ...rest);
        const isGranted = rest.includes('take') && Array.isArray(answer) && Number(answer[2]) === 1;
        if (isGranted) waiting.abort(new Error('nobody waits'));
        return answer;
      },
      eval: (script, keyCount, ...rest) => redis.eval(script, keyCount, ...rest),
      info: (section) => redis.info(section),
      on: (event, listener) => redis.on(event, listener),
      off: (event, listener) => redis.off(event, listener),
    };
    const leaving = aLimiter({ redis: leavesWhenGranted });
    const other = aLimiter();
    await leaving.penalise([app], 300);

    const gone = leaving.acquire([app], { maxInlineWaitMs: 1500, signal: waiting.signal });

    await expect(gone).rejects.toThrow('nobody waits');
    expect(await grantOf(other, [app])).toMatchObject({ probe: true });
  });
});

describe('without Redis', () => {
  async function failsWithin2s(limiter: RateLimiter): Promise<void> {
    const started = performance.now();
    await expect(limiter.acquire([app])).rejects.toThrow(LimiterUnavailable);
    expect(performance.now() - started).toBeLessThan(2000);
  }

  it('nothing is granted when nobody listens', async () => {
    const proxy = await startRedisProxy(testRedisUrl());
    await proxy.cut();
    await failsWithin2s(aLimiter({ redis: connect(proxy.url) }));
  });

  it('nothing is granted when it does not answer, and whoever waits is told', async () => {
    const proxy = await startRedisProxy(testRedisUrl());
    toClose.push(() => void proxy.cut());
    const limiter = aLimiter({ redis: connect(proxy.url) });
    await grantOf(limiter, [app]);
    proxy.silence();
    await Promise.all(Array.from({ length: 20 }, () => failsWithin2s(limiter)));
  });

  it('is not what a process concludes from having been held up itself', async () => {
    const limiter = aLimiter();
    // The first one connects, the second learns which run of the server it is.
    for (let n = 0; n < 2; n += 1) await limiter.usage([app]);
    const asked = limiter.usage([app]);
    // After the question was written, before the answer could be read.
    process.nextTick(() => stallFor(2500));
    await expect(asked).resolves.toMatchObject([{ usedInWindow: 0 }]);
  });

  it('the cause can be read, and work goes on by itself when it is back', async () => {
    const proxy = await startRedisProxy(testRedisUrl());
    toClose.push(() => void proxy.cut());
    const limiter = aLimiter({ redis: connect(proxy.url) });
    expect(await limiter.findTrouble()).toBeNull();
    await proxy.cut();
    expect(await limiter.findTrouble()).toMatch(/rate limiter cannot ask Redis/);
    await proxy.mend();
    await until(async () => (await limiter.findTrouble()) === null);
    await grantOf(limiter, [app]);
  });
});

describe('lost state', () => {
  it('lets 3 s pass before the first permit', async () => {
    const limiter = aLimiter({ pauseMs: 3000 });
    expect(await limiter.acquire([app])).toMatchObject({ kind: 'refused', retryInMs: 3000 });
    const grant = await grantOf(limiter, [app], { maxInlineWaitMs: 5000 });
    expect(grant.waitMs).toBeGreaterThan(2000);
  });

  it('is noticed and restored by processes that have nothing to send', async () => {
    const [one, other] = [aLimiter({ pauseMs: 3000 }), aLimiter({ pauseMs: 3000 })];
    await grantOf(one, [app, hourly], { maxInlineWaitMs: 5000 });
    await grantOf(other, [app, hourly], { maxInlineWaitMs: 5000 });
    const redis = connect();
    await redis.unlink(...(await redis.keys(`allegro_rate_limit:?${clientId}*`)));
    expect((await one.usage([hourly]))[0]?.usedInWindow).toBeLessThanOrEqual(1);
    await until(() => events.filter(({ kind }) => kind === 'state_lost').length === 2, 2500);
    expect((await one.usage([hourly]))[0]?.usedInWindow).toBe(2);
  });

  it('does not end a penalty: the process that saw the 429 remembers it', async () => {
    const [one, other] = [aLimiter(), aLimiter()];
    expect(await other.findTrouble()).toBeNull();
    await one.penalise([app], 60_000);
    const redis = connect();
    await redis.unlink(...(await redis.keys(`allegro_rate_limit:?${clientId}*`)));
    expect(await one.acquire([app])).toMatchObject({ kind: 'refused', reason: 'penalty' });
    await until(async () => ((await other.usage([app]))[0]?.blockedForMs ?? 0) > 30_000);
    expect(await other.acquire([app])).toMatchObject({ kind: 'refused', reason: 'penalty' });
  });
});
