import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { createRateLimiter, LimiterUnavailable, type Quota } from '../../src/rate-limit/limiter.js';
import type { SenderTask } from './messages.js';
import { openTemporalSource } from './temporal-source.js';

/** An account's work: so many requests, so many at once. */
export interface AccountWork {
  account: string;
  requests: number;
  atOnce: number;
}

/** A limiter as the bench drives it. */
export interface PermitSource {
  /** Resolves when all of the account's requests were accepted. */
  sendAll(work: AccountWork): Promise<void>;
  /** Commands to Redis so far; null where that is not what it does. */
  roundTrips(): number | null;
}

/** Sends one request of the account; how long a 429 tells to wait, ms; null = accepted. */
export type Send = (account: string) => Promise<number | null>;

export async function openPermitSource(task: SenderTask, send: Send): Promise<PermitSource> {
  switch (task.limiter) {
    case 'ours':
      return openOurs(task, send);
    case 'token-bucket':
      return openTokenBucket(task, send);
    case 'rate-limiter-flexible':
      return openRateLimiterFlexible(task, send);
    case 'bottleneck':
      return openBottleneck(task, send);
    case 'temporal':
      return await openTemporalSource(task, send);
  }
}

/** Sends again what was answered with 429, after the time it told. */
async function sendInLanes(work: AccountWork, sendOnce: () => Promise<number | null>): Promise<void> {
  let left = work.requests;
  async function lane(): Promise<void> {
    while (left > 0) {
      left -= 1;
      for (let blockMs = await sendOnce(); blockMs !== null; blockMs = await sendOnce()) await sleep(blockMs);
    }
  }
  await Promise.all(Array.from({ length: work.atOnce }, lane));
}

/** Connects, and counts the commands sent. */
function connect(task: SenderTask): { redis: Redis; roundTrips: () => number } {
  const redis = new Redis(task.redisUrl, { maxRetriesPerRequest: 3, enableAutoPipelining: true });
  const sendCommand = redis.sendCommand.bind(redis);
  let commands = 0;
  redis.sendCommand = (...values) => {
    commands += 1;
    return sendCommand(...values);
  };
  return { redis, roundTrips: () => commands };
}

/** As the application does: come back a second later. */
function waitForRedis(error: unknown): { kind: 'refused'; retryInMs: number } {
  if (!(error instanceof LimiterUnavailable)) throw error;
  return { kind: 'refused', retryInMs: 1000 };
}

function openOurs(task: SenderTask, send: Send): PermitSource {
  const { redis, roundTrips } = connect(task);
  const limiter = createRateLimiter({ redis, clientId: task.clientId });
  const app: Quota = { scope: 'app', limit: task.limit, windowMs: 60_000, weight: 1, maxWeight: 1 };

  async function sendOnce(account: string): Promise<number | null> {
    const quotas = [app, { ...app, scope: `seller:${account}` }];
    for (;;) {
      const permit = await limiter.acquire(quotas, { party: account }).catch(waitForRedis);
      if (permit.kind === 'refused') {
        await sleep(permit.retryInMs);
      } else if (permit.isFresh()) {
        const blockMs = await send(account);
        if (blockMs !== null) await limiter.penalise(quotas, blockMs).catch(waitForRedis);
        else if (permit.probe) await limiter.answered(quotas).catch(waitForRedis);
        return blockMs;
      }
    }
  }
  return { roundTrips, sendAll: (work) => sendInLanes(work, () => sendOnce(work.account)) };
}

/** The bucket of the original plan: full at the start, one token a request, `limit` / 60 s new ones. */
const TOKEN_BUCKET = `
local time = redis.call('TIME'); local now = time[1] * 1000 + time[2] / 1000
local capacity, perMs = tonumber(ARGV[1]), tonumber(ARGV[1]) / 60000
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = math.min(capacity, (tonumber(bucket[1]) or capacity) + (now - (tonumber(bucket[2]) or now)) * perMs)
local wait = 0
if tokens >= 1 then tokens = tokens - 1 else wait = math.ceil((1 - tokens) / perMs) end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.3f', now))
redis.call('PEXPIRE', KEYS[1], 120000)
return wait
`;

function openTokenBucket(task: SenderTask, send: Send): PermitSource {
  const { redis, roundTrips } = connect(task);
  async function take(): Promise<void> {
    for (;;) {
      const waitMs = Number(await redis.eval(TOKEN_BUCKET, 1, `bucket:${task.clientId}`, task.limit));
      if (waitMs === 0) return;
      await sleep(waitMs);
    }
  }
  return { roundTrips, sendAll: (work) => sendInLanes(work, () => take().then(() => send(work.account))) };
}

const rejectionSchema = z.object({ msBeforeNext: z.number() });

interface FlexibleLimiter {
  consume(key: string): Promise<unknown>;
}

/** As its documentation shows it: points and duration; whoever is rejected comes back after `msBeforeNext`. */
function openRateLimiterFlexible(task: SenderTask, send: Send): PermitSource {
  const { redis, roundTrips } = connect(task);
  type Constructor = new (options: object) => FlexibleLimiter;
  const module = z.object({ RateLimiterRedis: z.custom<Constructor>(isFunction) }).parse(load('rate-limiter-flexible'));
  const limiter = new module.RateLimiterRedis({
    storeClient: redis,
    keyPrefix: task.clientId,
    points: task.limit,
    duration: 60,
  });
  async function take(): Promise<void> {
    for (;;) {
      const rejection = await limiter.consume('app').then(
        () => null,
        (error: unknown) => rejectionSchema.parse(error),
      );
      if (rejection === null) return;
      await sleep(rejection.msBeforeNext);
    }
  }
  return { roundTrips, sendAll: (work) => sendInLanes(work, () => take().then(() => send(work.account))) };
}

interface Bottleneck {
  schedule<T>(work: () => Promise<T>): Promise<T>;
  on(event: 'error', listener: () => void): void;
}

/** Clustered over Redis, with its evenly spaced setting (`minTime`) and its reservoir for the minute. */
function openBottleneck(task: SenderTask, send: Send): PermitSource {
  const { redis, roundTrips } = connect(task);
  type Constructor = (new (options: object) => Bottleneck) & { IORedisConnection: new (options: object) => object };
  const Limiter = z.custom<Constructor>(isFunction).parse(load('bottleneck'));
  const limiter = new Limiter({
    id: task.clientId,
    datastore: 'ioredis',
    connection: new Limiter.IORedisConnection({ client: redis }),
    minTime: 60_000 / task.limit,
    reservoir: task.limit,
    reservoirRefreshAmount: task.limit,
    reservoirRefreshInterval: 60_000,
  });
  limiter.on('error', () => undefined);
  return {
    roundTrips,
    sendAll: (work) => sendInLanes(work, () => limiter.schedule(() => send(work.account))),
  };
}

/** Only the bench needs these packages; they are looked up when they are asked for. */
function load(name: string): unknown {
  return createRequire(import.meta.url)(name);
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}
