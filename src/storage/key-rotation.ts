import { toAccountId, type AccountId } from '../domain/ids.js';
import { withAdvisoryLock } from './advisory-lock.js';
import type { Db } from './database.js';
import { DecryptionFailed, type Encryption } from './encryption.js';
import { TOKEN_REFRESH_LOCK } from './token-store.js';

export interface Rotation {
  /** Accounts whose tokens were encrypted anew by this call. */
  readonly rotated: readonly AccountId[];
  /** Accounts whose tokens no known key can read. */
  readonly unreadable: readonly { readonly accountId: AccountId; readonly keyId: string }[];
}

/** A worker with the earlier key alone may go on storing what it refreshes: so often its tokens are taken up again. */
const MOST_ROUNDS = 5;

/**
 * Encrypts with the current key what was encrypted with an earlier one, account by account under the lock of its token
 * refresh, each in one statement: it may be interrupted anywhere and called again, while workers that know both keys run.
 */
export async function rotateTokenKey(options: {
  readonly db: Db;
  /** For the locks' own connections. */
  readonly databaseUrl: string;
  readonly encryption: Encryption;
}): Promise<Rotation> {
  const { db, databaseUrl, encryption } = options;
  const rotated = new Set<AccountId>();
  const unreadable = new Map<AccountId, string>();
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const rows = await db
      .selectFrom('accountTokens')
      .select('accountId')
      .where('keyId', '!=', encryption.keyId)
      .orderBy('accountId')
      .execute();
    const left = rows.map((row) => toAccountId(row.accountId)).filter((accountId) => !unreadable.has(accountId));
    if (left.length === 0) break;
    for (const accountId of left) {
      const outcome = await withAdvisoryLock(databaseUrl, { space: TOKEN_REFRESH_LOCK, name: accountId }, () =>
        encryptAnew(db, encryption, accountId),
      );
      if (outcome === 'rotated') rotated.add(accountId);
      else if (outcome !== 'nothing') unreadable.set(accountId, outcome.unreadableKeyId);
    }
  }
  return {
    rotated: [...rotated],
    unreadable: [...unreadable].map(([accountId, keyId]) => ({ accountId, keyId })),
  };
}

async function encryptAnew(
  db: Db,
  encryption: Encryption,
  accountId: AccountId,
): Promise<'rotated' | 'nothing' | { unreadableKeyId: string }> {
  const row = await db
    .selectFrom('accountTokens')
    .selectAll()
    .where('accountId', '=', accountId)
    .where('keyId', '!=', encryption.keyId)
    .executeTakeFirst();
  if (row === undefined) return 'nothing';
  try {
    const anew = (bytes: Buffer): Buffer =>
      encryption.encrypt(accountId, encryption.decrypt(accountId, { keyId: row.keyId, bytes }));
    // A login stores without the lock: what it has put there meanwhile is left to it.
    const updated = await db
      .updateTable('accountTokens')
      .set({ keyId: encryption.keyId, accessToken: anew(row.accessToken), refreshToken: anew(row.refreshToken) })
      .where('accountId', '=', accountId)
      .where('generation', '=', row.generation)
      .where('keyId', '=', row.keyId)
      .executeTakeFirst();
    return updated.numUpdatedRows > 0n ? 'rotated' : 'nothing';
  } catch (error) {
    if (error instanceof DecryptionFailed) return { unreadableKeyId: row.keyId };
    throw error;
  }
}
