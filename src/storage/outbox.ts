import { sql } from 'kysely';
import type { Db } from './database.js';
import { toStoredJson, toStoredText } from './stored-text.js';

/** A message that waits to be sent; its content is parsed by who sends it. */
export interface WaitingMessage {
  readonly id: string;
  readonly message: unknown;
  /** Tries so far, this one included. */
  readonly attempts: number;
}

export interface OutboxState {
  readonly waiting: number;
  /** null: nothing waits. */
  readonly oldestWaitingSince: Date | null;
  /** Why the newest try of a waiting message failed; null: none has. */
  readonly lastError: string | null;
  readonly lastSentAt: Date | null;
}

/**
 * Puts a message in line, within the caller's transaction. A second one with the same key changes nothing.
 * @returns whether it is new
 */
export async function enqueue(db: Db, message: { dedupeKey: string; message: object; now?: Date }): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('outbox')
    .values({
      dedupeKey: message.dedupeKey,
      message: toStoredJson(message.message),
      ...(message.now === undefined ? {} : { createdAt: message.now, retryAt: message.now }),
    })
    .onConflict((conflict) => conflict.column('dedupeKey').doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

export interface Claim {
  readonly limit: number;
  readonly now: Date;
  /** For how long nobody else takes them; a sender that is killed leaves them to the others after that. */
  readonly leaseMs: number;
}

/**
 * Takes the oldest messages that are due: none while the notifier has asked for silence. Each goes to one caller only,
 * until its lease is over.
 */
export async function claimDue(db: Db, claim: Claim): Promise<WaitingMessage[]> {
  const claimed = await db
    .updateTable('outbox')
    .set((eb) => ({
      attempts: eb('attempts', '+', 1),
      retryAt: new Date(claim.now.getTime() + claim.leaseMs),
    }))
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('outbox')
        .select('id')
        .where('sentAt', 'is', null)
        .where('retryAt', '<=', claim.now)
        .where(({ eb: where }) =>
          where.not(
            where.exists(
              where
                .selectFrom('outbox as b')
                .select('b.id')
                .where('b.sentAt', 'is', null)
                .where('b.blockedUntil', '>', claim.now),
            ),
          ),
        )
        .orderBy('id')
        .limit(claim.limit)
        .forUpdate()
        .skipLocked(),
    )
    .returning(['id', 'message', 'attempts'])
    .execute();
  return claimed.sort((a, b) => (BigInt(a.id) < BigInt(b.id) ? -1 : 1));
}

/**
 * Renews the lease of claimed messages.
 * @returns the ids of those that nobody else has taken meanwhile: only these are the caller's to send
 */
export async function keepClaim(db: Db, claimed: readonly WaitingMessage[], until: Date): Promise<Set<string>> {
  const { rows } = await sql<{ id: string }>`
    update outbox o set retry_at = ${until}
    from unnest(${claimed.map(({ id }) => id)}::bigint[], ${claimed.map(({ attempts }) => attempts)}::integer[])
      as mine (id, attempts)
    where o.id = mine.id and o.attempts = mine.attempts and o.sent_at is null
    returning o.id`.execute(db);
  return new Set(rows.map(({ id }) => id));
}

export async function markSent(db: Db, id: string, now: Date): Promise<void> {
  await db.updateTable('outbox').set({ sentAt: now, lastError: null }).where('id', '=', id).execute();
}

export interface FailedSending {
  readonly error: string;
  readonly retryAt: Date;
  /** true: the notifier itself has named that time; no other message goes out before it. */
  readonly isBlock: boolean;
}

export async function markFailed(db: Db, id: string, { error, retryAt, isBlock }: FailedSending): Promise<void> {
  await db
    .updateTable('outbox')
    .set({ lastError: toStoredText(error), retryAt, blockedUntil: isBlock ? retryAt : null })
    .where('id', '=', id)
    .execute();
}

/** Gives claimed messages back that were not tried. */
export async function release(db: Db, ids: readonly string[], retryAt: Date): Promise<void> {
  if (ids.length === 0) return;
  await db
    .updateTable('outbox')
    .set((eb) => ({ attempts: eb('attempts', '-', 1), retryAt }))
    .where('id', 'in', ids)
    .where('sentAt', 'is', null)
    .execute();
}

/** For `status`, metrics and the log: is anybody told? */
export async function readOutboxState(db: Db): Promise<OutboxState> {
  const state = await db
    .selectFrom('outbox')
    .select((eb) => [
      eb.fn.countAll<string>().filterWhere('sentAt', 'is', null).as('waiting'),
      eb.fn.min('createdAt').filterWhere('sentAt', 'is', null).as('oldestWaitingSince'),
      eb.fn.max('sentAt').as('lastSentAt'),
      sql<string | null>`(array_agg(last_error order by retry_at desc)
        filter (where sent_at is null and last_error is not null))[1]`.as('lastError'),
    ])
    .executeTakeFirstOrThrow();
  return { ...state, waiting: Number(state.waiting) };
}

/** Part of housekeeping. @returns how many were deleted */
export async function deleteSentBefore(db: Db, before: Date): Promise<number> {
  const { numDeletedRows } = await db.deleteFrom('outbox').where('sentAt', '<', before).executeTakeFirst();
  return Number(numDeletedRows);
}

/** Whether a message whose key begins like this was added since then. */
export async function wasEnqueuedSince(db: Db, keyPrefix: string, since: Date): Promise<boolean> {
  const found = await db
    .selectFrom('outbox')
    .select('id')
    .where((eb) => eb.fn('starts_with', ['dedupeKey', eb.val(keyPrefix)]))
    .where('createdAt', '>', since)
    .limit(1)
    .executeTakeFirst();
  return found !== undefined;
}
