import { describe, expect, test } from '@jest/globals';
import pc from 'picocolors';
import { accountRemarks, exitStatusOf, reportRows, worstOutcome } from '../../../src/cli/sync-report.js';
import { BUCKETS, noCounts } from '../../../src/domain/buckets.js';
import { SYNC_OUTCOMES, type AccountResult } from '../../../src/workflows/api.js';

function aResult(fields: Partial<AccountResult> = {}): AccountResult {
  return {
    accountId: 'shop-1',
    accountName: 'Tea House',
    runId: 'run-1',
    outcome: 'in_sync',
    mode: 'live',
    isComplete: true,
    seen: 3,
    buckets: { ...noCounts(), in_sync: 3 },
    skipped: {},
    failed: {},
    held: {},
    requests: 1,
    batches: 0,
    failure: null,
    ...fields,
  };
}

describe('the exit status of a sync', () => {
  test('is 0 when all accounts are in sync, offers written or skipped among them', () => {
    const buckets = { ...noCounts(), skipped: 1, ended: 1, raised: 1 };
    expect(exitStatusOf({ outcome: 'in_sync', accounts: [aResult({ buckets })] })).toBe(0);
  });

  test('is 0 when there is no account at all', () => {
    expect(exitStatusOf({ outcome: 'in_sync', accounts: [] })).toBe(0);
  });

  test.each(['failed', 'held', 'pending'] as const)('is 1 when an offer is %s', (bucket) => {
    const buckets = { ...noCounts(), [bucket]: 1 };
    expect(exitStatusOf({ outcome: 'in_sync', accounts: [aResult({ buckets })] })).toBe(1);
  });

  test.each(SYNC_OUTCOMES.filter((outcome) => outcome !== 'in_sync'))('is 1 when an account is %s', (outcome) => {
    expect(exitStatusOf({ outcome, accounts: [aResult({ outcome })] })).toBe(1);
  });
});

test('the outcome of all accounts is the worst of them', () => {
  expect(worstOutcome([])).toBe('in_sync');
  expect(worstOutcome(['in_sync', 'problems', 'running'])).toBe('problems');
  expect(worstOutcome(['paused', 'failed', 'in_sync'])).toBe('failed');
});

test('the table has every bucket, with its count, for every account', () => {
  const rows = reportRows(
    [aResult(), aResult({ accountId: 'shop-2', buckets: { ...noCounts(), raised: 7 } })],
    pc.createColors(false),
  );
  const shown = new Map(rows.map(([name, ...cells]) => [name, cells]));
  for (const bucket of BUCKETS) expect(shown.has(bucket)).toBe(true);
  expect(shown.get('raised')).toEqual(['0', '7']);
  expect(shown.get('in_sync')).toEqual(['3', '0']);
});

test('a scan that did not see every offer is marked as such', () => {
  const rows = reportRows([aResult({ isComplete: false })], pc.createColors(false));
  expect(rows.find(([name]) => name === 'seen')).toEqual(['seen', '3 (not all)']);
});

test('reasons for failed, held and skipped offers follow, the most frequent first, with the commands to go on', () => {
  const remarks = accountRemarks(
    aResult({
      buckets: { ...noCounts(), failed: 3, held: 2, skipped: 1 },
      failed: { OfferConflict: 1, OfferRejected: 2 },
      held: { guard: 2 },
      skipped: { no_sku: 1 },
    }),
  );
  expect(remarks).toEqual([
    'shop-1: failed: OfferRejected 2, OfferConflict 1 (changes --run run-1 --bucket failed)',
    'shop-1: held: guard 2 (changes --run run-1 --bucket held)',
    'shop-1: to let the guarded ones through: accounts approve shop-1 --run run-1',
    'shop-1: skipped: no_sku 1',
  ]);
});
