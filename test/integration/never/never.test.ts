import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import pLimit from 'p-limit';
import { setUpActivities, SYNC, type ActivitiesUnderTest } from '../activities/activities-under-test.js';
import { sumOfBuckets } from '../activities/sync-driver.js';
import { BUFFER, HAZARD_NAMES, hazardOf, OFFERS_PER_PAGE } from './hazards.js';
import { NEVER_SETTINGS, runCase, shopCase, type All } from './shop-case.js';

/**
 * Over random shops with every hazard that the rules are there for: no harmful write, no offer left oversold, every
 * offer counted once. `mutants.test.ts` shows for each rule that these shops notice when it is missing.
 */

/** `NEVER_CASES` shops from the seed `NEVER_SEED`; `.ci/run` asks for more than a thousand. */
const CASES = Number(process.env['NEVER_CASES'] ?? 100);
const SEED = Number(process.env['NEVER_SEED'] ?? 20261125);
/** The database and the simulator work while others wait. */
const AT_ONCE = 6;

let under: ActivitiesUnderTest;
let act: All;

beforeAll(async () => {
  under = await setUpActivities({ ...NEVER_SETTINGS, buffer: BUFFER }, { isUnpaced: true });
  act = under.with({ sync: { ...SYNC, guardMaxEndedPercent: 100 }, offersPerPage: OFFERS_PER_PAGE });
});
afterAll(() => under.close());

const cases = fc.sample(shopCase, { numRuns: CASES, seed: SEED });

test('each hazard, and each kind of harm, is possible in at least one shop of twenty', () => {
  const drawn = fc.sample(shopCase, { numRuns: Math.max(CASES, 1000), seed: SEED });
  const shareOf = (isIn: (hazards: (typeof drawn)[number]['hazards']) => boolean): number =>
    drawn.filter(({ hazards }) => isIn(hazards)).length / drawn.length;
  const rare = HAZARD_NAMES.filter((name) => shareOf((hazards) => hazards.some((one) => one.name === name)) < 0.05);
  expect(rare).toEqual([]);
  const harms = ['guess', 'above_truth', 'never_touch', 'ended_with_stock', 'reactivated_without_reason'] as const;
  for (const harm of [...harms, 'zero_by_command', 'left_oversold'] as const) {
    const share = shareOf((hazards) => hazards.some(({ name }) => hazardOf(name).harms.includes(harm)));
    expect({ harm, isPossible: share >= 0.05 }).toEqual({ harm, isPossible: true });
  }
});

test(`no harm is done in ${CASES} random shops (seed ${SEED})`, async () => {
  const limit = pLimit(AT_ONCE);
  const found: string[] = [];
  await Promise.all(
    cases.map((one, index) =>
      limit(async () => {
        if (found.length > 5) return;
        const { result, harms } = await runCase(under, act, one);
        const faults = [
          ...harms.map(({ kind, offerId, what }) => `${kind}: offer ${offerId}, ${what}`),
          ...(result.failure === null ? [] : [`the run failed: ${result.failure.class}: ${result.failure.message}`]),
          ...(sumOfBuckets(result) === result.seen ? [] : ['the buckets do not add up to the offers seen']),
        ];
        if (faults.length > 0) found.push(`case ${index} ${fc.stringify(one)}: ${faults.join('; ')}`);
      }),
    ),
  );
  expect(found).toEqual([]);
  const { harmfulWrites } = await under.allegro.admin.report();
  expect(harmfulWrites).toEqual({ total: 0, byKind: {}, samples: [] });
}, 600_000);
