import pLimit from 'p-limit';
import { SyncError } from '../domain/errors.js';
import type { AccountId, RunId } from '../domain/ids.js';
import type { Call } from '../domain/marketplace.js';
import {
  holdForSales,
  readSaleSources,
  readSkusToRaise,
  recordSaleFailure,
  recordSales,
  type SaleSource,
} from '../storage/sales.js';
import { withHeartbeat } from './heartbeat.js';
import { inRun, type RunScope } from './run-scope.js';
import type { ActivityServices } from './services.js';

export interface ConfirmSalesInput {
  readonly runId: RunId;
  readonly priority: Call['priority'];
}

export interface ConfirmSalesResult {
  /** Raises and returns that wait for the stock to book a sale. */
  readonly held: number;
  /** Accounts that were asked for their sales. */
  readonly accounts: number;
}

const ACCOUNTS_AT_ONCE = 5;
/** What is left is read by the next run: a first reading goes back 60 days. */
const MOST_PAGES = 50;
const READING_FOR_MS = 60_000;
/** Events come late and out of order; kept for this much longer than a sale can hold anything. */
const KEPT_LONGER_MS = 24 * 3_600_000;

/** From when on sales are kept. */
export function salesKeptSince(patienceSeconds: number, now = Date.now()): Date {
  return new Date(now - patienceSeconds * 1000 - KEPT_LONGER_MS);
}

/**
 * Before anything is raised: reads what was bought of these SKUs in every account, and holds the raises and returns of
 * those that the stock has not booked. Nothing is read when nothing is to be raised. Sales are a hint: an account that
 * cannot be read is logged, and the run goes on with what is known.
 */
export function createConfirmSales(services: ActivityServices) {
  return function confirmSales(input: ConfirmSalesInput): Promise<ConfirmSalesResult> {
    return withHeartbeat((signal) =>
      inRun(services, { ...input, signal }, async (scope) => {
        const { db, sync } = services;
        const skus = await readSkusToRaise(db, scope.run);
        if (skus.length === 0) return { held: 0, accounts: 0 };
        const sources = await readSaleSources(db, skus);
        const limit = pLimit(ACCOUNTS_AT_ONCE);
        const until = Date.now() + READING_FOR_MS;
        await Promise.all(sources.map((source) => limit(() => readNewSales(services, scope, source, until))));
        const held = await holdForSales(db, scope.run, sync.unbookedSalePatienceSeconds);
        return { held: held.length, accounts: sources.length };
      }),
    );
  };
}

async function readNewSales(
  services: ActivityServices,
  scope: RunScope,
  source: SaleSource,
  until: number,
): Promise<void> {
  const { db, events, sync } = services;
  const { accountId } = source;
  const call: Call = { ...scope.call, accountId };
  const since = salesKeptSince(sync.unbookedSalePatienceSeconds);
  let { cursor } = source;
  try {
    for (let pages = 0; pages < MOST_PAGES && Date.now() < until; pages += 1) {
      call.signal?.throwIfAborted();
      const page = await events.readSales(call, cursor);
      await recordSales(db, accountId, { sales: page.events, cursor: page.cursor, since });
      if (page.isLast || page.cursor === cursor) return;
      ({ cursor } = page);
    }
  } catch (error) {
    if (!(error instanceof SyncError) || endsTheRun(error, accountId, accountId === scope.run.accountId)) throw error;
    await leaveUnread(services, source, error);
  }
}

/** What stops the run in any case; everything else concerns the hint alone. */
function endsTheRun(error: SyncError, accountId: AccountId, isOwn: boolean): boolean {
  if (error.type === 'TokenRevoked') return isOwn;
  // Its own login has to wait: no reason for others to do so.
  if (error.facts.scope === `login:${accountId}`) return isOwn;
  if (error.type === 'ApplicationRefused') return !isOfTheRequest(error);
  return ['RateLimited', 'DependencyUnavailable', 'Superseded'].includes(error.type);
}

/** The call itself is refused: a place that is not kept any more, or a feed that is not there. */
function isOfTheRequest({ facts }: SyncError): boolean {
  return [400, 404, 422].includes(facts.status ?? 0);
}

/** Said once, not at every run. */
async function leaveUnread(
  { db, logger }: ActivityServices,
  { accountId, cursor, errorClass }: SaleSource,
  error: SyncError,
): Promise<void> {
  const { type, message } = error;
  const isCursorLost = cursor !== null && isOfTheRequest(error);
  await recordSaleFailure(db, accountId, { errorClass: type, message, isCursorLost });
  if (errorClass === type) return;
  logger.warn(
    { event: 'allegro_sync_sales_unread', accountId, errorClass: type },
    `the sales of account ${accountId} cannot be read, so that they hold nothing: ${message}`,
  );
}
