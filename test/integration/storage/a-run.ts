import { randomUUID } from 'node:crypto';
import { toAccountId, toOfferId, toSku, type AccountId, type OfferId, type RunId } from '../../../src/domain/ids.js';
import { addAccount } from '../../../src/storage/accounts.js';
import type { Db } from '../../../src/storage/database.js';
import { recordScan, type ScannedOffer } from '../../../src/storage/offers.js';
import { openRunRow } from '../../../src/storage/runs.js';

export interface ARun {
  readonly accountId: AccountId;
  readonly runId: RunId;
  readonly fence: number;
}

let accounts = 0;

/** A live account of its own with an open run. */
export async function anAccountWithRun(db: Db): Promise<ARun> {
  accounts += 1;
  const accountId = toAccountId(`account-${accounts}`);
  await addAccount(db, { accountId, name: `Account ${accounts}`, mode: 'live' });
  return aRunOf(db, accountId);
}

export async function aRunOf(db: Db, accountId: AccountId, mode: 'preview' | 'live' = 'live'): Promise<ARun> {
  const opened = await openRunRow(db, {
    accountId,
    groupId: null,
    workflowId: `sync-account/${accountId}`,
    executionId: randomUUID(),
    trigger: 'manual',
    mode,
    skus: null,
  });
  if (opened === null) throw new Error('no account');
  return { accountId, runId: opened.runId, fence: opened.fence };
}

type Change = NonNullable<ScannedOffer['change']>;

/** Offers seen by the run, each with this change planned; their ids in order. */
export async function plannedChanges(
  db: Db,
  run: ARun,
  changes: readonly (Pick<Change, 'kind' | 'target'> & Partial<Change>)[],
  prefix = '9',
): Promise<OfferId[]> {
  const offerIds = changes.map((_, index) => toOfferId(`${prefix}${String(index).padStart(6, '0')}`));
  const seenAt = new Date(Date.now() - 1_000);
  await recordScan(
    db,
    run,
    changes.map((change, index) => ({
      offer: {
        offerId: offerIds[index] ?? toOfferId('0'),
        sku: toSku(`SKU-${index}`),
        name: 'An offer',
        format: 'BUY_NOW',
        status: change.kind === 'reactivate' ? 'ENDED' : 'ACTIVE',
        available: change.kind === 'reactivate' ? 0 : 10,
        sold: 0,
        endedAt: null,
        isFulfillment: false,
        listedAs: null,
      },
      seenAt,
      known: { available: 10, at: seenAt, sku: toSku(`SKU-${index}`) },
      isCertain: true,
      bucket: 'change',
      reason: null,
      endedBy: null,
      unbookedSince: null,
      unbookedStockAt: null,
      ending: null,
      hasStock: true,
      change: { state: 'planned', reason: null, ...change },
    })),
  );
  return offerIds;
}
