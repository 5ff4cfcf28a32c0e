import { expect, test } from '@jest/globals';
import { createQuotas } from '../../../src/allegro/quotas.js';
import { createWriteRoom } from '../../../src/allegro/write-room.js';
import { toSellerId } from '../../../src/domain/ids.js';
import { LimiterUnavailable, type RateLimiter } from '../../../src/rate-limit/limiter.js';

const SELLER = toSellerId('44000001');
const quotas = createQuotas(9000);

/** A limiter that has counted so much per scope. */
function roomAfter(used: Readonly<Record<string, Partial<Awaited<ReturnType<RateLimiter['usage']>>[number]>>>) {
  const usage: RateLimiter['usage'] = (asked) =>
    Promise.resolve(
      asked.map(({ scope, limit }) => ({
        scope,
        limit,
        usedInWindow: 0,
        blockedForMs: 0,
        assumedLimit: limit,
        ...used[scope],
      })),
    );
  return createWriteRoom({ limiter: { usage }, quotas })(SELLER);
}

test('an hour that nothing was used of leaves the hourly limits', async () => {
  expect(await roomAfter({})).toEqual({ single: 74_700, command: 250_000, bulk: 150_000 });
});

test('what was used in the hour is taken off, and never below nothing', async () => {
  expect(
    await roomAfter({
      [`seller:${SELLER}:edits:hour`]: { usedInWindow: 74_000 },
      [`seller:${SELLER}:bulk-changes:hour`]: { usedInWindow: 200_000 },
    }),
  ).toEqual({ single: 700, command: 250_000, bulk: 0 });
});

test('a lowered or blocked minute counts with what it leaves of the hour', async () => {
  const minute = `seller:${SELLER}:edits:minute`;
  // 60 minutes of 1245, less the 100 of the current one.
  expect((await roomAfter({ [minute]: { assumedLimit: 1_245, usedInWindow: 100 } })).single).toBe(74_600);
  expect((await roomAfter({ [minute]: { blockedForMs: 3_600_000 } })).single).toBe(0);
});

test('without the limiter there is no answer, and the work waits', async () => {
  const usage: RateLimiter['usage'] = () => Promise.reject(new LimiterUnavailable('away'));
  await expect(createWriteRoom({ limiter: { usage }, quotas })(SELLER)).rejects.toMatchObject({
    type: 'DependencyUnavailable',
  });
});
