import { sql } from 'kysely';
import type { SyncErrorType } from '../domain/errors.js';
import { toOfferId, type AccountId, type OfferId, type RunId } from '../domain/ids.js';
import { isStillMarked, type Mark } from './changes.js';
import { inTransaction, type Db } from './database.js';
import { toStoredText } from './stored-text.js';

type Run = { readonly runId: RunId; readonly accountId: AccountId };

export interface FailedAttempt {
  readonly offerId: OfferId;
  /** Of what was answered: another worker may have sent the change again since. */
  readonly mark: Mark | null;
  readonly errorClass: SyncErrorType;
  readonly code: string | null;
  readonly message: string;
  readonly traceId: string | null;
  /** What a person can do about it; null: not known. */
  readonly whatToDo: string | null;
  /**
   * - `again`: stays `sending`; another attempt follows
   * - `command`, `end_command`: tried once more by that route
   * - `rejected`: final
   */
  readonly next: 'again' | 'command' | 'end_command' | 'patch' | 'rejected';
  /** true: not to be hammered by the next runs. */
  readonly isQuarantined: boolean;
}

/** Hours until a rejected offer is tried again, by the number of rejections; the last one repeats. */
const QUARANTINE_HOURS = [1, 6, 24];

/** Counts an answer of the marketplace that was not a success. */
export async function recordFailedAttempt(db: Db, run: Run, attempt: FailedAttempt): Promise<void> {
  const code = attempt.code === null ? null : toStoredText(attempt.code);
  const message = toStoredText(attempt.message);
  await inTransaction(db, async (trx) => {
    const { numUpdatedRows } = await trx
      .updateTable('offerChanges')
      .set({
        attempts: sql<number>`attempts + 1`,
        errorClass: attempt.errorClass,
        errorCode: code,
        errorMessage: message,
        answer: JSON.stringify({ code, traceId: attempt.traceId, whatToDo: attempt.whatToDo }),
        operation: null,
        ...(attempt.next === 'again' ? { state: 'sending' } : {}),
        ...(attempt.next === 'rejected' ? { state: 'rejected', settledAt: sql<Date>`clock_timestamp()` } : {}),
        ...(attempt.next === 'command' || attempt.next === 'end_command' || attempt.next === 'patch'
          ? { state: 'planned', route: attempt.next, batch: null, commandId: null }
          : {}),
      })
      .where('runId', '=', run.runId)
      .where('offerId', '=', attempt.offerId)
      .where('state', 'in', ['planned', 'sending'])
      .where(isStillMarked(attempt.mark))
      .executeTakeFirst();
    // Counted once, however often the same answer is read.
    if (numUpdatedRows === 0n || !attempt.isQuarantined || attempt.next !== 'rejected') return;
    await sql`
      insert into quarantined_offers as q
        (account_id, offer_id, error_class, error_code, message, available, status, target, retry_at, listed_as)
      select c.account_id, c.offer_id, ${attempt.errorClass}, ${code}, ${message}, c.value_before,
        c.status_before, c.target, clock_timestamp() + make_interval(hours => ${QUARANTINE_HOURS[0]}),
        (select o.listed_as from offers o where o.account_id = c.account_id and o.offer_id = c.offer_id)
      from offer_changes c where c.run_id = ${run.runId} and c.offer_id = ${attempt.offerId}
      on conflict (account_id, offer_id) do update set error_class = excluded.error_class,
        error_code = excluded.error_code, message = excluded.message, available = excluded.available,
        status = excluded.status, target = excluded.target, listed_as = excluded.listed_as, rejections = q.rejections + 1,
        retry_at = clock_timestamp() + make_interval(hours =>
          (${QUARANTINE_HOURS}::integer[])[least(q.rejections + 1, ${QUARANTINE_HOURS.length})])`.execute(trx);
  });
}

/** Gives up on a change whose declared attempts are used up. */
export async function rejectChange(
  db: Db,
  run: Run,
  offerId: OfferId,
  failure: { errorClass: string; message: string },
): Promise<void> {
  await db
    .updateTable('offerChanges')
    .set({
      state: 'rejected',
      errorClass: sql<string>`coalesce(error_class, ${failure.errorClass})`,
      errorMessage: sql<string>`coalesce(error_message, ${toStoredText(failure.message)})`,
      settledAt: sql<Date>`clock_timestamp()`,
    })
    .where('runId', '=', run.runId)
    .where('offerId', '=', offerId)
    .where('state', 'in', ['planned', 'sending'])
    .execute();
}

/** Offers of a batch whose one attempt there failed in a way that is worth another. */
export async function readOffersToRetry(db: Db, run: Run, batch: number): Promise<OfferId[]> {
  const rows = await db
    .selectFrom('offerChanges')
    .select('offerId')
    .where('runId', '=', run.runId)
    .where('batch', '=', batch)
    .where('state', '=', 'sending')
    .execute();
  return rows.map((row) => toOfferId(row.offerId));
}

/** Takes back the attempts of a batch that failed as a whole: the marketplace was away, the offers were not at fault. */
export async function forgetAttempts(db: Db, run: Run, batch: number): Promise<void> {
  await db
    .updateTable('offerChanges')
    .set({ attempts: 0 })
    .where('runId', '=', run.runId)
    .where('batch', '=', batch)
    .where('state', '=', 'sending')
    .execute();
}
