import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Quota } from '../../../src/rate-limit/pace.js';
import { CLOCK_LINE, PERMIT_SCRIPT } from '../../../src/rate-limit/permit-script.js';
import { createPermitScript, type PermitScript } from '../../../src/rate-limit/redis-script.js';

/** A connection to the Redis that the test run started. */
export function connectToTestRedis(): Redis {
  const url = process.env['TEST_REDIS_URL'];
  if (url === undefined) throw new Error('TEST_REDIS_URL is not set; `npm test` starts a Redis and sets it');
  return new Redis(url, { maxRetriesPerRequest: 1 });
}

/** The shipped script with its one clock line replaced: time and run id of the server are what the test says. */
export const SCRIPT_WITH_TEST_CLOCK = PERMIT_SCRIPT.replace(
  CLOCK_LINE,
  `local now = tonumber(redis.call('GET', KEYS[1] .. ':clock')); ARGV[2] = redis.call('GET', KEYS[1] .. ':run') or 'first run'`,
);

export interface ScriptedRedis {
  script: PermitScript;
  prefix: string;
  /** Sets what the server's clock shows, ms. */
  setClock(ms: number): Promise<void>;
  /** Drops everything but the clock, as a Redis without persistence does when it restarts. */
  loseState(): Promise<void>;
  /** Keeps a copy of what is stored now; the function returned puts it back under a new run id. */
  takeSnapshot(): Promise<() => Promise<void>>;
}

export interface Taken {
  granted: boolean;
  /** Until it may be sent, or until another try makes sense. */
  waitMs: number;
  /** By how much the send time lies behind the first quota's slot. */
  behindMs: number;
  probe: boolean;
  /** Of a refusal: index of the quota and reason (0 quota, 1 blocked, 2 probe out). */
  index: number;
  reason: number;
}

export function scriptedRedis(redis: Redis, script: string = SCRIPT_WITH_TEST_CLOCK): ScriptedRedis {
  const clientId = randomUUID();
  const prefix = `allegro_rate_limit:{${clientId}}`;
  const state = `${prefix}:state`;
  const limiterKeys = async (): Promise<string[]> => {
    const keys = await redis.keys(`${prefix.replace(/[{}]/g, '?')}*`);
    return keys.filter((key) => !key.endsWith(':clock') && !key.endsWith(':run'));
  };
  return {
    script: createPermitScript({ redis, clientId, script, pauseMs: 3000, timeoutMs: 10_000 }),
    prefix,
    async setClock(ms) {
      await redis.set(`${state}:clock`, String(Math.round(ms * 1000)), 'EX', 600);
    },
    async loseState() {
      const keys = await limiterKeys();
      if (keys.length > 0) await redis.del(...keys);
    },
    async takeSnapshot() {
      const keys = await limiterKeys();
      const copies: (Buffer | null)[] = await Promise.all(keys.map((key) => redis.dumpBuffer(key)));
      return async () => {
        for (const key of await limiterKeys()) await redis.del(key);
        for (const [index, copy] of copies.entries()) {
          if (copy !== null) await redis.restore(keys[index] ?? '', 0, copy);
        }
        await redis.set(`${state}:run`, randomUUID(), 'EX', 600);
      };
    },
  };
}

export async function take(script: PermitScript, quotas: readonly Quota[], aheadMs = 2000): Promise<Taken> {
  const { numbers } = await script.call({ operation: 'take', quotas, first: aheadMs * 1000 });
  const [granted, waitUs = 0, third = 0, fourth = 0] = numbers;
  const waitMs = waitUs / 1000;
  return granted === 1
    ? { granted: true, waitMs, behindMs: third / 1000, probe: fourth === 1, index: -1, reason: -1 }
    : { granted: false, waitMs, behindMs: 0, probe: false, index: third, reason: fourth };
}
