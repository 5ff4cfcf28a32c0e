import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { z } from 'zod';

import { SELLER, startScene, type Scene } from './scene.js';

const feedSchema = z.object({
  events: z.array(
    z.object({
      id: z.string(),
      type: z.string(),
      occurredAt: z.iso.datetime(),
      order: z.object({
        lineItems: z.array(
          z.object({
            id: z.string(),
            offer: z.object({ id: z.string() }),
            quantity: z.number(),
            boughtAt: z.iso.datetime(),
          }),
        ),
        checkoutForm: z.object({ id: z.string() }),
      }),
    }),
  ),
});
type OrderEvent = z.infer<typeof feedSchema>['events'][number];

let scene: Scene;

beforeEach(async () => {
  scene = await startScene();
});
afterEach(() => scene.stop());

const read = async (query = 'limit=100'): Promise<OrderEvent[]> =>
  feedSchema.parse((await scene.send('GET', `/order/events?${query}`)).body).events;
const available = async (offerId: string): Promise<number> => (await scene.admin.offer(offerId)).available;

describe('a sale', () => {
  it('may have several lines, told in one event', async () => {
    const [a, b] = [await scene.offer({ available: 5 }), await scene.offer({ available: 5, externalId: 'CUP-1' })];
    await scene.admin.setTruth({ skus: { 'MUG-1': 5, 'CUP-1': 9 } });
    const sale = await scene.admin.sell({
      offerId: a.id,
      quantity: 2,
      also: [{ offerId: b.id, quantity: 3 }],
      lowersTruth: true,
    });
    const [event] = await read();
    expect(event?.order.lineItems).toMatchObject([
      { id: sale.lineItemIds[0], offer: { id: a.id }, quantity: 2 },
      { id: sale.lineItemIds[1], offer: { id: b.id }, quantity: 3 },
    ]);
    expect([await available(a.id), await available(b.id)]).toEqual([3, 2]);
    expect(await scene.admin.truth()).toEqual({ 'MUG-1': 3, 'CUP-1': 6 });
  });

  it('is refused whole where a line is not for sale', async () => {
    const [a, ended] = [await scene.offer({ available: 5 }), await scene.offer({ status: 'ENDED' })];
    const foreign = await scene.admin.addOffer({ sellerId: '44000002', available: 5 });
    const also = (offerId: string, quantity = 1): Promise<unknown> =>
      scene.admin.sell({ offerId: a.id, quantity: 3, also: [{ offerId, quantity }] });
    await expect(also(ended.id)).rejects.toThrow('409');
    await expect(also(foreign.id)).rejects.toThrow('409');
    await expect(also(a.id, 3)).rejects.toThrow('409');
    expect([await available(a.id), await read()]).toEqual([5, []]);
  });
});

describe('what happens to an order later', () => {
  it('is told with the time at which it was bought, and leaves the stock alone', async () => {
    const { id } = await scene.offer({ available: 5 });
    const { checkoutFormId } = await scene.admin.sell({ offerId: id, quantity: 2 });
    await scene.admin.advanceClock(60_000);
    await scene.admin.continueOrder(checkoutFormId, { type: 'READY_FOR_PROCESSING' });
    await scene.admin.continueOrder(checkoutFormId, { type: 'BUYER_CANCELLED' });
    const events = await read();
    expect(events.map(({ type }) => type)).toEqual(['BOUGHT', 'READY_FOR_PROCESSING', 'BUYER_CANCELLED']);
    expect(new Set(events.map(({ order }) => order.lineItems[0]?.boughtAt)).size).toBe(1);
    expect(Date.parse(events[1]?.occurredAt ?? '') - Date.parse(events[0]?.occurredAt ?? '')).toBeGreaterThan(59_000);
    expect(await available(id)).toBe(3);
    await expect(scene.admin.continueOrder('none', { type: 'BUYER_CANCELLED' })).rejects.toThrow('404');
  });

  it('gives the pieces of a cancelled order back once, when so set', async () => {
    await scene.admin.changeSettings({ cancellationsRestoreStock: true });
    const { id } = await scene.offer({ available: 5 });
    const { checkoutFormId } = await scene.admin.sell({ offerId: id, quantity: 2 });
    await scene.admin.continueOrder(checkoutFormId, { type: 'BUYER_MODIFIED' });
    expect(await available(id)).toBe(3);
    await scene.admin.continueOrder(checkoutFormId, { type: 'BUYER_CANCELLED' });
    await scene.admin.continueOrder(checkoutFormId, { type: 'AUTO_CANCELLED' });
    expect(await available(id)).toBe(5);
  });

  it('includes being told again, under an id of its own', async () => {
    const { id } = await scene.offer({ available: 5 });
    const { checkoutFormId } = await scene.admin.sell({ offerId: id, events: ['BOUGHT'] });
    await scene.admin.continueOrder(checkoutFormId, { type: 'BOUGHT' });
    const events = await read('type=BOUGHT');
    expect(new Set(events.map((event) => event.id)).size).toBe(3);
    expect(new Set(events.map(({ order }) => order.lineItems[0]?.id)).size).toBe(1);
    expect(await available(id)).toBe(4);
  });
});

describe('the feed of orders', () => {
  const sellFour = async (): Promise<void> => {
    const { id } = await scene.offer({ available: 9 });
    for (let n = 0; n < 4; n += 1) await scene.admin.sell({ offerId: id });
  };

  it('tells twice or out of order where so planted, without a page growing beyond its limit', async () => {
    await sellFour();
    const ids = (await read()).map(({ id }) => id);
    const [a, b, c, d] = ids;
    await scene.admin.plantFault({ match: { route: '/order/events' }, fault: { kind: 'duplicateEvents' } });
    expect((await read('limit=3')).map(({ id }) => id)).toEqual([a, a, b]);
    // Whoever goes on from the last event told misses none.
    expect((await read(`limit=3&from=${b ?? ''}`)).map(({ id }) => id)).toEqual([c, c, d]);
    await scene.admin.removeFaults();
    await scene.admin.plantFault({ match: { route: '/order/events' }, fault: { kind: 'reorderEvents' } });
    expect((await read('limit=4')).map(({ id }) => id)).toEqual([b, a, d, c]);
  });

  it('is late by its lag, the newest event of the statistics too', async () => {
    await scene.admin.changeSettings({ eventLagMs: 60_000 });
    const newest = async (): Promise<unknown> => (await scene.send('GET', '/order/event-stats')).body;
    await sellFour();
    expect([await read(), await newest()]).toEqual([[], {}]);
    expect((await scene.send('GET', '/sale/offer-events')).body).toEqual({ offerEvents: [] });
    await scene.admin.advanceClock(60_000);
    const events = await read();
    expect([events.length, await newest()]).toMatchObject([4, { latestEvent: { id: events.at(-1)?.id } }]);
  });

  it('keeps 60 days', async () => {
    await sellFour();
    const countAfter = async (days: number): Promise<number> => {
      await scene.admin.advanceClock(days * 86_400_000);
      const { accessToken: token } = await scene.admin.issueTokens({ sellerId: SELLER });
      return (await scene.send('GET', '/order/events', { token })).text.split('"BOUGHT"').length - 1;
    };
    expect([await countAfter(59), await countAfter(2)]).toEqual([4, 0]);
  });
});
