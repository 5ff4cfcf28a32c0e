import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';

import { Catalogue } from '../../../simulator/catalogue.js';
import { Clock } from '../../../simulator/clock.js';
import { Listing } from '../../../simulator/listing.js';
import { OFFER_STATUSES, type OfferFields } from '../../../simulator/offer.js';
import { changeSettings, FAST_SETTINGS } from '../../../simulator/settings.js';

const SELLER = '1';
const SKUS = ['MUG', 'CUP', null];

interface Step {
  readonly offer: number;
  readonly changes: Partial<OfferFields>;
  readonly waitMs: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  offer: fc.nat({ max: 4 }),
  changes: fc.oneof(
    fc.record({ available: fc.nat({ max: 9 }) }),
    fc.record({ status: fc.constantFrom(...OFFER_STATUSES) }),
    fc.record({ externalId: fc.constantFrom(...SKUS) }),
  ),
  waitMs: fc.constantFrom(0, 400, 1500),
});

const pageSchema = z.object({
  offers: z.array(
    z.object({
      id: z.string(),
      publication: z.object({ status: z.string() }),
      stock: z.object({ available: z.number() }),
      external: z.object({ id: z.string() }).optional(),
    }),
  ),
});

interface Row {
  readonly id: string;
  readonly status: string;
  readonly available: number;
  readonly sku: string | null;
}

describe('the listing of a changing catalogue', () => {
  it('shows every offer as it was one lag ago, and as it is when nothing has changed since', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), fc.constantFrom(0, 1000), (steps, indexLagMs) => {
        const settings = changeSettings(FAST_SETTINGS, { indexLagMs, nullsInRows: 'none' });
        const clock = new Clock();
        const catalogue = new Catalogue(clock, () => settings);
        const listing = new Listing(catalogue, () => settings);
        const offers = Array.from({ length: 5 }, () => catalogue.add(SELLER, { externalId: 'MUG' }));
        const seller = catalogue.seller(SELLER);
        const rows = (query: string): Row[] => {
          const body = pageSchema.parse(JSON.parse(listing.answer(seller, new URLSearchParams(query)).body));
          return body.offers.map(({ id, publication, stock, external }) => ({
            id,
            status: publication.status,
            available: stock.available,
            sku: external?.id ?? null,
          }));
        };
        const truth = (): Row[] =>
          offers.map(({ id, status, available, externalId }) => ({ id, status, available, sku: externalId })).reverse();
        const past: { at: number; rows: Row[] }[] = [{ at: -Infinity, rows: truth() }];

        for (const { offer, changes, waitMs } of steps) {
          const changed = offers[offer];
          if (!changed) continue;
          catalogue.change(changed, changes, 'manual');
          past.push({ at: clock.now(), rows: truth() });
          clock.advance(waitMs);
          const seenAt = clock.now() - indexLagMs;
          const expected = past.findLast(({ at }) => at <= seenAt)?.rows;
          const shown = rows('limit=10');
          expect(shown).toEqual(expected);
          expect(rows('limit=10&publication.status=ACTIVE')).toEqual(shown.filter(({ status }) => status === 'ACTIVE'));
          expect(
            rows('limit=10&external.id=CUP')
              .map(({ id }) => id)
              .sort(),
          ).toEqual(
            shown
              .filter(({ sku }) => sku === 'CUP')
              .map(({ id }) => id)
              .sort(),
          );
        }
        clock.advance(indexLagMs);
        expect(rows('limit=10')).toEqual(truth());
        const counted = OFFER_STATUSES.map((status) => seller.countByStatus[status]);
        expect(counted).toEqual(
          OFFER_STATUSES.map((status) => offers.filter((offer) => offer.status === status).length),
        );
        clock.clear();
      }),
      { numRuns: 300 },
    );
  });
});
