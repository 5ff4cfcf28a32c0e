import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { Command } from 'commander';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { AccountId, Sku } from '../domain/ids.js';
import { listAccounts } from '../storage/accounts.js';
import { SYNC_ALL_ACCOUNTS_ID, syncAccountId, type AccountResult } from '../workflows/api.js';
import { requireAccounts, requireSkus } from './account-lookup.js';
import { addCommand, type CommandContext, type RunCommand } from './command.js';
import { CommandFailed, type ExitStatus } from './failures.js';
import { accountIds, flag, skus } from './inputs.js';
import { createProgressView, type ProgressView } from './progress.js';
import type { TemporalService } from './services.js';
import { exitStatusOf, showSyncReport, worstOutcome, type SyncReport } from './sync-report.js';
import {
  accountResult,
  allAccountsResult,
  startAccount,
  startAllAccounts,
  startWhenFree,
  waitForEnd,
  type ChosenAccount,
  type SyncChoice,
} from './sync-runs.js';
import { watchRuns, type Watch } from './watch.js';

const INTERRUPTED =
  'interrupted; runs that were started go on. Watch them with: allegro-stock-sync status; stop all writes with: allegro-stock-sync stop';

interface SyncInput {
  readonly account: readonly AccountId[];
  readonly sku: readonly Sku[];
  readonly preview: boolean;
  readonly detach: boolean;
}

export function registerSync(program: Command, runCommand: RunCommand): void {
  addCommand(program, runCommand, {
    usage: 'sync',
    summary: 'compare the offers with the local stock now and correct those that differ',
    details:
      'Waits and shows progress unless --detach. While a run is at work, waits for it and then runs.\nInterrupting this command leaves the run at work; to stop all writes: allegro-stock-sync stop',
    options: [
      { flags: '--account <id>', description: 'only this account; may be given several times', isRepeatable: true },
      {
        flags: '--sku <sku>',
        description: 'only offers with this SKU; may be given several times',
        isRepeatable: true,
      },
      { flags: '--preview', description: 'write nothing, show what would be written' },
      { flags: '--detach', description: 'start and return at once' },
    ],
    examples: ['sync --preview', 'sync --account shop-1 --sku TEA-100'],
    input: z.object({ account: accountIds, sku: skus, preview: flag, detach: flag }),
    needs: ['database', 'temporal', 'sync'],
    run: sync,
  });
}

async function sync(input: SyncInput, context: CommandContext): Promise<ExitStatus> {
  const { services, output, interrupted } = context;
  const db = await services.database();
  await requireAccounts(db, input.account);
  await requireSkus(db, input.sku);
  const known: ChosenAccount[] = await listAccounts(db);
  const temporal = await services.temporal();
  const choice: SyncChoice = { skus: input.sku, preview: input.preview };
  const chosen = known.filter(({ accountId }) => input.account.includes(accountId));
  const intervalSeconds = services.config('sync').scheduleSeconds;
  const work = new SyncWork(temporal, choice, intervalSeconds);

  if (input.detach) return detach(chosen, work, context);
  const view = createProgressView(output);
  const watch = watchRuns(temporal, view);
  let report: SyncReport;
  try {
    report = await Promise.race([
      chosen.length === 0 ? work.runAll(known, watch, view) : work.runChosen(chosen, watch, view),
      interrupted(INTERRUPTED),
    ]);
  } finally {
    await watch.stop();
  }
  showSyncReport(report, output);
  return exitStatusOf(report);
}

/** Starts without waiting; a run at work is in the way then. */
async function detach(
  chosen: readonly ChosenAccount[],
  work: SyncWork,
  { output }: CommandContext,
): Promise<ExitStatus> {
  const { started, busy } = await work.start(chosen);
  for (const workflowId of started) output.print(`Started: ${workflowId}`);
  if (started.length > 0) output.print('Watch it with: allegro-stock-sync status');
  output.json({ started, alreadyRunning: busy });
  if (busy.length === 0) return 0;
  throw new CommandFailed(`at work already, so not started: ${busy.join(', ')} (without --detach, sync waits for it)`);
}

/** One use of the command: what is synced, where. */
class SyncWork {
  constructor(
    private readonly temporal: TemporalService,
    private readonly choice: SyncChoice,
    private readonly intervalSeconds: number,
  ) {}

  async start(chosen: readonly ChosenAccount[]): Promise<{ started: string[]; busy: string[] }> {
    const { client } = this.temporal;
    const groupId = randomUUID();
    const starts =
      chosen.length === 0
        ? [startAllAccounts(client, this.choice, this.intervalSeconds)]
        : chosen.map((account) => startAccount(client, account, this.choice, groupId));
    const started: string[] = [];
    const busy: string[] = [];
    for (const start of await Promise.allSettled(starts)) {
      if (start.status === 'fulfilled') started.push(start.value.workflowId);
      else if (start.reason instanceof WorkflowExecutionAlreadyStartedError) busy.push(start.reason.workflowId);
      else throw start.reason;
    }
    return { started, busy };
  }

  async runAll(known: readonly ChosenAccount[], watch: Watch, view: ProgressView): Promise<SyncReport> {
    const { client } = this.temporal;
    const handle = await startWhenFree(
      client,
      SYNC_ALL_ACCOUNTS_ID,
      () => startAllAccounts(client, this.choice, this.intervalSeconds),
      () => view.say('A run over all accounts is at work; waiting for it, then running.'),
    );
    for (const { accountId } of known) watch.add(accountId);
    const result = await allAccountsResult(handle);
    const accounts = await Promise.all(
      result.accounts.map((account) => this.completeAccount(account, known, result.runId, watch, view)),
    );
    return { ...result, outcome: worstOutcome(accounts.map(({ outcome }) => outcome)), accounts };
  }

  async runChosen(chosen: readonly ChosenAccount[], watch: Watch, view: ProgressView): Promise<SyncReport> {
    const groupId = randomUUID();
    const accounts = await Promise.all(chosen.map((account) => this.runAccount(account, groupId, watch, view)));
    return { runId: groupId, outcome: worstOutcome(accounts.map(({ outcome }) => outcome)), accounts };
  }

  private async runAccount(
    account: ChosenAccount,
    groupId: string,
    watch: Watch,
    view: ProgressView,
  ): Promise<AccountResult> {
    const { client } = this.temporal;
    watch.add(account.accountId);
    const handle = await startWhenFree(
      client,
      syncAccountId(account.accountId),
      () => startAccount(client, account, this.choice, groupId),
      () => view.say(`${account.accountId}: a run is at work; waiting for it, then running.`),
    );
    const result = await accountResult(handle, account);
    watch.remove(account.accountId);
    return result;
  }

  /** The run over all accounts does not wait for slow ones, nor for runs that were there before it: we do. */
  private async completeAccount(
    reported: AccountResult,
    known: readonly ChosenAccount[],
    groupId: string,
    watch: Watch,
    view: ProgressView,
  ): Promise<AccountResult> {
    const account = known.find(({ accountId }) => accountId === reported.accountId);
    if (account !== undefined && reported.outcome === 'already_running') {
      view.say(`${account.accountId}: an earlier run is at work; waiting for it, then running.`);
      await waitForEnd(this.temporal.client, syncAccountId(account.accountId));
      return this.runAccount(account, groupId, watch, view);
    }
    if (account !== undefined && reported.outcome === 'running') {
      return accountResult(this.temporal.client.workflow.getHandle(syncAccountId(account.accountId)), account);
    }
    watch.remove(reported.accountId);
    return reported;
  }
}
