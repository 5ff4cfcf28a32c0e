import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { toOfferId, toSku, type Sku } from '../../../src/domain/ids.js';
import type { Call, OperationAnswer } from '../../../src/domain/marketplace.js';
import { errorOf, eventually, setUpAllegro, type AllegroUnderTest } from './allegro-under-test.js';

let under: AllegroUnderTest;
let call: Call;

beforeAll(async () => {
  under = await setUpAllegro();
  call = await under.logIn();
});
afterEach(() => under.admin.removeFaults());
afterAll(() => under.close());

function sku(text: string): Sku {
  const value = toSku(text);
  if (value === null) throw new Error('not a SKU');
  return value;
}

async function settle(operation: string): Promise<void> {
  let answer: OperationAnswer = { kind: 'running', pollInMs: 0 };
  await eventually(async () => {
    answer = await under.allegro.marketplace.checkOperation(call, operation);
    return answer.kind === 'done';
  }, 'the operation is done');
}

describe('listing', () => {
  test('a page holds what the sync needs of each offer, and always names its limit and offset', async () => {
    const seller = '44000100';
    const own = await under.logIn(seller);
    const running = await under.offer({ sellerId: seller, externalId: ' A-1 ', available: 7, sold: 3 });
    const ended = await under.offer({
      sellerId: seller,
      status: 'ENDED',
      endedBy: 'EMPTY_STOCK',
      available: 0,
      endedAt: '2026-10-01T10:00:00.000Z',
    });
    await under.offer({ sellerId: seller, format: 'AUCTION', isFulfillment: true });

    const page = await under.allegro.marketplace.listOffers(own, { offset: 0, limit: 1000 });

    expect(page.totalCount).toBe(3);
    expect(page.offers.find(({ offerId }) => offerId === running)).toMatchObject({
      sku: 'A-1',
      format: 'BUY_NOW',
      status: 'ACTIVE',
      available: 7,
      sold: 3,
      endedAt: null,
      isFulfillment: false,
    });
    expect(page.offers.find(({ offerId }) => offerId === ended)).toMatchObject({
      sku: null,
      status: 'ENDED',
      endedAt: '2026-10-01T10:00:00.000Z',
    });
    expect(page.offers.filter(({ format, isFulfillment }) => format === 'AUCTION' && isFulfillment)).toHaveLength(1);
    const mistakes = (await under.admin.report()).clientMistakes;
    expect(mistakes).toEqual({});
  });

  test('rows with the nulls that only the tutorial shows are read', async () => {
    await under.admin.changeSettings({ nullsInRows: 'all' });
    const seller = '44000101';
    const own = await under.logIn(seller);
    await under.offer({ sellerId: seller, externalId: null });

    const page = await under.allegro.marketplace.listOffers(own, { offset: 0, limit: 20 });

    expect(page.offers).toHaveLength(1);
    expect(page.offers[0]).toMatchObject({ sku: null, endedAt: null });
    await under.admin.changeSettings({ nullsInRows: 'some' });
  });

  test('a wrong type is an InvalidAnswer that names field and expectation, not an empty list', async () => {
    await under.offer();
    await under.admin.plantFault({
      match: { route: '/sale/offers', times: 1 },
      fault: { kind: 'wrongTypes', path: 'offers.0.stock.available', value: 'many' },
    });

    const error = await errorOf(under.allegro.marketplace.listOffers(call, { offset: 0, limit: 10 }), 'InvalidAnswer');

    expect(error.message).toContain('offers.0.stock.available');
    expect(error.message).toContain('expected number');
    expect(error.message).not.toContain('many');
  });

  test('a row that does not say whether it is in fulfilment is refused', async () => {
    await under.offer();
    await under.admin.plantFault({
      match: { route: '/sale/offers', times: 1 },
      fault: { kind: 'wrongTypes', path: 'offers.0.isFulfillment', value: null },
    });

    const error = await errorOf(under.allegro.marketplace.listOffers(call, { offset: 0, limit: 10 }), 'InvalidAnswer');

    expect(error.message).toContain('isFulfillment');
  });
});

describe('a row that lacks its stock', () => {
  const listingWith = async (seller: string, paths: readonly string[]) => {
    const own = await under.logIn(seller);
    for (const path of paths) {
      await under.admin.plantFault({
        match: { route: '/sale/offers', sellerId: seller, times: 1 },
        fault: { kind: 'wrongTypes', path, value: null },
      });
    }
    return under.allegro.marketplace.listOffers(own, { offset: 0, limit: 10 });
  };

  test('is read when it is a draft, so that it hides no other offer', async () => {
    await under.offer({ sellerId: '44000130', status: 'INACTIVE' });

    const page = await listingWith('44000130', ['offers.0.stock']);

    expect(page.offers).toMatchObject([{ status: 'INACTIVE', available: 0, sold: 0 }]);
  });

  test('is read when it is an advertisement', async () => {
    await under.offer({ sellerId: '44000131', format: 'ADVERTISEMENT' });

    const page = await listingWith('44000131', ['offers.0.stock.available']);

    expect(page.offers).toMatchObject([{ format: 'ADVERTISEMENT', available: 0 }]);
  });

  test('is refused when it could be written to', async () => {
    await under.offer({ sellerId: '44000132' });

    const error = await errorOf(listingWith('44000132', ['offers.0.stock']), 'InvalidAnswer');

    expect(error.message).toContain('field "offers.0.stock.available" of Allegro\'s answer: it is missing.');
  });
});

describe('finding by SKU', () => {
  test('all offers of a SKU are found, over all pages, each once', async () => {
    const seller = '44000110';
    const own = await under.logIn(seller);
    const many = Array.from({ length: 1203 }, () => ({ sellerId: seller, externalId: 'SHARED' }));
    await under.admin.addOffers([
      ...many,
      { sellerId: seller, externalId: 'SINGLE' },
      { sellerId: seller, externalId: 'OTHER' },
    ]);

    const found = await under.allegro.marketplace.findOffers(own, [sku('SHARED'), sku('SINGLE'), sku('NOWHERE')]);

    expect(found.filter((offer) => offer.sku === 'SHARED')).toHaveLength(1203);
    expect(new Set(found.map(({ offerId }) => offerId)).size).toBe(1204);
    expect(found.some((offer) => offer.sku === 'OTHER')).toBe(false);
  });

  test('100 long SKUs are asked for in request lines that a server takes', async () => {
    const seller = '44000111';
    const own = await under.logIn(seller);
    const skus = Array.from({ length: 100 }, (_, index) => sku(`${'ż'.repeat(90)}-${index}`));
    await under.admin.addOffers(skus.map((externalId) => ({ sellerId: seller, externalId })));

    const found = await under.allegro.marketplace.findOffers(own, skus);

    expect(new Set(found.map((offer) => offer.sku))).toEqual(new Set(skus));
  });

  test('an offer that was not asked for is left out of the answer', async () => {
    const seller = '44000112';
    const own = await under.logIn(seller);
    await under.admin.addOffers([{ sellerId: seller, externalId: 'ASKED' }]);
    await under.admin.plantFault({
      match: { route: '/sale/offers', times: 1 },
      fault: { kind: 'wrongTypes', path: 'offers.0.external.id', value: 'ANOTHER' },
    });

    expect(await under.allegro.marketplace.findOffers(own, [sku('ASKED')])).toEqual([]);
  });
});

describe('one offer', () => {
  test('the offer itself tells who ended it and whether it would be relisted', async () => {
    const offerId = await under.offer({
      externalId: 'B-1',
      status: 'ENDED',
      endedBy: 'EMPTY_STOCK',
      available: 0,
      republish: true,
    });

    expect(await under.allegro.marketplace.readOffer(call, offerId)).toEqual({
      offerId,
      sku: 'B-1',
      format: 'BUY_NOW',
      status: 'ENDED',
      available: 0,
      endedBy: 'EMPTY_STOCK',
      endedAt: null,
      republish: true,
    });
  });

  test('an offer that does not tell whether it is relisted is taken for one that is', async () => {
    const offerId = await under.offer({ republish: false });
    await under.admin.plantFault({
      match: { route: '/sale/product-offers/{offerId}', method: 'GET', times: 1 },
      fault: { kind: 'wrongTypes', path: 'publication.republish', value: null },
    });

    expect(await under.allegro.marketplace.readOffer(call, offerId)).toMatchObject({ republish: true });
  });

  test('an answer about another offer is refused', async () => {
    const offerId = await under.offer();
    await under.admin.plantFault({
      match: { route: '/sale/product-offers/{offerId}/parts', times: 1 },
      fault: { kind: 'wrongTypes', path: 'id', value: '123456' },
    });

    const error = await errorOf(under.allegro.marketplace.readAvailable(call, offerId), 'InvalidAnswer');

    expect(error.message).toContain(`instead of ${offerId}`);
  });

  test('an archived or unknown offer is not found', async () => {
    await errorOf(under.allegro.marketplace.readOffer(call, toOfferId('999')), 'OfferNotFound');
    await errorOf(under.allegro.marketplace.readAvailable(call, toOfferId('999')), 'OfferNotFound');
    await errorOf(
      under.allegro.marketplace.writeOffer(call, toOfferId('999'), { kind: 'quantity', quantity: 1 }),
      'OfferNotFound',
    );
  });

  test('an offer of another seller is denied', async () => {
    const offerId = await under.offer({ sellerId: '44000120' });

    await errorOf(under.allegro.marketplace.readOffer(call, offerId), 'AccessDenied');
  });
});

describe('writing', () => {
  test('a number is written and confirmed by the answer', async () => {
    const offerId = await under.offer({ available: 5 });

    const answer = await under.allegro.marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 8 });

    expect(answer).toMatchObject({ kind: 'applied', available: 8 });
    expect(answer.traceId).toMatch(/^\w+$/);
    expect(await under.allegro.marketplace.readAvailable(call, offerId)).toBe(8);
  });

  test('a zero ends the offer by EMPTY_STOCK', async () => {
    const offerId = await under.offer({ available: 5 });

    await under.allegro.marketplace.writeOffer(call, offerId, { kind: 'zero' });

    await eventually(async () => (await under.admin.offer(offerId)).status === 'ENDED', 'the offer ends');
    expect(await under.allegro.marketplace.readOffer(call, offerId)).toMatchObject({
      available: 0,
      endedBy: 'EMPTY_STOCK',
    });
  });

  test('an ending by status leaves the stock and is not relisted', async () => {
    const offerId = await under.offer({ available: 5, republish: true });

    const answer = await under.allegro.marketplace.writeOffer(call, offerId, { kind: 'end' });
    if (answer.kind === 'accepted') await settle(answer.operation);

    expect(await under.admin.offer(offerId)).toMatchObject({ status: 'ENDED', endedBy: 'USER' });
  });

  test('an offer comes back with its number in one request that is polled to its end', async () => {
    const offerId = await under.offer({ status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 });

    const answer = await under.allegro.marketplace.writeOffer(call, offerId, { kind: 'reactivate', quantity: 4 });

    expect(answer.kind).toBe('accepted');
    if (answer.kind !== 'accepted') return;
    expect(answer.operation).toMatch(new RegExp(`^/sale/product-offers/${offerId}/operations/`));
    await settle(answer.operation);
    expect(await under.admin.offer(offerId)).toMatchObject({ status: 'ACTIVE', available: 4 });
  });

  test('an accepted edit that fails later is OfferRejected with the code of its operation', async () => {
    const offerId = await under.offer({
      rejection: { code: 'MissingRequiredParameters', message: 'Missing: 248811', mode: 'async' },
    });
    const answer = await under.allegro.marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 4 });
    if (answer.kind !== 'accepted') throw new Error('expected an accepted edit');

    const error = await errorOf(settle(answer.operation), 'OfferRejected');

    expect(error.facts).toMatchObject({ status: 422, code: 'MissingRequiredParameters' });
    expect(error.message).toContain('Missing: 248811');
  });

  test('how long to wait before asking again is what Allegro says', async () => {
    await under.admin.changeSettings({ operationRetryAfterS: 7, operationDelayMs: 100 });
    const offerId = await under.offer({ status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 });

    const answer = await under.allegro.marketplace.writeOffer(call, offerId, { kind: 'reactivate', quantity: 4 });

    expect(answer).toMatchObject({ kind: 'accepted', pollInMs: 7000 });
    if (answer.kind !== 'accepted') return;
    expect(await under.allegro.marketplace.checkOperation(call, answer.operation)).toEqual({
      kind: 'running',
      pollInMs: 7000,
    });
    await under.admin.changeSettings({ operationRetryAfterS: 0, operationDelayMs: 20 });
  });

  test('an operation that is not known any more leaves the outcome unknown', async () => {
    const offerId = await under.offer();

    await errorOf(
      under.allegro.marketplace.checkOperation(call, `/sale/product-offers/${offerId}/operations/gone`),
      'OutcomeUnknown',
    );
  });

  test('a Location on another host is not followed: the documented path is asked', async () => {
    const offerId = await under.offer();
    await under.admin.plantFault({
      match: { offerId, method: 'PATCH', times: 1 },
      fault: {
        kind: 'status',
        status: 202,
        headers: { Location: 'https://elsewhere.example/sale/operations/0d2a9d8c-1111', 'Retry-After': '3' },
      },
    });

    const answer = await under.allegro.marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 2 });

    expect(answer).toMatchObject({
      operation: `/sale/product-offers/${offerId}/operations/0d2a9d8c-1111`,
      pollInMs: 3000,
    });
  });

  test('a refused edit carries code, message and trace id, is final, and changes nothing', async () => {
    const offerId = await under.offer({
      available: 5,
      rejection: { code: 'MissingRequiredParameters', message: 'Missing: 248811', path: 'parameters' },
    });

    const error = await errorOf(
      under.allegro.marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 6 }),
      'OfferRejected',
    );

    expect(error.facts).toMatchObject({ status: 422, code: 'MissingRequiredParameters' });
    expect(error.facts.traceId).toMatch(/^\w+$/);
    expect(error.message).toContain('Missing: 248811 [parameters]');
    expect((await under.admin.offer(offerId)).available).toBe(5);
  });

  test('an edit during another edit is a conflict', async () => {
    await under.admin.changeSettings({ operationDelayMs: 300 });
    const offerId = await under.offer({ status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 });
    await under.allegro.marketplace.writeOffer(call, offerId, { kind: 'reactivate', quantity: 4 });

    await errorOf(
      under.allegro.marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 5 }),
      'OfferConflict',
    );
    await under.admin.changeSettings({ operationDelayMs: 20 });
  });

  test.each([
    { name: 'a 503', fault: { kind: 'html', status: 503 } as const },
    { name: 'a 504 after it was applied', fault: { kind: 'status', status: 504, applied: true } as const },
    { name: 'a cut before', fault: { kind: 'cutBefore' } as const },
    { name: 'a cut after', fault: { kind: 'cutAfter' } as const },
    { name: 'a cut in the middle of the answer', fault: { kind: 'cutMiddle' } as const },
  ])('$name leaves the outcome of a write unknown, and of a read unavailable', async ({ fault }) => {
    const offerId = await under.offer();
    await under.admin.plantFault({ match: { offerId, times: 1 }, fault });
    await errorOf(
      under.allegro.marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 3 }),
      'OutcomeUnknown',
    );

    await under.admin.plantFault({ match: { offerId, times: 1 }, fault });
    await errorOf(under.allegro.marketplace.readAvailable(call, offerId), 'MarketplaceUnavailable');
  });

  test('an answer that is cut off but looks whole is an InvalidAnswer', async () => {
    const offerId = await under.offer();
    await under.admin.plantFault({ match: { offerId, times: 1 }, fault: { kind: 'truncate' } });

    const error = await errorOf(under.allegro.marketplace.readOffer(call, offerId), 'InvalidAnswer');

    expect(error.message).toBe("readOffer: Allegro's answer is not complete JSON.");
  });

  test('a 0 never goes out as a quantity', async () => {
    const offerId = await under.offer();

    await expect(
      under.allegro.marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 0 }),
    ).rejects.toThrow(RangeError);
  });
});

test('nothing of all this was a mistake in the eyes of Allegro', async () => {
  const { clientMistakes } = await under.admin.report();
  // One test asks early on purpose.
  expect(Object.keys(clientMistakes).filter((kind) => kind !== 'operation_polled_before_retry_after')).toEqual([]);
});
