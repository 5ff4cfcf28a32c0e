import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import pino from 'pino';
import type { NewOffer } from '../../../simulator/admin-requests.js';
import type { SettingsChange } from '../../../simulator/settings.js';
import {
  createActivities,
  createMarketplaceActivities,
  type Activities,
  type MarketplaceActivities,
} from '../../../src/activities/index.js';
import { createRequestCounter } from '../../../src/activities/request-counter.js';
import type { ActivityServices } from '../../../src/activities/services.js';
import type { SyncConfig } from '../../../src/config.js';
import { toAccountId, toOfferId, toRunId, type AccountId, type OfferId, type RunId } from '../../../src/domain/ids.js';
import type { Allegro } from '../../../src/allegro/marketplace.js';
import { addAccount, changeAccount, type AccountChanges } from '../../../src/storage/accounts.js';
import type { Db } from '../../../src/storage/database.js';
import type { ScanCursor } from '../../../src/workflows/api.js';
import { setStock } from '../../../src/storage/stock.js';
import { openLimiter } from '../allegro/client-parts.js';
import { setUpAllegro, type AllegroUnderTest } from '../allegro/allegro-under-test.js';

export const SYNC: SyncConfig = {
  rateLimit: 9000,
  batchSize: 100,
  retryCount: 3,
  retryDelaySeconds: 30,
  scheduleSeconds: 1800,
  unbookedSalePatienceSeconds: 7200,
  stockMaxAgeSeconds: null,
  commandPatienceSeconds: 900,
  guardMaxEndedPercent: 20,
  bulkModification: false,
  historyRetentionDays: 90,
};

/** All activities on real PostgreSQL, real Redis and the simulator. */
export interface ActivitiesUnderTest {
  readonly allegro: AllegroUnderTest;
  readonly db: Db;
  /** Called as a worker would: each call is an activity of the current execution. */
  readonly act: Activities & MarketplaceActivities;
  /** Activities with other services, as of another process. */
  with(changes: Partial<ActivityServices>): Activities & MarketplaceActivities;
  readonly services: ActivityServices;
  /** A live account of a seller of its own. */
  shop(changes?: AccountChanges): Promise<Shop>;
  close(): Promise<void>;
}

/** One account, its seller, and what is in its shop. */
export interface Shop {
  readonly accountId: AccountId;
  readonly seller: string;
  offer(fields?: Omit<Partial<NewOffer>, 'sellerId'>): Promise<OfferId>;
  /** Offers of one SKU each, named in the order of the answer. */
  offers(fields: readonly Omit<Partial<NewOffer>, 'sellerId'>[]): Promise<OfferId[]>;
  /** A SKU of its own. */
  sku(): string;
  /** Opens a run of its own execution. */
  open(changes?: { skus?: readonly string[]; isPreview?: boolean; executionId?: string }): Promise<RunId>;
  /** Opens a run and reads the whole listing. */
  scanned(changes?: Parameters<Shop['open']>[0]): Promise<RunId>;
}

/** @param options `isUnpaced`: commands would wait 8 s for their first permit, as the limiter's own tests show */
export async function setUpActivities(
  settings: SettingsChange = {},
  options: { isUnpaced?: boolean } = {},
): Promise<ActivitiesUnderTest> {
  const allegro = await setUpAllegro(settings);
  const { db, store, admin } = allegro;
  const requests = createRequestCounter();
  const adapter = countingAdapter(allegro, requests, options);
  const services: ActivityServices = {
    db,
    marketplace: adapter.marketplace,
    events: adapter.events,
    sync: SYNC,
    logger: pino({ level: 'silent' }),
    requests,
    metrics: { runClosed: () => undefined },
    deliverMessages: () => Promise.resolve({ sent: 0, failed: 0 }),
  };
  const withServices = (changes: Partial<ActivityServices>, executionId?: string) => {
    const all = { ...services, ...changes };
    return inContext({ ...createActivities(all), ...createMarketplaceActivities(all) }, executionId);
  };
  const act = withServices({});
  let shops = 0;
  return {
    allegro,
    db,
    act,
    services,
    with: (changes) => withServices(changes),
    async shop(changes = {}) {
      shops += 1;
      // Several may be made at a time.
      const number = shops;
      const seller = String(45_000_000 + number);
      const accountId = toAccountId(`shop-${number}`);
      await addAccount(db, { accountId, name: `Shop ${number}`, mode: 'live' });
      await changeAccount(db, accountId, changes);
      const pair = await admin.issueTokens({ sellerId: seller });
      await store.replace(accountId, null, { ...pair, accessExpiresAt: new Date(Date.now() + 12 * 3_600_000) });
      let skus = 0;
      const shop: Shop = {
        accountId,
        seller,
        offer: async (fields = {}) => toOfferId((await admin.addOffer({ ...fields, sellerId: seller })).id),
        offers: async (fields) =>
          (await admin.addOffers(fields.map((one) => ({ ...one, sellerId: seller })))).map(({ id }) => toOfferId(id)),
        sku: () => {
          skus += 1;
          return `S${number}-${skus}`;
        },
        async open({ skus: chosen, isPreview = false, executionId = randomUUID() } = {}) {
          const { openRun } = withServices({}, executionId);
          const opened = await openRun({
            accountId,
            trigger: 'manual',
            groupId: null,
            skus: chosen ?? null,
            isPreview,
          });
          if (opened.kind !== 'open') throw new Error(`not opened: ${opened.failure.message}`);
          return opened.runId;
        },
        async scanned(opening = {}) {
          const runId = await shop.open(opening);
          let cursor: ScanCursor | null = { position: 0 };
          while (cursor !== null) ({ cursor } = await act.scanOffers({ runId, cursor, priority: 'scheduled' }));
          return runId;
        },
      };
      return shop;
    },
    close: () => allegro.close(),
  };
}

/** The real adapter, reporting what it sends; without a pace of its own where that would take too long. */
function countingAdapter(
  allegro: AllegroUnderTest,
  requests: ActivityServices['requests'],
  { isUnpaced = false }: { isUnpaced?: boolean },
): Pick<Allegro, 'marketplace' | 'events'> {
  return allegro.another({
    onRequest: ({ runId }) => {
      if (runId !== undefined) requests.count(runId);
    },
    ...(isUnpaced ? { limiter: openLimiter().limiter } : {}),
  });
}

type AnyActivity = (input: never) => Promise<unknown>;

/** Each call in an activity context of its own, as on a worker. */
function inContext<All extends object>(activities: All, executionId: string = randomUUID()): All {
  const run =
    (activity: AnyActivity) =>
    (input: never): Promise<unknown> =>
      new MockActivityEnvironment(
        { workflowExecution: { workflowId: 'sync-account/test', runId: executionId } },
        // Activities that fail are what many tests are about.
        { logger: new DefaultLogger('ERROR') },
      ).run(activity, input);
  const wrapped = Object.fromEntries(
    Object.entries(activities).map(([name, activity]: [string, AnyActivity]) => [name, run(activity)]),
  );
  return { ...activities, ...wrapped };
}

/** Sets the stock and tells the simulator, which judges every write by it. */
export async function stock(
  { db, allegro }: ActivitiesUnderTest,
  quantities: Readonly<Record<string, number>>,
): Promise<void> {
  for (const [sku, quantity] of Object.entries(quantities)) {
    await setStock(db, { sku, warehouse: 'main', quantity });
  }
  await allegro.admin.setTruth({ skus: quantities });
}

/** The row of one change; fails when there is none. */
export async function changeOf(db: Db, runId: RunId, offerId: OfferId) {
  return db
    .selectFrom('offerChanges')
    .selectAll()
    .where('runId', '=', runId)
    .where('offerId', '=', offerId)
    .executeTakeFirstOrThrow();
}

/** What the database remembers of an offer. */
export async function memoryOf(db: Db, offerId: OfferId) {
  return db.selectFrom('offers').selectAll().where('offerId', '=', offerId).executeTakeFirstOrThrow();
}

export async function runOf(db: Db, runId: RunId) {
  return db.selectFrom('syncRuns').selectAll().where('id', '=', runId).executeTakeFirstOrThrow();
}

/** Requests to the simulator since a point in its journal. */
export async function requestsSince(under: ActivitiesUnderTest, since: number, seller: string) {
  const { entries } = await under.allegro.admin.journal({ since, limit: 100_000 });
  return entries.filter((entry) => entry.sellerId === seller);
}

export async function journalEnd(under: ActivitiesUnderTest): Promise<number> {
  return (await under.allegro.admin.journal({ limit: 0 })).lastRequest;
}

export function aRunId(): RunId {
  return toRunId(randomUUID());
}

/** The class of the failure that the work ends with. */
export async function failureClass(work: Promise<unknown>): Promise<string | null> {
  const thrown: unknown = await work.then(
    () => new Error('expected a failure, but it succeeded'),
    (error: unknown) => error,
  );
  if (typeof thrown === 'object' && thrown !== null && 'type' in thrown && typeof thrown.type === 'string') {
    return thrown.type;
  }
  throw thrown;
}
