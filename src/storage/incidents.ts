import { sql, type Selectable } from 'kysely';
import type { Db } from './database.js';
import type { IncidentsTable } from './schema.js';
import { toStoredJson, toStoredText } from './stored-text.js';

/** A problem that a person should know of: at most one is open per account, offer and class. */
export type Incident = Selectable<IncidentsTable>;

export interface IncidentReport {
  /** Absent: the whole system. */
  readonly accountId?: string;
  /** Absent: the account, or the system. */
  readonly offerId?: string;
  readonly class: string;
  /** One line. */
  readonly title: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly runId?: string;
}

export interface OpenedIncident {
  readonly id: string;
  /** false: it was open already; the report was counted as a repetition. */
  readonly isNew: boolean;
  readonly accountId: string | null;
  readonly offerId: string | null;
  readonly class: string;
}

/** Rows of one INSERT: 6 parameters each, and PostgreSQL takes 65,535. */
const ROWS_PER_STATEMENT = 1000;

/** Opens one incident, or counts the repetition of one that is open. */
export async function openIncident(db: Db, report: IncidentReport): Promise<OpenedIncident> {
  const [opened] = await openIncidents(db, [report]);
  if (opened === undefined) throw new Error('the incident was neither opened nor counted');
  return opened;
}

/**
 * The same for many reports with different (account, offer, class). A run counts once, so that a step that is tried
 * again after a crash counts nothing twice.
 */
export async function openIncidents(db: Db, reports: readonly IncidentReport[]): Promise<OpenedIncident[]> {
  const opened: OpenedIncident[] = [];
  for (let start = 0; start < reports.length; start += ROWS_PER_STATEMENT) {
    opened.push(...(await openChunk(db, reports.slice(start, start + ROWS_PER_STATEMENT))));
  }
  return opened;
}

async function openChunk(db: Db, reports: readonly IncidentReport[]): Promise<OpenedIncident[]> {
  const rows = reports.map((report) => ({
    accountId: report.accountId ?? null,
    offerId: report.offerId ?? null,
    class: report.class,
    title: toStoredText(report.title),
    details: toStoredJson(report.details),
    runId: report.runId ?? null,
  }));
  return await db
    .insertInto('incidents')
    .values(rows)
    .onConflict((conflict) =>
      conflict
        .expression(sql`coalesce(account_id, ''), coalesce(offer_id, ''), class`)
        .where('state', '=', 'open')
        .doUpdateSet((eb) => ({
          title: eb.ref('excluded.title'),
          details: eb.ref('excluded.details'),
          runId: eb.ref('excluded.runId'),
          lastSeenAt: sql`now()`,
          occurrences: sql<number>`incidents.occurrences + case when incidents.run_id = excluded.run_id then 0 else 1 end`,
        })),
    )
    // A row that this statement inserted has no previous version.
    .returning(['id', 'accountId', 'offerId', 'class', sql<boolean>`xmax = 0`.as('isNew')])
    .execute();
}

/** Which open incidents are over. */
export interface IncidentFilter {
  /** null: those of the whole system. */
  readonly accountId: string | null;
  /** Absent: of any class. */
  readonly classes?: readonly string[];
  /** null: only those of the account itself. Absent: of the account and of all its offers. */
  readonly offerIds?: readonly string[] | null;
}

/** @returns the incidents that were open and are resolved now */
export async function resolveIncidents(db: Db, filter: IncidentFilter, now = new Date()): Promise<Incident[]> {
  const { accountId, classes, offerIds } = filter;
  return await db
    .updateTable('incidents')
    .set({ state: 'resolved', resolvedAt: now })
    .where('state', '=', 'open')
    .where('accountId', accountId === null ? 'is' : '=', accountId)
    .$if(classes !== undefined, (query) => query.where(sql<boolean>`class = any(${[...(classes ?? [])]}::text[])`))
    .$if(offerIds === null, (query) => query.where('offerId', 'is', null))
    .$if(offerIds !== undefined && offerIds !== null, (query) =>
      query.where(sql<boolean>`offer_id = any(${[...(offerIds ?? [])]}::text[])`),
    )
    .returningAll()
    .execute();
}

/** By hand: `incidents resolve N`. @returns null when there is no such incident, or it is over already */
export async function resolveIncident(db: Db, id: string, now = new Date()): Promise<Incident | null> {
  const resolved = await db
    .updateTable('incidents')
    .set({ state: 'resolved', resolvedAt: now })
    .where('id', '=', id)
    .where('state', '=', 'open')
    .returningAll()
    .executeTakeFirst();
  return resolved ?? null;
}

/** The newest first. */
export async function listIncidents(
  db: Db,
  filter: { state?: 'open' | 'resolved'; accountId?: string; limit: number },
): Promise<Incident[]> {
  const { state, accountId } = filter;
  return await db
    .selectFrom('incidents')
    .selectAll()
    .$if(state !== undefined, (query) => query.where('state', '=', state ?? 'open'))
    .$if(accountId !== undefined, (query) => query.where('accountId', '=', accountId ?? ''))
    .orderBy('lastSeenAt', 'desc')
    .orderBy('id', 'desc')
    .limit(filter.limit)
    .execute();
}

export async function readIncident(db: Db, id: string): Promise<Incident | null> {
  return (await db.selectFrom('incidents').selectAll().where('id', '=', id).executeTakeFirst()) ?? null;
}

/** Open incidents by class, for `status` and metrics. */
export async function countOpenIncidents(db: Db): Promise<Readonly<Record<string, number>>> {
  const counts = await db
    .selectFrom('incidents')
    .select(['class', (eb) => eb.fn.countAll<string>().as('count')])
    .where('state', '=', 'open')
    .groupBy('class')
    .execute();
  return Object.fromEntries(counts.map((row) => [row.class, Number(row.count)]));
}

/** Offers of an account of which a person was told that they may be oversold, and that is not over. */
export async function readOffersAtRisk(db: Db, accountId: string): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ offerId: string }>`
    select offer_id from incidents
    where account_id = ${accountId} and state = 'open' and (details ->> 'piecesAtRisk')::integer > 0`.execute(db);
  return new Set(rows.map(({ offerId }) => offerId));
}

/** Whether a problem of an account, or of the whole system (null), is open. */
export async function isIncidentOpen(db: Db, problemClass: string, accountId: string | null = null): Promise<boolean> {
  const found = await db
    .selectFrom('incidents')
    .select('id')
    .where('state', '=', 'open')
    .where('class', '=', problemClass)
    .where('accountId', accountId === null ? 'is' : '=', accountId)
    .where('offerId', 'is', null)
    .executeTakeFirst();
  return found !== undefined;
}

/** What of one account, or of the whole system, has been open for long. */
export interface LastingProblems {
  readonly accountId: string | null;
  readonly accountName: string | null;
  readonly count: number;
  readonly oldestId: string;
  readonly oldestOpenedAt: Date;
  /** The first ten, the oldest first, those of offers last. */
  readonly titles: readonly string[];
}

/** Open incidents that began before this time, per account. */
export async function readLastingProblems(db: Db, before: Date): Promise<LastingProblems[]> {
  const rows = await db
    .selectFrom('incidents')
    .leftJoin('accounts', 'accounts.id', 'incidents.accountId')
    .where('incidents.state', '=', 'open')
    .where('incidents.openedAt', '<=', before)
    .groupBy(['incidents.accountId', 'accounts.name'])
    .orderBy('incidents.accountId')
    .select((eb) => [
      'incidents.accountId',
      'accounts.name as accountName',
      eb.fn.countAll<string>().as('count'),
      eb.fn.min('incidents.openedAt').as('oldestOpenedAt'),
      sql<string>`(array_agg(incidents.id order by opened_at, incidents.id))[1]`.as('oldestId'),
      sql<string[]>`(array_agg(title order by offer_id is not null, opened_at, incidents.id))[1:10]`.as('titles'),
    ])
    .execute();
  return rows.map((row) => ({ ...row, count: Number(row.count) }));
}

/** Why the changes of an account that a person was told of are held back; empty: nothing is, or it was not stored. */
export async function readHeldReasons(db: Db, accountId: string): Promise<readonly string[]> {
  const { rows } = await sql<{ reasons: string[] | null }>`
    select details -> 'reasons' as reasons from incidents
    where account_id = ${accountId} and offer_id is null and class = 'Held' and state = 'open'`.execute(db);
  return rows[0]?.reasons ?? [];
}
