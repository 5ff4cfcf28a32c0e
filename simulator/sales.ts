import type { z } from 'zod';

import type { orderEventSchema, saleSchema } from './admin-requests.js';
import type { Order } from './events.js';
import { newOrder } from './events.js';
import type { Offer } from './offer.js';
import type { Simulation } from './simulation.js';

const CANCELLATIONS: ReadonlySet<string> = new Set(['BUYER_CANCELLED', 'AUTO_CANCELLED']);

/** A buyer buys: the stock falls, BOUGHT and what else is asked for goes into the feed. @returns undefined when it is not for sale. */
export function sell(simulation: Simulation, request: z.infer<typeof saleSchema>): Order | undefined {
  const { catalogue, lifecycle, events, truth, report } = simulation;
  const lines: { offer: Offer; quantity: number }[] = [];
  for (const { offerId, quantity } of [request, ...request.also]) {
    const offer = catalogue.offers.get(offerId);
    if (offer?.status !== 'ACTIVE' || (lines[0] && lines[0].offer.sellerId !== offer.sellerId)) return undefined;
    const wanted = lines.reduce((sum, line) => (line.offer === offer ? sum + line.quantity : sum), quantity);
    if (wanted > offer.available) return undefined;
    lines.push({ offer, quantity });
  }
  for (const { offer, quantity } of lines) {
    catalogue.change(offer, { available: offer.available - quantity, sold: offer.sold + quantity }, 'sale');
    if (offer.available === 0) lifecycle.endWhenEmpty(offer, 'sale');
    const left = offer.externalId === null ? undefined : truth.quantity(offer.externalId);
    if (request.lowersTruth && offer.externalId !== null && left !== undefined) {
      truth.set(offer.externalId, Math.max(0, left - quantity));
    }
    report.noteEffect('sold');
  }
  const order = newOrder(lines, simulation.clock.now());
  for (const type of ['BOUGHT', ...request.events]) events.noteOrder(type, order);
  return order;
}

/** Something more happens to an order. A cancellation gives the pieces back once, where so set. @returns false: no such order. */
export function continueOrder(
  simulation: Simulation,
  checkoutFormId: string,
  { type }: z.infer<typeof orderEventSchema>,
): boolean {
  const { catalogue, events, settings } = simulation;
  const order = events.order(checkoutFormId);
  if (!order) return false;
  if (CANCELLATIONS.has(type) && !order.isCancelled) {
    order.isCancelled = true;
    if (settings.cancellationsRestoreStock) {
      for (const { offer, quantity } of order.lines) {
        catalogue.change(offer, { available: offer.available + quantity }, 'allegro');
      }
    }
  }
  events.noteOrder(type, order);
  return true;
}
