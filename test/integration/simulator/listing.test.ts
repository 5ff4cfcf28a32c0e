import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { z } from 'zod';

import { PUBLIC, SELLER, startScene, until, type Scene } from './scene.js';

const pageSchema = z.object({
  offers: z.array(
    z.looseObject({
      id: z.string(),
      external: z.object({ id: z.string() }).nullish(),
      stock: z.object({ available: z.number(), sold: z.number() }),
      publication: z.looseObject({ status: z.string(), endedAt: z.string().nullish() }),
      sellingMode: z.looseObject({ format: z.string() }),
    }),
  ),
  count: z.number(),
  totalCount: z.number(),
});
type Page = z.infer<typeof pageSchema>;

let scene: Scene;

beforeEach(async () => {
  scene = await startScene();
});
afterEach(() => scene.stop());

const list = async (query: string): Promise<Page> =>
  pageSchema.parse((await scene.send('GET', `/sale/offers?${query}`)).body);
const ids = (page: Page): string[] => page.offers.map(({ id }) => id);

describe('pages', () => {
  it('gives 20 rows where no limit is asked for, and counts that as a mistake', async () => {
    await scene.admin.addOffers(Array.from({ length: 25 }, () => ({ sellerId: SELLER })));
    const page = await list('');
    expect([page.offers.length, page.count, page.totalCount]).toEqual([20, 20, 25]);
    expect((await scene.admin.report()).clientMistakes['listing_without_limit']?.count).toBe(1);
  });

  it('gives the newest first, each row once over all pages', async () => {
    const added = await scene.admin.addOffers(Array.from({ length: 25 }, () => ({ sellerId: SELLER })));
    await scene.admin.addOffer({ sellerId: '44000002' });
    const pages = [await list('limit=10'), await list('limit=10&offset=10'), await list('limit=10&offset=20')];
    expect(pages.flatMap(ids)).toEqual(added.map(({ id }) => id).reverse());
    expect((await list('limit=10&offset=30')).offers).toEqual([]);
  });

  it.each([
    'limit=0',
    'limit=1001',
    'limit=ten',
    'limit=1&offset=-1',
    'limit=1000&offset=9999001',
    'limit=1&sort=name',
    'limit=1&publication.status=GONE',
    'limit=1&sellingMode.format=SWAP',
  ])('refuses %s with 400', async (query) => {
    expect((await scene.send('GET', `/sale/offers?${query}`)).status).toBe(400);
  });

  it('is empty for a seller without offers', async () => {
    expect(await list('limit=1000')).toEqual({ offers: [], count: 0, totalCount: 0 });
  });
});

describe('filters', () => {
  it('finds every offer of an external id, exactly', async () => {
    const [a, b] = [
      await scene.offer({ externalId: 'MUG' }),
      await scene.offer({ externalId: 'MUG', status: 'ENDED' }),
    ];
    await scene.offer({ externalId: 'MUG-2' });
    await scene.offer({ externalId: 'mug' });
    expect(ids(await list('limit=100&external.id=MUG'))).toEqual([b.id, a.id]);
    expect((await list('limit=100&external.id=MUG&external.id=MUG-2&external.id=NONE')).totalCount).toBe(3);
  });

  it('takes 100 external ids, not 101', async () => {
    const query = (count: number): string => Array.from({ length: count }, (_, n) => `external.id=S${n}`).join('&');
    expect((await scene.send('GET', `/sale/offers?limit=1000&${query(100)}`)).status).toBe(200);
    expect((await scene.send('GET', `/sale/offers?limit=1000&${query(101)}`)).status).toBe(400);
  });

  it('filters by status and format, several values meaning any of them', async () => {
    const active = await scene.offer();
    const ended = await scene.offer({ status: 'ENDED' });
    const auction = await scene.offer({ format: 'AUCTION' });
    await scene.offer({ status: 'INACTIVE' });
    expect(ids(await list('limit=10&publication.status=ACTIVE&publication.status=ENDED'))).toEqual([
      auction.id,
      ended.id,
      active.id,
    ]);
    expect(ids(await list('limit=10&sellingMode.format=BUY_NOW&publication.status=ACTIVE'))).toEqual([active.id]);
  });

  it('answers one offer only where several ids are asked for', async () => {
    const [a, b] = [await scene.offer(), await scene.offer()];
    expect(ids(await list(`limit=10&offer.id=${a.id}&offer.id=${b.id}`))).toEqual([a.id]);
  });

  it('sorts by stock', async () => {
    const [few, many] = [await scene.offer({ available: 1 }), await scene.offer({ available: 90 })];
    expect(ids(await list('limit=10&sort=stock.available'))).toEqual([few.id, many.id]);
    expect(ids(await list('limit=10&sort=-stock.available'))).toEqual([many.id, few.id]);
  });
});

describe('rows', () => {
  it('hold stock, sold, status, format and external id, but neither endedBy nor republish', async () => {
    await scene.offer({
      status: 'ENDED',
      endedBy: 'ADMIN',
      available: 4,
      sold: 9,
      externalId: 'ŁÓŻKO "1"',
      republish: true,
    });
    const reply = await scene.send('GET', '/sale/offers?limit=10');
    expect(pageSchema.parse(reply.body).offers[0]).toMatchObject({
      stock: { available: 4, sold: 9 },
      publication: { status: 'ENDED' },
      sellingMode: { format: 'BUY_NOW' },
      external: { id: 'ŁÓŻKO "1"' },
      isFulfillment: false,
    });
    expect(reply.text).not.toMatch(/endedBy|republish/);
    expect(reply.headers.get('content-type')).toBe(PUBLIC);
  });

  it('show the nulls of the tutorial, an external of null included, when told to', async () => {
    await scene.offer({ externalId: null, name: 'Kubek bez numeru' });
    await scene.admin.changeSettings({ nullsInRows: 'all' });
    const withNulls = await scene.send('GET', '/sale/offers?limit=10');
    expect(withNulls.body).toMatchObject({
      offers: [{ external: null, additionalServices: null, publication: { startingAt: null, endedAt: null } }],
    });
    await scene.admin.changeSettings({ nullsInRows: 'none' });
    expect((await scene.send('GET', '/sale/offers?limit=10')).text).not.toContain('null');
  });
});

describe('the index', () => {
  it('shows a change only after its lag, while the offer itself is right at once', async () => {
    const { id } = await scene.offer({ available: 10 });
    await scene.admin.changeSettings({ indexLagMs: 60_000 });
    await scene.patch(id, { stock: { available: 3 } });
    await scene.admin.advanceClock(30_000);
    await scene.patch(id, { stock: { available: 2 } });
    expect((await list('limit=10')).offers[0]?.stock.available).toBe(10);
    expect((await scene.send('GET', `/sale/product-offers/${id}/parts?include=stock`)).body).toMatchObject({
      stock: { available: 2 },
    });
    await scene.admin.advanceClock(30_000);
    expect((await list('limit=10')).offers[0]?.stock.available).toBe(3);
    await scene.admin.advanceClock(30_000);
    expect((await list('limit=10')).offers[0]?.stock.available).toBe(2);
  });

  it('filters by what it shows, not by the truth', async () => {
    const { id } = await scene.offer({ status: 'ACTIVE' });
    await scene.admin.changeSettings({ indexLagMs: 60_000 });
    await scene.admin.editOffer(id, { status: 'ENDED' });
    expect(ids(await list('limit=10&publication.status=ACTIVE'))).toEqual([id]);
    expect(ids(await list('limit=10&publication.status=ENDED'))).toEqual([]);
  });

  it('shows an offer that is active with 0 between the zero and the ending', async () => {
    await scene.admin.changeSettings({ endingDelayMs: 60_000 });
    const { id } = await scene.offer();
    await scene.patch(id, { stock: { available: 0 } });
    expect((await list('limit=10')).offers[0]).toMatchObject({
      stock: { available: 0 },
      publication: { status: 'ACTIVE' },
    });
    await scene.admin.advanceClock(60_000);
    expect((await list('limit=10')).offers[0]).toMatchObject({ publication: { status: 'ENDED' } });
  });

  it('shows a relisted offer only after its lag', async () => {
    const { id } = await scene.offer({ republish: true });
    await scene.admin.changeSettings({ indexLagMs: 60_000 });
    await scene.patch(id, { stock: { available: 0 } });
    await until(async () => (await scene.admin.offers({ sellerId: SELLER })).total === 2);
    expect((await list('limit=10')).totalCount).toBe(1);
    await scene.admin.advanceClock(60_000);
    expect((await list('limit=10')).totalCount).toBe(2);
  });

  it('keeps a frozen row as it was, or as given, until it is thawed', async () => {
    const { id } = await scene.offer({ available: 10 });
    await scene.admin.freezeOffer(id);
    await scene.patch(id, { stock: { available: 3 } });
    expect((await list('limit=10')).offers[0]?.stock.available).toBe(10);
    await scene.admin.freezeOffer(id, { available: 77 });
    expect((await list('limit=10')).offers[0]?.stock.available).toBe(77);
    await scene.admin.freezeOffer(id, { unlisted: true });
    expect((await list('limit=10')).totalCount).toBe(0);
    await scene.admin.thawOffer(id);
    expect((await list('limit=10')).offers[0]?.stock.available).toBe(3);
  });
});
