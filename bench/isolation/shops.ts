import type pg from 'pg';

import type { NewOffer } from '../../simulator/admin-requests.js';
import type { Application, ConnectedAccount } from '../../src/local/application.js';

/** The shops of a run: small ones that live a little, and large ones to which something happens. */

const FIRST_SELLER_ID = 44_000_001;
const SMALL_OFFERS = 30;
const CHANGES_PER_TICK = 3;
/** Far more than the stock: lowering is what no guard holds back. */
const SHOWN_TOO_MUCH = 10_000;

export interface ShopSizes {
  readonly small: number;
  /** Of each large one: every number differs from the stock and from each other, so that each takes a write of its own. */
  readonly largeOffers: readonly number[];
}

export interface Shops {
  readonly small: readonly ConnectedAccount[];
  readonly large: readonly ConnectedAccount[];
  /** Gives a few SKUs of each small shop other numbers. */
  changeStock(): Promise<void>;
}

/** The sellers, for the simulator's seed: their offers are added by `openShops`. */
export function sellersOf({ small, largeOffers }: ShopSizes): { sellerId: string; offers: number }[] {
  return Array.from({ length: small + largeOffers.length }, (_, index) => ({ sellerId: sellerId(index), offers: 0 }));
}

export async function openShops(application: Application, database: pg.Pool, sizes: ShopSizes): Promise<Shops> {
  const stock = new Map<string, number>();
  const offers: NewOffer[] = [];
  const put = (shop: number, place: number, quantity: number, shown: number): void => {
    stock.set(skuOf(shop, place), quantity);
    offers.push({
      sellerId: sellerId(shop),
      externalId: skuOf(shop, place),
      status: 'ACTIVE',
      available: shown,
    });
  };
  for (let shop = 0; shop < sizes.small; shop += 1) {
    for (let place = 0; place < SMALL_OFFERS; place += 1) put(shop, place, quantityAt(place, 0), quantityAt(place, 0));
  }
  for (const [index, count] of sizes.largeOffers.entries()) {
    for (let place = 0; place < count; place += 1) {
      put(sizes.small + index, place, place + 1, place + 1 + SHOWN_TOO_MUCH);
    }
  }
  await application.admin.addOffers(offers);
  await book(application, database, stock);
  const accounts = await application.connectAccounts('live');
  let changes = 0;
  return {
    small: accounts.slice(0, sizes.small),
    large: accounts.slice(sizes.small),
    async changeStock() {
      changes += 1;
      const news = new Map<string, number>();
      for (let shop = 0; shop < sizes.small; shop += 1) {
        for (let step = 0; step < CHANGES_PER_TICK; step += 1) {
          const place = (changes * CHANGES_PER_TICK + step) % SMALL_OFFERS;
          news.set(skuOf(shop, place), quantityAt(place, changes));
        }
      }
      await book(application, database, news);
    },
  };
}

/** As the warehouse writes it; the simulator judges writes by the same numbers. */
async function book({ admin }: Application, database: pg.Pool, stock: ReadonlyMap<string, number>): Promise<void> {
  await admin.setTruth({ skus: Object.fromEntries(stock) });
  await database.query(
    `insert into stock_levels (sku, quantity) select * from unnest($1::text[], $2::integer[])
      on conflict (sku, warehouse) do update set quantity = excluded.quantity`,
    [[...stock.keys()], [...stock.values()]],
  );
}

/** Up at one change, down at the next: another number each time. */
function quantityAt(place: number, change: number): number {
  return 20 + place + (change % 2 === 0 ? change : -change);
}

function sellerId(shop: number): string {
  return String(FIRST_SELLER_ID + shop);
}

function skuOf(shop: number, place: number): string {
  return `S${shop + 1}-${String(place + 1).padStart(6, '0')}`;
}
