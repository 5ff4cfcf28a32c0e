import { deleteSalesBefore } from '../storage/sales.js';
import { deleteOldHistory, type Deleted } from '../storage/retention.js';
import { salesKeptSince } from './confirm-sales.js';
import type { ActivityServices } from './services.js';

/** Deletes history older than `HISTORY_RETENTION_DAYS` and tries to send messages that still wait. */
export function createHousekeep({ db, sync, deliverMessages }: ActivityServices) {
  return async function housekeep(_input: { readonly reason: string }): Promise<Deleted> {
    await deliverMessages();
    await deleteSalesBefore(db, salesKeptSince(sync.unbookedSalePatienceSeconds));
    return deleteOldHistory(db, sync.historyRetentionDays);
  };
}
