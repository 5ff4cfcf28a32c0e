import { setTimeout as sleep } from 'node:timers/promises';
import type { TrueOffer } from '../../simulator/admin-client.js';
import type { Application } from './application.js';
import { readOffers } from './demo-catalogue.js';

/** A buyer comes so often; the warehouse books the sale a little later, as warehouse systems do. */
const SALE_EVERY_MS = 4_000;
const BOOKED_AFTER_MS = 6_000;
/** Each so manyth sale is followed by a delivery. */
const DELIVERY_EVERY_SALES = 5;
const DELIVERED_PIECES = 20;

/** Lets buyers buy and deliveries arrive until the signal is given. */
export async function liveOn(
  application: Application,
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let sales = 1; !signal.aborted; sales += 1) {
    await sell(application, print, signal);
    if (sales % DELIVERY_EVERY_SALES === 0) await deliver(application, print);
    await pause(SALE_EVERY_MS, signal);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

function pick<Item>(items: readonly Item[]): Item | undefined {
  return items[Math.floor(Math.random() * items.length)];
}

/** The booking follows, and is not waited for here. */
async function sell(application: Application, print: (line: string) => void, signal: AbortSignal): Promise<void> {
  const { admin } = application;
  const stock = await admin.truth();
  const offer = pick((await readOffers(admin)).filter((one) => isSellable(one, stock)));
  if (offer === undefined || offer.externalId === null) return;
  const sku = offer.externalId;
  await admin.sell({ offerId: offer.id, lowersTruth: true });
  print(`sold      1 × ${sku} in offer ${offer.id}; ${offer.available - 1} left there`);
  void book(application, { sku, print, signal }).catch((error: unknown) => {
    if (!signal.aborted) print(`not booked: ${sku}: ${error instanceof Error ? error.message : String(error)}`);
  });
}

function isSellable(offer: TrueOffer, stock: Readonly<Record<string, number>>): boolean {
  if (offer.status !== 'ACTIVE' || offer.format !== 'BUY_NOW' || offer.isFulfillment || offer.available === 0) {
    return false;
  }
  return offer.externalId !== null && (stock[offer.externalId] ?? 0) > 0;
}

async function book(
  { admin, runClient }: Application,
  { sku, print, signal }: { sku: string; print: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  await pause(BOOKED_AFTER_MS, signal);
  if (signal.aborted) return;
  const left = (await admin.truth())[sku] ?? 0;
  const { status, stderr } = await runClient(['stock', 'set', sku, String(left)]);
  if (status !== 0) throw new Error(`stock set ${sku}: ${stderr}`);
  print(`booked    ${sku}: ${left} in stock`);
}

async function deliver({ admin, runClient }: Application, print: (line: string) => void): Promise<void> {
  const stock = await admin.truth();
  const empty = Object.entries(stock).filter(([, quantity]) => quantity === 0);
  const [sku] = pick(empty) ?? [];
  if (sku === undefined) return;
  await admin.setTruth({ skus: { [sku]: DELIVERED_PIECES } });
  const { status, stderr } = await runClient(['stock', 'set', sku, String(DELIVERED_PIECES)]);
  if (status !== 0) throw new Error(`stock set ${sku}: ${stderr}`);
  print(`delivered ${DELIVERED_PIECES} × ${sku}, of which there was none`);
}
