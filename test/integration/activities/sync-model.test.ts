import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { FaultRule } from '../../../simulator/faults.js';
import type { Activities, MarketplaceActivities } from '../../../src/activities/index.js';
import type { OfferId } from '../../../src/domain/ids.js';
import { setUpActivities, stock, SYNC, type ActivitiesUnderTest, type Shop } from './activities-under-test.js';
import { driveSync, sumOfBuckets } from './sync-driver.js';

/**
 * Any shop, any sequence of runs with faults, crashes, stock changes and sales: nothing harmful is ever written, every
 * run counts each offer once, and when the faults are over every offer holds what it should.
 */
/** A case takes a quarter of a second; `MODEL_RUNS` and `MODEL_SEED` try more, and others. */
const RUNS = { numRuns: Number(process.env['MODEL_RUNS'] ?? 40), seed: Number(process.env['MODEL_SEED'] ?? 20261123) };

let under: ActivitiesUnderTest;
let act: Activities & MarketplaceActivities;
let patientless: Activities & MarketplaceActivities;

beforeAll(async () => {
  under = await setUpActivities(
    {
      applicationLimit: null,
      sellerLimits: null,
      nullsInRows: 'none',
      endingDelayMs: 2,
      operationDelayMs: 2,
      commandDelayMs: 2,
    },
    { isUnpaced: true },
  );
  // The guard has tests of its own; here everything has to come right in the end.
  const sync = { ...SYNC, guardMaxEndedPercent: 100 };
  act = under.with({ sync });
  patientless = under.with({ sync: { ...sync, unbookedSalePatienceSeconds: 0 } });
});
afterAll(() => under.close());

/** So far apart that one sold piece never leaves a number that a write could have found. */
const QUANTITIES = [0, 5, 12, 25, 60, 99_999];
const quantity = fc.constantFrom(...QUANTITIES);

const PATCH = 'PATCH /sale/product-offers/{offerId}';
const COMMAND = 'PUT /sale/offer-quantity-change-commands/{commandId}';
const FAULTS: readonly FaultRule['fault'][] = [
  { kind: 'cutAfter' },
  { kind: 'cutBefore' },
  { kind: 'status', status: 503 },
  { kind: 'status', status: 503, applied: true },
  { kind: 'status', status: 409, body: { errors: [{ code: 'OfferConflictException', message: 'still at work' }] } },
  { kind: 'status', status: 422, body: { errors: [{ code: 'VALIDATION_FAILED', message: 'no' }] } },
  { kind: 'tooMany', retryAfter: 0 },
  { kind: 'truncate' },
];
const ROUTES = [
  PATCH,
  PATCH,
  COMMAND,
  'GET /sale/product-offers/{offerId}',
  'GET /sale/offers',
  'GET /sale/offer-quantity-change-commands/{commandId}',
];

const single = fc.record({
  kind: fc.constantFrom('running', 'running', 'running', 'sold_out', 'by_seller', 'draft', 'auction', 'republish'),
  available: quantity.filter((pieces) => pieces > 0),
  stock: quantity,
});
const event = fc.record({
  /** Before which activity of the run. */
  at: fc.nat(25),
  /** Which single offer. */
  which: fc.nat(20),
  quantity,
});
const run = fc.record({
  faults: fc.array(
    fc.record({
      fault: fc.constantFrom(...FAULTS),
      route: fc.constantFrom(...ROUTES),
      probability: fc.constantFrom(0.1, 0.4, 1),
    }),
    { maxLength: 2 },
  ),
  changes: fc.array(event, { maxLength: 4 }),
  bulk: fc.option(quantity, { nil: null }),
  salesBefore: fc.array(fc.nat(20), { maxLength: 2 }),
  crashAt: fc.option(fc.nat(20), { nil: null, freq: 4 }),
});
const scenario = fc.record({
  singles: fc.array(single, { minLength: 1, maxLength: 8 }),
  bulkOffers: fc.constantFrom(0, 3, 12),
  bulkStock: quantity,
  runs: fc.array(run, { minLength: 1, maxLength: 3 }),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never;
type Single = Scenario['singles'][number];

/** A shop and the stock as the model knows them. */
interface World {
  readonly shop: Shop;
  readonly singles: readonly { readonly offerId: OfferId; readonly sku: string; readonly kind: Single['kind'] }[];
  readonly bulk: { readonly sku: string; readonly offerIds: readonly OfferId[] };
  readonly booked: Map<string, number>;
  /** Sold, known to the simulator's truth, and not booked in the local stock yet. */
  readonly unbooked: Map<string, number>;
}

async function build({ singles, bulkOffers, bulkStock }: Scenario): Promise<World> {
  const shop = await under.shop();
  const skus = singles.map(() => shop.sku());
  const bulkSku = shop.sku();
  const booked = new Map([
    ...skus.map((sku, index) => [sku, singles[index]?.stock ?? 0] as const),
    [bulkSku, bulkStock],
  ]);
  await stock(under, Object.fromEntries(booked));
  const fields = {
    running: {},
    sold_out: { status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 },
    by_seller: { status: 'ENDED', endedBy: 'USER' },
    draft: { status: 'INACTIVE' },
    auction: { format: 'AUCTION', available: 1 },
    republish: { republish: true },
  } as const;
  const offerIds = await shop.offers([
    ...singles.map(({ kind, available }, index) => ({ externalId: skus[index] ?? '', available, ...fields[kind] })),
    ...Array.from({ length: bulkOffers }, () => ({ externalId: bulkSku, available: 3 })),
  ]);
  // A sale before an offer was ever seen cannot be told from a number that somebody has set.
  await shop.scanned({ isPreview: true });
  return {
    shop,
    singles: singles.map(({ kind }, index) => ({ kind, sku: skus[index] ?? '', offerId: at(offerIds, index) })),
    bulk: { sku: bulkSku, offerIds: offerIds.slice(singles.length) },
    booked,
    unbooked: new Map(),
  };
}

function at<Item>(items: readonly Item[], index: number): Item {
  const item = items[index % items.length];
  if (item === undefined) throw new Error('an empty list');
  return item;
}

async function setQuantity(world: World, sku: string, pieces: number): Promise<void> {
  const before = world.booked.get(sku) ?? 0;
  // A number next to the one before could not be told from what is left after a sale.
  if (pieces !== 0 && Math.abs(pieces - before) < 3) return;
  world.booked.set(sku, pieces);
  world.unbooked.delete(sku);
  await stock(under, { [sku]: pieces });
}

/** One piece is sold; the warehouse learns of it later. */
async function sell(world: World, which: number): Promise<void> {
  const { offerId, sku } = at(world.singles, which);
  const offer = await under.allegro.admin.offer(offerId);
  const left = (world.booked.get(sku) ?? 0) - (world.unbooked.get(sku) ?? 0);
  // Where a write is due anyway, only a booking can tell that one piece less is right.
  if (offer.status !== 'ACTIVE' || offer.format !== 'BUY_NOW' || offer.available !== left || left < 3) return;
  if (world.unbooked.has(sku)) return;
  await under.allegro.admin.sell({ offerId, quantity: 1, lowersTruth: true });
  world.unbooked.set(sku, 1);
}

async function bookSales(world: World): Promise<void> {
  for (const [sku, sold] of world.unbooked) {
    const left = (world.booked.get(sku) ?? 0) - sold;
    world.booked.set(sku, left);
    await stock(under, { [sku]: left });
  }
  world.unbooked.clear();
}

class Crash extends Error {}

async function runOnce(world: World, { faults, changes, bulk, salesBefore, crashAt }: Scenario['runs'][number]) {
  const { admin } = under.allegro;
  for (const which of salesBefore) await sell(world, which);
  for (const { fault, route, probability } of faults) {
    await admin.plantFault({ match: { route, sellerId: world.shop.seller, probability }, fault });
  }
  let step = 0;
  const between = async (): Promise<void> => {
    if (step === crashAt) throw new Crash();
    for (const change of changes) {
      const { sku } = at(world.singles, change.which);
      if (change.at === step && !world.unbooked.has(sku)) await setQuantity(world, sku, change.quantity);
    }
    if (step === 4 && bulk !== null) await setQuantity(world, world.bulk.sku, bulk);
    step += 1;
  };
  try {
    const runId = await world.shop.open();
    const result = await driveSync(act, { accountId: world.shop.accountId, runId, between, commandChecks: 5 });
    expect(sumOfBuckets(result)).toBe(result.seen);
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  } finally {
    await admin.removeFaults();
  }
}

async function calmRun({ shop }: World): Promise<void> {
  // Time passes: what was rejected for good is tried again.
  await under.db
    .updateTable('quarantinedOffers')
    .set({ retryAt: new Date(0) })
    .where('accountId', '=', shop.accountId)
    .execute();
  // So is it given up to wait for a command that never arrived.
  await under.db
    .updateTable('commands')
    .set({ sentAt: new Date(0) })
    .where('accountId', '=', shop.accountId)
    .where('sentAt', 'is not', null)
    .execute();
  const result = await driveSync(patientless, { accountId: shop.accountId, runId: await shop.open() });
  expect(result).toMatchObject({ failure: null, isComplete: true });
  expect(sumOfBuckets(result)).toBe(result.seen);
}

/** Compares every offer with the stock, by rules of its own. */
async function wrongOffers(world: World): Promise<string[]> {
  const expected = [
    ...world.singles,
    ...world.bulk.offerIds.map((offerId) => ({ offerId, sku: world.bulk.sku, kind: 'running' as const })),
  ];
  const wrong: string[] = [];
  for (const { offerId, sku, kind } of expected) {
    const { status, available, endedBy, sold } = await under.allegro.admin.offer(offerId);
    const pieces = Math.min(world.booked.get(sku) ?? 0, 99_999 - sold);
    const isRight =
      kind === 'by_seller'
        ? status === 'ENDED' && endedBy === 'USER'
        : kind === 'draft'
          ? status === 'INACTIVE'
          : kind === 'auction'
            ? available === 1
            : pieces === 0
              ? status === 'ENDED' || available === 0
              : status === 'ACTIVE' && available === pieces;
    if (!isRight) wrong.push(`${kind} ${offerId}: ${status} ${available}, stock ${pieces}`);
  }
  return wrong;
}

test('whatever goes wrong: no harm is done, every offer is counted once, and all comes right afterwards', async () => {
  let faultSeed = 0;
  await fc.assert(
    fc.asyncProperty(scenario, async (drawn) => {
      const { admin, simulator } = under.allegro;
      faultSeed += 1;
      simulator.state.faults.seed(faultSeed);
      await admin.resetReport();
      const world = await build(drawn);

      for (const one of drawn.runs) await runOnce(world, one);
      await bookSales(world);
      for (let calm = 0; calm < 3; calm += 1) await calmRun(world);

      expect((await admin.report()).harmfulWrites).toMatchObject({ total: 0, samples: [] });
      expect(await wrongOffers(world)).toEqual([]);
      const open = await under.db
        .selectFrom('offerChanges as c')
        .innerJoin('syncRuns as r', 'r.id', 'c.runId')
        .select(['c.offerId', 'c.state'])
        .where('c.accountId', '=', world.shop.accountId)
        .where('r.mode', '=', 'live')
        .where('c.state', 'in', ['planned', 'sending'])
        .execute();
      expect(open).toEqual([]);
    }),
    RUNS,
  );
}, 600_000);
