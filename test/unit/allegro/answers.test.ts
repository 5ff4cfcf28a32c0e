import { expect, test } from '@jest/globals';
import type { z } from 'zod';
import {
  commandReportSchema,
  deviceSchema,
  editedOfferSchema,
  listingSchema,
  meSchema,
  offerEventsSchema,
  operationSchema,
  orderEventsSchema,
  orderEventStatsSchema,
  partsSchema,
  productOfferSchema,
  subjectTasksSchema,
  tasksSchema,
  tokenSchema,
} from '../../../src/allegro/answers.js';

const TIME = '2026-10-01T10:00:00Z';
const row = {
  id: '1',
  name: null,
  sellingMode: { format: 'BUY_NOW', minimalPrice: null, price: null },
  saleInfo: { currentPrice: null },
  stock: { available: 5, sold: 0 },
  publication: { status: 'ACTIVE', startingAt: null, endedAt: null },
  external: null,
  additionalServices: null,
  isFulfillment: false,
};

/** Each shape as the tutorials show it, with the nulls that the document does not allow. */
const ANSWERS: Readonly<Record<string, readonly [z.ZodType, unknown]>> = {
  listing: [listingSchema, { offers: [row, { ...row, id: '2', external: { id: null } }], count: 2, totalCount: 2 }],
  'product-offer': [
    productOfferSchema,
    {
      id: '1',
      sellingMode: { format: 'BUY_NOW' },
      stock: { available: 5 },
      publication: { status: 'ACTIVE', endedBy: null, endedAt: null, republish: null },
      external: null,
    },
  ],
  'edited offer': [editedOfferSchema, { id: '1', stock: null }],
  parts: [partsSchema, { id: '1', stock: { available: 5 } }],
  me: [meSchema, { id: '7', login: null }],
  operation: [operationSchema, { offer: { id: '1' }, operation: { id: 'x', status: 'PENDING' } }],
  report: [commandReportSchema, { id: 'x', completedAt: null, taskCount: { total: 0, success: 0, failed: 0 } }],
  tasks: [tasksSchema, { tasks: [{ offer: { id: '1' }, status: 'NEW', message: null, errors: null }] }],
  'bulk tasks': [
    subjectTasksSchema,
    { tasks: [{ subject: { offerId: '1', field: null }, status: 'FAIL', errors: [{ code: null }] }] },
  ],
  token: [tokenSchema, { access_token: 'a', refresh_token: 'b', expires_in: 43_199 }],
  device: [
    deviceSchema,
    {
      device_code: 'd',
      user_code: 'u',
      expires_in: '3600',
      interval: '5',
      verification_uri: 'https://allegro.pl/skojarz-aplikacje',
      verification_uri_complete: 'https://allegro.pl/skojarz-aplikacje?code=u',
    },
  ],
  'offer events': [
    offerEventsSchema,
    {
      offerEvents: [
        { id: 'a', type: 'OFFER_ENDED', occurredAt: TIME, offer: { id: '1', external: null, publication: null } },
      ],
    },
  ],
  'order events': [
    orderEventsSchema,
    {
      events: [
        {
          id: '1',
          type: 'BOUGHT',
          occurredAt: TIME,
          order: {
            checkoutForm: null,
            lineItems: [{ id: 'l', offer: { id: '1', external: null }, quantity: 1, boughtAt: TIME }],
          },
        },
      ],
    },
  ],
  'order event stats': [orderEventStatsSchema, { latestEvent: null }],
};

/** A field that nobody knows, in every object. */
function withUnknownFields(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withUnknownFields);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).map(([key, field]: [string, unknown]) => [key, withUnknownFields(field)]);
  return { ...Object.fromEntries(fields), aFieldOfNextYear: { nested: [1, null] } };
}

test.each(Object.entries(ANSWERS))(
  '%s: nulls of the tutorials and fields that are new are no errors',
  (_, [schema, body]) => {
    expect(schema.safeParse(body).error).toBeUndefined();
    expect(schema.safeParse(withUnknownFields(body)).error).toBeUndefined();
  },
);

test('an offer that stands in a listing with two SKUs makes it nothing to act on; the same row twice does not', () => {
  const page = (second: string) => ({
    offers: [
      { ...row, external: { id: 'A' } },
      { ...row, external: { id: second } },
    ],
    totalCount: 2,
  });

  expect(listingSchema.safeParse(page('A')).success).toBe(true);
  expect(listingSchema.safeParse(page('B')).success).toBe(false);
});
