import { describe, expect, test } from '@jest/globals';
import { operationPath } from '../../../src/allegro/operation-path.js';
import { createQuotas } from '../../../src/allegro/quotas.js';
import { parseRetryAfter } from '../../../src/allegro/retry-after.js';
import { skuQueries } from '../../../src/allegro/sku-queries.js';
import { isRefreshTokenDying, refreshTokenExpiresAt } from '../../../src/allegro/tokens.js';
import { toOfferId, toSellerId, toSku, type Sku } from '../../../src/domain/ids.js';

describe('Retry-After', () => {
  const now = Date.parse('2026-11-23T12:00:00Z');

  test.each([
    ['5', 5000],
    [' 0 ', 0],
    ['Mon, 23 Nov 2026 12:00:30 GMT', 30_000],
    ['Mon, 23 Nov 2026 11:00:00 GMT', 0],
    ['999999999', 3_600_000],
    ['soon', null],
    [undefined, null],
  ])('%s is %s ms', (header, expected) => {
    expect(parseRetryAfter(header, now)).toBe(expected);
  });
});

describe('the path of an operation', () => {
  const offerId = toOfferId('123');
  const at = (location: string | null, apiUrl = 'https://api.allegro.pl') =>
    operationPath(location, { apiUrl, offerId });

  test('is that of the Location on the API host', () => {
    const path = '/sale/product-offers/123/operations/abc-12345';
    expect(at(`https://api.allegro.pl${path}`)).toBe(path);
    expect(at(path)).toBe(path);
    expect(at('https://api.allegro.pl/sale/operations/abc-12345')).toBe('/sale/operations/abc-12345');
    expect(at(`http://localhost:80/base${path}`, 'http://localhost:80/base')).toBe(path);
  });

  test.each([
    'https://evil.example/sale/operations/abc-12345',
    'http://api.allegro.pl/x/abc-12345',
    '//evil.example/abc-12345',
  ])('is the documented one when the Location points elsewhere: %s', (location) => {
    expect(at(location)).toBe('/sale/product-offers/123/operations/abc-12345');
  });

  test.each([null, '', 'https://evil.example/?a=b', 'https://evil.example/%2e%2e%2f'])(
    'is none without an id: %s',
    (location) => {
      expect(at(location)).toBeNull();
    },
  );
});

describe('quotas', () => {
  const quotas = createQuotas(9000);
  const seller = toSellerId('7');

  test('start with the application’s', () => {
    for (const all of [quotas.application, quotas.forLogin('a'), quotas.forSeller(seller, 'edits')]) {
      expect(all[0]).toEqual({ scope: 'app', limit: 9000, windowMs: 60_000, weight: 1, maxWeight: 1 });
    }
  });

  test('of commands weigh as many changes as they name offers', () => {
    const [app, minute, hour] = quotas.forSeller(seller, 'quantity-changes', 250);

    expect(app?.weight).toBe(1);
    expect(minute).toEqual({
      scope: 'seller:7:quantity-changes:minute',
      limit: 9000,
      windowMs: 60_000,
      weight: 250,
      maxWeight: 1000,
    });
    expect(hour).toMatchObject({ limit: 250_000, windowMs: 3_600_000, weight: 250 });
  });
});

describe('SKUs of one request line', () => {
  const sku = (text: string): Sku => {
    const value = toSku(text);
    if (value === null) throw new Error('not a SKU');
    return value;
  };

  test('stay together while they are short', () => {
    const skus = Array.from({ length: 100 }, (_, index) => sku(`SKU-${index}`));
    expect(skuQueries(skus)).toEqual([skus]);
  });

  test('are split before the line becomes too long, none lost', () => {
    const skus = Array.from({ length: 100 }, (_, index) => sku(`${'ł'.repeat(95)}${index}`));
    const queries = skuQueries(skus);

    expect(queries.flat()).toEqual(skus);
    for (const query of queries) {
      const line = query.map((one) => `&external.id=${encodeURIComponent(one)}`).join('');
      expect(line.length).toBeLessThanOrEqual(6000);
    }
  });

  test('longer than any external id are not asked for', () => {
    expect(skuQueries([sku('x'.repeat(101))])).toEqual([]);
  });
});

test('a refresh token that nobody uses is told of 14 days before it dies', () => {
  const storedAt = new Date('2026-01-01T00:00:00Z');
  const dies = refreshTokenExpiresAt({ storedAt });

  expect(dies.toISOString()).toBe('2026-03-31T00:00:00.000Z');
  const days = (count: number) => new Date(dies.getTime() - count * 86_400_000);
  expect(isRefreshTokenDying({ storedAt }, days(15))).toBe(false);
  expect(isRefreshTokenDying({ storedAt }, days(13))).toBe(true);
});
