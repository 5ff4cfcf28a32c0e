import type { Account } from '../domain/account.js';
import {
  decide,
  unbookedSaleSince,
  type ChangeKind,
  type Decision,
  type OfferFacts,
  type OfferMemory,
} from '../domain/decision.js';
import {
  CONCERNS_THE_ACCOUNT,
  isServerError,
  RETRYABLE_FOR_ONE_OFFER,
  SyncError,
  type SyncErrorType,
} from '../domain/errors.js';
import type { Call, Marketplace, OfferDetails, OfferWrite, WriteAnswer } from '../domain/marketplace.js';
import type { StockLevel } from '../domain/stock.js';
import { recordFailedAttempt, type FailedAttempt } from '../storage/attempts.js';
import {
  closeUnsent,
  confirmChanges,
  holdForUnbookedSale,
  markSending,
  recordOperation,
  unmarkSending,
  type Mark,
  type OfferChange,
} from '../storage/changes.js';
import { readDatabaseTime, readStock } from '../storage/offers.js';
import { mayBecome } from './claim-change.js';
import { requireMark, sendByFromNow } from './marking.js';
import { isUnsent } from './not-sent.js';
import type { RunScope } from './run-scope.js';
import { stockMaxAgeMs, type ActivityServices } from './services.js';

/** What became of one attempt to send a change. */
export type Attempt =
  | { readonly kind: 'settled' }
  /** Answered `accepted`: ask again after `pollInMs`. */
  | {
      readonly kind: 'accepted';
      readonly operation: string;
      readonly pollInMs: number;
      readonly confirm: PendingConfirmation;
      readonly mark: Mark | null;
    }
  /** Worth another attempt. */
  | { readonly kind: 'again'; readonly error: SyncError }
  /** Sent back to be planned by another route. */
  | { readonly kind: 'rerouted' };

interface PendingConfirmation {
  readonly available: number;
  readonly isEndedByStatus: boolean;
}

/**
 * One attempt for one change: reads the stock again, looks at the offer where an ending or a return is at stake, marks
 * the row, sends, records the answer.
 * @throws SyncError of a class that concerns the whole account
 */
export async function sendChange(services: ActivityServices, scope: RunScope, change: OfferChange): Promise<Attempt> {
  if (change.operation !== null && change.valueSent !== null) {
    const confirm = confirmationOf(change, { endsByStatus: change.endsByStatus, target: change.valueSent });
    return pollOperation(services, scope, change, { operation: change.operation, confirm, mark: change.mark });
  }
  let attempted = change;
  try {
    const plan = await planAttempt(services, scope, change);
    if (plan === null) return { kind: 'settled' };
    const marked = await markAttempt(services, scope, change, plan);
    attempted = marked;
    const answer = await writeMarked(services, scope, marked, plan);
    const confirm = confirmationOf(change, plan);
    if (answer.kind === 'accepted') {
      await recordOperation(services.db, scope.run, marked, answer.operation);
      return { ...answer, confirm, mark: marked.mark };
    }
    const numbers = { answered: answer.available, expected: confirm.available };
    const available = await shownAfter(services, scope, change, numbers);
    await confirmChanges(services.db, scope.run, [
      { ...confirm, offerId: change.offerId, mark: marked.mark, available, traceId: answer.traceId },
    ]);
    return { kind: 'settled' };
  } catch (error) {
    return recordFailure(services, scope, attempted, error);
  }
}

type MarkedChange = OfferChange & { readonly mark: Mark };

/** @returns the change with its new mark and the kind it has now; the rest is as it was read */
async function markAttempt(
  { db }: ActivityServices,
  scope: RunScope,
  change: OfferChange,
  { kind, target, endsByStatus }: AttemptPlan,
): Promise<MarkedChange> {
  const { offerId, mark: seen } = change;
  const sending = { changes: [{ offerId, target, mark: seen }], commandId: null, kind, endsByStatus };
  return { ...change, kind, mark: requireMark(scope, await markSending(db, scope.run, sending)) };
}

/** Writes, unless that comes too late. A first write that did not leave takes its mark back: nobody has to look for it. */
async function writeMarked(
  { db, marketplace }: ActivityServices,
  scope: RunScope,
  change: MarkedChange,
  { write, sendBy }: AttemptPlan,
): Promise<WriteAnswer> {
  const { offerId, mark } = change;
  try {
    return await marketplace.writeOffer({ ...callFor(scope, change), sendBy }, offerId, write);
  } catch (error) {
    if (change.valueSent === null && isUnsent(error, scope.call.signal)) {
      await unmarkSending(db, scope.run, [offerId], mark);
    }
    throw error;
  }
}

/** An offer ended by its status keeps its number. */
function confirmationOf(
  { valueBefore }: OfferChange,
  { endsByStatus, target }: Pick<AttemptPlan, 'endsByStatus' | 'target'>,
): PendingConfirmation {
  return { available: endsByStatus ? valueBefore : target, isEndedByStatus: endsByStatus };
}

/** Asks what became of a write that was answered `accepted`. */
export async function pollOperation(
  services: ActivityServices,
  scope: RunScope,
  change: OfferChange,
  accepted: { operation: string; confirm: PendingConfirmation; mark: Mark | null },
): Promise<Attempt> {
  try {
    const answer = await services.marketplace.checkOperation(callFor(scope, change), accepted.operation);
    if (answer.kind === 'running') return { ...accepted, kind: 'accepted', pollInMs: answer.pollInMs };
    const { confirm, mark } = accepted;
    await confirmChanges(services.db, scope.run, [{ offerId: change.offerId, mark, ...confirm, traceId: null }]);
    return { kind: 'settled' };
  } catch (error) {
    return recordFailure(services, scope, { ...change, mark: accepted.mark }, error);
  }
}

interface AttemptPlan {
  readonly kind: ChangeKind;
  readonly target: number;
  readonly write: OfferWrite;
  /** true: ended by its publication status, not by a zero. */
  readonly endsByStatus: boolean;
  /** For `Call.sendBy`. */
  readonly sendBy: number;
}

/** What the stock says, and until when a number that follows from it may be sent. */
interface StockNow {
  readonly stock: StockLevel | null;
  readonly now: Date;
  readonly sendBy: number;
}

/** What to send now; null: the row was closed, nothing is to be sent. */
async function planAttempt(
  services: ActivityServices,
  scope: RunScope,
  change: OfferChange,
): Promise<AttemptPlan | null> {
  const { db } = services;
  const { sku } = change;
  const seen = {
    sku,
    format: 'BUY_NOW',
    status: change.statusBefore,
    available: change.valueBefore,
    endedBy: change.endedBy,
    endedAt: null,
  } as const;
  const given = {
    change,
    stockMaxAgeMs: stockMaxAgeMs(services.sync),
    patienceMs: services.sync.unbookedSalePatienceSeconds * 1000,
  };
  const readNow = async (): Promise<StockNow> => {
    const sendBy = sendByFromNow();
    const stock = (await readStock(db, [change.sku])).get(change.sku) ?? null;
    return { stock, now: await readDatabaseTime(db), sendBy };
  };
  const before = await readNow();
  const first = decide(factsAgain(scope.account, { ...given, ...before, offer: seen }));
  // An ending or a return is decided by the offer itself, and so is what an attempt without a clear answer has done.
  const mayHaveArrived = change.valueSent !== null;
  if (!mayHaveArrived && !endsOrReturns(change.kind) && !(first.kind === 'change' && endsOrReturns(first.change))) {
    return toPlan(services, scope, change, { decision: first, republish: false, sendBy: before.sendBy });
  }
  const offer = await readOfferItself(services, scope, change);
  // That may have taken a while.
  const { stock, now, sendBy } = await readNow();
  const facts = factsAgain(scope.account, { ...given, stock, now, offer });
  const decision = decide(facts);
  const isSale = decision.kind === 'held' && decision.reason === 'unbooked_sale';
  // The offer itself does not tell how much was sold: what ran out since the scan may have been sold out.
  // While it is being ended it shows no pieces and nobody who ended it.
  const hasRunOut = offer.endedBy === 'EMPTY_STOCK' || (offer.status !== 'ENDED' && offer.available === 0);
  const mayBeSoldOut = hasRunOut && unbookedSaleSince(facts) !== null;
  if (stock !== null && (isSale || (decision.kind === 'skipped' && mayBeSoldOut))) {
    const { available } = offer;
    await holdForUnbookedSale(db, scope.run, change, { available, stockAt: stock.updatedAt });
    return null;
  }
  if (decision.kind === 'in_sync' && mayHaveArrived) {
    const isEndedByStatus = change.endSentAt !== null && offer.endedBy === 'USER';
    const confirmation = { available: offer.available, isEndedByStatus, traceId: null };
    await confirmChanges(db, scope.run, [{ ...confirmation, offerId: change.offerId, mark: change.mark }]);
    return null;
  }
  return toPlan(services, scope, change, { decision, republish: offer.republish, sendBy });
}

/** A server error for one offer is that offer's trouble: it must not stop all others. */
async function readOfferItself(
  { marketplace }: ActivityServices,
  scope: RunScope,
  change: OfferChange,
): Promise<OfferDetails> {
  try {
    return await marketplace.readOffer(callFor(scope, change), change.offerId);
  } catch (error) {
    if (!isServerError(error)) throw error;
    throw new SyncError('OutcomeUnknown', `the offer could not be read: ${error.message}`, error.facts);
  }
}

function endsOrReturns(kind: ChangeKind): boolean {
  return kind === 'end' || kind === 'reactivate';
}

/** What the scan decided by once more, with the stock of now and what is known of the offer. */
function factsAgain(
  account: Account,
  input: {
    change: OfferChange;
    stock: StockLevel | null;
    offer: Pick<OfferDetails, 'sku' | 'format' | 'status' | 'available' | 'endedBy' | 'endedAt'>;
    now: Date;
    stockMaxAgeMs: number | null;
    patienceMs: number;
  },
): OfferFacts {
  const { change, offer } = input;
  // A SKU that somebody has changed meanwhile has another stock: the next run looks it up.
  const stock = offer.sku === change.sku ? input.stock : null;
  const isSameEnding = change.statusBefore === 'ENDED' && offer.endedBy === change.endedBy;
  return {
    offer: {
      offerId: change.offerId,
      sku: change.sku,
      name: '',
      format: offer.format,
      status: offer.status,
      available: offer.available,
      sold: change.sold,
      endedAt: offer.endedAt,
      isFulfillment: false,
      listedAs: null,
    },
    stock,
    settings: account,
    memory: memoryOf(change, isSameEnding),
    isExcluded: false,
    quarantine: null,
    contest: null,
    isRead: true,
    // The scan found this ending to be one that we may take back; another one is judged by who made it.
    endedBy: isSameEnding ? 'EMPTY_STOCK' : offer.endedBy,
    now: input.now,
    unbookedSalePatienceMs: input.patienceMs,
    stockMaxAgeMs: input.stockMaxAgeMs,
  };
}

/** What the scan has seen, and what an attempt without a clear answer may have done since. */
function memoryOf(change: OfferChange, isSameEnding: boolean): OfferMemory {
  const { sku, valueBefore, statusBefore, knownAt, valueSent, sentAt, zeroSentAt, endSentAt, sold } = change;
  // What the scan found without pieces and planned to bring back, it found to be explained.
  const isExplained = isSameEnding || (statusBefore === 'ACTIVE' && valueBefore === 0);
  return {
    sku,
    knownAvailable: valueBefore,
    knownAt,
    beforeWrite: null,
    beforeWriteStatus: null,
    writtenAt: null,
    endedBy: null,
    endedByFor: null,
    endedByUsAt: endSentAt,
    zeroSentAt,
    ending: isExplained ? { endedAt: null, soldBefore: sold, isExplained } : null,
    sold,
    unbookedSince: null,
    unbookedStockAt: null,
    leftAloneFor: null,
    hasUnsettledWrite: valueSent !== null,
    unsettled: valueSent === null || sentAt === null ? null : { value: valueSent, sentAt },
    hasPendingCommand: false,
  };
}

async function toPlan(
  services: ActivityServices,
  scope: RunScope,
  change: OfferChange,
  { decision, republish, sendBy }: { decision: Decision; republish: boolean; sendBy: number },
): Promise<AttemptPlan | null> {
  const { db } = services;
  const close = async (state: 'in_sync' | 'superseded' | 'held', reason: string): Promise<null> => {
    await closeUnsent(db, scope.run, [change], { state, reason });
    return null;
  };
  if (decision.kind === 'skipped') return close('superseded', `skipped:${decision.reason}`);
  if (decision.kind === 'held') return close('held', decision.reason);
  if (decision.kind !== 'change') return close('in_sync', 'became_unnecessary');
  const { change: kind, target } = decision;
  if (!(await mayBecome(services, scope, change, { kind, target }))) return close('held', 'guard');
  const write = toWrite(kind, target, republish);
  return { kind, target, write, endsByStatus: write.kind === 'end', sendBy };
}

function toWrite(kind: ChangeKind, target: number, republish: boolean): OfferWrite {
  switch (kind) {
    case 'end':
      return republish ? { kind: 'end' } : { kind: 'zero' };
    case 'reactivate':
      return { kind: 'reactivate', quantity: target };
    case 'lower':
    case 'raise':
      return { kind: 'quantity', quantity: target };
  }
}

function callFor(scope: RunScope, { sku, attempts, kind: planned }: OfferChange, kind = planned): Call {
  const call = { ...scope.call, sku, attempt: attempts + 1 };
  return kind === 'end' || kind === 'lower' ? { ...call, priority: 'danger' } : call;
}

/** The number in the answer is the confirmation; an answer that shows another number is checked by reading. */
async function shownAfter(
  { marketplace }: ActivityServices,
  scope: RunScope,
  change: OfferChange,
  numbers: { answered: number | null; expected: number },
): Promise<number> {
  if (numbers.answered === numbers.expected) return numbers.expected;
  const shown = await readNumber(marketplace, callFor(scope, change), change);
  if (shown === numbers.expected) return shown;
  throw new SyncError('OutcomeUnknown', `the write was answered as done, but the offer shows ${shown}`);
}

async function readNumber(marketplace: Marketplace, call: Call, { offerId }: OfferChange): Promise<number> {
  try {
    return await marketplace.readAvailable(call, offerId);
  } catch (error) {
    if (!isServerError(error)) throw error;
    throw new SyncError('OutcomeUnknown', `the number could not be read: ${error.message}`, error.facts);
  }
}

/** Which way a change takes after an error that concerns only its offer. */
function nextRoute(change: OfferChange, type: SyncErrorType): FailedAttempt['next'] {
  if (RETRYABLE_FOR_ONE_OFFER.includes(type)) return 'again';
  const isRefused = type === 'OfferRejected' || type === 'AccessDenied';
  if (isRefused && change.kind === 'end') return change.route === 'end_command' ? 'rejected' : 'end_command';
  if (type !== 'OfferRejected') return 'rejected';
  // The whole offer is checked by a PATCH; a command may still carry the number (once).
  const hadItsCommand = change.route === 'command' || change.errorClass === 'OfferRejected';
  const mayGoByCommand = change.kind === 'lower' || change.kind === 'raise';
  return mayGoByCommand && !hadItsCommand ? 'command' : 'rejected';
}

export async function recordFailure(
  services: ActivityServices,
  scope: RunScope,
  change: OfferChange,
  error: unknown,
): Promise<Attempt> {
  if (!(error instanceof SyncError) || CONCERNS_THE_ACCOUNT.includes(error.type)) throw error;
  const next = nextRoute(change, error.type);
  await recordFailedAttempt(services.db, scope.run, {
    offerId: change.offerId,
    mark: change.mark,
    errorClass: error.type,
    code: error.facts.code ?? null,
    message: error.message,
    traceId: error.facts.traceId ?? null,
    whatToDo: error.facts.whatToDo ?? null,
    next,
    isQuarantined: true,
  });
  if (next === 'again') return { kind: 'again', error };
  return next === 'rejected' ? { kind: 'settled' } : { kind: 'rerouted' };
}
