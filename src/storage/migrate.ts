import { Migrator, type Migration } from 'kysely';
import { openDatabase, type Db } from './database.js';
import * as initial from './migrations/0001-initial.js';
import * as tokenSellerChecked from './migrations/0002-token-seller-checked.js';
import * as writes from './migrations/0003-writes.js';
import * as reading from './migrations/0004-reading.js';
import * as guards from './migrations/0005-guards.js';
import * as tellingAndTrust from './migrations/0006-telling-and-trust.js';
import * as whatHappenedBefore from './migrations/0007-what-happened-before.js';

/** Every migration by name, in order; only added to, never changed once released. */
const MIGRATIONS: Record<string, Migration> = {
  '0001-initial': initial,
  '0002-token-seller-checked': tokenSellerChecked,
  '0003-writes': writes,
  '0004-reading': reading,
  '0005-guards': guards,
  '0006-telling-and-trust': tellingAndTrust,
  '0007-what-happened-before': whatHappenedBefore,
};

function migratorFor(db: Db): Migrator {
  return new Migrator({ db, provider: { getMigrations: () => Promise.resolve(MIGRATIONS) } });
}

/** Brings the database to the newest schema; safe to call from several processes at once (kysely locks). */
export async function migrateToLatest(databaseUrl: string): Promise<void> {
  const db = openDatabase(databaseUrl, { applicationName: 'allegro-stock-sync migrate', maxConnections: 2 });
  try {
    const { error } = await migratorFor(db).migrateToLatest();
    if (error !== undefined) throw error instanceof Error ? error : new Error('migration failed', { cause: error });
  } finally {
    await db.destroy();
  }
}

/** Names of migrations that the database has not had yet; empty: up to date. */
export async function pendingMigrations(db: Db): Promise<string[]> {
  const migrations = await migratorFor(db).getMigrations();
  return migrations.filter((migration) => migration.executedAt === undefined).map((migration) => migration.name);
}
