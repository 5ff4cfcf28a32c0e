import type { SelectQueryBuilder } from 'kysely';
import type { AccountId } from '../domain/ids.js';
import type { Db } from './database.js';
import type { Database } from './schema.js';

/** One run of one account, as people look at it. */
export interface RunReport {
  readonly runId: string;
  /** The run over all accounts it belongs to, or its own id. */
  readonly groupId: string;
  readonly accountId: string;
  readonly accountName: string;
  readonly trigger: string;
  readonly mode: 'preview' | 'live';
  /** null: still at work. */
  readonly outcome: string | null;
  readonly failure: { readonly class: string; readonly message: string } | null;
  /** Whether it saw every offer of the account. */
  readonly isComplete: boolean;
  readonly seen: number | null;
  readonly buckets: Readonly<Record<string, number>> | null;
  readonly skipped: Readonly<Record<string, number>> | null;
  readonly failed: Readonly<Record<string, number>> | null;
  readonly held: Readonly<Record<string, number>> | null;
  readonly requests: number;
  readonly batches: number;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}

function selectRuns(
  db: Db,
): SelectQueryBuilder<Database & { run: Database['syncRuns'] }, 'run' | 'accounts', RunReport> {
  return db
    .selectFrom('syncRuns as run')
    .innerJoin('accounts', 'accounts.id', 'run.accountId')
    .select([
      'run.id as runId',
      'run.groupId',
      'run.accountId',
      'accounts.name as accountName',
      'run.trigger',
      'run.mode',
      'run.outcome',
      'run.failure',
      'run.isComplete',
      'run.seen',
      'run.buckets',
      'run.skipped',
      'run.failed',
      'run.held',
      'run.requests',
      'run.batches',
      'run.startedAt',
      'run.finishedAt',
    ]);
}

/** The run with this id, or all runs of the group with this id; of one account, or of all. */
export async function findRuns(db: Db, runOrGroupId: string, accountId?: AccountId): Promise<RunReport[]> {
  let query = selectRuns(db).where((eb) =>
    eb.or([eb('run.id', '=', runOrGroupId), eb('run.groupId', '=', runOrGroupId)]),
  );
  if (accountId !== undefined) query = query.where('run.accountId', '=', accountId);
  return query.orderBy('run.accountId').orderBy('run.startedAt', 'desc').execute();
}

/** The newest run of each account. */
export async function lastRuns(db: Db): Promise<RunReport[]> {
  return selectRuns(db).distinctOn('run.accountId').orderBy('run.accountId').orderBy('run.startedAt', 'desc').execute();
}
