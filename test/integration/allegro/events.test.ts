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

  test('are read over all pages, in order', async () => {
    const { call, sellerId } = await newShop();
    const offerId = await under.offer({ sellerId, externalId: 'E-2', available: 5000 });
    for (let available = 4999; available > 4999 - 1005; available -= 1) {
      await under.admin.editOffer(offerId, { available });
    }

    const { events, pages, cursor } = await readAll((from) => under.allegro.events.readOfferEvents(call, from));

    expect(pages).toBe(2);
    expect(events.filter(({ kind }) => kind === 'stock_changed')).toHaveLength(1005);
    expect(events.map(({ occurredAt }) => occurredAt)).toEqual(events.map(({ occurredAt }) => occurredAt).sort());
    expect(await under.allegro.events.readOfferEvents(call, cursor)).toEqual({ events: [], cursor, isLast: true });
  });

  test('are lost after 24 hours: nothing is told of them, and the old cursor goes on with what came since', async () => {
    const { call, sellerId } = await newShop();
    const [seen, lost, kept] = [
      await under.offer({ sellerId, available: 5 }),
      await under.offer({ sellerId, available: 5 }),
      await under.offer({ sellerId, available: 5 }),
    ];
    await under.admin.editOffer(seen, { available: 4 });
    const { cursor } = await readAll((from) => under.allegro.events.readOfferEvents(call, from));
    await under.admin.editOffer(lost, { status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 });

    await under.admin.advanceClock(25 * 3_600_000);

    // Neither an error nor an end of the offer: the place from which to go on stays.
    expect(await under.allegro.events.readOfferEvents(call, cursor)).toEqual({ events: [], cursor, isLast: true });
    await under.admin.editOffer(kept, { available: 3 });
    const page = await under.allegro.events.readOfferEvents(call, cursor);
    expect(page.events.map(({ offerId, kind }) => [offerId, kind])).toEqual([[kept, 'stock_changed']]);
    expect(page.cursor).not.toBe(cursor);
    expect((await under.allegro.events.readOfferEvents(call, null)).events).toEqual(page.events);
    // What the lost event would have told, only the offer itself tells.
    expect(await under.allegro.marketplace.readOffer(call, lost)).toMatchObject({
      status: 'ENDED',
      available: 0,
      endedBy: 'EMPTY_STOCK',
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
