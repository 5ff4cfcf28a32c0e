import pLimit, { type LimitFunction } from 'p-limit';
import type { ScanCursor } from '../workflows/api.js';
import { decide, decideUnread, isRelabelled, type OfferFacts } from '../domain/decision.js';
import { SyncError } from '../domain/errors.js';
import { toSku, type RunId } from '../domain/ids.js';
import type { Call, EndedBy, ListedOffer, OfferPage } from '../domain/marketplace.js';
import { readBackground, readDatabaseTime, readStock, recordScan, type ScannedOffer } from '../storage/offers.js';
import { countSeen } from '../storage/missing-offers.js';
import { recordScanEnd } from '../storage/runs.js';
import { withHeartbeat } from './heartbeat.js';
import {
  countDiffering,
  factsOf,
  isUnreadable,
  OUTAGE_AFTER,
  toScanned,
  withContests,
  type Judgement,
} from './judge-offer.js';
import { cursorToMissing, lookForMissing } from './missing-offers.js';
import { toPermitWait, type PermitWait } from './permit-wait.js';
import { requireOwner } from './marking.js';
import { inRun, type RunScope } from './run-scope.js';
import type { ActivityServices } from './services.js';

export interface ScanOffersInput {
  readonly runId: RunId;
  readonly cursor: ScanCursor;
  readonly priority: Call['priority'];
}

export interface ScanOffersResult {
  /** null: the end was reached. */
  readonly cursor: ScanCursor | null;
  /** Offers newly counted by this call. */
  readonly seen: number;
  readonly differing: number;
  readonly total: number | null;
  /** The rest has to wait this long for a permit; then `cursor` says where to go on. */
  readonly wait?: PermitWait;
}

/** The most that one request may ask for. */
const OFFERS_PER_PAGE = 1000;
/** Listing pages per activity: few events, and little to read again after a crash. */
const PAGES_PER_CALL = 5;
/** Offers asked for themselves at a time; what they told is stored before the next are asked. */
const LOOKS_PER_CHUNK = 100;
const LOOKS_AT_ONCE = 10;
/** Pages of all accounts that one process works on at a time: about 10 MB each, and its CPU is busy with fewer. */
const PAGES_AT_ONCE = 8;
/** The first pages read again, where rows have moved: new offers come first. */
const PAGES_AGAIN = 3;

/**
 * Reads a part of the account's offers, compares it with the stock, and stores what differs. Safe to repeat: an offer
 * that this run has counted is left alone.
 */
export function createScanOffers(services: ActivityServices) {
  const atOnce = pLimit(PAGES_AT_ONCE);
  return function scanOffers(input: ScanOffersInput): Promise<ScanOffersResult> {
    return withHeartbeat((signal) =>
      inRun(services, { ...input, signal, isBatch: true }, async (scope) => {
        const { missing } = input.cursor;
        if (missing !== undefined) return lookForMissing(services, scope, missing);
        const scan: Scan = { services, scope, atOnce, done: { seen: 0, differing: 0, total: null }, at: input.cursor };
        try {
          const cursor = scope.run.skus === null ? await scanListing(scan) : await scanSkus(scan);
          return { ...scan.done, cursor: cursor ?? (await cursorToMissing(services, scope, scan.done.total)) };
        } catch (error) {
          const wait = toPermitWait(error);
          if (wait === undefined) throw error;
          return { ...scan.done, cursor: scan.at, wait };
        }
      }),
    );
  };
}

interface Scan {
  readonly services: ActivityServices;
  readonly scope: RunScope;
  /** Bounds the pages that this process holds in memory. */
  readonly atOnce: LimitFunction;
  /** Newly counted by this call so far. */
  readonly done: { seen: number; differing: number; total: number | null };
  /** What lies before it is done. */
  at: ScanCursor;
}

/** Both return where the next call goes on; null: the end was reached. */
async function scanListing(scan: Scan): Promise<ScanCursor | null> {
  const { db, marketplace } = scan.services;
  const { call, run } = scan.scope;
  const limit = scan.services.offersPerPage ?? OFFERS_PER_PAGE;
  for (let page = 0; page < PAGES_PER_CALL; page += 1) {
    call.signal?.throwIfAborted();
    const { listed, totalCount } = await scanPage(scan, () =>
      marketplace.listOffers(call, { offset: scan.at.position, limit }),
    );
    const position = scan.at.position + listed;
    scan.done.total = totalCount;
    scan.at = { position };
    if (listed < limit || position >= totalCount) {
      if (position >= totalCount) await readMovedRows(scan, totalCount);
      await recordScanEnd(db, run.runId, { totalCount, isComplete: position >= totalCount });
      return null;
    }
  }
  return scan.at;
}

/**
 * An offer that is added while the listing is read comes first and moves all others on: the last row of a page is the
 * first of the next, and the new one is on none. So where fewer offers were met than rows, the first pages are read again.
 */
async function readMovedRows(scan: Scan, total: number): Promise<void> {
  const { services, scope, done } = scan;
  for (let page = 0; page < PAGES_AGAIN; page += 1) {
    if ((await countSeen(services.db, scope.run)) >= total) return;
    const offset = page * OFFERS_PER_PAGE;
    const seenBefore = done.seen;
    await scanPage(scan, () => services.marketplace.listOffers(scope.call, { offset, limit: OFFERS_PER_PAGE }));
    if (done.seen === seenBefore) return;
  }
}

async function scanSkus(scan: Scan): Promise<ScanCursor | null> {
  const { db, marketplace, sync } = scan.services;
  const { call, run } = scan.scope;
  const skus = (run.skus ?? []).flatMap((text) => toSku(text) ?? []);
  const chosen = skus.slice(scan.at.position, scan.at.position + sync.batchSize);
  await scanPage(scan, async () => {
    const offers = chosen.length === 0 ? [] : await marketplace.findOffers(call, chosen);
    return { offers, totalCount: offers.length };
  });
  const position = scan.at.position + chosen.length;
  if (position < skus.length) return { position };
  await recordScanEnd(db, run.runId, { totalCount: null, isComplete: true });
  return null;
}

interface PageCounts {
  /** Rows that the page had. */
  readonly listed: number;
  readonly totalCount: number;
}

/** Reads, judges and stores one page; then asks the offers themselves where the page is not enough. */
async function scanPage(scan: Scan, read: () => Promise<OfferPage>): Promise<PageCounts> {
  const { services } = scan;
  const { doubtful, ...page } = await scan.atOnce(async () => {
    const askedAt = await readDatabaseTime(services.db);
    const { offers, totalCount } = await read();
    return { listed: offers.length, totalCount, doubtful: await judgeAndStore(scan, offers, askedAt) };
  });
  for (let start = 0; start < doubtful.length; start += LOOKS_PER_CHUNK) {
    await lookAtOffers(scan, doubtful.slice(start, start + LOOKS_PER_CHUNK));
  }
  return page;
}

async function store({ services, scope, done }: Scan, scanned: readonly ScannedOffer[]): Promise<void> {
  requireOwner(scope, await recordScan(services.db, scope.run, scanned));
  done.seen += scanned.length;
  done.differing += countDiffering(scanned);
}

/** Stores what is decided and returns the offers that have to be asked for themselves. */
async function judgeAndStore(scan: Scan, rows: readonly ListedOffer[], askedAt: Date): Promise<OfferFacts[]> {
  const { services, scope } = scan;
  const { db } = services;
  const offers = [...new Map(rows.map((offer) => [offer.offerId, offer])).values()];
  const [background, stock] = await Promise.all([
    readBackground(db, scope.run, offers),
    readStock(
      db,
      offers.flatMap((offer) => offer.sku ?? []),
    ),
  ]);
  const listed = offers.flatMap((offer) => {
    const { isCounted, ...known } = background(offer.offerId);
    return isCounted ? [] : [factsOf(services, scope, { offer, known, stock, askedAt })];
  });
  const decided: ScannedOffer[] = [];
  const doubtful: OfferFacts[] = [];
  for (const facts of await withContests(services, scope, listed)) {
    const decision = decide(facts);
    if (decision.kind === 'look') doubtful.push(facts);
    else decided.push(toScanned(facts, decision, askedAt));
  }
  await store(scan, decided);
  return doubtful;
}

/** Asks the offers themselves. What was learnt is stored even when the rest of the chunk could not be asked. */
async function lookAtOffers(scan: Scan, chunk: readonly OfferFacts[]): Promise<void> {
  const { services, scope } = scan;
  const doubtful = await withContests(services, scope, chunk);
  const limit = pLimit(LOOKS_AT_ONCE);
  const askedAt = await readDatabaseTime(services.db);
  const results = await Promise.allSettled(
    doubtful.map((facts) => limit(() => lookAtOffer(services, scope, facts, askedAt))),
  );
  const looked = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const unread = results.flatMap((result, index) => {
    const facts = doubtful[index];
    return result.status === 'rejected' && facts !== undefined ? [{ facts, error: result.reason as unknown }] : [];
  });
  const isOutage = looked.length === 0 && unread.length >= OUTAGE_AFTER;
  const left = isOutage ? [] : unread.filter(({ error }) => isUnreadable(error));
  const scanned = [...looked, ...left.map(({ facts, error }) => leaveUnread(facts, error, askedAt))];
  await store(scan, scanned);
  const failed = unread.find((one) => !left.includes(one));
  if (failed !== undefined) throw failed.error;
}

/** Nothing is concluded from it but that fewer pieces cannot wait: what we knew of it stays. */
function leaveUnread(unread: OfferFacts, error: unknown, askedAt: Date): ScannedOffer {
  const type = error instanceof SyncError ? error.type : 'unknown';
  const needed = decideUnread(unread);
  if (needed === null) return keepAsKnown(unread, { kind: 'unread', reason: `unreadable: ${type}` }, askedAt);
  return keepAsKnown(needed.facts, needed.decision, askedAt);
}

function keepAsKnown(facts: OfferFacts, judgement: Judgement, askedAt: Date): ScannedOffer {
  const { memory } = facts;
  const scanned = toScanned(facts, judgement, askedAt);
  if (memory === null) return { ...scanned, isCertain: false };
  return {
    ...scanned,
    // Else the sale that has ended it would be known already when the offer is read.
    offer: { ...scanned.offer, sold: memory.sold },
    isCertain: false,
    known: { available: memory.knownAvailable, at: memory.knownAt, sku: memory.sku },
    unbookedSince: memory.unbookedSince,
    unbookedStockAt: memory.unbookedStockAt,
    ending: memory.ending,
  };
}

async function lookAtOffer(
  { marketplace }: ActivityServices,
  { call }: RunScope,
  facts: OfferFacts,
  askedAt: Date,
): Promise<ScannedOffer> {
  const { offer, memory } = facts;
  // A running offer's number is cheaper to ask for than the whole offer; it does not tell whether the offer runs.
  const isOnlyTheNumberDoubtful =
    memory?.beforeWriteStatus == null && memory?.hasUnsettledWrite !== true && !isRelabelled(facts);
  if (offer.status === 'ACTIVE' && offer.available > 0 && isOnlyTheNumberDoubtful) {
    const available = await marketplace.readAvailable(call, offer.offerId);
    if (available > 0) return judge({ ...facts, offer: { ...offer, available } }, null);
  }
  const details = await marketplace.readOffer(call, offer.offerId);
  const { endedBy, status, available, endedAt, format, sku } = details;
  // Which of the two is newer is not known: neither SKU's stock is applied until they agree.
  if (sku !== offer.sku) return keepAsKnown(facts, { kind: 'unread', reason: 'unreadable: InvalidAnswer' }, askedAt);
  return judge(
    { ...facts, offer: { ...offer, status, available, endedAt: endedAt ?? offer.endedAt, format } },
    endedBy,
  );

  function judge(read: OfferFacts, endedBy: EndedBy | null): ScannedOffer {
    const decision = decide({ ...read, isRead: true, endedBy });
    return { ...toScanned(read, decision, askedAt), endedBy };
  }
}
