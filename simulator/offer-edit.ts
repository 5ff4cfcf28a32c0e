import type { ApiError } from './answer.js';
import { apiError } from './answer.js';
import { OFFER_STATUSES } from './offer.js';
import { isRecord } from './record.js';

/** What a PATCH of a product-offer may name at the top level, by Allegro's document. Only stock and publication have an effect here. */
const KNOWN_PROPERTIES = new Set([
  'productSet',
  'b2b',
  'attachments',
  'fundraisingCampaign',
  'additionalServices',
  'compatibilityList',
  'delivery',
  'stock',
  'publication',
  'additionalMarketplaces',
  'language',
  'aiCoCreatedContent',
  'category',
  'name',
  'parameters',
  'afterSalesServices',
  'sizeTable',
  'contact',
  'discounts',
  'payments',
  'sellingMode',
  'location',
  'images',
  'description',
  'external',
  'taxSettings',
  'messageToSellerSettings',
]);
const KNOWN_STOCK_PROPERTIES = new Set(['available', 'unit']);
const KNOWN_PUBLICATION_PROPERTIES = new Set([
  'duration',
  'startingAt',
  'endingAt',
  'status',
  'republish',
  'marketplaces',
]);
const UNITS = new Set(['UNIT', 'PAIR', 'SET']);

/** The edit that a PATCH asks for. */
export interface OfferEdit {
  readonly available?: number;
  readonly status?: (typeof OFFER_STATUSES)[number];
  readonly republish?: boolean;
}

export type ParsedEdit =
  | { readonly kind: 'edit'; readonly edit: OfferEdit }
  | { readonly kind: 'malformed'; readonly message: string }
  | { readonly kind: 'refused'; readonly errors: readonly ApiError[]; readonly hasUnknownProperty: boolean };

/** Reads the body of a PATCH the way Allegro does: unknown properties and wrong numbers are 422, what is no JSON object 400. */
export function parseOfferEdit(body: unknown): ParsedEdit {
  if (!isRecord(body)) return { kind: 'malformed', message: 'Cannot deserialize the request body' };
  const stock = body['stock'] ?? {};
  const publication = body['publication'] ?? {};
  if (!isRecord(stock)) return { kind: 'malformed', message: 'stock must be an object' };
  if (!isRecord(publication)) return { kind: 'malformed', message: 'publication must be an object' };
  const unknown = [
    ...unknownKeys(body, KNOWN_PROPERTIES, ''),
    ...unknownKeys(stock, KNOWN_STOCK_PROPERTIES, 'stock.'),
    ...unknownKeys(publication, KNOWN_PUBLICATION_PROPERTIES, 'publication.'),
  ];
  if (unknown.length > 0) {
    const errors = unknown.map((path) =>
      apiError('UnknownJSONProperty', `Unknown property in the request: ${path}`, path),
    );
    return { kind: 'refused', errors, hasUnknownProperty: true };
  }
  const { available, unit } = stock;
  const { status, republish } = publication;
  if (available !== undefined && !isInt32(available)) {
    return { kind: 'malformed', message: 'stock.available must be an integer' };
  }
  if (unit !== undefined && !(typeof unit === 'string' && UNITS.has(unit))) {
    return { kind: 'malformed', message: 'stock.unit has an unknown value' };
  }
  const knownStatus = OFFER_STATUSES.find((known) => known === status);
  if (status !== undefined && knownStatus === undefined) {
    return { kind: 'malformed', message: 'publication.status has an unknown value' };
  }
  if (republish !== undefined && typeof republish !== 'boolean') {
    return { kind: 'malformed', message: 'publication.republish must be a boolean' };
  }
  if (available !== undefined && available < 0) {
    const error = apiError(
      'AvailableStockMustEqualToZeroOrBeGreaterThanZero',
      'Available stock must be equal to zero or be greater than zero',
      'stock.available',
    );
    return { kind: 'refused', errors: [error], hasUnknownProperty: false };
  }
  return {
    kind: 'edit',
    edit: {
      ...(available === undefined ? {} : { available }),
      ...(knownStatus === undefined ? {} : { status: knownStatus }),
      ...(republish === undefined ? {} : { republish }),
    },
  };
}

function isInt32(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 2 ** 31;
}

function unknownKeys(value: Record<string, unknown>, known: ReadonlySet<string>, prefix: string): string[] {
  return Object.keys(value)
    .filter((key) => !known.has(key))
    .map((key) => `${prefix}${key}`);
}
