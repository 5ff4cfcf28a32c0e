import type pg from 'pg';

import type { SimulatorAdmin, TrueOffer } from '../simulator/admin-client.js';
import type { JournalEntry } from '../simulator/journal.js';
import type { SimulatorReport } from '../simulator/report.js';
import type { SentMessage } from '../src/local/telegram-stand-in.js';
import type { Overheard } from './overheard.js';

/** What is looked at when everything is over. Times are those of this machine. */
export interface Evidence {
  /** The offers when the faults had ended, and after the quiet runs. */
  readonly before: readonly TrueOffer[];
  readonly after: readonly TrueOffer[];
  readonly stockCsv: string;
  readonly report: SimulatorReport;
  readonly journal: readonly JournalEntry[];
  readonly alerts: readonly SentMessage[];
  readonly overheard: Pick<Overheard, 'writes' | 'failedTasks'>;
  readonly runs: readonly RunRow[];
  readonly changes: readonly ChangeRow[];
  readonly commands: readonly CommandRow[];
  readonly incidents: readonly IncidentRow[];
  readonly outbox: readonly OutboxRow[];
  /** `stock_levels`. */
  readonly stockRows: ReadonlyMap<string, number>;
}

export interface RunRow {
  readonly id: string;
  readonly accountId: string;
  readonly sellerId: string | null;
  readonly mode: string;
  /** false: of chosen SKUs. */
  readonly isOfAllOffers: boolean;
  readonly outcome: string | null;
  readonly seen: number | null;
  readonly buckets: Readonly<Record<string, number>> | null;
  readonly isComplete: boolean;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}

export interface ChangeRow {
  readonly runId: string;
  readonly accountId: string;
  readonly offerId: string;
  readonly kind: string;
  readonly state: string;
  readonly attempts: number;
  readonly errorClass: string | null;
  readonly errorMessage: string | null;
  readonly plannedAt: Date;
  readonly settledAt: Date | null;
}

export interface CommandRow {
  readonly id: string;
  readonly kind: string;
  readonly offerIds: readonly string[];
}

export interface IncidentRow {
  readonly id: string;
  readonly accountId: string | null;
  readonly offerId: string | null;
  readonly class: string;
  readonly title: string;
  readonly details: unknown;
  readonly state: string;
  readonly openedAt: Date;
}

export interface OutboxRow {
  readonly dedupeKey: string;
  readonly message: unknown;
  readonly createdAt: Date;
  readonly sentAt: Date | null;
  readonly attempts: number;
}

const MOST_OFFERS = 1_000_000;
const MOST_ENTRIES = 100_000;

export async function readOffers(admin: SimulatorAdmin): Promise<TrueOffer[]> {
  return (await admin.offers({ limit: MOST_OFFERS })).offers;
}

export async function readStockRows(database: pg.Pool): Promise<Map<string, number>> {
  const { rows } = await database.query<{ sku: string; quantity: number }>('select sku, quantity from stock_levels');
  return new Map(rows.map(({ sku, quantity }) => [sku, quantity]));
}

/** Everything but what the offers were before. */
export async function gatherEvidence(sources: {
  readonly admin: SimulatorAdmin;
  readonly database: pg.Pool;
  readonly before: readonly TrueOffer[];
  readonly alerts: readonly SentMessage[];
  readonly overheard: Evidence['overheard'];
}): Promise<Evidence> {
  const { admin, database, before, alerts, overheard } = sources;
  const runs = await database.query<RunRow>(
    `select r.id, r.account_id as "accountId", a.seller_id as "sellerId", r.mode, r.skus is null as "isOfAllOffers",
      r.outcome, r.seen, r.buckets, r.is_complete as "isComplete", r.started_at as "startedAt",
      r.finished_at as "finishedAt" from sync_runs r join accounts a on a.id = r.account_id order by r.started_at`,
  );
  const changes = await database.query<ChangeRow>(
    `select run_id as "runId", account_id as "accountId", offer_id as "offerId", kind, state, attempts,
      error_class as "errorClass", error_message as "errorMessage", planned_at as "plannedAt",
      settled_at as "settledAt" from offer_changes`,
  );
  const commands = await database.query<CommandRow>('select id, kind, offer_ids as "offerIds" from commands');
  const incidents = await database.query<IncidentRow>(
    `select id, account_id as "accountId", offer_id as "offerId", class, title, details, state,
      opened_at as "openedAt" from incidents order by id`,
  );
  const outbox = await database.query<OutboxRow>(
    `select dedupe_key as "dedupeKey", message, created_at as "createdAt", sent_at as "sentAt", attempts
      from outbox order by id`,
  );
  const journal: JournalEntry[] = [];
  for (;;) {
    const { entries } = await admin.journal({ since: journal.at(-1)?.n ?? 0, limit: MOST_ENTRIES });
    journal.push(...entries);
    if (entries.length < MOST_ENTRIES) break;
  }
  return {
    before,
    after: await readOffers(admin),
    stockCsv: await admin.stockCsv(),
    report: await admin.report(),
    journal,
    alerts,
    overheard,
    runs: runs.rows,
    changes: changes.rows,
    commands: commands.rows,
    incidents: incidents.rows,
    outbox: outbox.rows,
    stockRows: await readStockRows(database),
  };
}
