import { expect, test } from '@jest/globals';
import { listingSchema } from '../../../src/allegro/answers.js';

function soldOf(row: object): number | undefined {
  const base = {
    id: '7700000001',
    sellingMode: { format: 'BUY_NOW' },
    stock: { available: 5, sold: 3 },
    publication: { status: 'ACTIVE' },
    isFulfillment: false,
  };
  return listingSchema.parse({ offers: [{ ...base, ...row }], totalCount: 1 }).offers[0]?.sold;
}

test('sold pieces are counted over all marketplaces: one stock serves them all', () => {
  expect(soldOf({})).toBe(3);
  expect(soldOf({ additionalMarketplaces: null })).toBe(3);
  const abroad = { 'allegro-cz': { stock: { sold: 2 } }, 'allegro-sk': { stock: null }, 'allegro-hu': null };
  expect(soldOf({ additionalMarketplaces: abroad })).toBe(5);
});
