import { sql } from 'kysely';
import { openDatabase } from './database.js';

/** The role cannot be given the rights, or has more than they; the message says what to do. */
export class GrantRefused extends Error {
  override readonly name = 'GrantRefused';
}

/**
 * Gives an existing role what workers and the command line need: to read and write the rows of all tables, those of
 * later migrations too, and temporary tables (`stock import`); no right to create, alter or drop a table. May be called again.
 *
 * @param databaseUrl as the owner of the tables
 * @throws GrantRefused when there is no such role, when it can change tables nevertheless, or not called as the owner; errors of PostgreSQL
 */
export async function grantToRole(databaseUrl: string, role: string): Promise<void> {
  const db = openDatabase(databaseUrl, { applicationName: 'allegro-stock-sync migrate', maxConnections: 1 });
  try {
    await db.transaction().execute(async (trx) => {
      const { rows } = await sql<{ database: string; schema: string; isOwner: boolean; isThere: boolean }>`
        select current_database() as database, current_schema() as schema,
          pg_has_role(current_user, relowner, 'USAGE') as is_owner,
          exists (select from pg_roles where rolname = ${role}) as is_there
        from pg_class where oid = 'accounts'::regclass`.execute(trx);
      const [place] = rows;
      // PostgreSQL only warns of rights that are not somebody's to give.
      if (place === undefined || !place.isOwner) {
        throw new GrantRefused('DATABASE_URL must name the owner of the tables here');
      }
      if (!place.isThere) {
        throw new GrantRefused(
          `there is no role "${role}". Make it first: create role ${sqlName(role)} login password '…'`,
        );
      }
      const [to, database, schema] = [role, place.database, place.schema].map((name) => sql.id(name));
      await sql`grant connect, temporary on database ${database} to ${to}`.execute(trx);
      await sql`grant usage on schema ${schema} to ${to}`.execute(trx);
      await sql`grant select, insert, update, delete on all tables in schema ${schema} to ${to}`.execute(trx);
      await sql`grant usage, select on all sequences in schema ${schema} to ${to}`.execute(trx);
      // For the tables of later migrations, also where those are run without this.
      await sql`alter default privileges in schema ${schema}
        grant select, insert, update, delete on tables to ${to}`.execute(trx);
      await sql`alter default privileges in schema ${schema} grant usage, select on sequences to ${to}`.execute(trx);
      // Which migrations have run is for the owner to say.
      await sql`revoke insert, update, delete on kysely_migration, kysely_migration_lock from ${to}`.execute(trx);
      const found = await sql<{ excess: string | null }>`
        select case
          when (select rolsuper from pg_roles where rolname = ${role}) then 'is a superuser'
          when (select pg_has_role(${role}, relowner, 'MEMBER') from pg_class where oid = 'accounts'::regclass)
            then 'owns them, or is a member of the role that does'
          when has_schema_privilege(${role}, ${place.schema}, 'CREATE')
            then ${`may create tables: revoke create on schema ${sqlName(place.schema)} from it, or from public`}
        end as excess`.execute(trx);
      const excess = found.rows[0]?.excess ?? null;
      if (excess !== null) throw new GrantRefused(`the role "${role}" can change tables, because it ${excess}`);
    });
  } finally {
    await db.destroy();
  }
}

function sqlName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
