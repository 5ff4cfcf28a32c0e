import { Context } from '@temporalio/activity';
import { SyncError } from '../domain/errors.js';
import type { AccountId, RunId } from '../domain/ids.js';
import { readAccount } from '../storage/accounts.js';
import { openRunRow } from '../storage/runs.js';
import { readStopSwitch } from '../storage/stop-switch.js';
import type { RunSettings } from '../workflows/api.js';
import type { ActivityServices } from './services.js';

export interface OpenRunInput {
  readonly accountId: AccountId;
  readonly trigger: 'schedule' | 'manual';
  readonly groupId: string | null;
  readonly skus: readonly string[] | null;
  readonly isPreview: boolean;
}

/** What a scan and a command are given when the marketplace is away: two more tries, 6 × 30 s = three minutes apart. */
const PHASE_RETRY_COUNT = 2;
const PHASE_DELAY_PER_OFFER_DELAY = 6;

export type OpenRunResult =
  | {
      readonly kind: 'open';
      readonly runId: RunId;
      readonly accountName: string;
      readonly mode: 'preview' | 'live';
      readonly settings: RunSettings;
    }
  | {
      readonly kind: 'not_opened';
      readonly outcome: 'paused' | 'stopped' | 'failed';
      readonly accountName: string;
      readonly mode: 'preview' | 'live';
      readonly failure: { readonly class: string; readonly message: string };
    };

/**
 * Opens a run of one account: checks that it may run, raises the fence, binds the account to its seller at the first
 * use of its token.
 * @throws SyncError TokenRevoked, AccountRefused, MarketplaceUnavailable
 */
export function createOpenRun(services: ActivityServices) {
  return async function openRun(input: OpenRunInput): Promise<OpenRunResult> {
    const { db, marketplace, sync } = services;
    const account = await readAccount(db, input.accountId);
    if (account === null) {
      throw new SyncError('AccountRefused', `account ${input.accountId} does not exist: it was removed`);
    }
    const mode = input.isPreview ? 'preview' : account.mode;
    const head = { accountName: account.name, mode };
    const notOpened = (outcome: 'paused' | 'stopped' | 'failed', type: string, message: string): OpenRunResult => ({
      kind: 'not_opened',
      ...head,
      outcome,
      failure: { class: type, message },
    });
    if (account.pausedReason !== null) return notOpened('paused', 'AccountPaused', account.pausedReason);
    const stop = await readStopSwitch(db);
    if (stop.isStopped && mode === 'live') {
      return notOpened(
        'stopped',
        'WritesStopped',
        `all writes are stopped${stop.reason === null ? '' : `: ${stop.reason}`}`,
      );
    }
    // Before the run is opened: a login that is refused leaves no run behind that nobody would close.
    if (account.sellerId === null) {
      const priority = input.trigger === 'manual' ? 'adhoc' : 'scheduled';
      await marketplace.identify({ accountId: input.accountId, priority });
    }
    const { workflowExecution } = Context.current().info;
    if (workflowExecution === undefined) throw new Error('openRun is called by a workflow');
    const opened = await openRunRow(db, {
      accountId: input.accountId,
      groupId: input.groupId,
      workflowId: workflowExecution.workflowId,
      executionId: workflowExecution.runId,
      trigger: input.trigger,
      mode,
      skus: input.skus,
    });
    if (opened === null) throw new SyncError('AccountRefused', `account ${input.accountId} was removed`);
    return {
      kind: 'open',
      runId: opened.runId,
      ...head,
      settings: {
        retryCount: sync.retryCount,
        retryDelaySeconds: sync.retryDelaySeconds,
        commandPatienceSeconds: sync.commandPatienceSeconds,
        phaseRetryCount: PHASE_RETRY_COUNT,
        phaseRetryDelaySeconds: PHASE_DELAY_PER_OFFER_DELAY * sync.retryDelaySeconds,
      },
    };
  };
}
