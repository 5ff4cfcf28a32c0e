import { WorkflowNotFoundError } from '@temporalio/client';
import type { AccountId } from '../domain/ids.js';
import { hasWorker } from '../pollers.js';
import { deleteAccount, fenceOffAccount } from '../storage/accounts.js';
import { syncAccountId } from '../workflows/api.js';
import { requireAccount } from './account-lookup.js';
import type { CommandContext } from './command.js';
import { CommandFailed, type ExitStatus } from './failures.js';
import type { TemporalService } from './services.js';

/** A run ends between two writes; one write takes a minute at most. */
const RUN_END_TIMEOUT_MS = 90_000;

/**
 * Deletes an account, also in mid-run: first its fence is raised, so that nothing more is sent for it, then its run is
 * cancelled and waited for, then its rows go. Stopping anywhere in between leaves a paused account.
 */
export async function removeAccount(accountId: AccountId, { services, output }: CommandContext): Promise<ExitStatus> {
  const db = await services.database();
  await requireAccount(db, accountId);
  const temporal = await services.temporal();
  await fenceOffAccount(db, accountId, 'being removed');
  if (await endRun(temporal, accountId, output.note)) output.note('Its run has ended.');
  await deleteAccount(db, accountId);
  output.print(`"${accountId}" is removed, with its tokens, runs and history. Its offers at Allegro stay as they are.`);
  output.json({ accountId, isRemoved: true });
  return 0;
}

/** @returns whether there was a run */
async function endRun(temporal: TemporalService, accountId: AccountId, note: (line: string) => void): Promise<boolean> {
  const run = temporal.client.workflow.getHandle(syncAccountId(accountId));
  try {
    const { status } = await run.describe();
    if (status.name !== 'RUNNING') return false;
    note(`A run of "${accountId}" is at work; it is ended, nothing more is written for it.`);
    if (!(await hasWorker(temporal))) {
      // Nobody is there to end it in an orderly way, nor to write anything.
      await run.terminate('its account is removed');
      return true;
    }
    await run.cancel();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
  await Promise.race([
    // However it ends, it has ended.
    run.result().catch(() => undefined),
    failLater(
      `the run ${run.workflowId} did not end within ${RUN_END_TIMEOUT_MS / 1000} s. The account is paused and nothing is written for it; run the command again.`,
    ),
  ]);
  return true;
}

function failLater(message: string): Promise<never> {
  return new Promise((_resolve, reject) => {
    setTimeout(() => reject(new CommandFailed(message)), RUN_END_TIMEOUT_MS).unref();
  });
}
