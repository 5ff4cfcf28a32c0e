import { SyncError } from '../domain/errors.js';
import type { RunId } from '../domain/ids.js';
import type { Call } from '../domain/marketplace.js';
import { readAccount } from '../storage/accounts.js';
import { LOGIN_NEEDED } from '../storage/token-store.js';
import { addRunCosts, readRun, type OpenRun } from '../storage/runs.js';
import type { Account } from '../domain/account.js';
import type { ActivityServices } from './services.js';

/** A run as its activities see it: still the newest of its account, with the account's settings of this moment. */
export interface RunScope {
  readonly run: OpenRun;
  readonly account: Account;
  readonly call: Call;
}

/**
 * Loads the run for an activity and, after the work, adds its requests to the run's row. A batch is a part of the scan, a
 * command, or up to 50 single writes.
 * @throws SyncError Superseded when another run owns the account or the account was removed
 */
export async function inRun<Result>(
  services: ActivityServices,
  input: { runId: RunId; priority: Call['priority']; signal?: AbortSignal; isBatch?: boolean },
  work: (scope: RunScope) => Promise<Result>,
): Promise<Result> {
  const { db } = services;
  const run = await readRun(db, input.runId);
  if (run === null) throw new SyncError('Superseded', `run ${input.runId} is gone: its account was removed`);
  if (run.isSuperseded) throw new SyncError('Superseded', `run ${input.runId}: a newer run owns the account`);
  const account = await readAccount(db, run.accountId);
  if (account === null) throw new SyncError('Superseded', `account ${run.accountId} was removed`);
  refuseWithdrawn(run, account);
  const call: Call = {
    accountId: run.accountId,
    priority: input.priority,
    runId: run.runId,
    ...(input.signal === undefined ? {} : { signal: input.signal }),
  };
  try {
    return await work({ run, account, call });
  } finally {
    const requests = services.requests.take(run.runId);
    await addRunCosts(db, run.runId, { requests, batches: input.isBatch === true ? 1 : 0 });
  }
}

/** A run writes only while its account may: pausing it, or setting it back to preview, ends the run between two batches. */
function refuseWithdrawn(run: OpenRun, account: Account): void {
  if (run.mode === 'preview') return;
  const { pausedReason, mode, accountId } = account;
  if (pausedReason?.startsWith(LOGIN_NEEDED) === true) {
    throw new SyncError('TokenRevoked', pausedReason.slice(LOGIN_NEEDED.length));
  }
  if (pausedReason !== null) throw new SyncError('WritesStopped', `account ${accountId} was paused: ${pausedReason}`);
  if (mode === 'preview') throw new SyncError('WritesStopped', `account ${accountId} was set to preview`);
}
