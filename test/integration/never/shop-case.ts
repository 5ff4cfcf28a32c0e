import fc from 'fast-check';
import type { Activities, MarketplaceActivities } from '../../../src/activities/index.js';
import { toOfferId } from '../../../src/domain/ids.js';
import type { AccountResult } from '../../../src/workflows/api.js';
import type { ActivitiesUnderTest, Shop } from '../activities/activities-under-test.js';
import { driveSync } from '../activities/sync-driver.js';
import { BUFFER, HAZARD_NAMES, hazardOf, type Harm, type HazardName, type Part, type Stage } from './hazards.js';

/** The activities in full, as a worker has them. */
export type All = Activities & MarketplaceActivities;

/** A random shop: some hazards, each with numbers of its own. */
export interface ShopCase {
  readonly hazards: readonly {
    readonly name: HazardName;
    readonly free: number;
    readonly shown: number;
    readonly sold: number;
  }[];
}

const isOfTwoRuns = (name: HazardName): boolean =>
  partOf({ name, free: 9, shown: 12, sold: 1 }).betweenRuns !== undefined;
const isOfOneRun = (name: HazardName): boolean => {
  const { whenPlanned, whenSent } = partOf({ name, free: 9, shown: 12, sold: 1 });
  return whenPlanned !== undefined || whenSent !== undefined;
};
const OF_TWO_RUNS = HAZARD_NAMES.filter(isOfTwoRuns);
/** What happens within a run is over when a second one comes. */
const OF_ONE_RUN = HAZARD_NAMES.filter(isOfOneRun);
const OF_ANY_RUN = HAZARD_NAMES.filter((name) => !isOfTwoRuns(name) && !isOfOneRun(name));

function partOf({ name, ...drawn }: ShopCase['hazards'][number]): Part {
  return hazardOf(name).part(drawn);
}

const numbers = fc
  .record({
    free: fc.integer({ min: 4, max: 40 }),
    gap: fc.integer({ min: 3, max: 30 }),
    sold: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ free, gap, sold }) => ({ free, shown: free + gap, sold }));

function someOf(names: readonly HazardName[], count: { min: number; max: number }) {
  const one = fc.tuple(fc.constantFrom(...names), numbers).map(([name, drawn]) => ({ name, ...drawn }));
  return fc.array(one, { minLength: count.min, maxLength: count.max });
}

export const shopCase: fc.Arbitrary<ShopCase> = fc
  .oneof(
    { weight: 3, arbitrary: fc.tuple(someOf(OF_ANY_RUN, { min: 1, max: 3 }), someOf(OF_ONE_RUN, { min: 1, max: 2 })) },
    { weight: 1, arbitrary: fc.tuple(someOf(OF_ANY_RUN, { min: 0, max: 2 }), someOf(OF_TWO_RUNS, { min: 1, max: 2 })) },
  )
  .map(([any, some]) => ({ hazards: [...any, ...some] }));

export interface CaseEnd {
  readonly result: AccountResult;
  /** What the simulator counted in this shop, and what is left wrong. */
  readonly harms: readonly { readonly kind: Harm; readonly offerId: string; readonly what: string }[];
  readonly seen: number;
}

interface BuiltPart {
  readonly part: Part;
  readonly stage: Stage;
}

const NO_COMMAND_CHECKS = 40;

/** Builds the shop, lets one or two runs go over it while its hazards play, and says what harm was done. */
export async function runCase(under: ActivitiesUnderTest, act: All, { hazards }: ShopCase): Promise<CaseEnd> {
  const shop = await under.shop({ buffer: BUFFER });
  const parts = await Promise.all(hazards.map((hazard) => buildPart(under, shop, partOf(hazard))));
  await play(parts, 'beforeRuns');
  if (parts.some(({ part }) => part.betweenRuns !== undefined)) {
    await sync(act, shop);
    await play(parts, 'betweenRuns');
  }
  const result = await sync(act, shop, parts);
  const harms = [...counted(under, shop), ...(await leftOversold(under, shop, result))];
  return { result, harms, seen: result.seen };
}

type Moment = 'beforeRuns' | 'betweenRuns' | 'whenPlanned' | 'whenSent';

async function play(parts: readonly BuiltPart[], moment: Moment): Promise<void> {
  for (const { part, stage } of parts) await part[moment]?.(stage);
}

async function sync(act: All, shop: Shop, parts: readonly BuiltPart[] = []): Promise<AccountResult> {
  const once = (moment: Moment): (() => Promise<void>) => {
    let isOver = false;
    return async () => {
      if (isOver) return;
      isOver = true;
      await play(parts, moment);
    };
  };
  const planned = once('whenPlanned');
  const watched: All = {
    ...act,
    planWrites: async (input) => {
      const plan = await act.planWrites(input);
      await planned();
      return plan;
    },
    updateOfferBatch: async (input) => {
      const answer = await act.updateOfferBatch(input);
      await play(parts, 'whenSent');
      return answer;
    },
  };
  return driveSync(watched, {
    accountId: shop.accountId,
    runId: await shop.open(),
    commandChecks: NO_COMMAND_CHECKS,
  });
}

async function buildPart(under: ActivitiesUnderTest, shop: Shop, part: Part): Promise<BuiltPart> {
  const { admin, simulator } = under.allegro;
  const { catalogue, truth } = simulator.state;
  const skus = part.stock.map(() => shop.sku());
  const offerIds = part.offers.map(({ sku, ...fields }) => {
    const externalId = sku === null ? null : (skus[sku] ?? null);
    return toOfferId(catalogue.add(shop.seller, { ...fields, externalId }).id);
  });
  const stage: Stage = {
    offerIds,
    skus,
    async setStock(sku, quantity) {
      const row = { sku, warehouse: 'main' };
      if (quantity === null) await under.db.deleteFrom('stockLevels').where('sku', '=', sku).execute();
      else {
        await under.db
          .insertInto('stockLevels')
          .values({ ...row, quantity })
          .onConflict((conflict) => conflict.columns(['sku', 'warehouse']).doUpdateSet({ quantity }))
          .execute();
      }
      if (quantity === null) truth.remove(sku);
      else truth.set(sku, quantity);
    },
    edit: async (offerId, change) => {
      await admin.editOffer(offerId, change);
    },
    freeze: async (offerId, shown) => {
      await admin.freezeOffer(offerId, shown);
    },
    available: (offerId) => catalogue.offers.get(offerId)?.available ?? 0,
    sell: async (offerId, quantity) => {
      await admin.sell({ offerId, quantity, lowersTruth: true });
    },
    plant: async (fault) => {
      await admin.plantFault(fault);
    },
    age: async (offerId, hours) => {
      const { endedByUsAt } = await under.db
        .selectFrom('offers')
        .select('endedByUsAt')
        .where('offerId', '=', offerId)
        .executeTakeFirstOrThrow();
      if (endedByUsAt === null) return;
      await under.db
        .updateTable('offers')
        .set({ endedByUsAt: new Date(endedByUsAt.getTime() - hours * 3_600_000) })
        .where('offerId', '=', offerId)
        .execute();
    },
  };
  for (const [index, quantity] of part.stock.entries()) await stage.setStock(skus[index] ?? '', quantity);
  return { part, stage };
}

function counted(under: ActivitiesUnderTest, { seller }: Shop): CaseEnd['harms'] {
  const { samples } = under.allegro.simulator.state.report.read({ clients: {}, sellerLimits: {} }).harmfulWrites;
  return samples
    .filter(({ sellerId }) => sellerId === seller)
    .flatMap(({ kinds, offerId, route, available, truth }) =>
      kinds.map((kind) => ({ kind, offerId, what: `${route} ${available ?? ''}, in truth ${truth ?? 'unknown'}` })),
    );
}

/** States in which a run has told that an offer is not as it should be, or leaves it alone on purpose. */
async function accountedFor(
  { db }: ActivitiesUnderTest,
  { accountId }: Shop,
  { runId }: AccountResult,
): Promise<Set<string>> {
  const told = await db
    .selectFrom('offerChanges')
    .select('offerId')
    .where('runId', '=', runId)
    .where('state', 'in', ['rejected', 'unknown', 'held', 'superseded'])
    .execute();
  const skipped = await db
    .selectFrom('offers')
    .select('offerId')
    .where('accountId', '=', accountId)
    .where('lastRunId', '=', runId)
    .where('bucket', 'in', ['skipped', 'pending'])
    .execute();
  return new Set([...told, ...skipped].map(({ offerId }) => offerId));
}

async function leftOversold(under: ActivitiesUnderTest, shop: Shop, result: AccountResult): Promise<CaseEnd['harms']> {
  const { catalogue, truth } = under.allegro.simulator.state;
  const seller = catalogue.sellers.get(shop.seller);
  const told = await accountedFor(under, shop, result);
  return (seller?.offers ?? [])
    .filter(({ id, status, format }) => status === 'ACTIVE' && format === 'BUY_NOW' && !told.has(id))
    .flatMap(({ id, externalId, available }) => {
      const most = externalId === null ? undefined : truth.publishable(externalId, shop.seller)?.most;
      if (most === undefined || available <= most) return [];
      return [{ kind: 'left_oversold' as const, offerId: id, what: `up with ${available}, ${most} allowed` }];
    });
}

/** Nothing waits longer than it has to, and no limit stands in the way. */
export const NEVER_SETTINGS = {
  applicationLimit: null,
  sellerLimits: null,
  nullsInRows: 'some',
  endingDelayMs: 1,
  operationDelayMs: 1,
  commandDelayMs: 1,
} as const;
