import { sql } from 'kysely';
import { FLIPS_UNTIL_CONTESTED, FLIPS_WITHIN_HOURS, OFFER_CONTESTED, type Contest } from '../domain/contested.js';
import type { AccountId, OfferId, RunId } from '../domain/ids.js';
import type { OfferStatus } from '../domain/marketplace.js';
import type { Db } from './database.js';

interface WriteRow {
  offerId: OfferId;
  isOpen: boolean;
  value: number | null;
  available: number;
  status: OfferStatus;
  sold: number | null;
  nextAvailable: number | null;
  nextStatus: OfferStatus | null;
  nextSold: number | null;
}

/** Of these offers, at most 1000, those that others may write to; the rest is absent. */
export async function readContests(
  db: Db,
  run: { accountId: AccountId; runId: RunId },
  offerIds: readonly OfferId[],
): Promise<ReadonlyMap<OfferId, Contest>> {
  if (offerIds.length === 0) return new Map();
  const { rows } = await sql<WriteRow>`
    with told as (
      select offer_id, bool_or(state = 'open') as is_open, max(resolved_at) as resolved_at
      from incidents where account_id = ${run.accountId} and class = ${OFFER_CONTESTED}
        and offer_id = any(${offerIds}::text[])
      group by offer_id
    ), sights as (
      -- What turned out to be right before it was sent had been seen wrongly; what could not be read was not seen.
      select c.*, lead(value_before) over later as next_available, lead(status_before) over later as next_status,
        lead(sold_before) over later as next_sold
      from offer_changes c
      where c.account_id = ${run.accountId} and c.offer_id = any(${offerIds}::text[]) and c.run_id <> ${run.runId}
        and c.planned_at > clock_timestamp() - make_interval(hours => ${FLIPS_WITHIN_HOURS}) and c.state <> 'in_sync'
        and coalesce(c.reason, '') not like 'unreadable:%'
      window later as (partition by c.offer_id order by c.planned_at)
    ), writes as (
      select s.*, count(*) over (partition by s.offer_id) as of_offer
      from sights s left join told t on t.offer_id = s.offer_id
      where s.state = 'confirmed' and s.sent_at > coalesce(t.resolved_at, '-infinity')
    )
    select ids.offer_id, coalesce(t.is_open, false) as is_open, w.value_sent as value, w.value_before as available,
      w.status_before as status, w.sold_before as sold, w.next_available, w.next_status, w.next_sold
    from unnest(${offerIds}::text[]) as ids (offer_id)
    left join told t on t.offer_id = ids.offer_id
    left join writes w on w.offer_id = ids.offer_id and w.of_offer >= ${FLIPS_UNTIL_CONTESTED}
    where t.is_open or w.offer_id is not null
    order by ids.offer_id, w.planned_at`.execute(db);
  const contests = new Map<OfferId, Contest>();
  for (const row of rows) {
    const before = contests.get(row.offerId)?.writes ?? [];
    contests.set(row.offerId, { isOpen: row.isOpen, writes: [...before, ...toWrites(row)] });
  }
  return contests;
}

function toWrites(row: WriteRow): Contest['writes'] {
  const { value, nextAvailable, nextStatus } = row;
  if (value === null) return [];
  const next =
    nextAvailable === null || nextStatus === null
      ? null
      : { available: nextAvailable, status: nextStatus, sold: row.nextSold };
  return [{ value, before: { available: row.available, status: row.status, sold: row.sold }, next }];
}
