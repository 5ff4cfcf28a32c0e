import type { Answer } from './answer.js';
import { apiError, errorsAnswer } from './answer.js';
import type { Catalogue, Seller } from './catalogue.js';
import type { IndexedState, Offer } from './offer.js';
import { OFFER_FORMATS, OFFER_STATUSES } from './offer.js';
import { listingRow, showsNulls } from './offer-json.js';
import type { Settings } from './settings.js';

const SORTS = ['sellingMode.price.amount', 'stock.sold', 'stock.available'];
const KNOWN_PARAMETERS = new Set([
  'offer.id',
  'name',
  'sellingMode.price.amount.gte',
  'sellingMode.price.amount.lte',
  'publication.status',
  'publication.marketplace',
  'sellingMode.format',
  'external.id',
  'sort',
  'limit',
  'offset',
  'category.id',
  'isFulfillment',
]);
const MOST_ROWS = 10_000_000;

interface ListingQuery {
  readonly limit: number;
  readonly offset: number;
  readonly offerIds: readonly string[];
  readonly externalIds: readonly string[];
  readonly statuses: readonly string[];
  readonly formats: readonly string[];
  readonly isFulfillment: boolean | null;
  readonly name: string | null;
  readonly sort: string | null;
}

interface Selection {
  readonly key: string;
  readonly version: number;
  /** In the order of the answer. */
  readonly offers: readonly Offer[];
}

/** `GET /sale/offers`, answered from the index. */
export class Listing {
  readonly #catalogue: Catalogue;
  readonly #settings: () => Settings;
  /** One selection per seller, so that turning the pages of a big catalogue does not filter it anew for each page. */
  readonly #selections = new WeakMap<Seller, Selection>();

  constructor(catalogue: Catalogue, settings: () => Settings) {
    this.#catalogue = catalogue;
    this.#settings = settings;
  }

  /** @returns what the caller did that no careful client does, such as leaving the limit to its default of 20. */
  mistakes(parameters: URLSearchParams): readonly string[] {
    const found: string[] = [];
    if (!parameters.has('limit')) found.push('listing_without_limit');
    for (const name of new Set(parameters.keys())) {
      if (!KNOWN_PARAMETERS.has(name)) found.push('listing_unknown_parameter');
    }
    if (parameters.getAll('offer.id').length > 1) found.push('listing_several_offer_ids');
    return found;
  }

  answer(seller: Seller, parameters: URLSearchParams): Answer {
    const query = parseQuery(parameters);
    if ('invalid' in query) {
      return errorsAnswer(400, apiError('VALIDATION_ERROR', query.invalid.message, query.invalid.path));
    }
    this.#catalogue.refreshIndex();
    const { rows, total } = this.#page(seller, query);
    const nulls = this.#settings().nullsInRows;
    const body = rows
      .map((offer) => listingRow(offer, this.#catalogue.indexed(offer), showsNulls(offer, nulls)))
      .join(',');
    return { status: 200, body: `{"offers":[${body}],"count":${rows.length},"totalCount":${total}}` };
  }

  #page(seller: Seller, query: ListingQuery): { rows: readonly Offer[]; total: number } {
    const { offset, limit } = query;
    if (!isFiltered(query) && query.sort === null && !seller.mayHideOffers) {
      const end = Math.max(0, seller.offers.length - offset);
      return { rows: seller.offers.slice(Math.max(0, end - limit), end).reverse(), total: seller.offers.length };
    }
    const selected = this.#select(seller, query);
    return { rows: selected.slice(offset, offset + limit), total: selected.length };
  }

  #select(seller: Seller, query: ListingQuery): readonly Offer[] {
    const key = JSON.stringify({ ...query, limit: 0, offset: 0 });
    const known = this.#selections.get(seller);
    if (known?.key === key && known.version === seller.version) return known.offers;
    const candidates = this.#candidates(seller, query);
    const offers = candidates
      .filter((offer) => matches(this.#catalogue.indexed(offer), offer, query) && !this.#catalogue.isArchived(offer))
      .reverse();
    if (query.sort !== null) sortOffers(offers, query.sort, (offer) => this.#catalogue.indexed(offer));
    this.#selections.set(seller, { key, version: seller.version, offers });
    return offers;
  }

  #candidates(seller: Seller, query: ListingQuery): readonly Offer[] {
    if (query.externalIds.length > 0) {
      const found = new Set(query.externalIds.flatMap((id) => seller.byExternalId.get(id) ?? []));
      return [...found].sort((a, b) => a.createdAt - b.createdAt || a.id.localeCompare(b.id));
    }
    if (query.offerIds.length > 0) {
      const ids = this.#settings().offerIdFilter === 'first' ? query.offerIds.slice(0, 1) : query.offerIds;
      return ids.flatMap((id) => {
        const offer = this.#catalogue.offers.get(id);
        return offer?.sellerId === seller.id ? [offer] : [];
      });
    }
    return seller.offers;
  }
}

function isFiltered(query: ListingQuery): boolean {
  return (
    query.offerIds.length > 0 ||
    query.externalIds.length > 0 ||
    query.statuses.length > 0 ||
    query.formats.length > 0 ||
    query.isFulfillment !== null ||
    query.name !== null
  );
}

function matches(shown: IndexedState, offer: Offer, query: ListingQuery): boolean {
  if (shown.unlisted) return false;
  if (query.statuses.length > 0 && !query.statuses.includes(shown.status)) return false;
  if (query.formats.length > 0 && !query.formats.includes(shown.format)) return false;
  if (query.isFulfillment !== null && query.isFulfillment !== shown.isFulfillment) return false;
  if (query.name !== null && !(offer.name ?? '').toLowerCase().includes(query.name.toLowerCase())) return false;
  return query.externalIds.length === 0 || (shown.externalId !== null && query.externalIds.includes(shown.externalId));
}

function sortOffers(offers: Offer[], sort: string, shown: (offer: Offer) => IndexedState): void {
  const direction = sort.startsWith('-') ? -1 : 1;
  const key = sort.replace(/^-/, '');
  const value = (offer: Offer): number => {
    if (key === 'stock.available') return shown(offer).available;
    return key === 'stock.sold' ? shown(offer).sold : offer.priceGrosze;
  };
  offers.sort((a, b) => direction * (value(a) - value(b)));
}

function parseQuery(parameters: URLSearchParams): ListingQuery | { invalid: { path: string; message: string } } {
  const invalid = (path: string, message: string) => ({ invalid: { path, message } });
  const limit = integer(parameters.get('limit'), 20);
  const offset = integer(parameters.get('offset'), 0);
  if (limit === null || limit < 1 || limit > 1000) return invalid('limit', 'limit must be between 1 and 1000');
  if (offset === null || offset < 0 || offset >= MOST_ROWS)
    return invalid('offset', 'offset must be between 0 and 9999999');
  if (offset + limit > MOST_ROWS) return invalid('offset', 'The sum of offset and limit must not exceed 10000000');
  const externalIds = parameters.getAll('external.id');
  if (externalIds.length > 100) return invalid('external.id', 'external.id: at most 100 values are allowed');
  if (externalIds.some((id) => id.length > 100))
    return invalid('external.id', 'external.id must not exceed 100 characters');
  const statuses = parameters.getAll('publication.status');
  if (!statuses.every((status) => OFFER_STATUSES.some((known) => known === status))) {
    return invalid('publication.status', 'publication.status has an unknown value');
  }
  const formats = parameters.getAll('sellingMode.format');
  if (!formats.every((format) => OFFER_FORMATS.some((known) => known === format))) {
    return invalid('sellingMode.format', 'sellingMode.format has an unknown value');
  }
  const sort = parameters.get('sort');
  if (sort !== null && !SORTS.includes(sort.replace(/^-/, ''))) return invalid('sort', 'sort has an unknown value');
  const isFulfillment = parameters.get('isFulfillment');
  return {
    limit,
    offset,
    offerIds: parameters.getAll('offer.id'),
    externalIds,
    statuses,
    formats,
    isFulfillment: isFulfillment === null ? null : isFulfillment === 'true',
    name: parameters.get('name'),
    sort,
  };
}

/** A whole number given as text; the default where there is none; null where it is no whole number. */
export function integer(text: string | null, otherwise: number): number | null {
  if (text === null) return otherwise;
  return /^-?\d{1,9}$/.test(text) ? Number(text) : null;
}
