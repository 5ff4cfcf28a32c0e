import type { Db } from './database.js';

/** When an account was last seen whole; times are null for never. */
export interface StoredFreshness {
  readonly accountId: string;
  readonly name: string;
  readonly mode: 'preview' | 'live';
  readonly isPaused: boolean;
  readonly lastCompleteAt: Date | null;
  readonly liveSince: Date | null;
}

/** Of every account, for `GET /health/sync`, `status` and the incident of silence. */
export async function readAccountFreshness(db: Db): Promise<StoredFreshness[]> {
  return await db
    .selectFrom('accounts')
    .select(['id as accountId', 'name', 'mode', 'lastCompleteAt', 'liveSince'])
    .select((eb) => eb('pausedReason', 'is not', null).$castTo<boolean>().as('isPaused'))
    .orderBy('id')
    .execute();
}
