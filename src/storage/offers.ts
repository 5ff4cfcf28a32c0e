import { sql } from 'kysely';
import type { ChangeKind, OfferMemory, Quarantine } from '../domain/decision.js';
import type { SyncErrorType } from '../domain/errors.js';
import type { AccountId, OfferId, RunId, Sku } from '../domain/ids.js';
import type { EndingMemory } from '../domain/ending.js';
import type { EndedBy, ListedOffer, OfferStatus } from '../domain/marketplace.js';
import type { StockLevel } from '../domain/stock.js';
import type { Db } from './database.js';
import { toStoredText } from './stored-text.js';

/** What the database knows of the offers of one page. */
export interface OfferBackground {
  readonly memory: OfferMemory | null;
  readonly isExcluded: boolean;
  readonly quarantine: Quarantine | null;
  /** true: this run has counted it already (a page shifted, or the page is read again after a crash). */
  readonly isCounted: boolean;
}

const UNKNOWN_OFFER: OfferBackground = { memory: null, isExcluded: false, quarantine: null, isCounted: false };

interface BackgroundRow {
  offerId: OfferId;
  knownAvailable: number | null;
  knownAt: Date | null;
  sku: Sku | null;
  beforeWrite: number | null;
  beforeWriteStatus: OfferStatus | null;
  writtenAt: Date | null;
  endedBy: EndedBy | null;
  endedByFor: Date | null;
  endedByUsAt: Date | null;
  zeroSentAt: Date | null;
  sold: number;
  endedAt: Date | null;
  endingExplained: boolean | null;
  soldBeforeEnding: number | null;
  unbookedSince: Date | null;
  unbookedStockAt: Date | null;
  lastRunId: string | null;
  leftAloneFor: string | null;
  isExcluded: boolean;
  retryAt: Date | null;
  quarantineAvailable: number | null;
  quarantineStatus: OfferStatus | null;
  quarantineTarget: number | null;
  quarantineListedAs: string | null;
  hasUnsettledWrite: boolean;
  unsettledValue: number | null;
  unsettledAt: Date | null;
  hasPendingCommand: boolean;
}

/** Answers by which a first attempt has certainly not taken place. */
const REFUSALS = ['OfferRejected', 'OfferNotFound', 'AccessDenied', 'OfferConflict'] satisfies SyncErrorType[];

/**
 * A write that may have arrived, or may still: also one that was given up, whatever its last answer was. Settled by
 * reading the offer.
 */
const isUnsettled = sql`(c.state in ('sending', 'unknown')
  or (c.state = 'rejected' and c.value_sent is not null and c.reason is distinct from 'read_later'
    and not ${wasRefused('c')}))`;

/** Sent once, and that was refused. A zero and then an ending by status are two, whatever was counted. */
function wasRefused(change: 'c' | 's') {
  const column = (name: string) => sql.ref(`${change}.${name}`);
  return sql`(${column('attempts')} < 2 and ${column('error_class')} = any(${REFUSALS}::text[])
    and (${column('zero_sent_at')} is null or ${column('end_sent_at')} is null))`;
}

/** Reads the background of up to 1000 offers in one query; offers never seen come back as unknown. */
export async function readBackground(
  db: Db,
  run: { accountId: AccountId; runId: RunId },
  offers: readonly Pick<ListedOffer, 'offerId' | 'status' | 'available'>[],
): Promise<(offerId: OfferId) => OfferBackground> {
  const offerIds = offers.map((offer) => offer.offerId);
  const isDown = offers.map((offer) => offer.status === 'ENDED' || offer.available === 0);
  const { rows } = await sql<BackgroundRow>`
    with open_changes as (
      select c.offer_id, max(c.value_sent) as unsettled_value, max(c.sent_at) as unsettled_at,
        max(coalesce(c.end_sent_at, case when c.ends_by_status then c.sent_at end)) as ending_sent_at
      from offer_changes c
      where c.account_id = ${run.accountId} and ${isUnsettled} and c.run_id <> ${run.runId}
      group by c.offer_id
    ), open_commands as (
      -- By content: a change may have gone another way since, and the command may land all the same.
      select distinct jsonb_array_elements_text(m.offer_ids) as offer_id from commands m
      where m.account_id = ${run.accountId} and m.state in ('sent', 'accepted') and m.run_id <> ${run.runId}
    )
    select ids.offer_id,
      o.known_sku as sku, o.known_available, o.known_at, o.before_write, o.before_write_status, o.written_at,
      -- An ending without a known outcome that did take place was ours, if it is one that the marketplace calls USER.
      o.ended_by, o.ended_by_for, greatest(o.ended_by_us_at, c.ending_sent_at) as ended_by_us_at,
      z.zero_sent_at,
      o.sold, o.ended_at, o.ending_explained, o.sold_before_ending, o.unbooked_since, o.unbooked_stock_at, o.last_run_id,
      case when o.bucket = 'skipped' then o.reason end as left_alone_for,
      e.offer_id is not null as is_excluded,
      q.retry_at, q.available as quarantine_available, q.status as quarantine_status, q.target as quarantine_target,
      q.listed_as as quarantine_listed_as,
      c.offer_id is not null as has_unsettled_write, c.unsettled_value, c.unsettled_at,
      m.offer_id is not null as has_pending_command
    from unnest(${offerIds}::text[], ${isDown}::boolean[]) as ids (offer_id, is_down)
    left join offers o on o.account_id = ${run.accountId} and o.offer_id = ids.offer_id
    left join excluded_offers e on e.account_id = ${run.accountId} and e.offer_id = ids.offer_id
    left join quarantined_offers q on q.account_id = ${run.accountId} and q.offer_id = ids.offer_id
    left join open_changes c on c.offer_id = ids.offer_id
    left join open_commands m on m.offer_id = ids.offer_id
    -- The last thing that we have sent to an offer which shows nothing to sell: only where that is not explained yet, or
    -- where what is explained is the ending of before it.
    left join lateral (
      select case
        -- It was seen with pieces after that had taken place: what ends it from then on is not ours.
        when s.state = 'confirmed' and o.ending_explained is null and least(o.known_at, o.seen_at) > s.settled_at then null
        else greatest(s.zero_sent_at, s.end_sent_at) end as zero_sent_at
      from offer_changes s
      where s.account_id = ${run.accountId} and s.offer_id = ids.offer_id and s.sent_at is not null
        and not (s.state = 'rejected' and ${wasRefused('s')})
      order by s.planned_at desc limit 1
    ) z on ids.is_down and (o.ending_explained is not true or o.written_at > o.ended_at)`.execute(db);
  const byId = new Map(rows.map((row) => [row.offerId, toBackground(row, run.runId)]));
  return (offerId) => byId.get(offerId) ?? UNKNOWN_OFFER;
}

function toEnding({ endedAt, endingExplained, soldBeforeEnding }: BackgroundRow): EndingMemory | null {
  if (endingExplained === null || soldBeforeEnding === null) return null;
  return { endedAt, soldBefore: soldBeforeEnding, isExplained: endingExplained };
}

function toBackground(row: BackgroundRow, runId: RunId): OfferBackground {
  const { knownAvailable, knownAt, retryAt, quarantineAvailable, quarantineStatus, quarantineTarget } = row;
  const listedAs = row.quarantineListedAs;
  const unsettled =
    row.unsettledValue === null || row.unsettledAt === null
      ? null
      : { value: row.unsettledValue, sentAt: row.unsettledAt };
  return {
    memory:
      knownAvailable === null || knownAt === null
        ? null
        : { ...row, knownAvailable, knownAt, unsettled, ending: toEnding(row) },
    isExcluded: row.isExcluded,
    quarantine:
      retryAt === null || quarantineAvailable === null || quarantineStatus === null || quarantineTarget === null
        ? null
        : { retryAt, available: quarantineAvailable, status: quarantineStatus, target: quarantineTarget, listedAs },
    isCounted: row.lastRunId === runId,
  };
}

/** Stock of these SKUs, summed over warehouses; a SKU without a row is absent, which is not 0. */
export async function readStock(db: Db, skus: readonly Sku[]): Promise<ReadonlyMap<Sku, StockLevel>> {
  const { rows } = await sql<StockLevel>`
    select sku, least(sum(quantity), 2147483647)::integer as quantity, max(updated_at) as updated_at,
      (select max(e.bought_at) from sales e where e.sku = l.sku) as last_sale_at
    from stock_levels l where sku = any(${[...new Set(skus)]}::text[]) group by sku`.execute(db);
  return new Map(rows.map((row) => [row.sku, row]));
}

/** The database's clock: the only one that is compared with `updated_at` of the stock. */
export async function readDatabaseTime(db: Db): Promise<Date> {
  const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error('the database did not tell its time');
  return row.now;
}

/** One offer as a scan saw it and judged it. */
export interface ScannedOffer {
  readonly offer: ListedOffer;
  /** From before the offer was requested. */
  readonly seenAt: Date;
  /** What we know its number and its SKU to be, and from when: not what a doubtful listing shows. */
  readonly known: { readonly available: number; readonly at: Date; readonly sku: Sku | null };
  /** false: the offer itself could not be asked, and the listing is doubtful. Nothing is concluded from it. */
  readonly isCertain: boolean;
  readonly bucket: 'skipped' | 'in_sync' | 'pending' | 'change';
  readonly reason: string | null;
  /** Set when it was asked of the offer itself. */
  readonly endedBy: EndedBy | null;
  readonly unbookedSince: Date | null;
  readonly unbookedStockAt: Date | null;
  readonly ending: EndingMemory | null;
  readonly hasStock: boolean;
  readonly change: {
    readonly kind: ChangeKind;
    /** `superseded`: it will not be made, for this reason. */
    readonly state: 'planned' | 'held' | 'superseded';
    readonly reason: string | null;
    readonly target: number;
    /** Set when a person is to be told why it is not made. */
    readonly failure?: { readonly errorClass: string; readonly message: string };
  } | null;
}

/**
 * Stores a part of a scan: what the offers are now and which changes they need, in one transaction, so that an offer
 * counts as seen exactly when its change is planned. What the run has seen later stays: a worker may have slept with its page.
 * @returns false: a newer run owns the account, nothing was stored
 */
export async function recordScan(
  db: Db,
  run: { accountId: AccountId; runId: RunId; fence: number },
  scanned: readonly ScannedOffer[],
): Promise<boolean> {
  if (scanned.length === 0) return true;
  const column = <Value>(read: (row: ScannedOffer) => Value): Value[] => scanned.map(read);
  return db.transaction().execute(async (trx) => {
    const owner = await sql`
      select from accounts where id = ${run.accountId} and fence = ${run.fence} for share`.execute(trx);
    if (owner.rows.length === 0) return false;
    const { rows } = await sql<{ offerId: string }>`
      insert into offers as o (account_id, offer_id, sku, name, format, status, available, sold, is_fulfillment,
        ended_at, ended_by, ended_by_for, known_available, known_at, unbooked_since, unbooked_stock_at, had_stock,
        last_run_id, bucket, reason, seen_at, ending_explained, sold_before_ending, known_sku, listed_as)
      select ${run.accountId}, u.offer_id, u.sku, u.name, u.format, u.status, u.available, u.sold, u.is_fulfillment,
        u.ended_at, u.ended_by, case when u.ended_by is not null then u.ended_at end,
        u.known_available, least(clock_timestamp(), u.known_at),
        u.unbooked_since, u.unbooked_stock_at, u.had_stock, ${run.runId}, u.bucket, u.reason, u.seen_at,
        u.ending_explained, u.sold_before_ending, u.known_sku, u.listed_as
      from unnest(
        ${column((row) => row.offer.offerId)}::text[], ${column((row) => row.offer.sku)}::text[],
        ${column((row) => toStoredText(row.offer.name))}::text[], ${column((row) => row.offer.format)}::text[],
        ${column((row) => row.offer.status)}::text[], ${column((row) => row.offer.available)}::integer[],
        ${column((row) => row.offer.sold)}::integer[], ${column((row) => row.offer.isFulfillment)}::boolean[],
        ${column((row) => row.offer.endedAt)}::timestamptz[], ${column((row) => row.endedBy)}::text[],
        ${column((row) => row.unbookedSince?.toISOString() ?? null)}::timestamptz[],
        ${column((row) => row.unbookedStockAt?.toISOString() ?? null)}::timestamptz[],
        ${column((row) => row.hasStock)}::boolean[], ${column((row) => row.bucket)}::text[],
        ${column((row) => row.reason)}::text[], ${column((row) => row.seenAt.toISOString())}::timestamptz[],
        ${column((row) => row.known.available)}::integer[], ${column((row) => row.known.at.toISOString())}::timestamptz[],
        ${column((row) => row.ending?.isExplained ?? null)}::boolean[], ${column((row) => row.ending?.soldBefore ?? null)}::integer[],
        ${column((row) => row.known.sku)}::text[], ${column((row) => row.offer.listedAs)}::text[]
      ) as u (offer_id, sku, name, format, status, available, sold, is_fulfillment, ended_at, ended_by,
        unbooked_since, unbooked_stock_at, had_stock, bucket, reason, seen_at, known_available, known_at, ending_explained, sold_before_ending,
        known_sku, listed_as)
      on conflict (account_id, offer_id) do update set
        sku = excluded.sku, name = excluded.name, format = excluded.format, status = excluded.status,
        available = excluded.available, sold = excluded.sold, is_fulfillment = excluded.is_fulfillment,
        ended_at = excluded.ended_at,
        ended_by = coalesce(excluded.ended_by, o.ended_by),
        ended_by_for = coalesce(excluded.ended_by_for, o.ended_by_for),
        known_available = excluded.known_available, known_at = excluded.known_at,
        unbooked_since = excluded.unbooked_since, unbooked_stock_at = excluded.unbooked_stock_at,
        had_stock = (o.had_stock and o.sku is not distinct from excluded.sku) or excluded.had_stock,
        last_run_id = excluded.last_run_id, bucket = excluded.bucket, reason = excluded.reason,
        seen_at = excluded.seen_at, ending_explained = excluded.ending_explained,
        sold_before_ending = excluded.sold_before_ending, gone_at = null, looked_at = null,
        known_sku = excluded.known_sku, listed_as = coalesce(excluded.listed_as, o.listed_as)
      where o.last_run_id is distinct from ${run.runId} or o.seen_at <= excluded.seen_at
      returning o.offer_id`.execute(trx);
    const stored = new Set(rows.map((row) => row.offerId));
    const fresh = scanned.filter((row) => stored.has(row.offer.offerId));
    await settleByReading(
      trx,
      run,
      fresh.filter((row) => row.isCertain).map((row) => row.offer),
    );
    const changes = fresh.flatMap((row) => (row.change === null ? [] : [{ ...row, change: row.change }]));
    if (changes.length === 0) return true;
    await trx
      .insertInto('offerChanges')
      .values(
        changes.map(({ offer, change }) => ({
          runId: run.runId,
          offerId: offer.offerId,
          accountId: run.accountId,
          sku: offer.sku ?? '',
          kind: change.kind,
          state: change.state,
          reason: change.reason,
          valueBefore: offer.available,
          statusBefore: offer.status,
          soldBefore: offer.sold,
          target: change.target,
          errorClass: change.failure?.errorClass ?? null,
          errorMessage: change.failure?.message ?? null,
          settledAt: change.failure === undefined ? null : sql<Date>`clock_timestamp()`,
        })),
      )
      .onConflict((conflict) => conflict.columns(['runId', 'offerId']).doNothing())
      .execute();
    return true;
  });
}

/**
 * What a run has seen answers what earlier runs left open, except where a command is still at work. An ending by status
 * that did take place was ours, even if its answer was lost; a zero ends as EMPTY_STOCK.
 */
async function settleByReading(
  trx: Db,
  run: { accountId: AccountId; runId: RunId },
  offers: readonly ListedOffer[],
): Promise<void> {
  if (offers.length === 0) return;
  await sql`
    with settled as (
      update offer_changes c set reason = 'read_later', settled_at = clock_timestamp(),
        -- It runs: what ends it from now on is not what we have sent before, unless that was accepted and may be under way.
        zero_sent_at = case when u.status = 'ENDED' or u.available = 0 or c.operation is not null then c.zero_sent_at end,
        end_sent_at = case when u.status = 'ENDED' or u.available = 0 or c.operation is not null then c.end_sent_at end,
        state = case when c.state = 'rejected' then c.state when c.value_sent = u.available or (c.kind = 'end' and u.status = 'ENDED') then 'confirmed'
          else 'superseded' end
      from unnest(${offers.map((offer) => offer.offerId)}::text[], ${offers.map((offer) => offer.available)}::integer[],
        ${offers.map((offer) => offer.status)}::text[]) as u (offer_id, available, status)
      where c.account_id = ${run.accountId} and c.offer_id = u.offer_id and c.run_id <> ${run.runId}
        and ${isUnsettled}
        and not exists (select 1 from commands m where m.account_id = ${run.accountId}
          and m.state in ('sent', 'accepted') and m.offer_ids ? c.offer_id)
      returning c.offer_id, c.sent_at, c.value_before,
        case c.kind when 'end' then 'ACTIVE' when 'reactivate' then c.status_before end as status_before,
        case when u.status = 'ENDED' then coalesce(c.end_sent_at, case when c.ends_by_status then c.sent_at end) end
          as ended_by_us_at,
        coalesce(c.sent_at is not null
          and case when u.status = 'ENDED' or u.available = 0 then c.kind = 'end' else c.value_sent = u.available end,
          false) as has_taken_place
    ), newest as (
      select distinct on (offer_id) *, max(ended_by_us_at) over (partition by offer_id) as our_ending_at
      from settled order by offer_id, has_taken_place desc, sent_at desc
    )
    update offers o set ended_by_us_at = greatest(o.ended_by_us_at, n.our_ending_at),
      -- Written like what was confirmed at once: the listing may show for hours what was there before.
      written_at = case when n.is_news then n.sent_at else o.written_at end,
      before_write = case when n.is_news then n.value_before else o.before_write end,
      before_write_status = case when n.is_news then n.status_before else o.before_write_status end
    from (
      select w.*, w.has_taken_place and coalesce(p.written_at < w.sent_at, true) as is_news
      from newest w join offers p on p.account_id = ${run.accountId} and p.offer_id = w.offer_id
    ) n
    where o.account_id = ${run.accountId} and o.offer_id = n.offer_id`.execute(trx);
  const running = offers.filter(({ status, available }) => status !== 'ENDED' && available > 0);
  await trx
    .updateTable('offers')
    .set({ endedByUsAt: null })
    .where('accountId', '=', run.accountId)
    .where('offerId', '=', sql<string>`any(${running.map((offer) => offer.offerId)}::text[])`)
    .where('endedByUsAt', 'is not', null)
    .execute();
}
