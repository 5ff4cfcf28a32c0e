import { deleteSalesBefore } from '../storage/sales.js';
import { deleteOldHistory, type Deleted } from '../storage/retention.js';
import { salesKeptSince } from './confirm-sales.js';
import { renewUnusedLogins } from './renew-logins.js';
import type { ActivityServices } from './services.js';

/**
 * Deletes history older than `HISTORY_RETENTION_DAYS`, tries to send messages that still wait, and keeps logins alive that
 * nothing uses.
 */
export function createHousekeep(services: ActivityServices) {
  const { db, sync, deliverMessages } = services;
  return async function housekeep(_input: { readonly reason: string }): Promise<Deleted> {
    await deliverMessages();
    await deleteSalesBefore(db, salesKeptSince(sync.unbookedSalePatienceSeconds));
    const deleted = await deleteOldHistory(db, sync.historyRetentionDays);
    await renewUnusedLogins(services);
    return deleted;
  };
}
