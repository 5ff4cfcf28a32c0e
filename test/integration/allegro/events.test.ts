import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Call } from '../../../src/domain/marketplace.js';
import type { EventPage } from '../../../src/domain/marketplace-events.js';
import { setUpAllegro, type AllegroUnderTest } from './allegro-under-test.js';

let under: AllegroUnderTest;
let sellers = 44_004_000;

beforeAll(async () => {
  under = await setUpAllegro();
});
afterEach(() => under.admin.removeFaults());
afterAll(() => under.close());

async function newShop(): Promise<{ call: Call; sellerId: string }> {
  sellers += 1;
  const sellerId = String(sellers);
  return { call: await under.logIn(sellerId), sellerId };
}

/** All pages from a cursor to the end. */
async function readAll<Event>(
  read: (cursor: string | null) => Promise<EventPage<Event>>,
  from: string | null = null,
): Promise<{ events: Event[]; cursor: string | null; pages: number }> {
  const events: Event[] = [];
  let cursor = from;
  for (let pages = 1; ; pages += 1) {
    const page = await read(cursor);
    events.push(...page.events);
    cursor = page.cursor;
    if (page.isLast) return { events, cursor, pages };
  }
}

describe('offer events', () => {
  test('tell of sales, endings and activations after the cursor, each once', async () => {
    const { call, sellerId } = await newShop();
    const offerId = await under.offer({ sellerId, externalId: 'E-1', available: 5 });
    await under.admin.sell({ offerId, quantity: 2 });
    const first = await under.allegro.events.readOfferEvents(call, null);
    await under.admin.editOffer(offerId, { status: 'ENDED', endedBy: 'ADMIN' });

    const second = await under.allegro.events.readOfferEvents(call, first.cursor);

    expect(first.events).toContainEqual(expect.objectContaining({ offerId, sku: 'E-1', kind: 'stock_changed' }));
    expect(second.events).toEqual([expect.objectContaining({ offerId, kind: 'ended', endedBy: 'ADMIN' })]);
    expect(await under.allegro.events.readOfferEvents(call, second.cursor)).toEqual({
      events: [],
      cursor: second.cursor,
      isLast: true,
    });
  });
});

describe('sales', () => {
  test('are read over all pages', async () => {
    const { call, sellerId } = await newShop();
    const offerId = await under.offer({ sellerId, externalId: 'S-1', available: 5000 });
    for (let count = 0; count < 1005; count += 1) await under.admin.sell({ offerId });

    const { events, pages } = await readAll((cursor) => under.allegro.events.readSales(call, cursor));

    expect(pages).toBe(2);
    expect(events).toHaveLength(1005);
    expect(new Set(events.map(({ key }) => key)).size).toBe(1005);
    expect(events[0]).toMatchObject({ offerId, sku: 'S-1', quantity: 1 });
  });

  test('told twice or out of order count once, and none is missed', async () => {
    const { call, sellerId } = await newShop();
    const offerId = await under.offer({ sellerId, available: 100 });
    for (let count = 0; count < 5; count += 1) await under.admin.sell({ offerId });
    const keys = new Set<string>();
    let cursor: string | null = null;
    for (const kind of ['duplicateEvents', 'reorderEvents', 'duplicateEvents'] as const) {
      await under.admin.plantFault({ match: { route: '/order/events', times: 1 }, fault: { kind } });
      const page: Awaited<ReturnType<typeof under.allegro.events.readSales>> = await under.allegro.events.readSales(
        call,
        cursor,
      );
      expect(new Set(page.events.map(({ key }) => key)).size).toBe(page.events.length);
      for (const { key } of page.events) keys.add(key);
      cursor = page.cursor;
      await under.admin.sell({ offerId });
    }
    const rest = await readAll((from) => under.allegro.events.readSales(call, from), cursor);
    for (const { key } of rest.events) keys.add(key);

    expect(keys.size).toBe(8);
  });

  test('of the past are left out by starting at the newest', async () => {
    const { call, sellerId } = await newShop();
    expect(await under.allegro.events.latestSaleCursor(call)).toBeNull();
    const offerId = await under.offer({ sellerId, available: 9 });
    await under.admin.sell({ offerId });

    const cursor = await under.allegro.events.latestSaleCursor(call);
    await under.admin.sell({ offerId, quantity: 3 });

    const { events } = await readAll((from) => under.allegro.events.readSales(call, from), cursor);
    expect(events.map(({ quantity }) => quantity)).toEqual([3]);
  });
});
