import type { AccountId, RunId } from '../domain/ids.js';
import type { Db } from './database.js';

/** An approval not used within this time is void: the stock it was given for is old by then. */
export const APPROVAL_VALID_HOURS = 24;

/**
 * Lets the changes that the guard held in one run through, once, as long as their targets are unchanged.
 * Approving again renews the time of approvals not used yet.
 *
 * @returns how many changes are approved; 0 when the run held none
 */
export async function approveHeldChanges(db: Db, accountId: AccountId, runId: RunId): Promise<number> {
  const expiresAt = new Date(Date.now() + APPROVAL_VALID_HOURS * 3_600_000);
  return db.transaction().execute(async (transaction) => {
    await transaction
      .deleteFrom('approvals')
      .where('accountId', '=', accountId)
      .where('runId', '=', runId)
      .where('usedAt', 'is', null)
      .execute();
    const approved = await transaction
      .insertInto('approvals')
      .columns(['accountId', 'runId', 'offerId', 'target', 'expiresAt'])
      .expression(
        transaction
          .selectFrom('offerChanges as change')
          .select((eb) => [
            'change.accountId',
            'change.runId',
            'change.offerId',
            'change.target',
            eb.val(expiresAt).as('expiresAt'),
          ])
          .where('change.accountId', '=', accountId)
          .where('change.runId', '=', runId)
          .where('change.state', '=', 'held')
          .where('change.reason', '=', 'guard')
          // Once: a change that was let through already needs a look at a newer run.
          .where((eb) =>
            eb.not(
              eb.exists(
                eb
                  .selectFrom('approvals as used')
                  .select('used.id')
                  .whereRef('used.runId', '=', 'change.runId')
                  .whereRef('used.offerId', '=', 'change.offerId'),
              ),
            ),
          ),
      )
      .returning('id')
      .execute();
    return approved.length;
  });
}
