import { sql } from 'kysely';
import { toOfferId, toSku, type AccountId, type OfferId, type RunId } from '../domain/ids.js';
import type { Db } from './database.js';

type Run = {
  readonly runId: RunId;
  readonly accountId: AccountId;
  readonly skus: readonly string[] | null;
  readonly startedAt: Date;
};

/** An offer that was seen before, as far as only the listing tells of it. */
export interface MissingOffer {
  readonly offerId: OfferId;
  readonly name: string;
  readonly sold: number;
  readonly isFulfillment: boolean;
}

/**
 * Offers of the run's scope that were seen before and not by this run, are not known to be gone, and were not asked for
 * by this run yet; those first of which nothing was heard for longest.
 */
export async function readMissingOffers(db: Db, run: Run, limit: number): Promise<MissingOffer[]> {
  const skus = run.skus === null ? null : run.skus.flatMap((text) => toSku(text) ?? []);
  const { rows } = await sql<{ offerId: string; name: string; sold: number; isFulfillment: boolean }>`
    select offer_id, name, sold, is_fulfillment from offers
    where account_id = ${run.accountId} and last_run_id is distinct from ${run.runId} and gone_at is null
      and (looked_at is null or looked_at < ${run.startedAt})
      and (${skus}::text[] is null or sku = any(${skus}::text[]))
    order by greatest(seen_at, looked_at), offer_id limit ${limit}`.execute(db);
  return rows.map((row) => ({ ...row, offerId: toOfferId(row.offerId) }));
}

/** Remembers that offers were asked for: `gone` are not there any more, `left` have their turn in the next run. */
export async function markLooked(
  db: Db,
  run: Pick<Run, 'accountId'>,
  offers: { readonly gone: readonly OfferId[]; readonly left: readonly OfferId[] },
): Promise<void> {
  if (offers.gone.length + offers.left.length === 0) return;
  await sql`
    update offers set looked_at = clock_timestamp(),
      gone_at = case when offer_id = any(${[...offers.gone]}::text[]) then clock_timestamp() end
    where account_id = ${run.accountId} and offer_id = any(${[...offers.gone, ...offers.left]}::text[])`.execute(db);
}

/** Offers that this run has counted. */
export async function countSeen(db: Db, run: Pick<Run, 'runId' | 'accountId'>): Promise<number> {
  const { count } = await db
    .selectFrom('offers')
    .select(({ fn }) => fn.countAll<string>().as('count'))
    .where('accountId', '=', run.accountId)
    .where('lastRunId', '=', run.runId)
    .executeTakeFirstOrThrow();
  return Number(count);
}
