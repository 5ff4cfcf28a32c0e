import { describe, expect, test } from '@jest/globals';
import { describeAge, describeUnreadable, findProblems } from '../../../src/cli/status.js';
import type { AccountStatus, StatusFacts } from '../../../src/cli/status-facts.js';
import { DEFAULT_ACCOUNT_SETTINGS } from '../../../src/domain/account.js';
import { toAccountId } from '../../../src/domain/ids.js';
import type { RunReport } from '../../../src/storage/reports.js';

const AT = new Date('2026-11-23T10:00:00Z');

function aRun(fields: Partial<RunReport> = {}): RunReport {
  return {
    runId: 'run-1',
    groupId: 'group-1',
    accountId: 'shop-1',
    accountName: 'Tea House',
    trigger: 'schedule',
    mode: 'live',
    outcome: 'in_sync',
    failure: null,
    isComplete: true,
    seen: 1,
    buckets: {},
    skipped: {},
    failed: {},
    held: {},
    requests: 1,
    batches: 0,
    startedAt: AT,
    finishedAt: AT,
    ...fields,
  };
}

function anAccount(fields: Partial<AccountStatus> = {}): AccountStatus {
  return {
    ...DEFAULT_ACCOUNT_SETTINGS,
    accountId: toAccountId('shop-1'),
    name: 'Tea House',
    mode: 'live',
    sellerId: null,
    sellerLogin: null,
    pausedReason: null,
    pausedAt: null,
    createdAt: AT,
    liveSince: AT,
    lastCompleteAt: AT,
    hasTokens: true,
    lastRun: aRun(),
    health: 'fresh',
    completeAgeSeconds: 60,
    ...fields,
  };
}

function someFacts(fields: Partial<StatusFacts> = {}): StatusFacts {
  return {
    schedule: {
      intervalSeconds: 1800,
      isPaused: false,
      note: null,
      nextRuns: [],
      running: [],
      recentRuns: [],
      runsStarted: 5,
      ticksSkipped: 0,
      ticksMissed: 0,
      madeAt: '2026-11-01T00:00:00.000Z',
    },
    unpolledQueues: [],
    stopSwitch: { isStopped: false, reason: null, changedAt: AT },
    accounts: [anAccount()],
    openIncidents: [],
    limiter: [],
    alerts: { destination: null, waiting: 0, oldestWaitingSince: null, lastError: null, lastSentAt: null },
    sharedSkus: { skus: 3, withinOneAccount: 1 },
    unreadableSales: [],
    ...fields,
  };
}

describe('what status tells to look at', () => {
  test('is nothing when all is well, alerts going to the log, shared SKUs and unread sales included', () => {
    const unread = { accountId: 'shop-1', errorClass: 'AccountRefused', errorMessage: '403', askedAt: AT };
    expect(findProblems(someFacts())).toEqual([]);
    expect(findProblems(someFacts({ unreadableSales: [unread] }))).toEqual([]);
  });

  test.each([
    [
      'a stop',
      { stopSwitch: { isStopped: true, reason: 'wrong file', changedAt: AT } },
      /all writes are stopped since .*: wrong file/,
    ],
    ['no Schedule', { schedule: null }, /there is no Schedule/],
    [
      'a paused Schedule',
      { schedule: { ...aSchedule(), isPaused: true, note: 'inventory' } },
      /the Schedule is paused: inventory/,
    ],
    ['no worker', { unpolledQueues: ['one', 'two', 'three'] }, /no worker polls the task queues/],
    ['a worker that does only a part', { unpolledQueues: ['two'] }, /no worker polls two: restart/],
    [
      'Temporal away',
      { schedule: { unavailable: 'Temporal at x cannot be reached' } },
      /Temporal at x cannot be reached/,
    ],
    ['Redis away', { limiter: { unavailable: 'Redis at x cannot be reached' } }, /Redis at x/],
    ['a paused account', { accounts: [anAccount({ pausedReason: 'login needed' })] }, /shop-1 is paused: login needed/],
    [
      'an account without a complete run',
      { accounts: [anAccount({ health: 'stale', completeAgeSeconds: 7300 })] },
      /no complete run within two intervals; the last was 2 h ago/,
    ],
    [
      'a failed run',
      { accounts: [anAccount({ lastRun: aRun({ outcome: 'failed', failure: { class: 'X', message: 'away' } }) })] },
      /the last run ended as failed: away/,
    ],
    [
      'messages that wait',
      { alerts: { destination: 'x', waiting: 2, oldestWaitingSince: AT, lastError: 'timeout', lastSentAt: null } },
      /2 messages wait to be sent: timeout/,
    ],
  ] satisfies [string, Partial<StatusFacts>, RegExp][])('is %s', (_name, fields, expected) => {
    const problems = findProblems(someFacts(fields));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(expected);
  });

  test('is not a run that is still at work, nor an account that never ran', () => {
    const accounts = [anAccount({ lastRun: aRun({ outcome: null }) }), anAccount({ lastRun: null })];
    expect(findProblems(someFacts({ accounts }))).toEqual([]);
  });
});

test('sales that could not be read are told with what to do about it', () => {
  const unread = { accountId: 'shop-1', errorMessage: 'no', askedAt: AT };
  expect(describeUnreadable({ ...unread, errorClass: 'AccountRefused' })).toBe(
    'The sales of shop-1 could not be read (AccountRefused, 2026-11-23T10:00:00.000Z), so that they hold no raise. ' +
      'Log it in with all scopes: allegro-stock-sync accounts authorize shop-1',
  );
  expect(describeUnreadable({ ...unread, errorClass: 'MarketplaceUnavailable' })).toContain('tried again');
});

function aSchedule() {
  const { schedule } = someFacts();
  if (schedule === null || 'unavailable' in schedule) throw new Error('the builder makes a Schedule');
  return schedule;
}

test.each([
  [0, '0 s'],
  [119, '119 s'],
  [120, '2 min'],
  [7_200, '2 h'],
  [172_800, '2 days'],
])('an age of %d s is told as %s', (seconds, text) => {
  expect(describeAge(seconds)).toBe(text);
});
