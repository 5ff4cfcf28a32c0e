import { expect, test } from '@jest/globals';
import { listingSchema } from '../../../src/allegro/answers.js';

function parsed(row: object) {
  const base = {
    id: '7700000001',
    sellingMode: { format: 'BUY_NOW' },
    stock: { available: 5, sold: 3 },
    publication: { status: 'ACTIVE' },
    isFulfillment: false,
  };
  return listingSchema.parse({ offers: [{ ...base, ...row }], totalCount: 1 }).offers[0];
}

function soldOf(row: object): number | undefined {
  return parsed(row)?.sold;
}

test('sold pieces are counted over all marketplaces: one stock serves them all', () => {
  expect(soldOf({})).toBe(3);
  expect(soldOf({ additionalMarketplaces: null })).toBe(3);
  const abroad = { 'allegro-cz': { stock: { sold: 2 } }, 'allegro-sk': { stock: null }, 'allegro-hu': null };
  expect(soldOf({ additionalMarketplaces: abroad })).toBe(5);
});

test('the digest is another one when somebody has edited the offer, and not when it sells or is written another way', () => {
  const shown = {
    name: 'Mug',
    sellingMode: { format: 'BUY_NOW', price: { amount: '9.99', currency: 'PLN' } },
    delivery: { shippingRates: { id: 'a' } },
  };
  const digest = parsed(shown)?.listedAs;

  expect(digest).toMatch(/^[\w-]{22}$/);
  const otherwiseWritten = {
    delivery: { shippingRates: { id: 'a' } },
    additionalServices: null,
    sellingMode: { price: { currency: 'PLN', amount: '9.99' }, minimalPrice: null, format: 'BUY_NOW' },
    name: 'Mug',
    stats: { watchersCount: 3 },
    stock: { available: 1, sold: 7 },
  };
  expect(parsed(otherwiseWritten)?.listedAs).toBe(digest);
  const edits = [
    { name: 'Cup' },
    { delivery: { shippingRates: { id: 'b' } } },
    { afterSalesServices: { returnPolicy: { id: 'c' } } },
    { sellingMode: { format: 'BUY_NOW', price: { amount: '8.99', currency: 'PLN' } } },
  ];
  for (const edit of edits) expect(parsed({ ...shown, ...edit })?.listedAs).not.toBe(digest);
});
