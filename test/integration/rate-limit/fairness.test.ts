import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { afterAll, expect, test } from '@jest/globals';
import { createRateLimiter, type Quota, type RateLimiter } from '../../../src/rate-limit/limiter.js';
import { connectToTestRedis } from './scripted-redis.js';

const APP: Quota = { scope: 'app', limit: 9000, windowMs: 60_000, weight: 1, maxWeight: 1 };
const SMALL_ACCOUNTS = 9;
const REQUESTS = 100;
/** An account's batch sends so many at once. */
const AT_ONCE = 10;
const BACKLOG_PER_PROCESS = 500;

const clientId = randomUUID();
/** Each on a connection of its own, as two processes have it. */
const connections = [connectToTestRedis(), connectToTestRedis()];
const limiters = connections.map((redis) => createRateLimiter({ redis, clientId, pauseMs: 1 }));

afterAll(() => {
  for (const limiter of limiters) limiter.close();
  for (const redis of connections) redis.disconnect();
});

async function permit(limiter: RateLimiter, party: string, signal?: AbortSignal): Promise<void> {
  const outcome = await limiter.acquire([APP], { party, signal, maxInlineWaitMs: 60_000 });
  if (outcome.kind === 'refused') throw new Error(`refused: ${JSON.stringify(outcome)}`);
}

async function sendAll(limiter: RateLimiter, party: string): Promise<void> {
  let left = REQUESTS;
  const send = async (): Promise<void> => {
    while (left-- > 0) await permit(limiter, party);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, send));
}

/** @returns ms until the slowest of the small accounts was done */
async function timeSmallAccounts(): Promise<number> {
  const startedAt = performance.now();
  const all = Array.from({ length: SMALL_ACCOUNTS }, (_, index) => {
    const limiter = limiters[index % limiters.length];
    if (limiter === undefined) throw new Error('no limiter');
    return sendAll(limiter, `small-${index}`);
  });
  await Promise.all(all);
  return performance.now() - startedAt;
}

/** A backlog of one account in every process, which never becomes shorter. */
function keepBacklog(signal: AbortSignal): { readonly done: Promise<unknown>; served(): number } {
  let served = 0;
  const send = async (limiter: RateLimiter): Promise<void> => {
    while (!signal.aborted) {
      await permit(limiter, 'big', signal);
      served += 1;
    }
  };
  const all = limiters.flatMap((limiter) => Array.from({ length: BACKLOG_PER_PROCESS }, () => send(limiter)));
  return { done: Promise.allSettled(all), served: () => served };
}

test('nine small accounts finish within twice their time alone and 5 s while a tenth works', async () => {
  const aloneMs = await timeSmallAccounts();
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const backlog = keepBacklog(stop.signal);

  const besideMs = await timeSmallAccounts();

  stop.abort(new Error('the test is over'));
  await backlog.done;
  expect(besideMs).toBeLessThanOrEqual(2 * aloneMs + 5_000);
  // The big account did not stand still either.
  expect(backlog.served()).toBeGreaterThan(100);
}, 60_000);
