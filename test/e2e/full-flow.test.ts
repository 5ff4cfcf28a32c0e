import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import type { TrueOffer } from '../../simulator/admin-client.js';
import { judgeOffers } from '../../src/local/oracle.js';
import { SYNC_OUTCOME_KEY } from '../../src/workflows/api.js';
import { until } from '../integration/cli/temporal-namespace.js';
import {
  accountOf,
  liveAccount,
  startUnderTest,
  syncReportSchema,
  type AccountReport,
  type ApplicationUnderTest,
} from './application-under-test.js';

const ACCOUNTS = ['shop-1', 'shop-2'];

const scheduleSchema = z.object({
  running: z.array(z.string()),
  recentRuns: z.array(z.object({ workflowId: z.string() })),
});
const changesSchema = z.array(
  z.object({ offerId: z.string(), bucket: z.string(), valueBefore: z.number(), valueSent: z.number().nullable() }),
);

let running: ApplicationUnderTest;
let before: TrueOffer[];
let stockCsv: string;
let report: z.infer<typeof syncReportSchema>;

/** Seeds two shops, puts settings of both kinds, and lets the Schedule run once. */
beforeAll(async () => {
  running = await startUnderTest({ simulator: { seed: 11, accounts: 2, offers: 1200, mix: { drift: 0.15 } } });
  const { application, json, importStock, offers, temporal } = running;
  const { admin } = application;
  const skus = Object.entries(await admin.truth());
  await importStock(Object.fromEntries(skus.filter((_, place) => place % 60 !== 0)), '--complete');
  before = await offers();
  stockCsv = await admin.stockCsv();
  await application.connectAccounts('live');
  await json('accounts', 'set', 'shop-2', '--max', '60', '--at-zero', 'keep');
  await admin.resetReport();

  await json('schedule', 'apply');
  await json('schedule', 'trigger');
  const state = async () => scheduleSchema.parse(await json('schedule', 'describe'));
  await until('the Schedule has started a run', async () => (await state()).recentRuns.length > 0);
  const [first] = (await state()).recentRuns;
  report = syncReportSchema.parse(await temporal.client.workflow.getHandle(first?.workflowId ?? '').result());
}, 120_000);
afterAll(() => running.close());

async function failedOffers(): Promise<string[]> {
  const { json } = running;
  return changesSchema
    .parse(await json('changes', '--run', report.runId, '--bucket', 'failed'))
    .map((one) => one.offerId);
}

describe('a scheduled run over all accounts', () => {
  test('leaves every offer with what the oracle says it must hold', async () => {
    const accounts = [liveAccount('44000001'), liveAccount('44000002', { max: 60, atZero: 'keep' })];
    const toldAsFailed = await failedOffers();
    await until('the endings have taken place', async () => {
      const after = await running.offers();
      return judgeOffers({ before, after, stockCsv, accounts, toldAsFailed }).wrong.length === 0;
    }).catch(() => undefined);
    const verdict = judgeOffers({ before, after: await running.offers(), stockCsv, accounts, toldAsFailed });
    expect(verdict.wrong).toEqual([]);
    expect(verdict.toChange).toBeGreaterThan(100);
  });

  test.each(ACCOUNTS)('counts every offer of %s in exactly one bucket', (accountId) => {
    const account: AccountReport = accountOf(report, accountId);
    const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((all, one) => all + one, 0);
    expect(account).toMatchObject({ seen: 600, isComplete: true, mode: 'live' });
    expect(sum(account.buckets)).toBe(600);
    expect(sum(account.skipped)).toBe(account.buckets['skipped']);
    expect(sum(account.failed)).toBe(account.buckets['failed']);
    for (const bucket of ['lowered', 'reactivated', 'skipped', 'in_sync']) {
      expect(account.buckets[bucket]).toBeGreaterThan(0);
    }
  });

  test('does no harm, writes nothing twice, and makes no mistake that Allegro would refuse', async () => {
    const { harmfulWrites, redundantWrites, clientMistakes } = await running.application.admin.report();
    expect(harmfulWrites).toMatchObject({ total: 0, samples: [] });
    expect(redundantWrites).toEqual({ count: 0, samples: [] });
    // Among them: a listing without a limit, a request without our User-Agent.
    expect(clientMistakes).toEqual({});
  });

  test('is told by "changes", offer by offer', async () => {
    const changes = changesSchema.parse(await running.json('changes', '--run', report.runId));
    for (const bucket of ['lowered', 'reactivated', 'failed', 'ended']) {
      const expected = report.accounts.reduce((sum, { buckets }) => sum + (buckets[bucket] ?? 0), 0);
      expect([bucket, changes.filter((change) => change.bucket === bucket).length]).toEqual([bucket, expected]);
    }
  });

  test('is kept in "history", with number before and number sent', async () => {
    const [change] = changesSchema.parse(await running.json('changes', '--run', report.runId, '--bucket', 'lowered'));
    const history = z
      .array(z.object({ state: z.string(), valueBefore: z.number(), valueSent: z.number(), attempts: z.number() }))
      .parse(await running.json('history', change?.offerId ?? ''));
    expect(history).toEqual([
      expect.objectContaining({
        state: 'confirmed',
        valueBefore: change?.valueBefore,
        valueSent: change?.valueSent,
        attempts: 1,
      }),
    ]);
  });

  test('leaves its outcome and its account in the search attributes', async () => {
    const { client } = running.temporal;
    const found: string[] = [];
    const query = `WorkflowType = 'syncAccount' AND AccountId = 'shop-2' AND SyncTrigger = 'schedule'`;
    await until('the finished run is listed', async () => {
      found.length = 0;
      for await (const { typedSearchAttributes } of client.workflow.list({
        query: `${query} AND ExecutionStatus = 'Completed'`,
      })) {
        found.push(String(typedSearchAttributes.get(SYNC_OUTCOME_KEY)));
      }
      return found.length > 0;
    });
    expect(found).toEqual([accountOf(report, 'shop-2').outcome]);
  });
});

test('the worker serves what it has done as metrics', async () => {
  const response = await fetch(`${running.application.httpUrl}/metrics/allegro-sync`);
  const metrics = z.object({ processed_offers: z.number(), updated_offers: z.number() }).parse(await response.json());
  expect(metrics.processed_offers).toBeGreaterThanOrEqual(1200);
  expect(metrics.updated_offers).toBeGreaterThan(100);
});
