import { sql, type SelectQueryBuilder } from 'kysely';
import { bucketOfChange, type Bucket } from '../domain/buckets.js';
import type { AccountId } from '../domain/ids.js';
import type { Db } from './database.js';
import type { Database, OfferChangesTable } from './schema.js';

/** One run of one account, as people look at it. */
export interface RunReport {
  readonly runId: string;
  /** The run over all accounts it belongs to, or its own id. */
  readonly groupId: string;
  readonly accountId: string;
  readonly accountName: string;
  readonly trigger: string;
  readonly mode: 'preview' | 'live';
  /** null: still at work. */
  readonly outcome: string | null;
  readonly failure: { readonly class: string; readonly message: string } | null;
  /** Whether it saw every offer of the account. */
  readonly isComplete: boolean;
  readonly seen: number | null;
  readonly buckets: Readonly<Record<string, number>> | null;
  readonly skipped: Readonly<Record<string, number>> | null;
  readonly failed: Readonly<Record<string, number>> | null;
  readonly held: Readonly<Record<string, number>> | null;
  readonly requests: number;
  readonly batches: number;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}

function selectRuns(
  db: Db,
): SelectQueryBuilder<Database & { run: Database['syncRuns'] }, 'run' | 'accounts', RunReport> {
  return db
    .selectFrom('syncRuns as run')
    .innerJoin('accounts', 'accounts.id', 'run.accountId')
    .select([
      'run.id as runId',
      'run.groupId',
      'run.accountId',
      'accounts.name as accountName',
      'run.trigger',
      'run.mode',
      'run.outcome',
      'run.failure',
      'run.isComplete',
      'run.seen',
      'run.buckets',
      'run.skipped',
      'run.failed',
      'run.held',
      'run.requests',
      'run.batches',
      'run.startedAt',
      'run.finishedAt',
    ]);
}

/** The run with this id, or all runs of the group with this id; of one account, or of all. */
export async function findRuns(db: Db, runOrGroupId: string, accountId?: AccountId): Promise<RunReport[]> {
  let query = selectRuns(db).where((eb) =>
    eb.or([eb('run.id', '=', runOrGroupId), eb('run.groupId', '=', runOrGroupId)]),
  );
  if (accountId !== undefined) query = query.where('run.accountId', '=', accountId);
  return query.orderBy('run.accountId').orderBy('run.startedAt', 'desc').execute();
}

/** The newest run of each account. */
export async function lastRuns(db: Db): Promise<RunReport[]> {
  return selectRuns(db).distinctOn('run.accountId').orderBy('run.accountId').orderBy('run.startedAt', 'desc').execute();
}

/** One offer of one run, with its bucket and the reason for it. */
export interface RunOffer {
  readonly runId: string;
  readonly accountId: string;
  readonly offerId: string;
  readonly sku: string | null;
  readonly name: string | null;
  readonly bucket: Bucket;
  /** Of `skipped` and `held` the rule, of `failed` the class; else what there is to tell. */
  readonly reason: string | null;
  readonly kind: 'end' | 'lower' | 'reactivate' | 'raise' | null;
  readonly valueBefore: number;
  readonly target: number | null;
  /** What was sent last. */
  readonly valueSent: number | null;
  /** Other numbers that were sent before it, the first one first. */
  readonly sentBefore: readonly number[];
  readonly attempts: number;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  /** The marketplace's answer, such as its trace id. */
  readonly answer: Readonly<Record<string, unknown>> | null;
  readonly plannedAt: Date | null;
  readonly sentAt: Date | null;
  readonly settledAt: Date | null;
}

interface RunOfferRow extends Omit<RunOffer, 'bucket'> {
  readonly offerBucket: string | null;
  readonly offerReason: string | null;
  readonly state: OfferChangesTable['state'] | null;
  readonly errorClass: string | null;
  readonly mode: 'preview' | 'live';
}

/**
 * Every offer of these runs that is not in sync, by account and bucket; or those of one bucket, `in_sync` included.
 * Offers without a change are remembered only for the newest run of their account.
 */
export async function listRunOffers(db: Db, runIds: readonly string[], bucket?: Bucket): Promise<RunOffer[]> {
  const { rows } = await sql<RunOfferRow>`
    select r.id as run_id, r.account_id, r.mode, c.offer_id, c.sku, o.name, null as offer_bucket, null as offer_reason,
      c.state, c.reason, c.kind, c.value_before, c.target, c.value_sent, c.sent_before, c.attempts, c.error_class, c.error_code,
      c.error_message, c.answer, c.planned_at, c.sent_at, c.settled_at
    from offer_changes c
    join sync_runs r on r.id = c.run_id
    left join offers o on o.account_id = c.account_id and o.offer_id = c.offer_id
    where c.run_id = any(${runIds}::uuid[])
    union all
    select r.id, r.account_id, r.mode, o.offer_id, o.sku, o.name, o.bucket, o.reason,
      null, null, null, o.available, null, null, '{}', 0, null, null, null, null, null, null, null
    from offers o
    join sync_runs r on r.id = o.last_run_id and r.account_id = o.account_id
    where o.last_run_id = any(${runIds}::uuid[])
      and (o.bucket <> 'in_sync' or ${bucket === 'in_sync'})
      and not exists (select from offer_changes c where c.run_id = o.last_run_id and c.offer_id = o.offer_id)
    order by 2, 4`.execute(db);
  const offers = rows.map(toRunOffer);
  return bucket === undefined ? offers : offers.filter((offer) => offer.bucket === bucket);
}

const SKIPPED_LATER = 'skipped:';

function toRunOffer(row: RunOfferRow): RunOffer {
  const { offerBucket, offerReason, state, errorClass, mode, ...offer } = row;
  if (state === null || offer.kind === null) {
    const isKnown = offerBucket === 'skipped' || offerBucket === 'in_sync';
    return { ...offer, bucket: isKnown ? offerBucket : 'pending', reason: offerReason };
  }
  // Between scan and send it became an offer that is not ours to touch.
  if (state === 'superseded' && offer.reason?.startsWith(SKIPPED_LATER) === true) {
    return { ...offer, bucket: 'skipped', reason: offer.reason.slice(SKIPPED_LATER.length) };
  }
  const bucket = bucketOfChange({ kind: offer.kind, state, isPreview: mode === 'preview' });
  return { ...offer, bucket, reason: bucket === 'failed' ? errorClass : offer.reason };
}

/** One change of an offer, sent or not, as `history` shows it. */
export interface ChangeRecord extends RunOffer {
  readonly state: OfferChangesTable['state'];
  readonly errorClass: string | null;
}

/** The changes of an offer, or of all offers of a SKU, the newest first. */
export async function listHistory(
  db: Db,
  query: { readonly offerOrSku: string; readonly accountId?: AccountId; readonly limit: number },
): Promise<ChangeRecord[]> {
  const { rows } = await sql<RunOfferRow & { state: OfferChangesTable['state'] }>`
    select r.id as run_id, r.account_id, r.mode, c.offer_id, c.sku, o.name, null as offer_bucket, null as offer_reason,
      c.state, c.reason, c.kind, c.value_before, c.target, c.value_sent, c.sent_before, c.attempts, c.error_class, c.error_code,
      c.error_message, c.answer, c.planned_at, c.sent_at, c.settled_at
    from offer_changes c
    join sync_runs r on r.id = c.run_id
    left join offers o on o.account_id = c.account_id and o.offer_id = c.offer_id
    where (c.offer_id = ${query.offerOrSku} or c.sku = ${query.offerOrSku})
      and (${query.accountId ?? null}::text is null or c.account_id = ${query.accountId ?? null})
    order by c.planned_at desc, c.offer_id
    limit ${query.limit}`.execute(db);
  return rows.map((row) => ({ ...toRunOffer(row), state: row.state, errorClass: row.errorClass }));
}

/** Whether any offer seen so far, or the stock, has this offer number or SKU. */
export async function isKnownOfferOrSku(db: Db, offerOrSku: string): Promise<boolean> {
  const { rows } = await sql<{ isKnown: boolean }>`
    select exists (select from offers where offer_id = ${offerOrSku} or sku = ${offerOrSku})
      or exists (select from stock_levels where sku = ${offerOrSku}) as is_known`.execute(db);
  return rows[0]?.isKnown ?? false;
}

/** The offer of this number, or the offers of this SKU, as they were seen last. */
export function readOffersOf(
  db: Db,
  { offerOrSku, account, limit }: { offerOrSku: string; account: string | undefined; limit: number },
) {
  return db
    .selectFrom('offers')
    .select(['accountId', 'offerId', 'sku', 'bucket', 'reason', 'available', 'seenAt', 'goneAt'])
    .where((eb) => eb.or([eb('offerId', '=', offerOrSku), eb('sku', '=', offerOrSku)]))
    .$if(account !== undefined, (query) => query.where('accountId', '=', account ?? ''))
    .orderBy('accountId')
    .orderBy('offerId')
    .limit(limit)
    .execute();
}

/** SKUs that several running offers sell: each shows the full number, so together they can sell more than there is. */
export interface SharedSkus {
  readonly skus: number;
  /** Of these, how many have several offers within one account. */
  readonly withinOneAccount: number;
}

export async function countSharedSkus(db: Db): Promise<SharedSkus> {
  const { rows } = await sql<SharedSkus>`
    with per_account as (
      select sku, account_id, count(*) as offers from offers
      where status = 'ACTIVE' and sku is not null group by sku, account_id
    ), per_sku as (select sku, sum(offers) as offers, max(offers) as in_one from per_account group by sku)
    select count(*) filter (where offers > 1)::integer as skus,
      count(*) filter (where in_one > 1)::integer as within_one_account
    from per_sku`.execute(db);
  return rows[0] ?? { skus: 0, withinOneAccount: 0 };
}
