import type { BulkAnswer } from '../domain/bulk-modification.js';
import { isStockTooOld, toldSaleAt } from '../domain/decision.js';
import { FINAL_FOR_ONE_OFFER, SyncError } from '../domain/errors.js';
import type { OfferId, RunId, Sku } from '../domain/ids.js';
import type { Call } from '../domain/marketplace.js';
import { publishableQuantity } from '../domain/stock.js';
import { recordFailedAttempt } from '../storage/attempts.js';
import { closeUnsent, readCommandChanges, unmarkSending, type Mark, type OfferChange } from '../storage/changes.js';
import {
  freezeCommand,
  postponeBulk,
  readCommand,
  returnToPlan,
  setCommandState,
  thawCommand,
  type Command,
  type MarkedOffer,
  type ReturnedChange,
} from '../storage/commands.js';
import { readDatabaseTime, readStock } from '../storage/offers.js';
import { mayBecome } from './claim-change.js';
import { readReport, tellForeignCommand, usableBulk } from './command-calls.js';
import { withHeartbeat } from './heartbeat.js';
import { requireMark, sendByFromNow } from './marking.js';
import { isUnsent } from './not-sent.js';
import { inRun, type RunScope } from './run-scope.js';
import { stockMaxAgeMs, type ActivityServices } from './services.js';

export interface SubmitCommandInput {
  readonly runId: RunId;
  readonly commandId: string;
  readonly priority: Call['priority'];
}

/** `isSent` false: nothing was left to send, or its offers are to be planned again. */
export interface SubmitCommandResult {
  readonly isSent: boolean;
}

const NOT_SENT: SubmitCommandResult = { isSent: false };
const SENT: SubmitCommandResult = { isSent: true };
const ARRIVED = { from: ['sent'], to: 'accepted' } as const;
const NOT_THERE = { from: ['sent'], to: 'superseded' } as const;
/** How long the marketplace is not asked again for commands that it has refused to know. */
const BULK_PAUSE_HOURS = 6;

/**
 * Sends one command. Its id and content are stored before the first send; a repeated call sends the same again, but
 * only while the stock still asks for it. Otherwise the offers are planned anew, under an id of their own.
 */
export function createSubmitCommand(services: ActivityServices) {
  return function submitCommand(input: SubmitCommandInput): Promise<SubmitCommandResult> {
    return withHeartbeat((signal) =>
      inRun(services, { ...input, signal, isBatch: true }, async (scope) => {
        const command = await readCommand(services.db, scope.run.accountId, input.commandId);
        if (command === null || command.state === 'failed' || command.state === 'superseded') return NOT_SENT;
        if (command.state === 'accepted' || command.state === 'complete') return SENT;
        return command.state === 'sent' ? sendAgain(services, scope, command) : sendFirst(services, scope, command);
      }),
    );
  };
}

async function sendFirst(services: ActivityServices, scope: RunScope, command: Command): Promise<SubmitCommandResult> {
  const { db } = services;
  const sendBy = sendByFromNow();
  const { fitting, changed, gone, held, doubtful } = await compareWithStock(services, scope, command);
  for (const { reason, ...one } of doubtful) await closeUnsent(db, scope.run, [one], { state: 'held', reason });
  await closeUnsent(db, scope.run, gone, { state: 'superseded', reason: 'skipped:unknown_sku' });
  await closeUnsent(db, scope.run, held, { state: 'held', reason: 'guard' });
  await returnToPlan(db, scope.run.runId, changed);
  if (fitting.length === 0 || !(await canBeSent(services, scope, command))) {
    await returnToPlan(db, scope.run.runId, fitting.map(alone));
    await setCommandState(db, command.commandId, { from: ['planned'], to: 'superseded' });
    return NOT_SENT;
  }
  const frozen = { ...command, offers: fitting };
  const mark = requireMark(scope, await freezeCommand(db, scope.run, frozen));
  // What has been sent before, in another way, stays marked: it may have arrived.
  const isFirst = fitting.every((one) => one.mark === null);
  return send(services, scope, frozen, { mark, isFirst, sendBy });
}

async function sendAgain(services: ActivityServices, scope: RunScope, command: Command): Promise<SubmitCommandResult> {
  const sendBy = sendByFromNow();
  const { fitting, changed, gone, held, doubtful } = await compareWithStock(services, scope, command);
  if (fitting.length === command.offers.length && (await canBeSent(services, scope, command))) {
    const mark = requireMark(scope, await freezeCommand(services.db, scope.run, { ...command, offers: fitting }));
    return send(services, scope, command, { mark, isFirst: false, sendBy });
  }
  // It may have arrived: it stays open to be asked for, and what the stock asks for now goes out on its own.
  const again = command.kind === 'bulk' ? alone : byCommand;
  await closeUnsent(services.db, scope.run, gone, { state: 'superseded', reason: 'skipped:unknown_sku' });
  await closeUnsent(services.db, scope.run, held, { state: 'held', reason: 'guard' });
  await returnToPlan(services.db, scope.run.runId, [...changed, ...fitting.map(again), ...doubtful.map(alone)]);
  return NOT_SENT;
}

interface DoubtfulRaise extends MarkedOffer {
  readonly reason: 'unbooked_sale' | 'stale_stock';
}

function alone({ offerId, target, mark }: MarkedOffer): ReturnedChange {
  return { offerId, target, mark, route: 'patch' };
}

function byCommand({ offerId, target, mark }: MarkedOffer): ReturnedChange {
  return { offerId, target, mark, route: 'command' };
}

/** Commands with a value for each offer may have been switched off, or found missing, since this one was planned. */
async function canBeSent(services: ActivityServices, { run }: RunScope, { kind }: Command): Promise<boolean> {
  return kind !== 'bulk' || (await usableBulk(services, run.accountId)) !== null;
}

/** Which offers of the command still need its value. */
async function compareWithStock(
  services: ActivityServices,
  scope: RunScope,
  command: Command,
): Promise<{
  /** In the order of their ids, as they were frozen. */
  fitting: MarkedOffer[];
  changed: ReturnedChange[];
  gone: OfferChange[];
  /** More of them would be raised, or higher, than the guards allow. */
  held: OfferChange[];
  /** Raises of what was bought meanwhile, or whose stock has become too old. */
  doubtful: DoubtfulRaise[];
}> {
  const changes = (await readCommandChanges(services.db, scope.run, command.commandId)).filter(
    (change) => change.state === 'planned' || change.state === 'sending',
  );
  const stock = await readStock(services.db, [...new Set<Sku>(changes.map((change) => change.sku))]);
  const carried = new Map(command.offers.map((offer) => [offer.offerId, offer.target]));
  const fitting: MarkedOffer[] = [];
  const changed: ReturnedChange[] = [];
  const gone: OfferChange[] = [];
  const held: OfferChange[] = [];
  const doubtful: DoubtfulRaise[] = [];
  const now = await readDatabaseTime(services.db);
  const patienceMs = services.sync.unbookedSalePatienceSeconds * 1000;
  const maxAgeMs = stockMaxAgeMs(services.sync);
  for (const change of changes) {
    const { offerId, sku, sold, kind, mark } = change;
    const level = stock.get(sku);
    const target = level === undefined ? null : publishableQuantity(level, scope.account, sold);
    const value = carried.get(offerId);
    const addsPieces = kind === 'raise' && (target ?? 0) > change.valueBefore;
    if (level === undefined || target === null) gone.push(change);
    else if (addsPieces && toldSaleAt(level, now, patienceMs) !== null)
      doubtful.push({ offerId, target, mark, reason: 'unbooked_sale' });
    else if (addsPieces && isStockTooOld(level, { now, stockMaxAgeMs: maxAgeMs }))
      doubtful.push({ offerId, target, mark, reason: 'stale_stock' });
    else if (value !== undefined && (target === value || isKeptAtOne(scope, value, target)))
      fitting.push({ offerId, target: value, mark });
    else if (target > change.valueBefore && !(await mayBecome(services, scope, change, { kind: 'raise', target })))
      held.push(change);
    else changed.push({ offerId, target, mark, route: 'patch' });
  }
  return { fitting, changed, gone, held, doubtful };
}

function isKeptAtOne(scope: RunScope, value: number, target: number): boolean {
  return target === 0 && value === 1 && scope.account.atZero === 'one';
}

interface Sending {
  /** Of this sending. */
  readonly mark: Mark;
  /** false: something of it was sent before, and may have arrived. */
  readonly isFirst: boolean;
  /** For `Call.sendBy`. */
  readonly sendBy: number;
}

async function send(
  services: ActivityServices,
  scope: RunScope,
  command: Command,
  sending: Sending,
): Promise<SubmitCommandResult> {
  const { db } = services;
  const { commandId } = command;
  const { mark, isFirst } = sending;
  const answer = await submit(services, scope, command, sending);
  switch (answer.kind) {
    case 'accepted':
      await setCommandState(db, commandId, ARRIVED);
      return SENT;
    case 'already_used': {
      const whose = await whoseReport(services, scope, command);
      if (whose === 'foreign')
        return refuseForeign(services, scope, command, { mark, how: 'its report names other offers' });
      if (whose === 'ours') await setCommandState(db, commandId, ARRIVED);
      return SENT;
    }
    case 'not_available':
      await postponeBulk(db, scope.run.accountId, BULK_PAUSE_HOURS);
      await db.transaction().execute(async (trx) => {
        const failure = { errorClass: 'NotAvailable', message: answer.kind };
        if (!(await setCommandState(trx, commandId, { ...NOT_THERE, mark }, failure))) return;
        if (isFirst) await unmarkSending(trx, scope.run, offerIdsOf(command), mark);
        await returnToPlan(trx, scope.run.runId, (await readCommandChanges(trx, scope.run, commandId)).map(alone));
      });
      services.logger.warn(
        { event: 'allegro_sync_bulk_not_available', accountId: scope.run.accountId, runId: scope.run.runId },
        `the marketplace has no commands with a number for each offer; it is asked again in ${BULK_PAUSE_HOURS} h`,
      );
      return NOT_SENT;
    case 'refused':
      if (answer.error.facts.status === 409)
        return refuseForeign(services, scope, command, { mark, how: 'registered with different content' });
      // A beta that refuses what it should take is left alone for a while, for what does the same.
      if (command.kind === 'bulk') await postponeBulk(db, scope.run.accountId, BULK_PAUSE_HOURS);
      return sendBack(services, scope, command, { mark, error: answer.error });
  }
}

/** The answer of the marketplace; of an error only what says that the command as such was refused. */
async function submit(
  services: ActivityServices,
  scope: RunScope,
  command: Command,
  { mark, isFirst, sendBy }: Sending,
): Promise<BulkAnswer | { readonly kind: 'refused'; readonly error: SyncError }> {
  try {
    return await callMarketplace(services, { ...scope.call, sendBy }, command);
  } catch (error) {
    if (isUnsent(error, scope.call.signal)) {
      if (isFirst) await thawCommand(services.db, scope.run, command, mark);
      throw error;
    }
    if (!(error instanceof SyncError) || !FINAL_FOR_ONE_OFFER.includes(error.type)) throw error;
    return { kind: 'refused', error };
  }
}

function offerIdsOf({ offers }: Command): OfferId[] {
  return offers.map(({ offerId }) => offerId);
}

async function callMarketplace({ marketplace }: ActivityServices, call: Call, command: Command): Promise<BulkAnswer> {
  const { commandId, kind, offers } = command;
  const offerIds = offerIdsOf(command);
  switch (kind) {
    case 'quantity':
      return marketplace.submitQuantityCommand(call, { commandId, quantity: offers[0]?.target ?? 0, offerIds });
    case 'end':
      return marketplace.submitEndCommand(call, { commandId, offerIds });
    case 'bulk': {
      if (marketplace.bulk === null) return { kind: 'not_available' };
      const changes = offers.map(({ offerId, target }) => ({ offerId, quantity: target }));
      return marketplace.bulk.submit(call, { commandId, changes });
    }
  }
}

/** "Already used" is ours only if the report names our offers; until it is there, the command stays open. */
async function whoseReport(
  services: ActivityServices,
  scope: RunScope,
  command: Command,
): Promise<'ours' | 'foreign' | 'unknown'> {
  const report = await readReport(services, scope, command);
  const named = new Set(report.tasks.map((task) => task.offerId));
  if (command.offers.every(({ offerId }) => named.has(offerId))) return 'ours';
  return report.isComplete ? 'foreign' : 'unknown';
}

async function refuseForeign(
  services: ActivityServices,
  scope: RunScope,
  command: Command,
  { mark, how }: { readonly mark: Mark; readonly how: string },
): Promise<SubmitCommandResult> {
  await tellForeignCommand(services, scope, command, how);
  const message = `command ${command.commandId} is in use with other content: this is a bug`;
  return sendBack(services, scope, command, { mark, error: new SyncError('InvalidAnswer', message) });
}

/**
 * The command as such was refused: each offer is asked alone, so that one bad offer does not stop the others. A refusal
 * that comes late says nothing of what another worker has sent since.
 */
async function sendBack(
  services: ActivityServices,
  scope: RunScope,
  command: Command,
  { mark, error }: { readonly mark: Mark; readonly error: SyncError },
): Promise<SubmitCommandResult> {
  await services.db.transaction().execute(async (trx) => {
    const failure = { errorClass: error.type, message: error.message };
    if (!(await setCommandState(trx, command.commandId, { from: ['sent'], to: 'failed', mark }, failure))) return;
    for (const change of await readCommandChanges(trx, scope.run, command.commandId)) {
      // An offer that a single write has refused already is not sent back and forth; an ending had no way after this.
      const isFinal = change.errorClass === 'OfferRejected' || command.kind === 'end';
      await recordFailedAttempt(trx, scope.run, {
        offerId: change.offerId,
        mark: change.mark,
        errorClass: error.type,
        code: error.facts.code ?? null,
        message: error.message,
        traceId: error.facts.traceId ?? null,
        whatToDo: error.facts.whatToDo ?? null,
        next: isFinal ? 'rejected' : 'patch',
        isQuarantined: isFinal,
      });
    }
  });
  return NOT_SENT;
}

export interface GiveUpCommandInput {
  readonly runId: RunId;
  readonly commandId: string;
  readonly message: string;
}

/**
 * Ends the waiting for a command that had no clear answer at any of its attempts: its offers are asked alone, with the
 * same numbers. It stays open to be asked for, since it may have arrived. Offers that it was to end have no other way.
 */
export function createGiveUpCommand(services: ActivityServices) {
  return function giveUpCommand(input: GiveUpCommandInput): Promise<void> {
    return inRun(services, { ...input, priority: 'scheduled' }, async ({ run }) => {
      await services.db.transaction().execute(async (trx) => {
        const command = await readCommand(trx, run.accountId, input.commandId);
        if (command === null || (command.state !== 'sent' && command.state !== 'planned')) return;
        await setCommandState(trx, command.commandId, { from: ['planned'], to: 'superseded' });
        for (const { offerId, mark } of await readCommandChanges(trx, run, command.commandId)) {
          await recordFailedAttempt(trx, run, {
            offerId,
            mark,
            errorClass: 'OutcomeUnknown',
            code: null,
            message: input.message,
            traceId: null,
            whatToDo: null,
            next: command.kind === 'end' ? 'rejected' : 'patch',
            isQuarantined: false,
          });
        }
      });
    });
  };
}
