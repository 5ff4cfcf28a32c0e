import type { OfferChange } from '../../../simulator/admin-requests.js';
import type { FaultRule } from '../../../simulator/faults.js';
import type { HarmKind } from '../../../simulator/judge.js';
import type { EndingReason, OfferFields } from '../../../simulator/offer.js';
import type { OfferId } from '../../../src/domain/ids.js';

/** Kept back of every SKU in every shop: an offer shows the stock less these. */
export const BUFFER = 2;

/** What the simulator counts, and what is left after a run: an offer up with more than there is, told to nobody. */
export type Harm = HarmKind | 'left_oversold';

/** A shop while a hazard plays in it. */
export interface Stage {
  readonly offerIds: readonly OfferId[];
  readonly skus: readonly string[];
  /** The warehouse's number, in the local stock and in the simulator's truth; null: the row is deleted. */
  readonly setStock: (sku: string, quantity: number | null) => Promise<void>;
  readonly edit: (offerId: OfferId, change: OfferChange) => Promise<void>;
  readonly freeze: (offerId: OfferId, shown: { available?: number; status?: 'ACTIVE' | 'ENDED' }) => Promise<void>;
  /** Sold at Allegro and gone from the warehouse, which has not booked it yet. */
  readonly sell: (offerId: OfferId, pieces: number) => Promise<void>;
  /** In truth. */
  readonly available: (offerId: OfferId) => number;
  readonly plant: (fault: FaultRule) => Promise<void>;
  /** Lets our endings lie this long ago. */
  readonly age: (offerId: OfferId, hours: number) => Promise<void>;
}

type Act = (stage: Stage) => Promise<void>;

/** A part of a shop that a program without one of the rules harms. */
export interface Part {
  /** Each with the index of its SKU; null: it has none. */
  readonly offers: readonly (Partial<Omit<OfferFields, 'externalId'>> & { readonly sku: number | null })[];
  /** By index of the SKU; null: no row. */
  readonly stock: readonly (number | null)[];
  /** Set: a live run comes first, and this happens after it. */
  readonly betweenRuns?: Act;
  readonly beforeRuns?: Act;
  /** When the run has planned its writes and sent none. */
  readonly whenPlanned?: Act;
  /** After each batch of writes. */
  readonly whenSent?: Act;
}

/** Numbers of one part. `free`: what the offer may show; `shown`: another number, at least 3 apart. */
export interface Numbers {
  readonly free: number;
  readonly shown: number;
  readonly sold: number;
}

interface Hazard {
  readonly harms: readonly Harm[];
  readonly part: (numbers: Numbers) => Part;
}

const stockFor = (free: number): number => free + BUFFER;
const PATCH = 'PATCH /sale/product-offers/{offerId}';

/** One offer whose number differs from what the stock allows, so that a write is due unless a rule forbids it. */
function differing(fields: Part['offers'][number]) {
  return ({ free, shown }: Numbers): Part => ({
    offers: [{ available: shown, ...fields }],
    stock: [stockFor(free)],
  });
}

function endedBy(reason: EndingReason): Hazard {
  return {
    harms: ['never_touch', 'reactivated_without_reason'],
    part: differing({ sku: 0, status: 'ENDED', endedBy: reason }),
  };
}

function first<Item>(items: readonly Item[]): Item {
  const [item] = items;
  if (item === undefined) throw new Error('an empty part');
  return item;
}

/** Rows of a page of the listing in these tests. */
export const OFFERS_PER_PAGE = 6;
const IN_A_COMMAND = 10;

/** Each "never" of the design, as the situation in which it counts. */
export const HAZARDS = {
  'a SKU without a stock row': {
    harms: ['guess'],
    part: ({ shown }) => ({ offers: [{ sku: 0, available: shown }], stock: [null] }),
  },
  'no SKU': { harms: ['guess'], part: ({ shown }) => ({ offers: [{ sku: null, available: shown }], stock: [] }) },
  'pieces kept back': { harms: ['above_truth'], part: differing({ sku: 0 }) },
  'an auction': { harms: ['never_touch'], part: differing({ sku: 0, format: 'AUCTION' }) },
  'an advertisement': { harms: ['never_touch'], part: differing({ sku: 0, format: 'ADVERTISEMENT' }) },
  fulfilment: { harms: ['never_touch'], part: differing({ sku: 0, isFulfillment: true }) },
  'a draft': { harms: ['never_touch'], part: differing({ sku: 0, status: 'INACTIVE' }) },
  'ended by the seller': endedBy('USER'),
  'ended by an admin': endedBy('ADMIN'),
  'ended by expiry': endedBy('EXPIRATION'),
  'ended by product detachment': endedBy('PRODUCT_DETACHMENT'),
  'ended by an error': endedBy('ERROR'),
  'sold out, then ended by the seller before it is brought back': {
    harms: ['never_touch', 'reactivated_without_reason'],
    part: ({ free }) => ({
      offers: [{ sku: 0, available: 0, status: 'ENDED', endedBy: 'EMPTY_STOCK' }],
      stock: [stockFor(free)],
      whenPlanned: ({ edit, offerIds }) => edit(first(offerIds), { endedBy: 'USER', endedByApi: false }),
    }),
  },
  'ended by us, later brought back and ended by the seller': {
    harms: ['never_touch', 'reactivated_without_reason'],
    part: ({ free, shown }) => ({
      offers: [{ sku: 0, available: shown, republish: true }],
      stock: [0],
      betweenRuns: async ({ edit, age, setStock, offerIds, skus }) => {
        await age(first(offerIds), 3);
        await edit(first(offerIds), { endedBy: 'USER', endedByApi: false, endedAt: Date.now() });
        await setStock(first(skus), stockFor(free));
      },
    }),
  },
  'ended by the seller, still up in the listing, nothing in stock': {
    harms: ['never_touch'],
    part: ({ shown }) => ({
      offers: [{ sku: 0, available: shown, status: 'ENDED', endedBy: 'USER' }],
      stock: [0],
      beforeRuns: ({ freeze, offerIds }) => freeze(first(offerIds), { status: 'ACTIVE' }),
    }),
  },
  'restocked before its ending is sent': {
    harms: ['ended_with_stock'],
    part: ({ free, shown }) => ({
      offers: [{ sku: 0, available: shown }],
      stock: [0],
      whenPlanned: ({ setStock, skus }) => setStock(first(skus), stockFor(free)),
    }),
  },
  'less in stock before its raise is sent': {
    harms: ['above_truth'],
    part: ({ free, sold }) => ({
      offers: [{ sku: 0, available: 1 }],
      stock: [stockFor(free + 5)],
      whenPlanned: ({ setStock, skus }) => setStock(first(skus), stockFor(free + 5 - sold)),
    }),
  },
  'less in stock before the command of many is sent': {
    harms: ['above_truth'],
    part: ({ free, sold }) => ({
      offers: Array.from({ length: IN_A_COMMAND }, () => ({ sku: 0, available: 1 })),
      stock: [stockFor(free + 5)],
      whenPlanned: ({ setStock, skus }) => setStock(first(skus), stockFor(free + 5 - sold)),
    }),
  },
  'its stock row deleted before the write is sent': {
    harms: ['guess'],
    part: ({ free, shown }) => ({
      offers: [{ sku: 0, available: shown }],
      stock: [stockFor(free)],
      whenPlanned: ({ setStock, skus }) => setStock(first(skus), null),
    }),
  },
  'another SKU before it is brought back': {
    harms: ['above_truth'],
    part: ({ free }) => ({
      offers: [{ sku: 0, available: 0, status: 'ENDED', endedBy: 'EMPTY_STOCK' }],
      stock: [stockFor(free + 5), stockFor(1)],
      whenPlanned: ({ edit, offerIds, skus }) => edit(first(offerIds), { externalId: skus[1] ?? null }),
    }),
  },
  'a sale that the stock has not booked': {
    harms: ['above_truth'],
    part: ({ free, sold }) => ({
      offers: [{ sku: 0, available: free + 5 }],
      stock: [stockFor(free + 5)],
      betweenRuns: ({ sell, offerIds }) => sell(first(offerIds), sold),
    }),
  },
  'a sale behind a listing that still shows the number before our write': {
    harms: ['above_truth'],
    part: ({ free, sold }) => ({
      offers: [{ sku: 0, available: free + 20 }],
      stock: [stockFor(free + 5)],
      beforeRuns: ({ freeze, offerIds }) => freeze(first(offerIds), {}),
      betweenRuns: ({ sell, offerIds }) => sell(first(offerIds), sold),
    }),
  },
  'a sale after a raise whose answer was lost': {
    harms: ['above_truth'],
    part: ({ free, sold }) => ({
      offers: [{ sku: 0, available: 1 }],
      stock: [stockFor(free + 5)],
      beforeRuns: ({ plant, offerIds }) =>
        plant({ match: { route: PATCH, offerId: first(offerIds), times: 1 }, fault: { kind: 'cutAfter' } }),
      whenSent: async ({ available, sell, offerIds }) => {
        if (available(first(offerIds)) === free + 5) await sell(first(offerIds), sold);
      },
    }),
  },
  'listed anew by Allegro when it is sold out': {
    harms: ['left_oversold'],
    part: ({ shown }) => ({ offers: [{ sku: 0, available: shown, republish: true }], stock: [0] }),
  },
  'many offers of one SKU that is sold out': {
    harms: ['zero_by_command'],
    part: ({ shown }) => ({
      offers: Array.from({ length: IN_A_COMMAND }, () => ({ sku: 0, available: shown })),
      stock: [0],
    }),
  },
  'several offers of one SKU': {
    harms: ['left_oversold'],
    part: ({ free }) => ({
      offers: [free + 5, free + 9, free + 13].map((available) => ({ sku: 0, available })),
      stock: [stockFor(free)],
    }),
  },
  'beyond the first page': {
    harms: ['left_oversold'],
    // The newest come first in the listing.
    part: ({ free }) => ({
      offers: [
        { sku: 0, available: free + 5 },
        ...Array.from({ length: OFFERS_PER_PAGE }, () => ({ sku: 0, available: free, createdAt: Date.now() })),
      ],
      stock: [stockFor(free)],
    }),
  },
} as const satisfies Record<string, Hazard>;

export type HazardName = keyof typeof HAZARDS;
export const HAZARD_NAMES = Object.keys(HAZARDS).filter((name): name is HazardName => name in HAZARDS);

export function hazardOf(name: HazardName): Hazard {
  return HAZARDS[name];
}
