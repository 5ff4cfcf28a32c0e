import pLimit from 'p-limit';
import { RETRYABLE_FOR_ONE_OFFER, SyncError, type SyncErrorType } from '../domain/errors.js';
import type { OfferId, RunId } from '../domain/ids.js';
import type { Call, CommandReport, CommandTask } from '../domain/marketplace.js';
import { logSyncError } from '../observability/sync-events.js';
import { recordFailedAttempt, type FailedAttempt } from '../storage/attempts.js';
import { closeUnsent, confirmChanges, readCommandChanges, type Mark, type OfferChange } from '../storage/changes.js';
import type { Db } from '../storage/database.js';
import {
  readOffersLeftByCommands,
  readOpenCommands,
  setCommandState,
  type Command,
  type OpenCommand,
} from '../storage/commands.js';
import { readDatabaseTime } from '../storage/offers.js';
import { readReport, tellForeignCommand } from './command-calls.js';
import { withHeartbeat } from './heartbeat.js';
import { toPermitWait, type PermitWait } from './permit-wait.js';
import { inRun, type RunScope } from './run-scope.js';
import type { ActivityServices } from './services.js';

export interface CheckCommandsInput {
  readonly runId: RunId;
  /** `this_run`: what it has sent. `earlier_runs`: what they left open. */
  readonly of: 'this_run' | 'earlier_runs';
  readonly priority: Call['priority'];
  /** true: patience is over, what is still at work is left for the next run to settle. */
  readonly isLastCheck: boolean;
}

export interface CheckCommandsResult {
  /** Commands still at work that changes wait for. */
  readonly open: number;
  /** Offers whose task failed in a way that is worth another attempt; named until that attempt was made. */
  readonly retry: readonly OfferId[];
  /** The rest has to wait this long for a permit; the open ones are then to be asked for again. */
  readonly wait?: PermitWait;
}

/**
 * A command whose sending had no answer and that the marketplace does not know this long afterwards has not arrived: we
 * close the connection after 30 s, and Linux goes on sending what a closed one holds for about 100 s
 * (`net.ipv4.tcp_orphan_retries`, default 8). The rest is room.
 */
const ARRIVES_WITHIN_MS = 5 * 60_000;
/** One that did arrive is asked for longer: its report may come into being late. */
const KNOWN_WITHIN_MS = 10 * 60_000;
/** One that is still at work there after this long holds back its offers no longer. */
const CARRIED_OUT_WITHIN_MS = 24 * 3_600_000;
/** Reports asked for at a time, and for how long before the answers so far are reported: well within the time-out. */
const REPORTS_AT_ONCE = 5;
const CHECK_FOR_MS = 120_000;

/** Asks for the reports of open commands and settles the changes of those that are complete. */
export function createCheckCommands(services: ActivityServices) {
  return function checkCommands(input: CheckCommandsInput): Promise<CheckCommandsResult> {
    return withHeartbeat((signal) =>
      inRun(services, { ...input, signal }, async (scope) => {
        const { runId, accountId } = scope.run;
        const isOwn = input.of === 'this_run';
        const commands = await readOpenCommands(
          services.db,
          accountId,
          isOwn ? { thisRun: runId } : { otherThan: runId },
        );
        const checked = await checkAll(services, scope, commands, input);
        // From the rows, so that what a lost worker has settled is not forgotten.
        return { ...checked, retry: isOwn ? await readOffersLeftByCommands(services.db, runId) : [] };
      }),
    );
  };
}

async function checkAll(
  services: ActivityServices,
  scope: RunScope,
  commands: readonly OpenCommand[],
  input: CheckCommandsInput,
): Promise<Pick<CheckCommandsResult, 'open' | 'wait'>> {
  const limit = pLimit(REPORTS_AT_ONCE);
  const mayWait = input.of === 'this_run' && !input.isLastCheck;
  const deadline = Date.now() + CHECK_FOR_MS;
  const failures: unknown[] = [];
  let open = 0;
  await Promise.all(
    commands.map((command) =>
      limit(async () => {
        try {
          scope.call.signal?.throwIfAborted();
          const isLeft = failures.length > 0 || (mayWait && Date.now() > deadline);
          const isSettled = !isLeft && (await checkCommand(services, scope, command, input));
          if (!isSettled && command.isAwaited) open += 1;
        } catch (error) {
          failures.push(error);
          if (command.isAwaited) open += 1;
        }
      }),
    ),
  );
  const [failure] = failures;
  const wait = toPermitWait(failure);
  if (wait !== undefined) return { open, wait };
  if (failures.length > 0) throw failure;
  return { open };
}

/** @returns false: still at work */
async function checkCommand(
  services: ActivityServices,
  scope: RunScope,
  command: Command,
  input: CheckCommandsInput,
): Promise<boolean> {
  const { db } = services;
  const report = await readReportIfLegible(services, scope, command);
  if (report.isComplete) {
    await settleCommand(services, scope, command, { tasks: report.tasks, isOwn: input.of === 'this_run' });
    return true;
  }
  if (isGivenUp(command, report, await readDatabaseTime(db))) {
    await setCommandState(db, command.commandId, { from: ['sent', 'accepted'], to: 'superseded' });
    await leaveToNextRun(db, command);
    return true;
  }
  if (input.isLastCheck) await leaveToNextRun(db, command);
  return false;
}

/** A report that is not understood is one that is not there yet: it must not keep the others from being settled. */
async function readReportIfLegible(
  services: ActivityServices,
  scope: RunScope,
  command: Command,
): Promise<CommandReport> {
  try {
    return await readReport(services, scope, command);
  } catch (error) {
    if (!(error instanceof SyncError) || error.type !== 'InvalidAnswer') throw error;
    services.logger.warn(
      { event: 'allegro_sync_error', commandId: command.commandId, errorClass: error.type },
      `the report of a command is not understood: ${error.message}`,
    );
    return { isKnown: true, isComplete: false, tasks: [] };
  }
}

function isGivenUp({ sentAt, state }: Command, { isKnown }: CommandReport, now: Date): boolean {
  const untilKnownMs = state === 'accepted' ? KNOWN_WITHIN_MS : ARRIVES_WITHIN_MS;
  const patienceMs = isKnown ? CARRIED_OUT_WITHIN_MS : untilKnownMs;
  return sentAt !== null && now.getTime() - sentAt.getTime() > patienceMs;
}

async function leaveToNextRun(db: Db, command: Command): Promise<void> {
  // What has gone another way since is not waited for any more.
  const changes = await readCommandChanges(db, command, command.commandId);
  await closeUnsent(db, command, changes, { state: 'unknown', reason: 'command_pending' });
}

interface Reported {
  readonly tasks: readonly CommandTask[];
  /** false: an earlier run's, which is over. */
  readonly isOwn: boolean;
}

/** Settles every change of a complete command by its task, all of them or none. */
async function settleCommand(
  services: ActivityServices,
  scope: RunScope,
  command: Command,
  { tasks, isOwn }: Reported,
): Promise<void> {
  const byOffer = new Map(tasks.map((task) => [task.offerId, task]));
  const isForeign = tasks.length > 0 && !command.offers.some(({ offerId }) => byOffer.has(offerId));
  if (isForeign) await tellForeignCommand(services, scope, command, 'its report names none of our offers');
  const failed: { change: OfferChange; task: CommandTask; attempt: FailedAttempt }[] = [];
  await services.db.transaction().execute(async (trx) => {
    // A worker that was stopped must not settle again what another one has settled.
    if (!(await setCommandState(trx, command.commandId, { from: ['sent', 'accepted'], to: 'complete' }))) return;
    const targets = new Map(command.offers.map(({ offerId, target }) => [offerId, target]));
    const changes = await readCommandChanges(trx, command, command.commandId);
    const stateOf = ({ offerId }: OfferChange): CommandTask['state'] => byOffer.get(offerId)?.state ?? 'new';
    await confirmChanges(
      trx,
      command,
      changes
        .filter((change) => stateOf(change) === 'success')
        .map(({ offerId, valueBefore, mark }) => ({
          offerId,
          mark,
          // An offer ended by its status keeps its number.
          available: command.kind === 'end' ? valueBefore : (targets.get(offerId) ?? valueBefore),
          isEndedByStatus: command.kind === 'end',
          traceId: null,
        })),
    );
    for (const change of changes) {
      const task = byOffer.get(change.offerId);
      if (task?.state !== 'fail') continue;
      const attempt = failedAttempt(command, { task, mark: change.mark }, isOwn);
      failed.push({ change, task, attempt });
      await recordFailedAttempt(trx, command, attempt);
    }
    const unreported = changes.filter((change) => stateOf(change) === 'new');
    await closeUnsent(trx, command, unreported, { state: 'unknown', reason: 'not_in_report' });
  });
  for (const one of failed) logFailedTask(services, command, one);
}

function failedAttempt(
  { kind }: Command,
  { task, mark }: { task: CommandTask; mark: Mark | null },
  isOwn: boolean,
): FailedAttempt {
  const errorClass = task.errorType ?? 'OfferRejected';
  return {
    offerId: task.offerId,
    mark,
    errorClass,
    code: task.code,
    message: task.message ?? 'the command failed for this offer',
    traceId: null,
    whatToDo: task.whatToDo ?? null,
    next: nextAfterTask(kind, errorClass, isOwn),
    // What an earlier run had sent and nobody was told of is tried, and told, by this run.
    isQuarantined: isOwn,
  };
}

function nextAfterTask(kind: Command['kind'], errorClass: SyncErrorType, isOwn: boolean): FailedAttempt['next'] {
  if (RETRYABLE_FOR_ONE_OFFER.includes(errorClass)) return 'again';
  // What a beta refuses is asked once of the call that is not one.
  return kind === 'bulk' && errorClass === 'OfferRejected' && isOwn ? 'patch' : 'rejected';
}

/** The request that brought the report was answered well; what it says of this offer is logged as an error of its own. */
function logFailedTask(
  { logger }: ActivityServices,
  { accountId, runId }: Command,
  { change, task, attempt }: { change: OfferChange; task: CommandTask; attempt: FailedAttempt },
): void {
  logSyncError(logger, {
    operation: 'commandTask',
    accountId,
    runId,
    offerId: change.offerId,
    sku: change.sku,
    attempt: change.attempts + 1,
    errorClass: attempt.errorClass,
    ...(task.code === null ? {} : { errorCode: task.code }),
    message: attempt.message,
  });
}
