import pLimit from 'p-limit';
import { decide } from '../domain/decision.js';
import { SyncError } from '../domain/errors.js';
import { toSku } from '../domain/ids.js';
import type { ListedOffer, OfferDetails } from '../domain/marketplace.js';
import { markLooked, readMissingOffers, type MissingOffer } from '../storage/missing-offers.js';
import { readBackground, readDatabaseTime, readStock, recordScan, type ScannedOffer } from '../storage/offers.js';
import { recordScanEnd } from '../storage/runs.js';
import type { ScanCursor } from '../workflows/api.js';
import { countDiffering, factsOf, isUnreadable, OUTAGE_AFTER, toScanned, withContests } from './judge-offer.js';
import { requireOwner } from './marking.js';
import type { RunScope } from './run-scope.js';
import type { ScanOffersResult } from './scan-offers.js';
import type { ActivityServices } from './services.js';

/** Offers per activity: what they told is stored before the next are asked. */
const LOOKS_PER_CALL = 100;
const LOOKS_AT_ONCE = 10;
/** About a minute of the seller's quota for reading offers; the others have their turn in the next run. */
const LOOKS_PER_RUN = 3_000;

type Missing = NonNullable<ScanCursor['missing']>;

/** Where the scan goes on after its end: with the offers that it should have met; null: there is none. */
export async function cursorToMissing(
  services: ActivityServices,
  scope: RunScope,
  total: number | null,
): Promise<ScanCursor | null> {
  const first = await readMissingOffers(services.db, scope.run, 1);
  return first.length === 0 ? null : { position: 0, missing: { looked: 0, total } };
}

/**
 * Asks one by one for offers that were known before and that this scan has not met: the listing is an index and may
 * lack them. What is there is judged as read and counted; what is gone is remembered as gone and not asked again; what
 * cannot be read has its turn in the next run.
 */
export async function lookForMissing(
  services: ActivityServices,
  scope: RunScope,
  { looked, total }: Missing,
): Promise<ScanOffersResult> {
  const missing = await readMissingOffers(services.db, scope.run, LOOKS_PER_CALL);
  const found = await lookAll(services, scope, missing);
  const result = { seen: found.length, differing: countDiffering(found), total };
  const left = await readMissingOffers(services.db, scope.run, 1);
  if (left.length === 0) return { ...result, cursor: null };
  const lookedNow = looked + missing.length;
  if (lookedNow < LOOKS_PER_RUN) return { ...result, cursor: { position: 0, missing: { looked: lookedNow, total } } };
  // So many are missing that nothing can be said of the shop as a whole.
  await recordScanEnd(services.db, scope.run.runId, { totalCount: total, isComplete: false });
  return { ...result, cursor: null };
}

async function lookAll(
  services: ActivityServices,
  scope: RunScope,
  missing: readonly MissingOffer[],
): Promise<ScannedOffer[]> {
  const { db, marketplace } = services;
  const limit = pLimit(LOOKS_AT_ONCE);
  const askedAt = await readDatabaseTime(db);
  const results = await Promise.allSettled(
    missing.map((known) => limit(() => marketplace.readOffer(scope.call, known.offerId))),
  );
  const there: { known: MissingOffer; details: OfferDetails }[] = [];
  const gone: MissingOffer[] = [];
  const unread: { known: MissingOffer; error: unknown }[] = [];
  for (const [index, known] of missing.entries()) {
    const result = results[index];
    if (result?.status === 'fulfilled') there.push({ known, details: result.value });
    else if (isGone(result?.reason)) gone.push(known);
    else unread.push({ known, error: result?.reason });
  }
  const isOutage = there.length + gone.length === 0 && unread.length >= OUTAGE_AFTER;
  const left = isOutage ? [] : unread.filter(({ error }) => isUnreadable(error));
  const scanned = await judgeAll(services, scope, there, askedAt);
  requireOwner(scope, await recordScan(db, scope.run, scanned));
  const counted = new Set(scanned.map(({ offer }) => offer.offerId));
  const others = there.filter(({ known }) => !counted.has(known.offerId));
  await markLooked(db, scope.run, {
    gone: gone.map(({ offerId }) => offerId),
    left: [...left, ...others].map(({ known }) => known.offerId),
  });
  const failed = unread.find((one) => !left.includes(one));
  if (failed !== undefined) throw failed.error;
  return scanned;
}

function isGone(error: unknown): boolean {
  return error instanceof SyncError && error.type === 'OfferNotFound';
}

/** Of a run for chosen SKUs, an offer that has another SKU by now is none of its offers. */
async function judgeAll(
  services: ActivityServices,
  scope: RunScope,
  there: readonly { known: MissingOffer; details: OfferDetails }[],
  askedAt: Date,
): Promise<ScannedOffer[]> {
  const chosen = scope.run.skus === null ? null : new Set(scope.run.skus.flatMap((text) => toSku(text) ?? []));
  const read = there
    .map(({ known, details }) => ({ offer: asListed(known, details), endedBy: details.endedBy }))
    .filter(({ offer }) => chosen === null || (offer.sku !== null && chosen.has(offer.sku)));
  const offers = read.map(({ offer }) => offer);
  const [background, stock] = await Promise.all([
    readBackground(services.db, scope.run, offers),
    readStock(
      services.db,
      offers.flatMap((offer) => offer.sku ?? []),
    ),
  ]);
  const judged = read.map(({ offer, endedBy }) => {
    const facts = factsOf(services, scope, { offer, known: background(offer.offerId), stock, askedAt });
    return { ...facts, isRead: true, endedBy };
  });
  return (await withContests(services, scope, judged)).map((facts) => ({
    ...toScanned(facts, decide(facts), askedAt),
    endedBy: facts.endedBy,
  }));
}

/** What only the listing tells is as it was when it was seen last. */
function asListed(known: MissingOffer, details: OfferDetails): ListedOffer {
  const { offerId, sku, format, status, available, endedAt } = details;
  const { name, sold, isFulfillment } = known;
  return { offerId, sku, format, status, available, endedAt, name, sold, isFulfillment, listedAs: null };
}
