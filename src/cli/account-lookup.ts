import type { AccountId } from '../domain/ids.js';
import { listAccounts, type AccountRecord } from '../storage/accounts.js';
import type { Db } from '../storage/database.js';
import { findUnknownSkus } from '../storage/stock.js';
import { UsageError } from './failures.js';

const KNOWN = 'known: allegro-stock-sync accounts list';

/** @throws UsageError that names the argument and every account that does not exist */
export async function requireAccounts(
  db: Db,
  accountIds: readonly AccountId[],
  argument = '--account',
): Promise<AccountRecord[]> {
  if (accountIds.length === 0) return [];
  const found = await listAccounts(db, accountIds);
  const known = new Set(found.map((account) => account.accountId));
  const unknown = accountIds.filter((accountId) => !known.has(accountId));
  if (unknown.length === 0) return found;
  const quoted = unknown.map((accountId) => `"${accountId}"`).join(', ');
  throw new UsageError(`${argument}: unknown account ${quoted} (${KNOWN})`);
}

/** @throws UsageError when there is no such account */
export async function requireAccount(db: Db, accountId: AccountId, argument = '<id>'): Promise<AccountRecord> {
  const [account] = await requireAccounts(db, [accountId], argument);
  if (account === undefined) throw new UsageError(`${argument}: unknown account "${accountId}" (${KNOWN})`);
  return account;
}

/** @throws UsageError that names every SKU that neither the stock nor any offer has */
export async function requireSkus(db: Db, skus: readonly string[]): Promise<void> {
  if (skus.length === 0) return;
  const unknown = await findUnknownSkus(db, skus);
  if (unknown.length === 0) return;
  const quoted = unknown.map((sku) => `"${sku}"`).join(', ');
  throw new UsageError(`--sku: unknown SKU ${quoted}: neither in the local stock nor in any offer seen so far`);
}
