import { SyncError } from '../domain/errors.js';
import { readLogins } from '../storage/logins.js';
import type { ActivityServices } from './services.js';

/** A login that nothing has used for so long is used: two more months are left for failures. */
const UNUSED_FOR_MS = 30 * 24 * 3_600_000;
/** No account is begun later, so that housekeeping ends in its time; the others are the next day's. */
const BEGUN_WITHIN_MS = 20_000;

/**
 * Keeps the logins of accounts that no run uses alive, as those that a person has paused: asking who is logged in
 * refreshes the tokens, since an access token lives for hours. Few requests a month, one at a time: they need no task queue
 * of their own. A failure is only logged: `LoginExpires` warns of it in time.
 */
export async function renewUnusedLogins({ db, marketplace, logger }: ActivityServices): Promise<void> {
  const startedAt = Date.now();
  for (const { accountId, storedAt } of await readLogins(db)) {
    if (startedAt - storedAt.getTime() < UNUSED_FOR_MS || Date.now() - startedAt > BEGUN_WITHIN_MS) return;
    try {
      await marketplace.identify({ accountId, priority: 'scheduled' });
    } catch (error) {
      const errorClass = error instanceof SyncError ? error.type : 'InternalError';
      logger.warn(
        { err: error, event: 'allegro_sync_login_unrenewed', accountId, errorClass },
        'an unused login could not be renewed; it is tried again tomorrow',
      );
    }
  }
}
