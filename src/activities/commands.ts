import { CONCERNS_THE_ACCOUNT, RETRYABLE_FOR_ONE_OFFER, SyncError, type SyncErrorType } from '../domain/errors.js';
import type { OfferId, RunId, Sku } from '../domain/ids.js';
import type { Call, CommandReport, CommandTask } from '../domain/marketplace.js';
import { publishableQuantity } from '../domain/stock.js';
import { logSyncError } from '../observability/sync-events.js';
import {
  closeUnsent,
  confirmChanges,
  readCommandChanges,
  recordFailedAttempt,
  type OfferChange,
} from '../storage/changes.js';
import {
  freezeCommand,
  readCommand,
  readOpenCommands,
  returnToPlan,
  setCommandState,
  type Command,
} from '../storage/commands.js';
import { readStock } from '../storage/offers.js';
import { withHeartbeat } from './heartbeat.js';
import { toPermitWait, type PermitWait } from './permit-wait.js';
import { inRun, type RunScope } from './run-scope.js';
import type { ActivityServices } from './services.js';

export interface SubmitCommandInput {
  readonly runId: RunId;
  readonly commandId: string;
  readonly priority: Call['priority'];
}

/** `isSent` false: nothing was left to send. `hasRerouted`: some offers are to be planned again. */
export interface SubmitCommandResult {
  readonly isSent: boolean;
  readonly hasRerouted: boolean;
}

/**
 * Sends one command. Its id and content are stored before the first send; a repeated call sends the same again, but
 * only while the stock still asks for it. Otherwise the offers are planned anew, under an id of their own.
 */
export function createSubmitCommand(services: ActivityServices) {
  return function submitCommand(input: SubmitCommandInput): Promise<SubmitCommandResult> {
    return withHeartbeat((signal) =>
      inRun(services, { ...input, signal, isBatch: true }, async (scope) => {
        const command = await readCommand(services.db, scope.run.accountId, input.commandId);
        if (command === null || command.state === 'failed' || command.state === 'superseded') {
          return { isSent: false, hasRerouted: true };
        }
        if (command.state === 'accepted' || command.state === 'complete') return { isSent: true, hasRerouted: false };
        return command.state === 'sent' ? sendAgain(services, scope, command) : sendFirst(services, scope, command);
      }),
    );
  };
}

async function sendFirst(services: ActivityServices, scope: RunScope, command: Command): Promise<SubmitCommandResult> {
  const { db } = services;
  const { fitting, changed, gone } = await compareWithStock(services, scope, command);
  await closeUnsent(db, scope.run, gone, { state: 'superseded', reason: 'skipped:unknown_sku' });
  await returnToPlan(db, scope.run.runId, changed);
  if (fitting.length === 0) {
    await setCommandState(db, command.commandId, 'superseded');
    return { isSent: false, hasRerouted: changed.length > 0 };
  }
  const target = command.quantity ?? 0;
  const isOurs = await freezeCommand(db, scope.run, { commandId: command.commandId, target, offerIds: fitting });
  if (!isOurs) throw new SyncError('Superseded', `run ${scope.run.runId}: a newer run owns the account`);
  return send(services, scope, { ...command, offerIds: fitting }, changed.length > 0);
}

async function sendAgain(services: ActivityServices, scope: RunScope, command: Command): Promise<SubmitCommandResult> {
  const { fitting, changed, gone } = await compareWithStock(services, scope, command);
  if (changed.length === 0 && gone.length === 0) return send(services, scope, command, false);
  // It may have arrived: it stays open to be asked for, and what the stock asks for now goes out on its own.
  const target = command.quantity ?? 0;
  await returnToPlan(services.db, scope.run.runId, [
    ...changed,
    ...fitting.map((offerId) => ({ offerId, target, route: 'command' as const })),
  ]);
  return { isSent: false, hasRerouted: true };
}

/** Which offers of the command still need its value. */
async function compareWithStock(
  services: ActivityServices,
  scope: RunScope,
  command: Command,
): Promise<{
  fitting: OfferId[];
  changed: { offerId: OfferId; target: number; route: 'patch' }[];
  gone: OfferId[];
}> {
  const changes = (await readCommandChanges(services.db, scope.run, command.commandId)).filter(
    (change) => change.state === 'planned' || change.state === 'sending',
  );
  const stock = await readStock(services.db, [...new Set<Sku>(changes.map((change) => change.sku))]);
  const fitting: OfferId[] = [];
  const changed: { offerId: OfferId; target: number; route: 'patch' }[] = [];
  const gone: OfferId[] = [];
  for (const { offerId, sku, sold } of changes) {
    const level = stock.get(sku);
    const target = level === undefined ? null : publishableQuantity(level, scope.account, sold);
    if (target === null) gone.push(offerId);
    else if (target === (command.quantity ?? 0) || isKeptAtOne(scope, command, target)) fitting.push(offerId);
    else changed.push({ offerId, target, route: 'patch' });
  }
  return { fitting, changed, gone };
}

function isKeptAtOne(scope: RunScope, command: Command, target: number): boolean {
  return target === 0 && command.quantity === 1 && scope.account.atZero === 'one';
}

async function send(
  services: ActivityServices,
  scope: RunScope,
  command: Command,
  hasRerouted: boolean,
): Promise<SubmitCommandResult> {
  const { db, marketplace } = services;
  const { commandId, offerIds, quantity } = command;
  try {
    const answer =
      quantity === null
        ? await marketplace.submitEndCommand(scope.call, { commandId, offerIds })
        : await marketplace.submitQuantityCommand(scope.call, { commandId, quantity, offerIds });
    // "Already used" is ours only if the report names our offers; until it does, the command stays open.
    if (answer.kind === 'already_used') await expectOurOffers(services, scope, command);
    await setCommandState(db, commandId, 'accepted');
    return { isSent: true, hasRerouted };
  } catch (error) {
    if (!(error instanceof SyncError) || error.type === 'OutcomeUnknown' || CONCERNS_THE_ACCOUNT.includes(error.type)) {
      throw error;
    }
    // The command as such was refused: each offer is asked alone, so that one bad offer does not stop the others.
    await setCommandState(db, commandId, 'failed', { errorClass: error.type, message: error.message });
    await sendBack(services, scope, command, error);
    return { isSent: false, hasRerouted: true };
  }
}

async function expectOurOffers(services: ActivityServices, scope: RunScope, command: Command): Promise<void> {
  const report = await readReport(services, scope, command);
  const known = new Set(report.tasks.map((task) => task.offerId));
  const isForeign = report.isComplete && command.offerIds.some((offerId) => !known.has(offerId));
  if (isForeign) {
    throw new SyncError('InvalidAnswer', `command ${command.commandId} is in use with other offers: this is a bug`);
  }
}

async function sendBack(
  services: ActivityServices,
  scope: RunScope,
  command: Command,
  error: SyncError,
): Promise<void> {
  for (const change of await readCommandChanges(services.db, scope.run, command.commandId)) {
    // An offer that a PATCH has refused already is not sent back and forth.
    const wasRefused = change.errorClass === 'OfferRejected';
    await recordFailedAttempt(services.db, scope.run, {
      offerId: change.offerId,
      errorClass: error.type,
      code: error.facts.code ?? null,
      message: error.message,
      traceId: error.facts.traceId ?? null,
      next: wasRefused ? 'rejected' : 'patch',
      isQuarantined: wasRefused,
    });
  }
}

async function readReport(
  { marketplace }: ActivityServices,
  { call }: RunScope,
  command: Command,
): Promise<CommandReport> {
  return command.kind === 'end'
    ? marketplace.readEndCommand(call, command.commandId)
    : marketplace.readQuantityCommand(call, command.commandId);
}

export interface CheckCommandsInput {
  readonly runId: RunId;
  /** `this_run`: what it has sent. `earlier_runs`: what they left open. */
  readonly of: 'this_run' | 'earlier_runs';
  readonly priority: Call['priority'];
  /** true: patience is over, what is still at work is left for the next run to settle. */
  readonly isLastCheck: boolean;
}

export interface CheckCommandsResult {
  /** Commands still at work. */
  readonly open: number;
  /** Offers whose task failed in a way that is worth another attempt. */
  readonly retry: readonly OfferId[];
  /** The rest has to wait this long for a permit; the open ones are then to be asked for again. */
  readonly wait?: PermitWait;
}

/** A command that the marketplace does not know this long after it was sent has not arrived. */
const ARRIVES_WITHIN_MS = 10 * 60_000;

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
        const retry: OfferId[] = [];
        let open = 0;
        for (const [index, command] of commands.entries()) {
          signal.throwIfAborted();
          const report = await readReportIfLegible(services, scope, command).catch((error: unknown) => {
            const wait = toPermitWait(error);
            if (wait === undefined) throw error;
            return wait;
          });
          if ('why' in report) return { open: open + commands.length - index, retry, wait: report };
          if (report.isComplete) {
            const again = await settleCommand(services, command, report.tasks, isOwn);
            if (isOwn) retry.push(...again);
          } else if (!report.isKnown && hasNotArrived(command)) {
            await setCommandState(services.db, command.commandId, 'superseded');
            await leaveToNextRun(services, command);
          } else {
            open += 1;
            if (input.isLastCheck) await leaveToNextRun(services, command);
          }
        }
        return { open, retry };
      }),
    );
  };
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

function hasNotArrived(command: Command): boolean {
  return command.sentAt !== null && Date.now() - command.sentAt.getTime() > ARRIVES_WITHIN_MS;
}

async function leaveToNextRun(services: ActivityServices, command: Command): Promise<void> {
  await closeUnsent(services.db, command, command.offerIds, { state: 'unknown', reason: 'command_pending' });
}

/** Settles every change of a complete command by its task. Returns the offers worth another attempt. */
async function settleCommand(
  services: ActivityServices,
  command: Command,
  tasks: readonly CommandTask[],
  isOwn: boolean,
): Promise<OfferId[]> {
  const { db } = services;
  const changes = await readCommandChanges(db, command, command.commandId);
  const byOffer = new Map(tasks.map((task) => [task.offerId, task]));
  const taskOf = (change: OfferChange): CommandTask | undefined => byOffer.get(change.offerId);
  await confirmChanges(
    db,
    command,
    changes
      .filter((change) => taskOf(change)?.state === 'success')
      .map((change) => ({
        offerId: change.offerId,
        available: command.quantity ?? change.valueBefore,
        isEndedByStatus: command.kind === 'end',
        traceId: null,
      })),
  );
  const retry: OfferId[] = [];
  for (const change of changes) {
    const task = taskOf(change);
    if (task?.state !== 'fail') continue;
    const errorClass = task.errorType ?? 'OfferRejected';
    const next = RETRYABLE_FOR_ONE_OFFER.includes(errorClass) ? 'again' : 'rejected';
    if (next === 'again') retry.push(change.offerId);
    logFailedTask(services, command, { change, task, errorClass });
    await recordFailedAttempt(db, command, {
      offerId: change.offerId,
      errorClass,
      code: task.code,
      message: task.message ?? 'the command failed for this offer',
      traceId: null,
      next,
      // What an earlier run had sent and nobody was told of is tried, and told, by this run.
      isQuarantined: isOwn,
    });
  }
  const unreported = changes.filter((change) => (taskOf(change)?.state ?? 'new') === 'new');
  await closeUnsent(
    db,
    command,
    unreported.map((change) => change.offerId),
    { state: 'unknown', reason: 'not_in_report' },
  );
  await setCommandState(db, command.commandId, 'complete');
  return retry;
}

/** The request that brought the report was answered well; what it says of this offer is logged as an error of its own. */
function logFailedTask(
  { logger }: ActivityServices,
  { accountId, runId }: Command,
  failed: { change: OfferChange; task: CommandTask; errorClass: SyncErrorType },
): void {
  const { change, task, errorClass } = failed;
  logSyncError(logger, {
    operation: 'commandTask',
    accountId,
    runId,
    offerId: change.offerId,
    sku: change.sku,
    attempt: change.attempts + 1,
    errorClass,
    ...(task.code === null ? {} : { errorCode: task.code }),
    message: task.message ?? 'the command failed for this offer',
  });
}
