import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { NewOffer } from '../../../simulator/admin-requests.js';
import type { FaultRule } from '../../../simulator/faults.js';
import { ERROR_TABLE, type AnswerKind, type ErrorRule } from '../../../src/allegro/error-table.js';
import { findErrorRule } from '../../../src/allegro/errors.js';
import type { AllegroOptions } from '../../../src/allegro/marketplace.js';
import { SyncError, type SyncErrorType } from '../../../src/domain/errors.js';
import type { AccountResult } from '../../../src/workflows/api.js';
import { openLimiter } from '../allegro/client-parts.js';
import { requestsSince, setUpActivities, stock, type ActivitiesUnderTest, type Shop } from './activities-under-test.js';
import { driveSync } from './sync-driver.js';

/**
 * Each row of the error table, answered by the simulator in a run: its class, how often is asked, where the offers are
 * counted, and who is told what. The cases are made from the table, so that a row nothing provokes fails.
 */

let under: ActivitiesUnderTest;

beforeAll(async () => {
  const immediate = { endingDelayMs: 1, operationDelayMs: 1, commandDelayMs: 1, nullsInRows: 'none' } as const;
  under = await setUpActivities({ ...immediate, applicationLimit: null, sellerLimits: null }, { isUnpaced: true });
});
beforeEach(async () => {
  await under.allegro.admin.removeFaults();
  await under.db.deleteFrom('outbox').execute();
  await under.db.deleteFrom('incidents').execute();
});
afterAll(() => under.close());

const OFFER_ATTEMPTS = 4;
const PHASE_ATTEMPTS = 3;
const COMMAND_CHECKS = 4;
/** From so many offers of one value a command is sent. */
const IN_A_COMMAND = 10;

const ROUTES = {
  account_read: 'GET /sale/offers',
  command_write: 'PUT /sale/offer-quantity-change-commands/{commandId}',
  command_read: 'GET /sale/offer-quantity-change-commands/{commandId}',
  offer_read: 'GET /sale/product-offers/{offerId}',
  offer_write: 'PATCH /sale/product-offers/{offerId}',
  operation: 'GET /sale/product-offers/{offerId}/operations/{operationId}',
  token: 'POST /auth/oauth/token',
  device_login: 'POST /auth/oauth/token',
} as const satisfies Record<Exclude<AnswerKind, 'task'>, string>;

const KINDS: readonly AnswerKind[] = [
  'account_read',
  'command_write',
  'command_read',
  'offer_read',
  'offer_write',
  'operation',
  'token',
  'device_login',
  'task',
];

interface Case {
  readonly rule: ErrorRule;
  readonly kind: AnswerKind;
  /** null: of a command's task. */
  readonly status: number | null;
  readonly code: string;
}

function statusesOf({ status, codes }: ErrorRule, kind: AnswerKind): (number | null)[] {
  if (kind === 'task') return status === 'task' || status === 'any' ? [null] : [];
  switch (status) {
    case 'task':
      return [];
    case '2xx':
      return [204];
    case '4xx':
      return [418];
    case '5xx':
      return [503];
    case 'any':
      return codes.length === 0 ? [302] : [422];
    default:
      return [status];
  }
}

/** These are answers there, not errors: a command that is not known yet, an id that is known already. */
function isTaken({ kind, status, code }: Omit<Case, 'rule'>): boolean {
  if (kind === 'command_read') return status === 404;
  return kind === 'command_write' && status === 409 && code !== 'COMMAND_ALREADY_REGISTERED_WITH_DIFFERENT_CONTENT';
}

const CASES: readonly Case[] = ERROR_TABLE.flatMap((rule) =>
  KINDS.filter((kind) => rule.kinds.length === 0 || rule.kinds.includes(kind)).flatMap((kind) =>
    statusesOf(rule, kind).flatMap((status) => {
      const code = (rule.codes[0] ?? 'SOMETHING_NEW').replace('*', 'Xyz');
      const isOurs = findErrorRule({ kind, status, code }).id === rule.id;
      return isOurs && !isTaken({ kind, status, code }) ? [{ rule, kind, status, code }] : [];
    }),
  ),
);

test('every row of the table is provoked', () => {
  const provoked = new Set(CASES.map(({ rule }) => rule.id));
  expect(ERROR_TABLE.map(({ id }) => id).filter((id) => !provoked.has(id))).toEqual([]);
});

interface Expected {
  /** How often the answer is asked for. */
  readonly requests: number;
  /** Why the run failed; null: it did not. */
  readonly failure: SyncErrorType | null;
  readonly bucket: 'ended' | 'reactivated' | 'raised' | 'failed' | 'pending' | 'unseen';
  /** Of the offers in question; null: nothing is recorded against them. */
  readonly offerClass: SyncErrorType | null;
  /** The row's count for each of them. */
  readonly attempts: number;
  readonly alert: 'offer_failures' | 'account_problem' | 'system_problem' | null;
}

const PASSES = { failure: null, offerClass: null, alert: null } as const;

/** A class that concerns all offers ends the account's run, after the declared attempts. */
function failedRun({ rule, status }: Case, bucket: Expected['bucket'], type = rule.type): Expected {
  const attempts = rule.retry === 'final' ? 1 : PHASE_ATTEMPTS;
  return {
    // A refused token is replaced once before it is believed.
    requests: status === 401 ? attempts * 2 : attempts,
    failure: type,
    bucket,
    offerClass: null,
    attempts: 0,
    alert: type === 'ApplicationRefused' ? 'system_problem' : 'account_problem',
  };
}

function failedOffer(attempts: number, offerClass: SyncErrorType): Expected {
  return { requests: attempts, failure: null, bucket: 'failed', offerClass, attempts, alert: 'offer_failures' };
}

const OF_ALL: readonly SyncErrorType[] = [
  'MarketplaceUnavailable',
  'ApplicationRefused',
  'AccountRefused',
  'TokenRevoked',
];
/** Answered 429 twice, then as if nothing had been. */
const TIMES_LIMITED = 2;

function expectedOf(one: Case): Expected {
  const { rule, kind, status } = one;
  const isOfAll = OF_ALL.includes(rule.type);
  const isLimited = rule.type === 'RateLimited';
  switch (kind) {
    case 'account_read':
      if (isLimited) return { ...PASSES, requests: TIMES_LIMITED + 1, bucket: 'reactivated', attempts: 1 };
      return failedRun(one, 'unseen');
    case 'offer_read':
    case 'offer_write': {
      const bucket = kind === 'offer_read' ? 'ended' : 'reactivated';
      if (isLimited) return { ...PASSES, requests: TIMES_LIMITED + 1, bucket, attempts: 1 };
      // A server error to one offer's reading is that offer's trouble.
      const isLone = kind === 'offer_read' && (status ?? 0) >= 500;
      if (isOfAll && !isLone) return failedRun(one, 'pending');
      // What should be at 0 and cannot be looked at is ended by a publication command, as the last way.
      if (kind === 'offer_read' && (rule.retry === 'declared' || rule.type === 'AccessDenied')) {
        const requests = rule.retry === 'declared' ? OFFER_ATTEMPTS : 1;
        return { ...PASSES, requests, bucket, attempts: requests + 1 };
      }
      return failedOffer(rule.retry === 'final' ? 1 : OFFER_ATTEMPTS, isLone ? 'OutcomeUnknown' : rule.type);
    }
    case 'operation':
      if (isLimited) return { ...PASSES, requests: TIMES_LIMITED + 1, bucket: 'reactivated', attempts: 1 };
      if (isOfAll) return failedRun(one, 'pending');
      // Another attempt reads the offer and finds it as it should be.
      if (rule.retry === 'declared') return { ...PASSES, requests: 1, bucket: 'reactivated', attempts: 2 };
      return failedOffer(1, rule.type);
    case 'command_write':
      if (isLimited) return { ...PASSES, requests: TIMES_LIMITED + 1, bucket: 'raised', attempts: 1 };
      if (isOfAll) return failedRun(one, 'pending');
      // A command that is refused as such, or never clearly answered, is no offer's fault: each goes out alone.
      return {
        ...PASSES,
        requests: rule.retry === 'final' ? 1 : PHASE_ATTEMPTS,
        bucket: 'raised',
        attempts: 2,
        // An id that was used twice is a fault of the program, and told as such.
        alert: rule.id === 'command-id-with-other-content' ? 'account_problem' : null,
      };
    case 'command_read':
      if (isLimited) return { ...PASSES, requests: TIMES_LIMITED + 1, bucket: 'raised', attempts: 1 };
      // A report that is not understood is one that is not there yet: the next run settles the command.
      if (rule.type === 'InvalidAnswer') {
        return { ...PASSES, requests: COMMAND_CHECKS, bucket: 'pending', attempts: 0 };
      }
      return failedRun(one, 'pending');
    case 'task':
      return rule.retry === 'final' ? failedOffer(1, rule.type) : failedOffer(OFFER_ATTEMPTS, rule.type);
    case 'token':
      if (isLimited) return { ...PASSES, requests: TIMES_LIMITED + 1, bucket: 'reactivated', attempts: 1 };
      return failedRun(one, 'unseen');
    case 'device_login':
      return { ...PASSES, requests: 1, bucket: 'unseen', attempts: 0 };
  }
}

/** A shop in which the answer in question is asked for. */
async function buildShop({ kind, code }: Case): Promise<{ shop: Shop; concerned: string[] }> {
  const shop = await under.shop();
  const sku = shop.sku();
  await stock(under, { [sku]: 7 });
  if (kind === 'command_write' || kind === 'command_read' || kind === 'task') {
    const refused: Partial<NewOffer> = { rejection: { code, commands: true } };
    const ids = await shop.offers(
      Array.from({ length: IN_A_COMMAND }, (_, index) => ({
        externalId: sku,
        available: 2,
        ...(kind === 'task' && index === 0 ? refused : {}),
      })),
    );
    return { shop, concerned: kind === 'task' ? ids.slice(0, 1) : ids };
  }
  if (kind === 'offer_read') {
    await stock(under, { [sku]: 0 });
    // An ending is looked at before it is sent.
    return { shop, concerned: [await shop.offer({ externalId: sku, available: 2 })] };
  }
  // Bringing an offer back changes it and asks for the operation.
  return {
    shop,
    concerned: [await shop.offer({ externalId: sku, available: 0, status: 'ENDED', endedBy: 'EMPTY_STOCK' })],
  };
}

async function plant({ kind, rule, status, code }: Case, shop: Shop): Promise<void> {
  if (kind === 'task' || status === null) return;
  const isAuth = kind === 'token' || kind === 'device_login';
  const body = isAuth
    ? { error: code, error_description: 'told by Allegro' }
    : { errors: [{ code, message: 'told by Allegro' }] };
  const fault: FaultRule = {
    match: {
      route: ROUTES[kind],
      ...(kind === 'device_login' ? {} : { sellerId: shop.seller }),
      ...(rule.type === 'RateLimited' ? { times: TIMES_LIMITED } : {}),
    },
    fault: { kind: 'status', status, body, headers: { 'Retry-After': '0' } },
  };
  await under.allegro.admin.plantFault(fault);
}

/** A client of its own, whose token is due for a refresh where that is what is asked for. */
async function activitiesFor({ kind, rule }: Case, { accountId }: Shop) {
  if (kind !== 'token') return under.act;
  await under.db
    .updateTable('accountTokens')
    .set({ accessExpiresAt: new Date(0) })
    .where('accountId', '=', accountId)
    .execute();
  let time = Date.now();
  // A lost answer is asked for again for 50 s; here the clock runs ahead.
  const hurried: Partial<AllegroOptions> = rule.retry === 'declared' ? { now: () => (time += 60_000) } : {};
  return under.with({
    marketplace: under.allegro.another({ limiter: openLimiter().limiter, ...hurried }).marketplace,
  });
}

async function runWith(one: Case, shop: Shop): Promise<AccountResult> {
  const runId = await shop.open();
  const act = await activitiesFor(one, shop);
  return driveSync(act, {
    accountId: shop.accountId,
    runId,
    offerAttempts: OFFER_ATTEMPTS,
    phaseAttempts: PHASE_ATTEMPTS,
    commandChecks: COMMAND_CHECKS,
    checkPauseMs: 50,
  });
}

async function messages(): Promise<Record<string, unknown>[]> {
  const rows = await under.db.selectFrom('outbox').select('message').orderBy('id').execute();
  return rows.map(({ message }) => message);
}

const titled = CASES.map((one) => ({
  ...one,
  title: `${one.rule.id}: ${one.kind} ${one.status ?? 'failed'} ${one.code}`,
}));

test.each(titled.filter(({ kind }) => kind !== 'device_login'))('$title', async (one) => {
  const { kind } = one;
  const expected = expectedOf(one);
  const { shop, concerned } = await buildShop(one);
  await plant(one, shop);
  const { lastRequest } = await under.allegro.admin.journal({ limit: 0 });

  const result = await runWith(one, shop);

  expect(result.failure?.class ?? null).toBe(expected.failure);
  if (kind !== 'task') {
    const entries = await requestsSince(under, lastRequest, shop.seller);
    const asked = entries.filter(({ method, route }) => `${method} ${route}` === ROUTES[kind]);
    expect(asked).toHaveLength(expected.requests);
  }
  expect(result.seen).toBe(expected.bucket === 'unseen' ? 0 : kind === 'task' ? IN_A_COMMAND : concerned.length);
  if (expected.bucket !== 'unseen') expect(result.buckets[expected.bucket]).toBe(concerned.length);
  const changes = await under.db
    .selectFrom('offerChanges')
    .select(['errorClass', 'attempts'])
    .where('runId', '=', result.runId)
    .where('offerId', 'in', concerned)
    .execute();
  for (const change of changes) {
    expect(change).toEqual({ errorClass: expected.offerClass, attempts: expected.attempts });
  }
  expect(await messages()).toEqual(alertOf(one, expected, shop));
});

function alertOf({ rule, kind, code }: Case, { alert, failure, offerClass }: Expected, { accountId }: Shop): unknown[] {
  if (alert === null) return [];
  if (rule.id === 'command-id-with-other-content') {
    return [expect.objectContaining({ kind: alert, accountId, class: 'ProgramFault' })];
  }
  if (alert === 'offer_failures') {
    // A last retry by PATCH is told in its own words.
    const isRetried = kind === 'task' && rule.retry === 'declared';
    // Allegro's own code is kept as it came.
    const told = {
      errorClass: offerClass,
      error: expect.stringContaining(isRetried ? code : `${rule.sentence} (`),
      action: rule.whatToDo,
    };
    return [expect.objectContaining({ kind: alert, accountId, failures: [expect.objectContaining(told)] })];
  }
  const action = failure === 'TokenRevoked' ? `allegro-stock-sync accounts authorize ${accountId}` : rule.whatToDo;
  return [
    expect.objectContaining({ kind: alert, class: failure, details: expect.stringContaining(rule.sentence), action }),
  ];
}

test.each(titled.filter(({ kind }) => kind === 'device_login'))('$title, told where it was asked for', async (one) => {
  const { rule, status } = one;
  const shop = await under.shop();
  const { login } = under.allegro.another({ limiter: openLimiter().limiter });
  const started = await login.start(shop.accountId);
  if (status === 429 || (status ?? 0) >= 500) {
    // Nobody's answer yet: asked again while the link is good. The seller refuses at last.
    await under.allegro.admin.decideDevice(started.userCode, { decision: 'deny' });
    await under.allegro.admin.plantFault({
      match: { route: ROUTES.device_login, times: 1 },
      fault: { kind: 'status', status: status ?? 503, headers: { 'Retry-After': '0' } },
    });
  } else await plant(one, shop);

  const thrown: unknown = await login
    .finish(shop.accountId, { ...started, intervalMs: 10 })
    .catch((error: unknown) => error);

  if (!(thrown instanceof SyncError)) throw new Error(`expected a SyncError, got ${String(thrown)}`);
  const isPassing = rule.type === 'RateLimited' || rule.type === 'MarketplaceUnavailable';
  expect(thrown.type).toBe(isPassing ? 'AccountRefused' : rule.type);
  if (!isPassing) expect(thrown.facts.whatToDo).toBe(rule.whatToDo);
  expect(await messages()).toEqual([]);
});
