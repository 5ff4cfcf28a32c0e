import { expect, test } from '@jest/globals';
import { judgeTicks, type TickRun } from '../../../bench/isolation/ticks.js';

const BOUNDS = { intervalMs: 30_000, startsWithinMs: 2_000, strictlyWithinMs: 1_000 };
const WANTED = {
  nominalTimes: [30_000, 60_000],
  accountIds: Array.from({ length: 10 }, (_, index) => `shop-${index + 1}`),
};

/** A run of each account at each tick, which starts after half a second; the first `count` of them differ. */
function runs(count = 0, change: (run: TickRun) => TickRun[] = (run) => [run]): TickRun[] {
  return WANTED.nominalTimes
    .flatMap((nominalAt) =>
      WANTED.accountIds.map((accountId) => ({
        accountId,
        nominalAt,
        startedAt: nominalAt + 500,
        finishedAt: nominalAt + 3_000,
        isInSync: true,
      })),
    )
    .flatMap((run, index) => (index < count ? change(run) : [run]));
}

test('runs that start in time and are in sync before the next tick hold', () => {
  expect(judgeTicks(runs(), WANTED, BOUNDS)).toEqual({
    expected: 20,
    startedInTime: 20,
    startedStrictly: 20,
    completedInTime: 20,
    missing: 0,
    largestDelayMs: 500,
    medianDelayMs: 500,
    largestDelayByTickMs: [500, 500],
    holds: true,
  });
});

const LATE: [string, (run: TickRun) => TickRun[]][] = [
  ['that start late', (run) => [{ ...run, startedAt: run.nominalAt + 2_001 }]],
  ['that are not there', () => []],
  ['that are still at work', (run) => [{ ...run, finishedAt: null }]],
  ['that end after the next tick', (run) => [{ ...run, finishedAt: run.nominalAt + 30_000 }]],
  ['that leave differences', (run) => [{ ...run, isInSync: false }]],
  ['that no tick of the Schedule has started', (run) => [{ ...run, nominalAt: NaN }]],
];

test.each(LATE)('one in twenty %s is borne, and a second is not', (_, change) => {
  expect(judgeTicks(runs(1, change), WANTED, BOUNDS).holds).toBe(true);
  expect(judgeTicks(runs(2, change), WANTED, BOUNDS).holds).toBe(false);
});

test('the largest delay is told by tick', () => {
  const late = runs(1, (run) => [{ ...run, startedAt: run.nominalAt + 1_700 }]);

  expect(judgeTicks(late, WANTED, BOUNDS)).toMatchObject({
    largestDelayMs: 1_700,
    largestDelayByTickMs: [1_700, 500],
    startedInTime: 20,
    startedStrictly: 19,
  });
});
