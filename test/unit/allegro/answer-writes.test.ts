import { expect, test } from '@jest/globals';
import { createOffers } from '../../../src/allegro/offers.js';
import { createQuotas } from '../../../src/allegro/quotas.js';
import { createSession } from '../../../src/allegro/session.js';
import { DEFAULT_ACCOUNT_SETTINGS } from '../../../src/domain/account.js';
import { decide, type Decision } from '../../../src/domain/decision.js';
import { SyncError } from '../../../src/domain/errors.js';
import { toAccountId, toSellerId, toSku, type OfferId, type Sku } from '../../../src/domain/ids.js';
import type { Call, ListedOffer, OfferDetails } from '../../../src/domain/marketplace.js';
import { aStock, theFacts } from '../domain/builders.js';
import { createRandom, distortField, pick, type Random } from './mutations.js';

/**
 * A listing, or the answer about one offer, in which a field was dropped, retyped, put out of range or given another
 * offer's id: nothing may be written that the true offers would not justify. `FUZZ_CASES` listings from `FUZZ_SEED`.
 */
const CASES = Number(process.env['FUZZ_CASES'] ?? 3000);
const SEED = Number(process.env['FUZZ_SEED'] ?? 1);

const BUFFER = 2;
const SETTINGS = { ...DEFAULT_ACCOUNT_SETTINGS, buffer: BUFFER };
const call: Call = { accountId: toAccountId('shop'), priority: 'scheduled' };

/** An offer as it truly is, and the true stock of its SKU. */
interface TrueOffer {
  readonly id: string;
  readonly sku: string;
  readonly available: number;
  readonly stock: number | null;
  readonly format: string;
  readonly status: string;
  readonly endedBy: string | null;
  readonly isFulfillment: boolean;
}

const KINDS = [
  {},
  {},
  { status: 'ENDED', endedBy: 'EMPTY_STOCK' },
  { status: 'ENDED', endedBy: 'USER' },
  { status: 'ENDED', endedBy: 'ADMIN' },
  { format: 'AUCTION' },
  { format: 'ADVERTISEMENT' },
  { isFulfillment: true },
  { status: 'INACTIVE' },
];

function drawOffer(random: Random, index: number): TrueOffer {
  const number = (most: number): number => Math.floor(random() * most);
  return {
    id: `1700000000${index}`,
    sku: `SKU-${index}`,
    available: 1 + number(30),
    stock: pick(random, [0, 1 + number(5), BUFFER + number(40), null]),
    format: 'BUY_NOW',
    status: 'ACTIVE',
    endedBy: null,
    isFulfillment: false,
    ...pick(random, KINDS),
  };
}

function rowOf(offer: TrueOffer) {
  return {
    id: offer.id,
    name: 'Kubek',
    sellingMode: { format: offer.format },
    stock: { available: offer.available, sold: 0 },
    publication: { status: offer.status, endedAt: offer.status === 'ENDED' ? '2026-10-01T10:00:00Z' : null },
    external: { id: offer.sku },
    isFulfillment: offer.isFulfillment,
  };
}

function detailsOf(offer: TrueOffer) {
  return {
    ...rowOf(offer),
    publication: { ...rowOf(offer).publication, endedBy: offer.endedBy, republish: false },
  };
}

function offersOver(answer: (path: string) => string) {
  const quotas = createQuotas(9000);
  const token = { accessToken: 'made-up', generation: 1, sellerId: toSellerId('7') };
  const session = createSession({
    http: {
      send: ({ path }) =>
        Promise.resolve({ status: 200, body: answer(path), traceId: null, retryAfterMs: null, location: null }),
      peek: () => Promise.resolve({ waitMs: 0, scope: null }),
      close: () => undefined,
    },
    quotas,
    store: { bindSeller: () => Promise.resolve({ kind: 'same' }) },
    tokens: {
      current: () => Promise.resolve(token),
      afterRefusal: () => Promise.resolve(token),
      forget: () => undefined,
    },
  });
  return createOffers({ session, quotas, apiUrl: 'https://api.allegro.pl' });
}

interface Write {
  readonly offerId: OfferId;
  readonly decision: Extract<Decision, { kind: 'change' }>;
}

/** What the scan and the sending do with what they read: the offer itself is asked where the listing is not enough. */
async function writesFor(truth: readonly TrueOffer[], answer: (path: string) => string): Promise<Write[]> {
  const adapter = offersOver(answer);
  const stockOf = new Map(truth.map(({ sku, stock }) => [toSku(sku), stock]));
  const factsFor = (offer: ListedOffer, read: OfferDetails | null) => {
    const sku = read === null ? offer.sku : read.sku;
    const quantity = stockOf.get(sku) ?? null;
    const { status, available, format, endedAt } = read ?? offer;
    return theFacts({
      offer: { ...offer, sku, status, available, format, endedAt },
      stock: quantity === null || sku === null ? null : { ...aStock(quantity), sku: sku satisfies Sku },
      settings: SETTINGS,
      memory: null,
      isRead: read !== null,
      endedBy: read?.endedBy ?? null,
    });
  };
  const { offers } = await adapter.list(call, { offset: 0, limit: 1000 });
  const writes: Write[] = [];
  for (const offer of new Map(offers.map((one) => [one.offerId, one])).values()) {
    let decision = decide(factsFor(offer, null));
    const isLookedAt =
      decision.kind === 'look' ||
      (decision.kind === 'change' && (decision.change === 'end' || decision.change === 'reactivate'));
    if (isLookedAt) {
      try {
        decision = decide(factsFor(offer, await adapter.read(call, offer.offerId)));
      } catch (error) {
        if (!(error instanceof SyncError)) throw error;
        continue;
      }
    }
    if (decision.kind === 'change') writes.push({ offerId: offer.offerId, decision });
  }
  return writes;
}

/** By rules of its own; null: justified, or refused by Allegro since no such offer is there. */
function harmOf({ offerId, decision }: Write, truth: readonly TrueOffer[]): string | null {
  const offer = truth.find(({ id }) => id === offerId);
  if (offer === undefined) return null;
  if (offer.stock === null) return 'a guess';
  const most = Math.max(0, offer.stock - BUFFER);
  if (offer.format !== 'BUY_NOW' || offer.isFulfillment || offer.status === 'INACTIVE') return 'never to be touched';
  if (offer.status === 'ENDED' && offer.endedBy !== 'EMPTY_STOCK') return 'ended by others';
  if (decision.target > most) return 'more than there is';
  return decision.change === 'end' && most > 0 ? 'ended while there is stock' : null;
}

test(`${CASES} distorted readings lead to no write that the truth does not justify (seed ${SEED})`, async () => {
  const random = createRandom(SEED);
  let written = 0;
  let refused = 0;
  for (let index = 0; index < CASES; index += 1) {
    const truth = [1, 2, 3].map((number) => drawOffer(random, number));
    const rows = truth.map(rowOf);
    const ids = truth.map(({ id }) => id);
    const isListing = random() < 0.6;
    const distorted = distortField(random, isListing ? { offers: rows, totalCount: 3 } : rows[0], ids);
    const answer = (path: string): string => {
      if (path.startsWith('/sale/offers?')) {
        return isListing ? distorted : JSON.stringify({ offers: rows, totalCount: 3 });
      }
      const offer = truth.find(({ id }) => path.endsWith(id));
      if (offer === undefined) return '{"errors":[]}';
      return isListing ? JSON.stringify(detailsOf(offer)) : distortField(random, detailsOf(offer), ids);
    };
    let writes: Write[] = [];
    try {
      writes = await writesFor(truth, answer);
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      refused += 1;
    }
    written += writes.length;
    for (const write of writes) {
      const harm = harmOf(write, truth);
      if (harm !== null) {
        throw new Error(`case ${index}: ${harm}: ${JSON.stringify({ ...write, truth, isListing, distorted })}`);
      }
    }
  }
  // Neither everything nor nothing is refused, else nothing would be shown.
  expect(written).toBeGreaterThan(CASES / 10);
  expect(refused).toBeGreaterThan(CASES / 10);
}, 600_000);
