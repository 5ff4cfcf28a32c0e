import type { OfferChange } from '../../simulator/admin-requests.js';
import type { SimulatorAdmin, TrueOffer } from '../../simulator/admin-client.js';
import type { SeedRequest } from '../../simulator/seed.js';
import type { JudgedAccount } from './oracle.js';

/** What the demo's shops sell, and what is out of the ordinary with it. */

const SHOPS = [
  { sellerId: '44000001', login: 'tea_house', max: null },
  { sellerId: '44000002', login: 'cups_and_pots', max: null },
  { sellerId: '44000003', login: 'gift_corner', max: 190 },
] as const;

const OFFERS_PER_SHOP = 2000;

/** Made up anew, and the same, at each start. */
export const DEMO_SEED: SeedRequest = {
  seed: 7,
  accounts: SHOPS.map(({ sellerId, login }) => ({ sellerId, login, offers: OFFERS_PER_SHOP })),
};

/** The settings that differ from a new account's, as arguments of `accounts set`. */
export function settingsArguments(sellerId: string): string[] {
  const max = SHOPS.find((shop) => shop.sellerId === sellerId)?.max ?? null;
  return max === null ? [] : ['--max', String(max)];
}

/** The same settings, for the oracle. */
export const DEMO_ACCOUNTS: readonly JudgedAccount[] = SHOPS.map(({ sellerId, max }) => ({
  sellerId,
  max,
  mode: 'live',
  buffer: 0,
  raise: true,
  lower: true,
  reactivate: true,
  atZero: 'end',
}));

/** Every so manyth SKU of the warehouse has no stock row, or has had a delivery. */
const WITHOUT_ROW_EVERY = 211;
const DELIVERED_EVERY = 151;
const DELIVERED_PIECES = 7;

/**
 * Adds to the seeded catalogue what makes the demo worth watching: SKUs without a stock row, deliveries, and three
 * offers of the first shop that no write can correct.
 * @returns the offers as they are now, and the stock file
 */
export async function prepareCatalogue(admin: SimulatorAdmin): Promise<{ offers: TrueOffer[]; stockCsv: string }> {
  const stock = Object.entries(await admin.truth());
  const changed = stock.flatMap(([sku, quantity], place): [string, number | null][] => {
    if (place % WITHOUT_ROW_EVERY === WITHOUT_ROW_EVERY - 1) return [[sku, null]];
    return place % DELIVERED_EVERY === DELIVERED_EVERY - 1 && quantity > 0 ? [[sku, quantity + DELIVERED_PIECES]] : [];
  });
  await admin.setTruth({ skus: Object.fromEntries(changed) });
  await plantRefusals(admin);
  await admin.resetReport();
  return { offers: await readOffers(admin), stockCsv: await admin.stockCsv() };
}

/** All offers as they truly are. */
export async function readOffers(admin: SimulatorAdmin): Promise<TrueOffer[]> {
  return (await admin.offers({ limit: 1_000_000 })).offers;
}

type Rejection = NonNullable<OfferChange['rejection']>;

const REFUSALS: readonly { rejection: Rejection; fits: (offer: TrueOffer, stock: number) => boolean }[] = [
  {
    rejection: { message: 'Missing required parameters: 248811 (Brand)' },
    fits: ({ status, endedBy }, stock) => status === 'ENDED' && endedBy === 'EMPTY_STOCK' && stock > 0,
  },
  {
    rejection: {
      code: 'ProductConstraintViolationException',
      message: 'The offer does not fit its product: parameter 11323 (Condition) differs',
      commands: true,
    },
    fits: ({ status, available }, stock) => status === 'ACTIVE' && stock > 0 && available > stock,
  },
  {
    rejection: {
      code: 'VALIDATION_FAILED',
      message: 'The return policy of the offer is not available any more',
      path: 'afterSalesServices.returnPolicy',
      commands: true,
      endings: true,
    },
    fits: ({ status }, stock) => status === 'ACTIVE' && stock === 0,
  },
];

async function plantRefusals(admin: SimulatorAdmin): Promise<void> {
  const stock = await admin.truth();
  const offers = (await readOffers(admin)).filter(
    ({ sellerId, format, isFulfillment, rejection, republish }) =>
      sellerId === SHOPS[0].sellerId && format === 'BUY_NOW' && !isFulfillment && rejection === null && !republish,
  );
  for (const { rejection, fits } of REFUSALS) {
    const chosen = offers.find((offer) => {
      const quantity = stock[offer.externalId ?? ''];
      return quantity !== undefined && fits(offer, quantity);
    });
    if (chosen === undefined) throw new Error('the demo has no offer that could refuse its correction');
    await admin.editOffer(chosen.id, { rejection });
  }
}
