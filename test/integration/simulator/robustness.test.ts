import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { BETA, PUBLIC, startScene, type Scene } from './scene.js';

let scene: Scene;

beforeEach(async () => {
  scene = await startScene({ applicationLimit: null, sellerLimits: null });
});
afterEach(() => scene.stop());

const UUID = '5c7bbf8b-b294-4737-bbda-894320c413b8';
const PATHS = [
  '/me',
  '/sale/offers',
  '/sale/product-offers/17000000001',
  '/sale/product-offers/17000000001/parts',
  `/sale/product-offers/17000000001/operations/${UUID}`,
  `/sale/offer-quantity-change-commands/${UUID}`,
  `/sale/offer-quantity-change-commands/${UUID}/tasks`,
  `/sale/offer-publication-commands/${UUID}`,
  '/sale/offer-bulk-modification-commands',
  '/sale/offer-events',
  '/order/events',
  '/auth/oauth/token',
  '/auth/oauth/device',
];

/** Bodies that are right but for a part. */
const almostRight = fc
  .record(
    {
      stock: fc.oneof(fc.record({ available: fc.jsonValue() }), fc.jsonValue()),
      publication: fc.oneof(
        fc.record({ status: fc.jsonValue(), action: fc.constantFrom('END', 'ACTIVATE', null) }),
        fc.jsonValue(),
      ),
      modification: fc.oneof(
        fc.record({ changeType: fc.constantFrom('FIXED', 'GAIN', 'X'), value: fc.jsonValue() }),
        fc.jsonValue(),
      ),
      offerCriteria: fc.oneof(
        fc.constant([{ type: 'CONTAINS_OFFERS', offers: [{ id: '17000000001' }] }]),
        fc.array(fc.record({ type: fc.constant('CONTAINS_OFFERS'), offers: fc.jsonValue() })),
        fc.jsonValue(),
      ),
      commandId: fc.oneof(fc.uuid(), fc.jsonValue()),
      modifications: fc.oneof(
        fc.array(fc.record({ offerId: fc.constant('17000000001'), stock: fc.jsonValue() })),
        fc.jsonValue(),
      ),
    },
    { requiredKeys: [] },
  )
  .map((body) => JSON.stringify(body));

describe('nonsense', () => {
  it('is answered by a status below 500, and the simulator goes on', async () => {
    await scene.offer();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'PATCH', 'PUT', 'POST', 'DELETE'),
        fc.constantFrom(...PATHS),
        fc.webQueryParameters(),
        fc.oneof(almostRight, fc.json(), fc.string()),
        fc.constantFrom(PUBLIC, BETA, 'text/plain'),
        async (method, path, query, body, media) => {
          const parts = method === 'GET' ? { media } : { media, body };
          const { status } = await scene.send(method, `${path}?${query}`, parts);
          expect(status).toBeGreaterThanOrEqual(200);
          expect(status).toBeLessThan(500);
        },
      ),
      { numRuns: 600 },
    );
    expect((await scene.send('GET', '/me')).status).toBe(200);
  });

  it('leaves every number of an offer in its range', async () => {
    const { id } = await scene.offer();
    await fc.assert(
      fc.asyncProperty(almostRight, async (body) => {
        await scene.send('PATCH', `/sale/product-offers/${id}`, { body });
        const { available, status } = await scene.admin.offer(id);
        expect(Number.isInteger(available) && available >= 0 && available <= 99_999).toBe(true);
        expect(['ACTIVE', 'ENDED']).toContain(status);
      }),
      { numRuns: 200 },
    );
  });
});
