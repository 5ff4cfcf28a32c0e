import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { PUBLIC, SELLER, startScene, until, type Reply, type Scene } from './scene.js';

let scene: Scene;

beforeEach(async () => {
  scene = await startScene();
});
afterEach(() => scene.stop());

const eventTypes = async (path: string): Promise<string[]> => {
  const { text } = await scene.send('GET', path);
  return [...text.matchAll(/"type":"([A-Z_]+)"/g)].map((match) => match[1] ?? '');
};

describe('what happens at Allegro', () => {
  it('a sale lowers the stock, raises what was sold and tells of it in both feeds', async () => {
    const { id } = await scene.offer({ available: 5, sold: 1 });
    await scene.admin.setTruth({ skus: { 'MUG-1': 5 } });
    const sale = await scene.admin.sell({
      offerId: id,
      quantity: 2,
      lowersTruth: true,
      events: ['READY_FOR_PROCESSING'],
    });
    expect(sale).toMatchObject({ available: 3, sold: 3, status: 'ACTIVE' });
    expect(await scene.admin.truth()).toEqual({ 'MUG-1': 3 });
    const orders = await scene.send('GET', '/order/events?limit=10');
    expect(orders.body).toMatchObject({
      events: [
        {
          type: 'BOUGHT',
          order: {
            seller: { id: SELLER },
            checkoutForm: { id: sale.checkoutFormId },
            lineItems: [{ id: sale.lineItemId, quantity: 2, offer: { id, external: { id: 'MUG-1' } } }],
          },
        },
        { type: 'READY_FOR_PROCESSING' },
      ],
    });
    expect(await eventTypes('/sale/offer-events')).toEqual(['OFFER_STOCK_CHANGED']);
    await expect(scene.admin.sell({ offerId: id, quantity: 4 })).rejects.toThrow('409');
  });

  it('the last piece ends the offer as EMPTY_STOCK, not by the API', async () => {
    const { id } = await scene.offer({ available: 1 });
    await scene.admin.sell({ offerId: id });
    const ended = await until(async () => {
      const offer = await scene.admin.offer(id);
      return offer.status === 'ENDED' && offer;
    });
    expect(ended).toMatchObject({ endedBy: 'EMPTY_STOCK', endedByApi: false });
    expect((await scene.send('GET', '/sale/offer-events')).text).toContain('"endedBy":"EMPTY_STOCK"');
  });

  it('somebody edits an offer: their zero ends it, their ending is USER', async () => {
    const [zeroed, ended, renamed] = [await scene.offer(), await scene.offer(), await scene.offer()];
    await scene.admin.editOffer(zeroed.id, { available: 0 });
    await until(async () => (await scene.admin.offer(zeroed.id)).endedBy === 'EMPTY_STOCK');
    expect(await scene.admin.editOffer(ended.id, { status: 'ENDED' })).toMatchObject({
      endedBy: 'USER',
      endedByApi: false,
    });
    expect(await scene.admin.editOffer(renamed.id, { externalId: 'CUP', sold: 4 })).toMatchObject({
      externalId: 'CUP',
      sold: 4,
    });
    const found = await scene.send('GET', '/sale/offers?limit=10&external.id=CUP');
    expect(found.body).toMatchObject({ totalCount: 1, offers: [{ id: renamed.id }] });
  });
});

describe('event feeds', () => {
  it('go on after the event named, hold the last day, and filter by type', async () => {
    const { id } = await scene.offer();
    await scene.patch(id, { stock: { available: 4 } });
    await scene.admin.advanceClock(86_400_001);
    const { accessToken } = await scene.admin.issueTokens({ sellerId: SELLER });
    const read = (query: string): Promise<Reply> =>
      scene.send('GET', `/sale/offer-events?${query}`, { token: accessToken });
    const edit = (available: number): Promise<Reply> =>
      scene.send('PATCH', `/sale/product-offers/${id}`, { body: { stock: { available } }, token: accessToken });
    await edit(5);
    await edit(0);
    const all = await until(async () => {
      const reply = await read('limit=10');
      return reply.text.includes('OFFER_ENDED') && reply;
    });
    const eventIds = [...all.text.matchAll(/"id":"([\w-]+)","occurredAt"/g)].map((match) => match[1] ?? '');
    expect(eventIds).toHaveLength(3);
    expect((await read(`limit=10&from=${eventIds[1] ?? ''}`)).body).toMatchObject({
      offerEvents: [{ id: eventIds[2] }],
    });
    expect((await read('type=OFFER_ENDED')).text).not.toContain('OFFER_STOCK_CHANGED');
    expect((await read('limit=1')).body).toMatchObject({ offerEvents: [{ id: eventIds[0] }] });
    const wrong = await read('limit=0');
    expect([wrong.status, wrong.headers.get('content-type')]).toEqual([400, 'application/json']);
    const expired = await scene.send('GET', '/sale/offer-events', { token: 'none' });
    expect([expired.status, expired.headers.get('content-type')]).toEqual([401, 'application/json']);
  });

  it('of orders start from the newest event and refuse wrong parameters with 422', async () => {
    const { id } = await scene.offer();
    expect((await scene.send('GET', '/order/event-stats')).body).toEqual({});
    await scene.admin.sell({ offerId: id });
    const { text } = await scene.send('GET', '/order/event-stats');
    const newest = /"id":"(\d+)"/.exec(text)?.[1] ?? '';
    await scene.admin.sell({ offerId: id });
    expect(await eventTypes(`/order/events?from=${newest}`)).toEqual(['BOUGHT']);
    expect((await scene.send('GET', '/order/events?limit=1001')).status).toBe(422);
  });

  it('show nobody else’s events', async () => {
    const foreign = await scene.admin.addOffer({ sellerId: '44000002' });
    await scene.admin.sell({ offerId: foreign.id });
    expect(await eventTypes('/order/events')).toEqual([]);
    expect(await eventTypes('/sale/offer-events')).toEqual([]);
  });
});

describe('headers', () => {
  it('of the wrong media type are refused and counted', async () => {
    const accept = await scene.send('GET', '/me', { headers: { accept: 'application/json' } });
    expect([accept.status, accept.text.includes('NotAcceptableException')]).toEqual([406, true]);
    const { id } = await scene.offer();
    const body = { stock: { available: 1 } };
    const content = await scene.send('PATCH', `/sale/product-offers/${id}`, {
      body,
      headers: { 'content-type': 'application/json' },
    });
    expect(content.status).toBe(415);
    expect((await scene.send('GET', '/me', { headers: { accept: '*/*' } })).status).toBe(200);
    const { clientMistakes } = await scene.admin.report();
    expect(Object.keys(clientMistakes).sort()).toEqual(['accept_not_stated', 'wrong_accept', 'wrong_content_type']);
  });

  it.each([
    ['node', false],
    ['my-app/1.0', false],
    ['my-app/1.0.0 (https://example.com)', false],
    ['my-app/1.0.0 (+https://example.com/about)', true],
    ['My_App/2.1 (+https://example.com)', true],
  ])('user agent %s is right: %s', async (userAgent, isRight) => {
    await scene.admin.changeSettings({ rejectBadUserAgent: true });
    const reply = await scene.send('GET', '/me', { headers: { 'user-agent': userAgent } });
    expect(reply.status).toBe(isRight ? 200 : 403);
    expect((await scene.admin.report()).clientMistakes['bad_user_agent']?.count).toBe(isRight ? undefined : 1);
  });

  it('of every answer name a media type and a trace', async () => {
    const { headers } = await scene.send('GET', '/me');
    expect([headers.get('content-type'), headers.get('trace-id')]).toEqual([
      PUBLIC,
      expect.stringMatching(/^[0-9a-f]{16}$/),
    ]);
  });

  it('do not help at resources that are gone', async () => {
    expect((await scene.send('GET', '/sale/offers/17000000001')).status).toBe(403);
    expect((await scene.send('GET', '/sale/nothing')).status).toBe(404);
    expect((await scene.admin.report()).clientMistakes['unknown_route']?.count).toBe(2);
  });
});

describe('the journal', () => {
  it('holds each request with its route, account, offers, numbers and status', async () => {
    const { id } = await scene.offer();
    await scene.patch(id, { stock: { available: 3 } });
    const { entries } = await scene.admin.journal();
    expect(entries).toMatchObject([
      {
        n: 1,
        method: 'PATCH',
        route: '/sale/product-offers/{offerId}',
        sellerId: SELLER,
        clientId: 'simulator-client',
        offerIds: [id],
        values: [3],
        status: 200,
        userAgentOk: true,
      },
    ]);
    expect((await scene.admin.journal({ since: 1 })).entries).toEqual([]);
  });

  it('lets a test wait for a phase of a request that has not come yet', async () => {
    await scene.admin.changeSettings({ operationDelayMs: 60_000 });
    const { id } = await scene.offer();
    const { lastPhase } = await scene.admin.journal();
    const route = 'PATCH /sale/product-offers/{offerId}';
    const answered = scene.admin.waitForRequest({ route, phase: 'answered', after: lastPhase });
    const applied = scene.admin.waitForRequest({ route, phase: 'applied', after: lastPhase });
    await scene.patch(id, { publication: { status: 'ENDED' } });
    expect(await answered).toMatchObject({ status: 202, offerIds: [id], phases: { applied: 0 } });
    await scene.admin.advanceClock(60_000);
    const entry = await applied;
    expect(entry?.phases.applied).toBeGreaterThan(entry?.phases.answered ?? Infinity);
    const none = await scene.admin.waitForRequest({ route: '/order/events', timeoutMs: 1 });
    expect(none).toBeNull();
  });
});

describe('the report and the page', () => {
  it('count requests by route and status, and start anew when reset', async () => {
    await scene.send('GET', '/me');
    await scene.send('GET', '/me', { token: 'nonsense' });
    const report = await scene.admin.report();
    expect(report.requestsByRoute).toEqual({ 'GET /me': 2 });
    expect(report.statusesByRoute).toEqual({ 'GET /me': { '200': 1, '401': 1 } });
    await scene.admin.resetReport();
    expect((await scene.admin.report()).requests).toBe(0);
  });

  it('show what the simulator holds', async () => {
    await scene.offer();
    await scene.offer({ status: 'ENDED' });
    await scene.send('GET', '/me');
    expect(await scene.admin.overview()).toMatchObject({
      offers: 2,
      accounts: [{ id: SELLER, offers: 2, countByStatus: { ACTIVE: 1, ENDED: 1 } }],
      lastRequests: [{ route: '/me' }],
    });
    const page = await fetch(scene.simulator.url);
    expect([page.headers.get('content-type'), (await page.text()).includes('Simulated')]).toEqual([
      'text/html; charset=utf-8',
      true,
    ]);
  });

  it('refuse what they do not understand with a message', async () => {
    await expect(scene.admin.changeSettings({ indexLagMs: -1 })).rejects.toThrow('indexLagMs');
    await expect(scene.admin.offer('123')).rejects.toThrow('No offer 123');
    expect((await fetch(`${scene.simulator.url}/_admin/nothing`)).status).toBe(404);
    const wrong = await fetch(`${scene.simulator.url}/_admin/offers`, {
      method: 'POST',
      body: '{"sellerId":"1","stock":1}',
    });
    expect(wrong.status).toBe(400);
  });
});

describe('seeding', () => {
  it('fills accounts with offers of every kind and the truth with their warehouse', async () => {
    const result = await scene.admin.seed({ accounts: 2, offers: 4000, seed: 7 });
    expect(result).toMatchObject({ offers: 4000, accounts: [{ offers: 2000 }, { offers: 2000 }] });
    const { offers } = await scene.admin.offers({ limit: 10_000 });
    const has = (name: string, test: (offer: (typeof offers)[number]) => boolean): [string, boolean] => [
      name,
      offers.some(test),
    ];
    const kinds = [
      has('no SKU', (offer) => offer.externalId === null),
      has('sold out', (offer) => offer.endedBy === 'EMPTY_STOCK'),
      has('ended by the seller', (offer) => offer.endedBy === 'USER'),
      has('ended by Allegro', (offer) => offer.endedBy === 'ADMIN'),
      has('expired', (offer) => offer.endedBy === 'EXPIRATION'),
      has('auction', (offer) => offer.format === 'AUCTION'),
      has('advertisement', (offer) => offer.format === 'ADVERTISEMENT'),
      has('draft', (offer) => offer.status === 'INACTIVE'),
      has('activating', (offer) => offer.status === 'ACTIVATING'),
      has('fulfilment', (offer) => offer.isFulfillment),
      has('republish', (offer) => offer.republish),
      has('invalid', (offer) => offer.rejection !== null),
    ];
    expect(kinds.filter(([, found]) => !found)).toEqual([]);
    const truth = await scene.admin.truth();
    expect(Object.keys(truth)).toHaveLength(result.skus);
    const sameAsTruth = offers.filter(
      (offer) => offer.externalId !== null && offer.available === truth[offer.externalId],
    );
    expect(sameAsTruth.length).toBeGreaterThan(3000);
    expect((await scene.admin.stockCsv()).split('\n')[1]).toMatch(/^SKU-000001,\d+$/);
  });

  it('is the same for the same seed, another for another', async () => {
    const offersFor = async (seed: number): Promise<unknown> => {
      await scene.admin.seed({ seed, offers: 300, accounts: 3 });
      const { offers } = await scene.admin.offers({ limit: 300 });
      return offers.map(({ id, sellerId, externalId, status, available, format, endedBy }) => [
        id,
        sellerId,
        externalId,
        status,
        available,
        format,
        endedBy,
      ]);
    };
    const first = await offersFor(1);
    expect(await offersFor(1)).toEqual(first);
    expect(await offersFor(2)).not.toEqual(first);
  });

  it('takes accounts of given size', async () => {
    const result = await scene.admin.seed({
      offers: 50,
      accounts: [{ sellerId: '1', offers: 40 }, { sellerId: '2' }, { sellerId: '3' }],
    });
    expect(result.accounts.map(({ offers }) => offers)).toEqual([40, 5, 5]);
  });
});
