import { z } from 'zod';

import type { Clock } from './clock.js';
import type { Catalogue } from './catalogue.js';
import type { OfferFields } from './offer.js';
import { createRandom } from './random.js';
import type { Simulation } from './simulation.js';
import { clearCatalogue } from './simulation.js';

const share = z.number().min(0).max(1);

/** Shares of offers that are out of the ordinary; what they leave is active, with an external id, in fixed price. */
const mixSchema = z.strictObject({
  noExternalId: share,
  duplicateSku: share,
  endedByUser: share,
  endedByAdmin: share,
  expired: share,
  auction: share,
  advertisement: share,
  draft: share,
  activating: share,
  fulfillment: share,
  republish: share,
  /** Whole-offer validation refuses every edit. */
  invalid: share,
  /** SKUs of which the warehouse has none left. */
  emptySku: share,
  /** Offers whose number is not that of the warehouse (a drifted one of an empty SKU is still up, of a full one often ended). */
  drift: share,
});

export const REALISTIC_MIX: z.infer<typeof mixSchema> = {
  noExternalId: 0.02,
  duplicateSku: 0.02,
  endedByUser: 0.02,
  endedByAdmin: 0.005,
  expired: 0.01,
  auction: 0.01,
  advertisement: 0.01,
  draft: 0.02,
  activating: 0.005,
  fulfillment: 0.01,
  republish: 0.01,
  invalid: 0.005,
  emptySku: 0.06,
  drift: 0.05,
};

const accountSchema = z.strictObject({
  sellerId: z.string().min(1),
  login: z.string().min(1).optional(),
  isBusiness: z.boolean().optional(),
  offers: z.int().min(0).optional(),
});

export const seedSchema = z.strictObject({
  /** The same seed gives the same offers. */
  seed: z.int().default(1),
  /** How many accounts, or which. */
  accounts: z.union([z.int().min(1).max(1000), z.array(accountSchema).min(1)]).default(1),
  /** In all accounts together, split evenly among those that do not say how many they have. */
  offers: z.int().min(0).max(2_000_000).default(100),
  /** Differences from the realistic mix. */
  mix: mixSchema.partial().default({}),
  /** Most pieces of a SKU in the warehouse. */
  maxQuantity: z.int().min(1).max(99_000).default(200),
});

/** The body of `POST /_admin/seed`: all parts may be left out. */
export type SeedRequest = z.input<typeof seedSchema>;

export interface SeedResult {
  readonly accounts: readonly { readonly sellerId: string; readonly login: string; readonly offers: number }[];
  readonly offers: number;
  readonly skus: number;
}

const FIRST_SELLER_ID = 44_000_001;
const FIRST_CREATED_AT = Date.UTC(2026, 0, 1);

/** Replaces the catalogue by a made-up one and sets the truth to its warehouse: every account sells `SKU-000001` and so on. */
export function seedCatalogue(simulation: Simulation, request: z.infer<typeof seedSchema>): SeedResult {
  clearCatalogue(simulation);
  const { catalogue, truth, clock } = simulation;
  const mix = { ...REALISTIC_MIX, ...withoutUndefined(request.mix) };
  const accounts = typeof request.accounts === 'number' ? madeUpAccounts(request.accounts) : request.accounts;
  const open = accounts.filter(({ offers }) => offers === undefined).length;
  const left = Math.max(0, request.offers - accounts.reduce((sum, { offers }) => sum + (offers ?? 0), 0));
  const warehouse = new Warehouse(request.seed, { emptyShare: mix.emptySku, maxQuantity: request.maxQuantity });
  let opened = 0;
  const seeded = accounts.map((account, index) => {
    const seller = catalogue.seller(account.sellerId, account);
    let offers = account.offers;
    if (offers === undefined) {
      offers = Math.floor(left / open) + (opened < left % open ? 1 : 0);
      opened += 1;
    }
    fillAccount({ catalogue, clock, warehouse, mix, sellerId: seller.id, offers, seed: request.seed * 7919 + index });
    return { sellerId: seller.id, login: seller.login, offers };
  });
  for (const [sku, quantity] of warehouse.stock) truth.set(sku, quantity);
  return { accounts: seeded, offers: catalogue.offers.size, skus: warehouse.stock.size };
}

/** Made-up true stock: a SKU's number depends on the seed and its place alone. */
class Warehouse {
  readonly stock = new Map<string, number>();
  readonly #seed: number;
  readonly #range: { emptyShare: number; maxQuantity: number };

  constructor(seed: number, range: { emptyShare: number; maxQuantity: number }) {
    this.#seed = seed;
    this.#range = range;
  }

  /** The SKU in place n, put into the warehouse if it was not there. */
  sku(place: number): { sku: string; quantity: number } {
    const sku = `SKU-${String(place + 1).padStart(6, '0')}`;
    const known = this.stock.get(sku);
    if (known !== undefined) return { sku, quantity: known };
    const random = createRandom(Math.imul(this.#seed, 0x9e3779b1) ^ place);
    const isEmpty = random() < this.#range.emptyShare;
    const quantity = isEmpty ? 0 : 1 + Math.floor(random() ** 2 * this.#range.maxQuantity);
    this.stock.set(sku, quantity);
    return { sku, quantity };
  }
}

interface Filling {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly warehouse: Warehouse;
  readonly mix: z.infer<typeof mixSchema>;
  readonly sellerId: string;
  readonly offers: number;
  readonly seed: number;
}

function fillAccount({ catalogue, clock, warehouse, mix, sellerId, offers, seed }: Filling): void {
  const random = createRandom(seed);
  const now = clock.now();
  for (let place = 0; place < offers; place += 1) {
    const isDuplicate = place > 0 && random() < mix.duplicateSku;
    const { sku, quantity } = warehouse.sku(isDuplicate ? place - 1 : place);
    const hasSku = random() >= mix.noExternalId;
    catalogue.add(sellerId, {
      externalId: hasSku ? sku : null,
      priceGrosze: 500 + Math.floor(random() * 20_000),
      sold: Math.floor(random() ** 3 * 100),
      createdAt: FIRST_CREATED_AT + place * 1000,
      ...offerState({ random, mix, quantity, now }),
    });
  }
}

interface Draw {
  readonly random: () => number;
  readonly mix: z.infer<typeof mixSchema>;
  readonly quantity: number;
  readonly now: number;
}

function offerState({ random, mix, quantity, now }: Draw): Partial<OfferFields> {
  const some = 1 + Math.floor(random() * 50);
  const endedAt = now - Math.floor(random() * 30 * 86_400_000);
  const isDrifted = random() < mix.drift;
  const drifted = quantity + 1 + Math.floor(random() * 9);
  const endsAtDrift = random() < 0.3;
  const rare = pickRare(random(), mix);
  switch (rare) {
    case 'endedByUser':
      return { status: 'ENDED', endedBy: 'USER', endedAt, available: some };
    case 'endedByAdmin':
      return { status: 'ENDED', endedBy: 'ADMIN', endedAt, available: some };
    case 'expired':
      return { status: 'ENDED', endedBy: 'EXPIRATION', endedAt, available: some, durationDays: 30 };
    case 'auction':
      return { format: 'AUCTION', available: 1, durationDays: 7 };
    case 'advertisement':
      return { format: 'ADVERTISEMENT', available: 1, durationDays: 30 };
    case 'draft':
      return { status: 'INACTIVE', available: some };
    case 'activating':
      return { status: 'ACTIVATING', available: Math.max(1, quantity) };
    case 'fulfillment':
      return { isFulfillment: true, available: some };
    case 'republish':
    case 'invalid':
    case null: {
      const more = {
        republish: rare === 'republish',
        rejection: rare === 'invalid' ? INVALID : null,
      };
      if (quantity === 0 ? !isDrifted : isDrifted && endsAtDrift) {
        return { ...more, status: 'ENDED', endedBy: 'EMPTY_STOCK', endedAt, available: 0, initialStock: some };
      }
      return { ...more, available: isDrifted ? drifted : quantity };
    }
  }
}

const INVALID = {
  code: 'MissingRequiredParameters',
  message: 'Missing required parameters: 248811 (Marka)',
  path: 'parameters',
  mode: 'sync',
  commands: false,
  endings: false,
} as const;

const RARE = [
  'endedByUser',
  'endedByAdmin',
  'expired',
  'auction',
  'advertisement',
  'draft',
  'activating',
  'fulfillment',
  'republish',
  'invalid',
] as const;

function pickRare(draw: number, mix: z.infer<typeof mixSchema>): (typeof RARE)[number] | null {
  let sum = 0;
  for (const kind of RARE) {
    sum += mix[kind];
    if (draw < sum) return kind;
  }
  return null;
}

function madeUpAccounts(count: number): z.infer<typeof accountSchema>[] {
  return Array.from({ length: count }, (_, index) => ({
    sellerId: String(FIRST_SELLER_ID + index),
    login: `sklep_${index + 1}`,
  }));
}

function withoutUndefined<Values extends object>(
  values: Values,
): { [Key in keyof Values]?: Exclude<Values[Key], undefined> } {
  const kept: { [Key in keyof Values]?: Exclude<Values[Key], undefined> } = {};
  Object.assign(kept, Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)));
  return kept;
}
