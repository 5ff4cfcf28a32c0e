import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Quota } from '../../../src/rate-limit/pace.js';
import { CLOCK_LINE, PERMIT_SCRIPT } from '../../../src/rate-limit/permit-script.js';
import { createPermitScript, type PermitScript, type ScriptRedis } from '../../../src/rate-limit/redis-script.js';

/** A connection to the Redis that the test run started. */
export function connectToTestRedis(): Redis {
  const url = process.env['TEST_REDIS_URL'];
  if (url === undefined) throw new Error('TEST_REDIS_URL is not set; `npm test` starts a Redis and sets it');
  return new Redis(url, { maxRetriesPerRequest: 1, enableAutoPipelining: true });
}

/** The shipped script with its one clock line replaced: the time comes as one more argument. */
export const SCRIPT_WITH_TEST_CLOCK = PERMIT_SCRIPT.replace(CLOCK_LINE, 'local now = tonumber(table.remove(ARGV))');

export interface ScriptedRedis {
  script: PermitScript;
  prefix: string;
  /** Sets what the server's clock shows, ms. */
  setClock(ms: number): void;
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

export function scriptedRedis(redis: Redis, script: string = SCRIPT_WITH_TEST_CLOCK, pauseMs = 3000): ScriptedRedis {
  const clientId = randomUUID();
  const prefix = `allegro_rate_limit:{${clientId}}`;
  const keys = new Set([`${prefix}:state`]);
  const server = new ClockedServer(redis);
  const inner = createPermitScript({ redis: server, clientId, script, pauseMs, timeoutMs: 10_000 });
  return {
    prefix,
    script: {
      call(call) {
        for (const { scope } of call.quotas) keys.add(`${prefix}:scope:${scope}`);
        return inner.call(call);
      },
      close() {
        inner.close();
      },
    },
    setClock(ms) {
      server.clock = String(Math.round(ms * 1000));
    },
    async loseState() {
      await redis.unlink(...keys);
    },
    async takeSnapshot() {
      const kept = [...keys];
      const copies: (Buffer | null)[] = await Promise.all(kept.map((key) => redis.dumpBuffer(key)));
      return async () => {
        await redis.unlink(...keys);
        for (const [index, copy] of copies.entries()) {
          if (copy !== null) await redis.restore(kept[index] ?? '', 0, copy);
        }
        server.restart();
      };
    },
  };
}

/** A real Redis that shows another time, and can look restarted. */
class ClockedServer implements ScriptRedis {
  clock = '0';
  readonly status = 'ready';
  private run = 1;
  private onReady: () => void = () => undefined;

  constructor(private readonly redis: Redis) {}

  evalsha(sha: string, keyCount: number, ...keysAndValues: string[]): Promise<unknown> {
    return this.redis.evalsha(sha, keyCount, ...keysAndValues, this.clock);
  }

  eval(script: string, keyCount: number, ...keysAndValues: string[]): Promise<unknown> {
    return this.redis.eval(script, keyCount, ...keysAndValues, this.clock);
  }

  info(): Promise<string> {
    return Promise.resolve(`run_id:${this.run}`);
  }

  on(_event: 'ready', listener: () => void): void {
    this.onReady = listener;
  }

  off(): void {
    this.onReady = () => undefined;
  }

  restart(): void {
    this.run += 1;
    this.onReady();
  }
}

export async function take(script: PermitScript, quotas: readonly Quota[], aheadMs = 2000): Promise<Taken> {
  const { numbers } = await script.call({ operation: 'take', quotas, first: aheadMs * 1000 });
  const [granted, waitUs = 0, third = 0, fourth = 0] = numbers;
  const waitMs = waitUs / 1000;
  return granted === 1
    ? { granted: true, waitMs, behindMs: third / 1000, probe: fourth === 1, index: -1, reason: -1 }
    : { granted: false, waitMs, behindMs: 0, probe: false, index: third, reason: fourth };
}
