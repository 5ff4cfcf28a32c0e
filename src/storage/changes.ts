import { sql, type Selectable } from 'kysely';
import type { ChangeKind } from '../domain/decision.js';
import { toOfferId, toSku, type AccountId, type CommandId, type OfferId, type RunId, type Sku } from '../domain/ids.js';
import { toEndedBy, type EndedBy, type OfferStatus } from '../domain/marketplace.js';
import { inTransaction, type Db } from './database.js';
import type { OfferChangesTable } from './schema.js';

/** Tells one marking of a change as about to be sent from all others: its time, to the microsecond. */
export type Mark = string;

/** One differing offer of one run. */
export interface OfferChange {
  readonly runId: RunId;
  readonly accountId: AccountId;
  readonly offerId: OfferId;
  readonly sku: Sku;
  readonly kind: ChangeKind;
  readonly state: OfferChangesTable['state'];
  readonly reason: string | null;
  readonly valueBefore: number;
  readonly statusBefore: OfferStatus;
  readonly target: number;
  /** null: never sent. */
  readonly valueSent: number | null;
  /** Answers of the marketplace so far; what was nobody's answer is not counted. */
  readonly attempts: number;
  /** Set while a write that was answered `accepted` is being carried out. */
  readonly operation: string | null;
  /** When a zero, and an ending by publication status, were sent that may have arrived, whatever was sent since. */
  readonly zeroSentAt: Date | null;
  readonly endSentAt: Date | null;
  /** Of what was sent last: it ends the offer by its publication status. */
  readonly endsByStatus: boolean;
  readonly errorClass: string | null;
  /** Pieces sold in 30 days, as the scan saw them. */
  readonly sold: number;
  /** Who ended the offer, as far as the scan knew. */
  readonly endedBy: EndedBy | null;
  /** The way it went, or is to go. */
  readonly route: ChangeRow['route'];
  /** From when `valueBefore` was known. */
  readonly knownAt: Date;
  readonly sentAt: Date | null;
  /** Of the last marking; null: there was none, or it was taken back. */
  readonly mark: Mark | null;
}

type ChangeRow = Selectable<OfferChangesTable> & {
  sold: number | null;
  endedBy: string | null;
  knownAt: Date | null;
  mark: Mark | null;
};

function toChange(run: { runId: RunId; accountId: AccountId }, row: ChangeRow): OfferChange {
  const sku = toSku(row.sku);
  if (sku === null) throw new Error(`offer_changes: offer ${row.offerId} has no SKU`);
  return {
    ...run,
    offerId: toOfferId(row.offerId),
    sku,
    kind: row.kind,
    state: row.state,
    route: row.route,
    reason: row.reason,
    valueBefore: row.valueBefore,
    statusBefore: toStatus(row.statusBefore),
    target: row.target,
    valueSent: row.valueSent,
    attempts: row.attempts,
    operation: row.operation,
    zeroSentAt: row.zeroSentAt,
    endSentAt: row.endSentAt,
    endsByStatus: row.endsByStatus,
    errorClass: row.errorClass,
    sold: row.sold ?? 0,
    endedBy: row.endedBy === null ? null : toEndedBy(row.endedBy),
    knownAt: row.knownAt ?? row.plannedAt,
    sentAt: row.sentAt,
    mark: row.mark,
  };
}

function toStatus(value: string): OfferStatus {
  if (value === 'ACTIVE' || value === 'ENDED' || value === 'INACTIVE' || value === 'ACTIVATING') return value;
  throw new Error(`offer_changes: unknown status "${value}"`);
}

type Run = { readonly runId: RunId; readonly accountId: AccountId };

function changesOf(db: Db, run: Run) {
  return db
    .selectFrom('offerChanges as c')
    .leftJoin('offers as o', (join) =>
      join.onRef('o.accountId', '=', 'c.accountId').onRef('o.offerId', '=', 'c.offerId'),
    )
    .selectAll('c')
    .select(['o.sold', 'o.endedBy', 'o.knownAt', sql<Mark | null>`c.sent_at::text`.as('mark')])
    .where('c.runId', '=', run.runId);
}

/** The changes of one batch that still need an answer, most dangerous first. */
export async function readBatch(db: Db, run: Run, batch: number): Promise<OfferChange[]> {
  const rows = await changesOf(db, run)
    .where('c.batch', '=', batch)
    .where('c.route', '=', 'patch')
    .where('c.state', 'in', ['planned', 'sending'])
    .orderBy('c.offerId')
    .execute();
  return rows.map((row) => toChange(run, row));
}

/** null: this run has no such change. */
export async function readChange(db: Db, run: Run, offerId: OfferId): Promise<OfferChange | null> {
  const row = await changesOf(db, run).where('c.offerId', '=', offerId).executeTakeFirst();
  return row === undefined ? null : toChange(run, row);
}

export async function readCommandChanges(db: Db, run: Run, commandId: string): Promise<OfferChange[]> {
  const rows = await changesOf(db, run).where('c.commandId', '=', commandId).orderBy('c.offerId').execute();
  return rows.map((row) => toChange(run, row));
}

/** What is about to be sent. */
export interface Sending {
  /** `mark`: as it was when the change was read. */
  readonly changes: readonly { readonly offerId: OfferId; readonly target: number; readonly mark: Mark | null }[];
  /** The command that carries them; null: each goes alone. */
  readonly commandId: CommandId | null;
  /** null: of the kind that was planned. */
  readonly kind: ChangeKind | null;
  /** true: ended by its publication status, not by a zero. */
  readonly endsByStatus: boolean;
}

/**
 * - `superseded`: another run has taken the account over
 * - `taken`: one of the changes has ended, was marked by somebody else since it was read, or left the command
 */
export type Marking =
  { readonly kind: 'marked'; readonly mark: Mark } | { readonly kind: 'superseded' } | { readonly kind: 'taken' };

/** A run that marks only as long as no newer one has opened. */
type FencedRun = Run & { readonly fence: number };

/**
 * Marks changes as about to be sent, all or none, if this run still owns the account and they are as they were read, and
 * uses up the approvals that let them through. Unless they are marked, nothing may be sent. The shared lock on the
 * account's row keeps a new run from opening in the middle of the statement.
 */
export async function markSending(db: Db, run: FencedRun, sending: Sending): Promise<Marking> {
  const offerIds = sending.changes.map(({ offerId }) => offerId);
  const targets = sending.changes.map(({ target }) => target);
  const marks = sending.changes.map(({ mark }) => mark);
  const { rows } = await sql<{ isOwner: boolean; marked: number; mark: Mark | null }>`
    with owner as (
      select id from accounts where id = ${run.accountId} and fence = ${run.fence} for share
    ), wanted as (
      select w.offer_id, w.target, w.mark::timestamptz as mark
      from owner, unnest(${offerIds}::text[], ${targets}::integer[], ${marks}::text[]) as w (offer_id, target, mark)
    ), ready as (
      select c.offer_id, w.target from offer_changes c join wanted w on w.offer_id = c.offer_id
      where c.run_id = ${run.runId} and c.state in ('planned', 'sending') and c.sent_at is not distinct from w.mark
        and (${sending.commandId}::uuid is null or c.command_id = ${sending.commandId}::uuid) for update of c
    ), moment as (
      select clock_timestamp() as now
    ), marked as (
      update offer_changes c set state = 'sending', kind = coalesce(${sending.kind}::text, c.kind),
        target = r.target, value_sent = r.target, ends_by_status = ${sending.endsByStatus}, operation = null,
        -- Another number went out before and nobody knows whether it arrived: it may land after this one.
        reason = case when c.value_sent <> r.target then 'overtakes' else c.reason end,
        sent_before = case when c.value_sent <> r.target then c.sent_before || c.value_sent else c.sent_before end,
        sent_at = (select now from moment),
        zero_sent_at = case when r.target = 0 and not ${sending.endsByStatus} then (select now from moment)
          else c.zero_sent_at end,
        end_sent_at = case when ${sending.endsByStatus} then (select now from moment) else c.end_sent_at end
      from ready r
      where c.run_id = ${run.runId} and c.offer_id = r.offer_id
        and (select count(*) from ready) = ${offerIds.length}::integer
      returning c.offer_id, c.target, c.sent_at
    ), used as (
      update approvals p set used_at = clock_timestamp(), used_by = ${run.runId}
      from marked m
      where p.account_id = ${run.accountId} and p.offer_id = m.offer_id and p.target = m.target
        and p.used_at is null and p.expires_at > clock_timestamp()
    )
    select exists (select from owner) as is_owner, count(*)::integer as marked, max(sent_at)::text as mark
    from marked`.execute(db);
  const [row] = rows;
  if (row === undefined || !row.isOwner) return { kind: 'superseded' };
  return row.mark !== null && row.marked === offerIds.length ? { kind: 'marked', mark: row.mark } : { kind: 'taken' };
}

/**
 * Takes a mark back from changes that were to be sent for the first time and did not leave: nothing of them is on its
 * way, and their approvals still hold. Only what still carries this mark: a worker that was stopped may find that another
 * one has marked, and sent, the same change meanwhile.
 * @returns false: none of them does, or another run owns the account
 */
export async function unmarkSending(
  db: Db,
  run: FencedRun,
  offerIds: readonly OfferId[],
  mark: Mark,
): Promise<boolean> {
  const { rows } = await sql<{ unmarked: number }>`
    with owner as (
      select id from accounts where id = ${run.accountId} and fence = ${run.fence} for share
    ), unmarked as (
      update offer_changes c set state = 'planned', value_sent = null, sent_at = null, ends_by_status = false,
        zero_sent_at = null, end_sent_at = null
      from owner
      where c.run_id = ${run.runId} and c.offer_id = any(${offerIds}::text[]) and c.state = 'sending'
        and c.sent_at = ${mark}::timestamptz
      returning c.offer_id
    ), given_back as (
      update approvals p set used_at = null, used_by = null from unmarked u
      where p.account_id = ${run.accountId} and p.offer_id = u.offer_id and p.used_by = ${run.runId}
    )
    select count(*)::integer as unmarked from unmarked`.execute(db);
  return (rows[0]?.unmarked ?? 0) > 0;
}

/** Nothing was sent since by another worker. A mark that was taken back is no other. */
export function isStillMarked(mark: Mark | null) {
  return sql<boolean>`(sent_at is null or sent_at = ${mark}::timestamptz)`;
}

/** Keeps the operation of a write that was answered `accepted`, so that a restart polls it and does not send again. */
export async function recordOperation(
  db: Db,
  run: Run,
  { offerId, mark }: Pick<OfferChange, 'offerId' | 'mark'>,
  operation: string,
): Promise<void> {
  await db
    .updateTable('offerChanges')
    .set({ operation })
    .where('runId', '=', run.runId)
    .where('offerId', '=', offerId)
    .where('state', '=', 'sending')
    .where(isStillMarked(mark))
    .execute();
}

export interface Confirmation {
  readonly offerId: OfferId;
  /** What the marketplace shows now. */
  readonly available: number;
  /** true: ended by its publication status, which the marketplace will call USER. */
  readonly isEndedByStatus: boolean;
  readonly traceId: string | null;
  /** Of the sending that is confirmed: a worker that was stopped must not end what another one has sent since. */
  readonly mark: Mark | null;
}

/**
 * Records that the marketplace shows what was sent. A change that overtook a write of unknown outcome stays `unknown`
 * until a later run has read it.
 */
export async function confirmChanges(db: Db, run: Run, confirmations: readonly Confirmation[]): Promise<void> {
  if (confirmations.length === 0) return;
  const column = <Value>(read: (row: Confirmation) => Value): Value[] => confirmations.map(read);
  const offerIds = column((row) => row.offerId);
  await inTransaction(db, async (trx) => {
    await sql`
      with settled as (
        update offer_changes c set
          state = case when c.reason = 'overtakes' then 'unknown' else 'confirmed' end,
          attempts = c.attempts + 1, operation = null, error_class = null, error_code = null, error_message = null,
          answer = jsonb_build_object('available', u.available, 'traceId', u.trace_id), settled_at = clock_timestamp()
        from unnest(${offerIds}::text[], ${column((row) => row.available)}::integer[],
          ${column((row) => row.traceId)}::text[], ${column((row) => row.isEndedByStatus)}::boolean[],
          ${column((row) => row.mark)}::text[])
          as u (offer_id, available, trace_id, is_ended_by_status, mark)
        where c.run_id = ${run.runId} and c.offer_id = u.offer_id
          and c.sent_at is not distinct from u.mark::timestamptz and (c.state in ('sending', 'unknown')
          -- Given up, and done all the same: the command's report says so.
          or (c.state = 'rejected' and c.command_id is not null))
        returning c.offer_id, c.kind, c.value_before, c.status_before, c.sent_at, u.available, u.is_ended_by_status
      ), released as (
        delete from quarantined_offers q using settled s
        where q.account_id = ${run.accountId} and q.offer_id = s.offer_id
      )
      update offers o set known_available = s.available, known_at = s.sent_at, before_write = s.value_before,
        -- Whatever it was when it was planned: what we end has run.
        before_write_status = case s.kind when 'end' then 'ACTIVE' when 'reactivate' then s.status_before end,
        written_at = s.sent_at, unbooked_since = null, unbooked_stock_at = null,
        -- Why it had ended is forgotten when it is seen running: a return may be answered as done and not be carried out.
        ending_explained = case when s.kind in ('end', 'reactivate') then o.ending_explained end
      from settled s where o.account_id = ${run.accountId} and o.offer_id = s.offer_id
        -- A command of an earlier run may settle after the offer was seen or written again.
        and o.known_at <= s.sent_at`.execute(trx);
    // However late it became known, unless something was written since.
    await sql`
      update offers o set ended_by_us_at = coalesce(c.end_sent_at, c.sent_at) from offer_changes c
      where c.run_id = ${run.runId} and o.account_id = ${run.accountId} and o.offer_id = c.offer_id
        and c.offer_id = any(${confirmations.filter((row) => row.isEndedByStatus).map((row) => row.offerId)}::text[])
        and c.state in ('confirmed', 'unknown') and coalesce(o.written_at, c.sent_at) <= c.sent_at`.execute(trx);
  });
}

export interface UnsentEnd {
  readonly state: 'in_sync' | 'superseded' | 'held' | 'unknown';
  readonly reason: string;
  /** true: the offer shows what became of what was sent before. */
  readonly isOutcomeSeen?: boolean;
}

/**
 * Ends changes without a write: what became unnecessary, or is not ours to touch any more. What was sent before becomes
 * `unknown` instead: the next run reads what became of it. Only as they were read: a
 * worker that was stopped must not end what another one has sent meanwhile.
 * @returns how many were ended
 */
export async function closeUnsent(
  db: Db,
  run: Run,
  changes: readonly Pick<OfferChange, 'offerId' | 'mark'>[],
  end: UnsentEnd,
): Promise<number> {
  if (changes.length === 0) return 0;
  const isOutcomeSeen = end.state === 'in_sync' || end.isOutcomeSeen === true;
  const { numAffectedRows } = await sql`
    update offer_changes c set settled_at = clock_timestamp(),
      -- What was sent may have arrived, and an earlier number may land after it: until a later run has read it.
      state = case when c.value_sent is null or ${isOutcomeSeen} then ${end.state} else 'unknown' end,
      reason = case when c.reason = 'overtakes' and not ${isOutcomeSeen} then c.reason else ${end.reason} end
    from unnest(${changes.map(({ offerId }) => offerId)}::text[], ${changes.map(({ mark }) => mark)}::text[])
      as r (offer_id, mark)
    where c.run_id = ${run.runId} and c.offer_id = r.offer_id and c.state in ('planned', 'sending')
      and c.sent_at is not distinct from r.mark::timestamptz`.execute(db);
  return Number(numAffectedRows ?? 0n);
}

/**
 * Holds a change whose offer has sold pieces that the stock does not know of yet, and remembers what the offer shows now:
 * the next scan begins from there.
 */
export async function holdForUnbookedSale(
  db: Db,
  run: Run,
  change: Pick<OfferChange, 'offerId' | 'mark'>,
  seen: { readonly available: number; readonly stockAt: Date },
): Promise<void> {
  await inTransaction(db, async (trx) => {
    if ((await closeUnsent(trx, run, [change], { state: 'held', reason: 'unbooked_sale', isOutcomeSeen: true })) === 0)
      return;
    await trx
      .updateTable('offers')
      .set({
        knownAvailable: seen.available,
        knownAt: sql<Date>`clock_timestamp()`,
        unbookedSince: sql<Date>`clock_timestamp()`,
        unbookedStockAt: seen.stockAt,
      })
      .where('accountId', '=', run.accountId)
      .where('offerId', '=', change.offerId)
      .execute();
  });
}
