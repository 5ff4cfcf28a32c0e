import { randomUUID } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { BETA, command, publication, startScene, until, type Reply, type Scene } from './scene.js';

const QUANTITY = '/sale/offer-quantity-change-commands';
const PUBLICATION = '/sale/offer-publication-commands';
const BULK = '/sale/offer-bulk-modification-commands';

let scene: Scene;

beforeEach(async () => {
  scene = await startScene();
});
afterEach(() => scene.stop());

const put = (base: string, body: unknown, id: string = randomUUID()): Promise<Reply> =>
  scene.send('PUT', `${base}/${id}`, { body });
const completed = (base: string, id: string): Promise<Reply> =>
  until(async () => {
    const reply = await scene.send('GET', `${base}/${id}`);
    return reply.status === 200 && !reply.text.includes('"completedAt":null') && reply;
  });
const taskErrors = async (base: string, id: string): Promise<string[]> => {
  const { text } = await scene.send('GET', `${base}/${id}/tasks?limit=1000`);
  return [...text.matchAll(/"code":"([^"]+)"/g)].map((match) => match[1] ?? '');
};

describe('quantity commands', () => {
  it('count nothing until they are processed, then set one number for all offers', async () => {
    await scene.admin.changeSettings({ commandDelayMs: 60_000 });
    const [a, b] = [await scene.offer(), await scene.offer()];
    const id = randomUUID();
    const registered = await put(QUANTITY, command([a.id, b.id], 4), id);
    expect(registered.status).toBe(201);
    expect(registered.body).toMatchObject({ id, completedAt: null, taskCount: { total: 0, success: 0, failed: 0 } });
    expect((await scene.send('GET', `${QUANTITY}/${id}/tasks`)).body).toMatchObject({
      tasks: [{ status: 'NEW' }, { status: 'NEW' }],
    });
    await scene.admin.advanceClock(30_000);
    expect((await scene.send('GET', `${QUANTITY}/${id}`)).body).toMatchObject({
      completedAt: null,
      taskCount: { total: 2, success: 0 },
    });
    await scene.admin.advanceClock(30_000);
    expect((await completed(QUANTITY, id)).body).toMatchObject({ taskCount: { total: 2, success: 2, failed: 0 } });
    expect([(await scene.admin.offer(a.id)).available, (await scene.admin.offer(b.id)).available]).toEqual([4, 4]);
  });

  it('page their tasks: 100 unless asked for more', async () => {
    const offers = await scene.admin.addOffers(Array.from({ length: 150 }, () => ({ sellerId: '44000001' })));
    const id = randomUUID();
    await put(
      QUANTITY,
      command(
        offers.map((offer) => offer.id),
        2,
      ),
      id,
    );
    const tasks = async (query: string): Promise<number> =>
      (await scene.send('GET', `${QUANTITY}/${id}/tasks${query}`)).text.split('"status"').length - 1;
    expect([await tasks(''), await tasks('?limit=1000'), await tasks('?offset=120')]).toEqual([100, 150, 30]);
    expect((await scene.send('GET', `${QUANTITY}/${id}/tasks?limit=1001`)).status).toBe(422);
  });

  it('cannot carry 0', async () => {
    const { id } = await scene.offer();
    const reply = await put(QUANTITY, command([id], 0));
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('INCORRECT_QUANTITY_VALUE');
    const report = await scene.admin.report();
    expect(report.clientMistakes['zero_by_command']?.count).toBe(1);
    expect(report.harmfulWrites.byKind.zero_by_command).toBe(1);
  });

  it('take 1 to 1000 offers and a UUID', async () => {
    const many = Array.from({ length: 1001 }, (_, n) => String(n));
    expect((await put(QUANTITY, command(many, 1))).status).toBe(422);
    expect((await put(QUANTITY, command([], 1))).status).toBe(422);
    expect((await put(QUANTITY, command(['1'], 1), 'my-command')).status).toBe(400);
    expect((await put(QUANTITY, [command(['1'], 1)])).status).toBe(400);
  });

  it('answer 409 to an id used again, with another code for other content', async () => {
    const { id: offerId } = await scene.offer();
    const id = randomUUID();
    await put(QUANTITY, command([offerId], 4), id);
    const same = await put(QUANTITY, command([offerId], 4), id);
    const other = await put(QUANTITY, command([offerId], 5), id);
    expect([same.status, other.status]).toEqual([409, 409]);
    expect(same.text).not.toContain('DIFFERENT_CONTENT');
    expect(other.text).toContain('COMMAND_ALREADY_REGISTERED_WITH_DIFFERENT_CONTENT');
    await completed(QUANTITY, id);
    expect((await scene.admin.offer(offerId)).available).toBe(4);
  });

  it('fail offer by offer', async () => {
    const [good, sold, auction, foreign] = [
      await scene.offer(),
      await scene.offer({ sold: 99_990 }),
      await scene.offer({ format: 'AUCTION' }),
      await scene.admin.addOffer({ sellerId: '44000002', available: 3 }),
    ];
    const id = randomUUID();
    await put(QUANTITY, command([good.id, sold.id, auction.id, foreign.id, '99'], 50), id);
    expect((await completed(QUANTITY, id)).body).toMatchObject({ taskCount: { total: 5, success: 1, failed: 4 } });
    expect(await taskErrors(QUANTITY, id)).toEqual([
      'INVALID_SUM_OF_SOLD_AND_AVAILABLE_ITEMS',
      'EXCEPTION_DURING_OFFER_QUANTITY_UPDATE',
      'OFFER_NOT_FOUND',
      'OFFER_NOT_FOUND',
    ]);
    expect((await scene.admin.offer(foreign.id)).available).toBe(3);
  });

  it('refuse a gain below 1 as a task, and add one otherwise', async () => {
    const { id: offerId } = await scene.offer({ available: 3 });
    const [up, down] = [randomUUID(), randomUUID()];
    await put(QUANTITY, command([offerId], 2, 'GAIN'), up);
    await completed(QUANTITY, up);
    await put(QUANTITY, command([offerId], -5, 'GAIN'), down);
    await completed(QUANTITY, down);
    expect(await taskErrors(QUANTITY, down)).toEqual(['INVALID_OFFER_QUANTITY']);
    expect((await scene.admin.offer(offerId)).available).toBe(5);
  });

  it('reach an offer that whole-offer validation refuses to PATCH, unless it refuses commands too', async () => {
    const patchOnly = await scene.offer({ rejection: {} });
    const both = await scene.offer({ rejection: { commands: true } });
    const id = randomUUID();
    await put(QUANTITY, command([patchOnly.id, both.id], 2), id);
    expect((await completed(QUANTITY, id)).body).toMatchObject({ taskCount: { success: 1, failed: 1 } });
    expect((await scene.admin.offer(patchOnly.id)).available).toBe(2);
  });

  it('are unknown to another seller, for a while after registration if so set, and after seven days', async () => {
    await scene.admin.changeSettings({ commandHiddenMs: 1000 });
    const { id: offerId } = await scene.offer();
    const id = randomUUID();
    await put(QUANTITY, command([offerId], 2), id);
    expect((await scene.send('GET', `${QUANTITY}/${id}`)).text).toContain('COMMAND_NOT_FOUND');
    await scene.admin.advanceClock(1000);
    expect((await scene.send('GET', `${QUANTITY}/${id}`)).status).toBe(200);
    const { accessToken } = await scene.admin.issueTokens({ sellerId: '44000002' });
    expect((await scene.send('GET', `${QUANTITY}/${id}`, { token: accessToken })).status).toBe(404);
    await scene.admin.changeSettings({ accessTokenLifetimeS: 30 * 86_400 });
    const later = await scene.admin.issueTokens({ sellerId: '44000001' });
    await scene.admin.advanceClock(7 * 86_400_000);
    expect((await scene.send('GET', `${QUANTITY}/${id}`, { token: later.accessToken })).status).toBe(404);
  });

  it('can hang for good', async () => {
    await scene.admin.plantFault({ match: { times: 1 }, fault: { kind: 'stall' } });
    const { id: offerId } = await scene.offer();
    const id = randomUUID();
    await put(QUANTITY, command([offerId], 2), id);
    await scene.admin.advanceClock(3_600_000);
    expect((await scene.send('GET', `${QUANTITY}/${id}`)).body).toMatchObject({ completedAt: null });
    expect((await scene.admin.offer(offerId)).available).toBe(10);
  });
});

describe('publication commands', () => {
  it('end offers as USER, also those that validation refuses', async () => {
    const [plain, invalid, stuck] = [
      await scene.offer(),
      await scene.offer({ rejection: {} }),
      await scene.offer({ rejection: { endings: true } }),
    ];
    const id = randomUUID();
    await put(PUBLICATION, publication([plain.id, invalid.id, stuck.id], 'END'), id);
    expect((await completed(PUBLICATION, id)).body).toMatchObject({ taskCount: { success: 2, failed: 1 } });
    expect(await scene.admin.offer(plain.id)).toMatchObject({ status: 'ENDED', endedBy: 'USER', endedByApi: true });
    expect((await scene.admin.offer(stuck.id)).status).toBe('ACTIVE');
  });

  it('activate offers that have stock', async () => {
    const full = await scene.offer({ status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 2 });
    const empty = await scene.offer({ status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 });
    const id = randomUUID();
    await put(PUBLICATION, publication([full.id, empty.id], 'ACTIVATE'), id);
    await completed(PUBLICATION, id);
    expect([(await scene.admin.offer(full.id)).status, (await scene.admin.offer(empty.id)).status]).toEqual([
      'ACTIVE',
      'ENDED',
    ]);
    expect(await taskErrors(PUBLICATION, id)).toEqual(['AvailableStockMustEqualToOneOrBeGreaterThanOne']);
  });
});

describe('the beta bulk command', () => {
  const post = (body: unknown, media = BETA): Promise<Reply> => scene.send('POST', BULK, { body, media });
  const fixed = (offerId: string, value: number): object => ({ offerId, stock: { changeType: 'FIXED', value } });

  it('sets a number of its own for each offer, and names them in subject', async () => {
    const [a, b] = [await scene.offer(), await scene.offer()];
    const commandId = randomUUID();
    const reply = await post({ commandId, modifications: [fixed(a.id, 2), fixed(b.id, 3)] });
    expect([reply.status, reply.headers.get('content-type')]).toEqual([201, BETA]);
    await completed(BULK, commandId);
    expect([(await scene.admin.offer(a.id)).available, (await scene.admin.offer(b.id)).available]).toEqual([2, 3]);
    const tasks = await scene.send('GET', `${BULK}/${commandId}/tasks`);
    expect(tasks.body).toMatchObject({
      tasks: [{ subject: { offerId: a.id, field: 'stock' }, status: 'SUCCESS' }, {}],
    });
  });

  it('takes 25 modifications, one of stock and prices each, one per offer, no 0, only as beta', async () => {
    const { id } = await scene.offer();
    const send = async (modifications: unknown, media?: string): Promise<number> =>
      (await post({ commandId: randomUUID(), modifications }, media)).status;
    expect(await send(Array.from({ length: 26 }, (_, n) => fixed(String(n), 1)))).toBe(422);
    expect(await send([])).toBe(422);
    expect(await send([{ offerId: id }])).toBe(400);
    expect(await send([fixed(id, 1), fixed(id, 2)])).toBe(400);
    expect(await send([fixed(id, 0)])).toBe(400);
    expect(await send([fixed(id, 1)], 'application/vnd.allegro.public.v1+json')).toBe(406);
  });

  it.each([
    ['not-found', 404],
    ['not-acceptable', 406],
  ] as const)('may be gone: %s', async (bulkModification, status) => {
    await scene.admin.changeSettings({ bulkModification });
    const { id } = await scene.offer();
    expect((await post({ commandId: randomUUID(), modifications: [fixed(id, 1)] })).status).toBe(status);
  });
});
