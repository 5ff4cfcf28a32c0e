import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { NewOffer } from '../../simulator/admin-requests.js';
import type { TrueOffer } from '../../simulator/admin-client.js';
import { startApplication, type Application, type ApplicationOptions } from '../../src/local/application.js';
import type { JudgedAccount } from '../../src/local/oracle.js';
import { findMissingSearchAttributes } from '../../src/schedule.js';
import { createNamespace, until, type TestNamespace } from '../integration/cli/temporal-namespace.js';
import { createTestDatabase, testRedisUrl } from '../servers.js';

const counts = z.record(z.string(), z.number());

const accountSchema = z.object({
  accountId: z.string(),
  runId: z.string().nullable(),
  outcome: z.string(),
  mode: z.string(),
  isComplete: z.boolean(),
  seen: z.number(),
  buckets: counts,
  skipped: counts,
  failed: counts,
  held: counts,
  requests: z.number(),
  failure: z.object({ class: z.string(), message: z.string() }).nullable(),
});
export type AccountReport = z.infer<typeof accountSchema>;

/** What `sync --json` and a scheduled run give. */
export const syncReportSchema = z.object({ runId: z.string(), outcome: z.string(), accounts: z.array(accountSchema) });

export interface ApplicationUnderTest {
  readonly application: Application;
  readonly temporal: TestNamespace;
  /** Runs `sync --json` to its end. */
  readonly sync: (
    ...args: string[]
  ) => Promise<{ status: number; runId: string; account: (id: string) => AccountReport }>;
  /** Imports numbers by SKU; with `--complete` and the like. The simulator's truth becomes the same. */
  readonly importStock: (stock: Readonly<Record<string, number>>, ...args: string[]) => Promise<void>;
  /** Runs a command that must succeed, and gives its JSON. */
  readonly json: (...args: string[]) => Promise<unknown>;
  readonly offers: () => Promise<TrueOffer[]>;
  readonly close: () => Promise<void>;
}

export interface UnderTestOptions extends Pick<ApplicationOptions, 'simulator' | 'env' | 'workers'> {
  /** Prepares the migrated database, and gives the address at which the application finds it. */
  readonly prepareDatabase?: (ownerUrl: string) => Promise<string>;
}

/** The whole application, as processes, with a database and a namespace of the test file's own. */
export async function startUnderTest({ prepareDatabase, ...options }: UnderTestOptions): Promise<ApplicationUnderTest> {
  const [database, temporal, directory] = await Promise.all([
    createTestDatabase(),
    createNamespace(),
    mkdtemp(join(tmpdir(), 'e2e-test-')),
  ]);
  await until('the search attributes are known', async () => {
    return (await findMissingSearchAttributes(temporal.client.connection, temporal.namespace)).length === 0;
  });
  const databaseUrl = (await prepareDatabase?.(database.url)) ?? database.url;
  const application = await startApplication({
    stack: {
      temporalAddress: temporal.address,
      temporalNamespace: temporal.namespace,
      databaseUrl: database.url,
      redisUrl: testRedisUrl(),
    },
    print: () => undefined,
    ...options,
    // Retries after a second, so that a test need not wait for the usual half minute.
    env: { ALLEGRO_SYNC_RETRY_DELAY: '1', DATABASE_URL: databaseUrl, ...options.env },
  });
  const { admin, runClient } = application;
  const json = async (...args: string[]): Promise<unknown> => {
    const ran = await runClient([...args, '--json']);
    if (ran.status !== 0) throw new Error(`${args.join(' ')}: exit status ${ran.status}: ${ran.stderr}`);
    return ran.json();
  };
  return {
    application,
    temporal,
    json,
    async sync(...args) {
      const ran = await runClient(['sync', ...args, '--json']);
      if (ran.stdout === '') throw new Error(`sync: exit status ${ran.status}: ${ran.stderr}`);
      const report = syncReportSchema.parse(ran.json());
      return { status: ran.status, runId: report.runId, account: (id) => accountOf(report, id) };
    },
    async importStock(stock, ...args) {
      const file = join(directory, 'stock.csv');
      const rows = Object.entries(stock).map(([sku, quantity]) => `${sku},${quantity}\n`);
      await writeFile(file, `sku,quantity\n${rows.join('')}`);
      await admin.setTruth({ skus: { ...stock }, complete: args.includes('--complete') });
      await json('stock', 'import', file, ...args);
    },
    offers: async () => (await admin.offers({ limit: 1_000_000 })).offers,
    async close() {
      await application.stop();
      await temporal.close();
      await database.drop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export function accountOf(report: z.infer<typeof syncReportSchema>, accountId: string): AccountReport {
  const found = report.accounts.find((account) => account.accountId === accountId);
  if (found === undefined) throw new Error(`the report has no account ${accountId}`);
  return found;
}

/** The buckets that are not empty. */
export function filled({ buckets }: AccountReport): Record<string, number> {
  return Object.fromEntries(Object.entries(buckets).filter(([, count]) => count > 0));
}

export const SELLER = '44000001';

/** Running offers `PREFIX-001` and so on of one seller, each with its number. */
export function runningOffers(prefix: string, numbers: readonly number[], sellerId = SELLER): NewOffer[] {
  return numbers.map((available, index) => ({
    sellerId,
    externalId: skuOf(prefix, index),
    status: 'ACTIVE',
    available,
  }));
}

export function skuOf(prefix: string, index: number): string {
  return `${prefix}-${String(index + 1).padStart(3, '0')}`;
}

/** Numbers by SKU, such as the stock of `runningOffers`. */
export function stockOf(prefix: string, numbers: readonly number[]): Record<string, number> {
  return Object.fromEntries(numbers.map((number, index) => [skuOf(prefix, index), number]));
}

/** The settings of a new account, for the oracle. */
export function liveAccount(sellerId: string, change: Partial<JudgedAccount> = {}): JudgedAccount {
  return {
    sellerId,
    mode: 'live',
    buffer: 0,
    max: null,
    raise: true,
    lower: true,
    reactivate: true,
    atZero: 'end',
    ...change,
  };
}

/** `length` times the same number. */
export function times(length: number, number: number): number[] {
  return Array.from({ length }, () => number);
}
