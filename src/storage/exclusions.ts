import type { AccountId, OfferId } from '../domain/ids.js';
import type { Db } from './database.js';

/** From the next scan on, the offer is `skipped: excluded`. Excluding again replaces the reason. */
export async function excludeOffer(
  db: Db,
  exclusion: { accountId: AccountId; offerId: OfferId; reason: string | null },
): Promise<void> {
  await db
    .insertInto('excludedOffers')
    .values(exclusion)
    .onConflict((conflict) =>
      conflict.columns(['accountId', 'offerId']).doUpdateSet({ reason: (eb) => eb.ref('excluded.reason') }),
    )
    .execute();
}

/** @returns false when it was not excluded */
export async function includeOffer(db: Db, accountId: AccountId, offerId: OfferId): Promise<boolean> {
  const deleted = await db
    .deleteFrom('excludedOffers')
    .where('accountId', '=', accountId)
    .where('offerId', '=', offerId)
    .executeTakeFirst();
  return deleted.numDeletedRows > 0n;
}

/** Whether a scan has ever seen the offer in that account. */
export async function isKnownOffer(db: Db, accountId: AccountId, offerId: OfferId): Promise<boolean> {
  const row = await db
    .selectFrom('offers')
    .select('offerId')
    .where('accountId', '=', accountId)
    .where('offerId', '=', offerId)
    .executeTakeFirst();
  return row !== undefined;
}
