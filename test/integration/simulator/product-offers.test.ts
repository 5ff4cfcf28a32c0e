import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { SELLER, startScene, until, type Reply, type Scene } from './scene.js';

let scene: Scene;

beforeEach(async () => {
  scene = await startScene();
});
afterEach(() => scene.stop());

const codeOf = (reply: Reply): unknown => {
  const match = /"code":"([^"]+)"/.exec(reply.text);
  return match?.[1];
};
const status = async (offerId: string): Promise<string> => (await scene.admin.offer(offerId)).status;

/** The path of the operation that a 202 points to. */
const operationOf = (reply: Reply): string => (reply.headers.get('location') ?? '').replace(scene.simulator.url, '');

describe('reading an offer', () => {
  it('shows stock, status, reason of ending and republishing', async () => {
    const { id } = await scene.offer({ status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0, republish: true });
    const { status, body, headers } = await scene.send('GET', `/sale/product-offers/${id}`);
    expect(status).toBe(200);
    expect(headers.get('trace-id')).toMatch(/^[0-9a-f]+$/);
    expect(body).toMatchObject({
      id,
      external: { id: 'MUG-1' },
      stock: { available: 0 },
      publication: { status: 'ENDED', endedBy: 'EMPTY_STOCK', republish: true },
    });
  });

  it('gives only the parts asked for, without a status', async () => {
    const { id } = await scene.offer({ available: 7 });
    const { body } = await scene.send('GET', `/sale/product-offers/${id}/parts?include=stock`);
    expect(body).toEqual({ id, stock: { available: 7 } });
  });

  it('refuses parts without a known include', async () => {
    const { id } = await scene.offer();
    expect((await scene.send('GET', `/sale/product-offers/${id}/parts`)).status).toBe(400);
    expect((await scene.send('GET', `/sale/product-offers/${id}/parts?include=name`)).status).toBe(400);
  });

  it('answers 404 for what does not exist or is archived, 403 for what belongs to another seller', async () => {
    const archived = await scene.offer({ archived: true });
    const longEnded = await scene.offer({ status: 'ENDED', endedAt: Date.now() - 61 * 86_400_000 });
    const foreign = await scene.admin.addOffer({ sellerId: '44000002' });
    expect(codeOf(await scene.send('GET', '/sale/product-offers/123'))).toBe('OfferNotFoundException');
    expect((await scene.send('GET', `/sale/product-offers/${archived.id}`)).status).toBe(404);
    expect((await scene.send('GET', `/sale/product-offers/${longEnded.id}`)).status).toBe(404);
    const reply = await scene.send('GET', `/sale/product-offers/${foreign.id}`);
    expect([reply.status, codeOf(reply)]).toEqual([403, 'OfferAccessDeniedException']);
  });
});

describe('editing the stock', () => {
  it('answers 200 with the new number', async () => {
    const { id } = await scene.offer();
    const { status, body } = await scene.patch(id, { stock: { available: 3 } });
    expect(status).toBe(200);
    expect(body).toMatchObject({ stock: { available: 3 }, publication: { status: 'ACTIVE' } });
    expect((await scene.admin.offer(id)).available).toBe(3);
  });

  it.each([
    ['an unknown property', { stok: { available: 1 } }, 422, 'UnknownJSONProperty'],
    ['an unknown property of the stock', { stock: { availible: 1 } }, 422, 'UnknownJSONProperty'],
    ['a negative number', { stock: { available: -1 } }, 422, 'AvailableStockMustEqualToZeroOrBeGreaterThanZero'],
    [
      'more than 99,999 with those sold',
      { stock: { available: 99_990 } },
      422,
      'INVALID_SUM_OF_SOLD_AND_AVAILABLE_ITEMS',
    ],
    ['a number that is none', { stock: { available: '3' } }, 400, 'JsonMappingException'],
    ['a fraction', { stock: { available: 1.5 } }, 400, 'JsonMappingException'],
    ['a body that is no object', [{ stock: { available: 1 } }], 400, 'JsonMappingException'],
    ['broken JSON', '{"stock":', 400, 'JsonMappingException'],
    ['the way back to a draft', { publication: { status: 'INACTIVE' } }, 422, 'VALIDATION_FAILED'],
  ])('refuses %s and changes nothing', async (_, body, expectedStatus, code) => {
    const { id } = await scene.offer({ sold: 10 });
    const reply = await scene.patch(id, body);
    expect([reply.status, codeOf(reply)]).toEqual([expectedStatus, code]);
    expect((await scene.admin.offer(id)).available).toBe(10);
  });

  it('takes 99,999 less those sold', async () => {
    const { id } = await scene.offer({ sold: 10 });
    expect((await scene.patch(id, { stock: { available: 99_989 } })).status).toBe(200);
  });

  it('validates the whole offer: one that lacks a parameter refuses even a stock change', async () => {
    const { id } = await scene.offer({ rejection: { code: 'MissingRequiredParameters' } });
    const reply = await scene.patch(id, { stock: { available: 3 } });
    expect([reply.status, codeOf(reply)]).toEqual([422, 'MissingRequiredParameters']);
  });

  it('refuses the number of an auction', async () => {
    const { id } = await scene.offer({ format: 'AUCTION' });
    expect((await scene.patch(id, { stock: { available: 3 } })).status).toBe(422);
  });

  it('does not put an ended offer up again by stock alone', async () => {
    const { id } = await scene.offer({ status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 });
    const { body } = await scene.patch(id, { stock: { available: 4 } });
    expect(body).toMatchObject({ stock: { available: 4 }, publication: { status: 'ENDED' } });
    expect(await status(id)).toBe('ENDED');
  });
});

describe('stock 0', () => {
  it('shows 0 at once and ends the offer later, as EMPTY_STOCK', async () => {
    const { id } = await scene.offer();
    const { body } = await scene.patch(id, { stock: { available: 0 } });
    expect(body).toMatchObject({ stock: { available: 0 }, publication: { status: 'ACTIVE' } });
    const ended = await until(async () => {
      const offer = await scene.admin.offer(id);
      return offer.status === 'ENDED' && offer;
    });
    expect(ended).toMatchObject({ endedBy: 'EMPTY_STOCK', endedByApi: true });
  });

  it('relists an offer that republishes: the initial number under a new id', async () => {
    const { id } = await scene.offer({ available: 25, republish: true });
    await scene.patch(id, { stock: { available: 5 } });
    await scene.patch(id, { stock: { available: 0 } });
    const offers = await until(async () => {
      const { offers } = await scene.admin.offers({ sellerId: SELLER });
      return offers.length === 2 && offers;
    });
    expect(offers.find((offer) => offer.id === id)).toMatchObject({ status: 'ENDED', available: 0 });
    expect(offers.find((offer) => offer.id !== id)).toMatchObject({
      status: 'ACTIVE',
      available: 25,
      externalId: 'MUG-1',
      republish: true,
    });
  });

  it('does not relist an offer that is ended by its status, nor one whose republishing was switched off', async () => {
    const byStatus = await scene.offer({ republish: true });
    const switchedOff = await scene.offer({ republish: true });
    await scene.patch(byStatus.id, { publication: { status: 'ENDED' } });
    await scene.patch(switchedOff.id, { publication: { republish: false }, stock: { available: 0 } });
    await until(async () => (await status(byStatus.id)) === 'ENDED' && (await status(switchedOff.id)) === 'ENDED');
    expect((await scene.admin.offers({ sellerId: SELLER })).total).toBe(2);
  });

  it('is forgotten when there is stock again before the ending', async () => {
    await scene.admin.changeSettings({ endingDelayMs: 3_600_000 });
    const { id } = await scene.offer();
    await scene.patch(id, { stock: { available: 0 } });
    await scene.patch(id, { stock: { available: 2 } });
    await scene.admin.advanceClock(3_600_000);
    expect(await status(id)).toBe('ACTIVE');
  });
});

describe('edits that take time', () => {
  it('answers a status change 202 with the old state, then 202 at the operation, then 303 to the offer', async () => {
    await scene.admin.changeSettings({ operationDelayMs: 60_000, operationRetryAfterS: 5 });
    const { id } = await scene.offer({ status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 });
    const accepted = await scene.patch(id, { stock: { available: 4 }, publication: { status: 'ACTIVE' } });
    expect(accepted.status).toBe(202);
    expect(accepted.headers.get('retry-after')).toBe('5');
    expect(accepted.body).toMatchObject({ stock: { available: 0 }, publication: { status: 'ENDED' } });
    const operation = operationOf(accepted);
    const pending = await scene.send('GET', operation);
    expect(pending.body).toMatchObject({ offer: { id }, operation: { status: 'PENDING' } });
    expect([pending.status, pending.headers.get('retry-after')]).toEqual([202, '5']);
    await scene.admin.advanceClock(40_000);
    expect((await scene.send('GET', operation)).body).toMatchObject({ operation: { status: 'IN_PROGRESS' } });
    await scene.admin.advanceClock(20_000);
    const done = await scene.send('GET', operation);
    expect([done.status, done.text, done.headers.get('content-type')]).toEqual([303, '', null]);
    expect(done.headers.get('location')).toBe(`${scene.simulator.url}/sale/product-offers/${id}`);
    expect(await scene.admin.offer(id)).toMatchObject({ status: 'ACTIVE', available: 4, endedBy: null });
  });

  it('answers 409 to another edit meanwhile', async () => {
    await scene.admin.changeSettings({ operationDelayMs: 60_000 });
    const { id } = await scene.offer();
    await scene.patch(id, { publication: { status: 'ENDED' } });
    const reply = await scene.patch(id, { stock: { available: 1 } });
    expect([reply.status, codeOf(reply)]).toEqual([409, 'OfferConflictException']);
  });

  it('ends in 422 at the operation, with the offer unchanged, where validation comes late', async () => {
    const { id } = await scene.offer({ rejection: { mode: 'async', code: 'ProductConstraintViolationException' } });
    const accepted = await scene.patch(id, { stock: { available: 3 } });
    expect(accepted.status).toBe(202);
    const failed = await until(async () => {
      const reply = await scene.send('GET', operationOf(accepted));
      return reply.status !== 202 && reply;
    });
    expect([failed.status, codeOf(failed)]).toEqual([422, 'ProductConstraintViolationException']);
    expect((await scene.admin.offer(id)).available).toBe(10);
  });

  it('can be any edit', async () => {
    await scene.admin.changeSettings({ asyncEdits: 'all' });
    const { id } = await scene.offer();
    const accepted = await scene.patch(id, { stock: { available: 3 } });
    expect([accepted.status, accepted.body]).toEqual([
      202,
      expect.objectContaining({ stock: { available: 10, unit: 'UNIT' } }),
    ]);
    await until(async () => (await scene.admin.offer(id)).available === 3);
  });

  it('counts a poll before Retry-After as a mistake', async () => {
    await scene.admin.changeSettings({ operationDelayMs: 60_000, operationRetryAfterS: 5 });
    const { id } = await scene.offer();
    const accepted = await scene.patch(id, { publication: { status: 'ENDED' } });
    await scene.send('GET', operationOf(accepted));
    await scene.admin.advanceClock(5000);
    await scene.send('GET', operationOf(accepted));
    const { clientMistakes } = await scene.admin.report();
    expect(clientMistakes['operation_polled_before_retry_after']?.count).toBe(1);
  });

  it('does not know an operation of another offer', async () => {
    const [a, b] = [await scene.offer(), await scene.offer()];
    const accepted = await scene.patch(a.id, { publication: { status: 'ENDED' } });
    expect((await scene.send('GET', operationOf(accepted).replace(a.id, b.id))).status).toBe(404);
  });
});

describe('ending and putting up again', () => {
  it('refuses to put up an offer without stock', async () => {
    const { id } = await scene.offer({ status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 });
    const reply = await scene.patch(id, { publication: { status: 'ACTIVE' } });
    expect([reply.status, codeOf(reply)]).toEqual([422, 'AvailableStockMustEqualToOneOrBeGreaterThanOne']);
  });

  it('calls an ending by status USER', async () => {
    const { id } = await scene.offer();
    await scene.patch(id, { publication: { status: 'ENDED' } });
    const ended = await until(async () => {
      const offer = await scene.admin.offer(id);
      return offer.status === 'ENDED' && offer;
    });
    expect(ended).toMatchObject({ endedBy: 'USER', available: 10 });
  });

  it('ends an offer that validation refuses, but not one that cannot be ended', async () => {
    const invalid = await scene.offer({ rejection: {} });
    const stuck = await scene.offer({ rejection: { endings: true } });
    expect((await scene.patch(invalid.id, { publication: { status: 'ENDED' } })).status).toBe(202);
    expect((await scene.patch(stuck.id, { publication: { status: 'ENDED' } })).status).toBe(422);
    await until(async () => (await status(invalid.id)) === 'ENDED');
    expect(await status(stuck.id)).toBe('ACTIVE');
  });

  it('tells what a draft lacks in its validation, and takes its stock', async () => {
    const { id } = await scene.offer({ status: 'INACTIVE', rejection: { code: 'MissingRequiredParameters' } });
    const { status, body } = await scene.patch(id, { stock: { available: 2 } });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      stock: { available: 2 },
      validation: { errors: [{ code: 'MissingRequiredParameters' }] },
    });
  });
});
