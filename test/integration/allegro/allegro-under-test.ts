import { randomBytes, randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { simulatorAdmin, type SimulatorAdmin } from '../../../simulator/admin-client.js';
import type { NewOffer } from '../../../simulator/admin-requests.js';
import { startSimulator, type Simulator } from '../../../simulator/server.js';
import type { SettingsChange } from '../../../simulator/settings.js';
import type { RequestReport } from '../../../src/allegro/http-client.js';
import { createAllegro, type Allegro, type AllegroOptions } from '../../../src/allegro/marketplace.js';
import { SyncError, type SyncErrorType } from '../../../src/domain/errors.js';
import { toAccountId, toCommandId, toOfferId, type AccountId, type CommandId } from '../../../src/domain/ids.js';
import type { Call } from '../../../src/domain/marketplace.js';
import type { TokenStore } from '../../../src/domain/token-store.js';
import { createRateLimiter, type RateLimiter } from '../../../src/rate-limit/limiter.js';
import { addAccount } from '../../../src/storage/accounts.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { createEncryption } from '../../../src/storage/encryption.js';
import { createTokenStore } from '../../../src/storage/token-store.js';
import { createTestDatabase, testRedisUrl } from '../../servers.js';

export const CLIENT_ID = 'simulator-client';
export const CLIENT_SECRET = 'client-secret-5f2d7c';
export const USER_AGENT = 'StockSyncTest/1.0.0 (+https://example.com/stock-sync)';
export const SELLER = '44000001';

/** The adapter with the real simulator, PostgreSQL and Redis, each empty and the test file's own. */
export interface AllegroUnderTest {
  readonly simulator: Simulator;
  readonly admin: SimulatorAdmin;
  readonly db: Db;
  readonly databaseUrl: string;
  readonly store: TokenStore;
  readonly allegro: Allegro;
  /** What the observer was told, in order. */
  readonly reports: RequestReport[];
  readonly limiter: RateLimiter;
  /** Whether writes are stopped. */
  readonly stop: { isOn: boolean };
  /** Another adapter on the same parts, as in another process. */
  another(changes?: Partial<AllegroOptions>): Allegro;
  /** An account that is logged in as the seller; its call. */
  logIn(seller?: string, accessLifetimeMs?: number): Promise<Call>;
  offer(fields?: Partial<NewOffer>): Promise<ReturnType<typeof toOfferId>>;
  close(): Promise<void>;
}

export async function setUpAllegro(settings: SettingsChange = {}): Promise<AllegroUnderTest> {
  const simulator = await startSimulator({ settings });
  const database = await createTestDatabase();
  const db = openDatabase(database.url, { applicationName: 'test' });
  const redis = new Redis(testRedisUrl());
  // A prefix of its own, and no pause: the keys are new.
  const limiter = createRateLimiter({ redis, clientId: `${CLIENT_ID}-${randomUUID()}`, pauseMs: 0 });
  const store = createTokenStore({ db, databaseUrl: database.url, encryption: createEncryption(randomBytes(32)) });
  const reports: RequestReport[] = [];
  const stop = { isOn: false };
  const options: AllegroOptions = {
    apiUrl: simulator.url,
    authUrl: simulator.url,
    clientId: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    userAgent: USER_AGENT,
    requestsPerMinute: 9000,
    limiter,
    tokenStore: store,
    stopSwitch: { isStopped: () => Promise.resolve(stop.isOn) },
    onRequest: (report) => reports.push(report),
  };
  const made: Allegro[] = [];
  const another = (changes: Partial<AllegroOptions> = {}): Allegro => {
    const allegro = createAllegro({ ...options, ...changes });
    made.push(allegro);
    return allegro;
  };
  const admin = simulatorAdmin(simulator.url);
  let accounts = 0;
  return {
    simulator,
    admin,
    db,
    databaseUrl: database.url,
    store,
    allegro: another(),
    reports,
    limiter,
    stop,
    another,
    async logIn(seller = SELLER, accessLifetimeMs = 12 * 3_600_000) {
      accounts += 1;
      const accountId = toAccountId(`account-${accounts}`);
      await addAccount(db, { accountId, name: `Account ${accounts}` });
      const pair = await admin.issueTokens({ sellerId: seller });
      await store.replace(accountId, null, { ...pair, accessExpiresAt: new Date(Date.now() + accessLifetimeMs) });
      return callFor(accountId);
    },
    async offer(fields = {}) {
      return toOfferId((await admin.addOffer({ sellerId: SELLER, ...fields })).id);
    },
    async close() {
      for (const allegro of made) allegro.close();
      limiter.close();
      redis.disconnect();
      await db.destroy();
      await database.drop();
      await simulator.stop();
    },
  };
}

export function callFor(accountId: AccountId): Call {
  return { accountId, priority: 'scheduled' };
}

export function newCommandId(): CommandId {
  return toCommandId(randomUUID());
}

/** The error that the work ends with; anything but a clean SyncError of that type fails the test. */
export async function errorOf(work: Promise<unknown>, type: SyncErrorType): Promise<SyncError> {
  const thrown: unknown = await work.then(
    () => new Error(`expected ${type}, but it succeeded`),
    (error: unknown) => error,
  );
  if (!(thrown instanceof SyncError)) throw thrown;
  if (thrown.type !== type) throw new Error(`expected ${type}, got ${thrown.type}: ${thrown.message}`);
  if (thrown.cause !== undefined) throw new Error('the error has a cause, which may hold what was sent');
  return thrown;
}

/** Waits until the condition holds. */
export async function eventually(
  condition: () => Promise<boolean> | boolean,
  what: string,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Does what the workflows do: comes back when there is a permit. */
export async function patiently<Result>(work: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof SyncError) || error.type !== 'RateLimited') throw error;
      await new Promise((resolve) => setTimeout(resolve, error.facts.retryInMs));
    }
  }
}
