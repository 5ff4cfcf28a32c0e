import { setTimeout as sleep } from 'node:timers/promises';

import type { SimulatorAdmin, TrueOffer } from '../simulator/admin-client.js';
import type { Edits } from './edits.js';
import type { Random } from './random.js';
import type { Warehouse } from './warehouse.js';

/** Buyers, deliveries and people at Allegro's own pages. */
export interface Life {
  readonly counts: { sales: number; deliveries: number; edits: number; writeOffs: number };
  /** Stops it, and waits until everything is booked. */
  stop(): Promise<void>;
}

export interface LifeOptions {
  readonly admin: SimulatorAdmin;
  readonly warehouse: Warehouse;
  readonly edits: Edits;
  readonly random: Random;
}

const TURN_MS = { from: 300, to: 900 } as const;
/** The warehouse books a sale a little later, as warehouse systems do. */
const BOOKED_AFTER_MS = { from: 200, to: 3_000 } as const;
/** Of the turns; the others are sales. */
const DELIVERY_SHARE = 0.18;
const EDIT_SHARE = 0.1;
const WRITE_OFF_SHARE = 0.03;
/** So many SKUs come to the same number at once that a command carries it. */
const SAME_NUMBER_SKUS = 12;
/** Of the deliveries; the others are of one SKU. */
const SAME_NUMBER_SHARE = 0.2;

export function startLife({ admin, warehouse, edits, random }: LifeOptions): Life {
  const counts = { sales: 0, deliveries: 0, edits: 0, writeOffs: 0 };
  const stopping = new AbortController();
  const bookings = new Set<Promise<void>>();

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: stopping.signal }).catch(() => undefined);
  }

  async function live(): Promise<void> {
    while (!stopping.signal.aborted) {
      const { offers } = await admin.offers({ limit: 100_000 });
      const draw = random.between(0, 1);
      if (draw < DELIVERY_SHARE) await deliver();
      else if (draw < DELIVERY_SHARE + EDIT_SHARE) await edit(offers);
      else if (draw < DELIVERY_SHARE + EDIT_SHARE + WRITE_OFF_SHARE) await writeOff();
      else await sell(offers);
      await pause(random.between(TURN_MS.from, TURN_MS.to));
    }
  }

  async function sell(offers: readonly TrueOffer[]): Promise<void> {
    const offer = random.pick(offers.filter((one) => isSellable(one, warehouse.stock)));
    const sku = skuOf(offer);
    if (offer === undefined || sku === null) return;
    const quantity = random.whole(1, Math.min(3, offer.available, warehouse.stock.get(sku) ?? 1));
    const bookAfterMs = random.between(BOOKED_AFTER_MS.from, BOOKED_AFTER_MS.to);
    try {
      await admin.sell({ offerId: offer.id, quantity, lowersTruth: true });
    } catch {
      // The offer has changed since it was looked at.
      return;
    }
    counts.sales += 1;
    warehouse.noteLeft(sku, quantity);
    later(async () => {
      await pause(bookAfterMs);
      await warehouse.book([sku]);
    });
  }

  /** Either what is sold out comes back, or many SKUs are filled up to one number, or one gets a few more. */
  async function deliver(): Promise<void> {
    counts.deliveries += 1;
    const skus = [...warehouse.stock];
    const isOfMany = random.chance(SAME_NUMBER_SHARE);
    if (!isOfMany && random.chance(0.5)) {
      const chosen = random.pick(skus.filter(([, quantity]) => quantity === 0));
      if (chosen !== undefined) await warehouse.receive(new Map([[chosen[0], random.whole(1, 30)]]));
      return;
    }
    if (isOfMany) {
      await fillUp(warehouse, random);
      return;
    }
    const chosen = random.pick(skus);
    if (chosen !== undefined) await warehouse.receive(new Map([[chosen[0], random.whole(1, 10)]]));
  }

  async function writeOff(skus: Iterable<string> = warehouse.stock.keys()): Promise<void> {
    const sku = random.pick([...skus].filter((one) => (warehouse.stock.get(one) ?? 0) > 0));
    if (sku === undefined) return;
    counts.writeOffs += 1;
    await warehouse.writeOff(sku);
  }

  /** So that an offer has to be ended, however few goods broke before. */
  async function writeOffWhatIsOnSale(): Promise<void> {
    const { offers } = await admin.offers({ limit: 100_000 });
    const onSale = offers.filter((one) => isSellable(one, warehouse.stock));
    await writeOff(onSale.map((one) => skuOf(one) ?? ''));
  }

  /** Somebody puts a number of their own, too high or too low, or ends an offer. */
  async function edit(offers: readonly TrueOffer[]): Promise<void> {
    const mayEdit = (one: TrueOffer): boolean => isOrdinary(one) && one.status === 'ACTIVE' && edits.mayEdit(one.id);
    const offer = random.pick(offers.filter(mayEdit));
    if (offer === undefined) return;
    counts.edits += 1;
    edits.note(offer.id);
    if (random.chance(0.1)) await admin.editOffer(offer.id, { status: 'ENDED', endedBy: 'USER' });
    else await admin.editOffer(offer.id, { available: random.whole(1, 120) });
  }

  function later(work: () => Promise<void>): void {
    const booking = work().finally(() => bookings.delete(booking));
    bookings.add(booking);
  }

  const living = live();
  // Told by stop(); until then it must not end the process.
  living.catch(() => undefined);
  return {
    counts,
    async stop() {
      stopping.abort();
      await living;
      await writeOffWhatIsOnSale();
      await Promise.all(bookings);
      await warehouse.settled();
    },
  };
}

/** A delivery that brings many SKUs to one number. */
export async function fillUp(warehouse: Warehouse, random: Random): Promise<void> {
  const number = random.whole(60, 90);
  const lower = [...warehouse.stock].filter(([, quantity]) => quantity < number);
  const chosen = random.shuffled(lower).slice(0, SAME_NUMBER_SKUS);
  await warehouse.receive(new Map(chosen.map(([sku, quantity]) => [sku, number - quantity])));
}

function isOrdinary(offer: TrueOffer): boolean {
  return offer.format === 'BUY_NOW' && !offer.isFulfillment && offer.rejection === null && skuOf(offer) !== null;
}

function isSellable(offer: TrueOffer, stock: ReadonlyMap<string, number>): boolean {
  const sku = skuOf(offer);
  return isOrdinary(offer) && offer.status === 'ACTIVE' && offer.available > 0 && (stock.get(sku ?? '') ?? 0) > 0;
}

function skuOf(offer: TrueOffer | undefined): string | null {
  return offer?.externalId?.trim() ?? null;
}
