import { Redis } from 'ioredis';
import { createRateLimiter, type Quota } from '../../src/rate-limit/limiter.js';

export interface Capacity {
  quotas: number;
  /** CPU time of this process and of Redis together, µs. */
  cpuMicrosPerPermit: number;
  permitsPerCoreSecond: number;
}

const PERMITS = 20_000;
const AT_ONCE = 50;

/** So large that nobody ever waits: what is measured is the work. */
const QUOTAS: readonly Quota[] = [
  { scope: 'app', limit: 100_000_000, windowMs: 60_000, weight: 1, maxWeight: 1 },
  { scope: 'seller:minute', limit: 100_000_000, windowMs: 60_000, weight: 1, maxWeight: 1 },
  { scope: 'seller:hour', limit: 1_000_000_000, windowMs: 3_600_000, weight: 1, maxWeight: 1 },
];

/** What a permit costs, of one quota and of three, whatever else the machine does: CPU time is counted, not the clock. */
export async function measureCapacity(redisUrl: string): Promise<Capacity[]> {
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: 3, enableAutoPipelining: true });
  const limiter = createRateLimiter({ redis, clientId: `capacity-${Date.now()}`, pauseMs: 1 });
  try {
    const results: Capacity[] = [];
    for (const count of [1, QUOTAS.length]) {
      const quotas = QUOTAS.slice(0, count);
      await limiter.acquire(quotas);
      const before = (await redisCpuMicros(redis)) + ownCpuMicros();
      let left = PERMITS;
      const work = async (): Promise<void> => {
        while (left > 0) {
          left -= 1;
          await limiter.acquire(quotas);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      const micros = ((await redisCpuMicros(redis)) + ownCpuMicros() - before) / PERMITS;
      results.push({ quotas: count, cpuMicrosPerPermit: micros, permitsPerCoreSecond: 1_000_000 / micros });
    }
    return results;
  } finally {
    limiter.close();
    redis.disconnect();
  }
}

function ownCpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

async function redisCpuMicros(redis: Redis): Promise<number> {
  const text = await redis.info('cpu');
  const seconds = [...text.matchAll(/used_cpu_(?:user|sys):([\d.]+)/g)].map((match) => Number(match[1]));
  return seconds.reduce((sum, value) => sum + value, 0) * 1_000_000;
}
