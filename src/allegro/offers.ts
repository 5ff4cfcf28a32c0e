import { SyncError } from '../domain/errors.js';
import type { OfferId, Sku } from '../domain/ids.js';
import { toSku } from '../domain/ids.js';
import type {
  Call,
  ListedOffer,
  OfferDetails,
  OfferPage,
  OfferWrite,
  OperationAnswer,
  WriteAnswer,
} from '../domain/marketplace.js';
import { editedOfferSchema, listingSchema, operationSchema, partsSchema, productOfferSchema } from './answers.js';
import { operationPath } from './operation-path.js';
import type { Quotas } from './quotas.js';
import type { AccountRequest, Session } from './session.js';
import { skuQueries } from './sku-queries.js';

export interface OffersOptions {
  readonly session: Session;
  readonly quotas: Quotas;
  /** Where a `Location` may point. */
  readonly apiUrl: string;
}

/** The calls about offers, as in `Marketplace`. */
export interface Offers {
  list(call: Call, page: { offset: number; limit: number }): Promise<OfferPage>;
  find(call: Call, skus: readonly Sku[]): Promise<readonly ListedOffer[]>;
  read(call: Call, offerId: OfferId): Promise<OfferDetails>;
  readAvailable(call: Call, offerId: OfferId): Promise<number>;
  write(call: Call, offerId: OfferId, write: OfferWrite): Promise<WriteAnswer>;
  checkOperation(call: Call, operation: string): Promise<OperationAnswer>;
}

/** The document's largest page. */
const PAGE = 1000;
/** `offset + limit` at most. */
const LAST_ROW = 10_000_000;
const MAX_SKUS = 100;
const LISTING_BYTES = 16 * 1024 * 1024;
const OFFER_BYTES = 4 * 1024 * 1024;
const LISTING_TIMEOUT_MS = 30_000;
const READ_TIMEOUT_MS = 15_000;
/** The gateway answers 504 after some seconds (#3203); what takes longer has lost its answer. */
const WRITE_TIMEOUT_MS = 20_000;
/** The tutorial's `Retry-After` of an accepted edit. */
const POLL_MS = 5_000;

export function createOffers({ session, quotas, apiUrl }: OffersOptions): Offers {
  async function listPage(call: Call, query: URLSearchParams, operation: string): Promise<OfferPage> {
    const request: AccountRequest = {
      operation,
      kind: 'account_read',
      method: 'GET',
      route: '/sale/offers',
      path: `/sale/offers?${query.toString()}`,
      quotas: () => quotas.application,
      timeoutMs: LISTING_TIMEOUT_MS,
      maxBytes: LISTING_BYTES,
      accepts: [200],
    };
    const answer = await session.send(call, request);
    return session.parse(listingSchema, request, answer);
  }

  /** All pages of one query; rows that a moving set shows twice count once. */
  async function listAll(call: Call, skus: readonly Sku[]): Promise<ListedOffer[]> {
    const found = new Map<OfferId, ListedOffer>();
    for (let offset = 0; ; offset += PAGE) {
      const query = new URLSearchParams({ limit: String(PAGE), offset: String(offset) });
      for (const sku of skus) query.append('external.id', sku);
      const page = await listPage(call, query, 'findOffers');
      for (const offer of page.offers) found.set(offer.offerId, offer);
      if (page.offers.length === 0 || offset + PAGE >= page.totalCount) break;
    }
    return [...found.values()];
  }

  function offerRequest(
    offerId: OfferId,
    rest: Partial<AccountRequest> & Pick<AccountRequest, 'operation' | 'quotas'>,
  ) {
    const route = '/sale/product-offers/{offerId}';
    const request: AccountRequest = {
      kind: 'offer_read',
      method: 'GET',
      route,
      path: `/sale/product-offers/${encodeURIComponent(offerId)}`,
      offerId,
      timeoutMs: READ_TIMEOUT_MS,
      maxBytes: OFFER_BYTES,
      accepts: [200],
      ...rest,
    };
    return request;
  }

  return {
    async list(call, { offset, limit }) {
      if (limit < 1 || limit > PAGE || offset < 0 || offset + limit > LAST_ROW) {
        throw new RangeError(`listing: offset ${offset}, limit ${limit} is out of range`);
      }
      // Always explicit: without a limit Allegro sends 20 rows.
      return listPage(call, new URLSearchParams({ limit: String(limit), offset: String(offset) }), 'listOffers');
    },

    async find(call, skus) {
      if (skus.length > MAX_SKUS) throw new RangeError(`findOffers: ${skus.length} SKUs, at most ${MAX_SKUS}`);
      const asked = new Set(skus);
      const found: ListedOffer[] = [];
      for (const some of skuQueries([...asked])) found.push(...(await listAll(call, some)));
      // An offer that was not asked for is nothing to act on.
      return found.filter((offer) => offer.sku !== null && asked.has(offer.sku));
    },

    async read(call, offerId) {
      const request = offerRequest(offerId, {
        operation: 'readOffer',
        quotas: (sellerId) => quotas.forSeller(sellerId, 'offer-reads'),
      });
      const offer = session.parse(productOfferSchema, request, await session.send(call, request));
      checkId(request, offerId, offer.id);
      return {
        offerId,
        sku: toSku(offer.external?.id),
        format: offer.sellingMode.format,
        status: offer.publication.status,
        available: offer.stock.available,
        endedBy: offer.publication.endedBy ?? null,
        endedAt: offer.publication.endedAt,
        // Where it is not told, the careful way is taken: an ending by status is not relisted either way.
        republish: offer.publication.republish ?? true,
      };
    },

    async readAvailable(call, offerId) {
      const request = offerRequest(offerId, {
        operation: 'readAvailable',
        route: '/sale/product-offers/{offerId}/parts',
        path: `/sale/product-offers/${encodeURIComponent(offerId)}/parts?include=stock`,
        quotas: (sellerId) => quotas.forSeller(sellerId, 'part-reads'),
      });
      const parts = session.parse(partsSchema, request, await session.send(call, request));
      checkId(request, offerId, parts.id);
      return parts.stock.available;
    },

    async write(call, offerId, write) {
      const request = offerRequest(offerId, {
        operation: 'writeOffer',
        kind: 'offer_write',
        method: 'PATCH',
        json: bodyOf(write),
        quotas: (sellerId) => quotas.forSeller(sellerId, 'edits'),
        timeoutMs: WRITE_TIMEOUT_MS,
        accepts: [200, 202],
      });
      const answer = await session.send(call, request);
      if (answer.status === 202) {
        const operation = operationPath(answer.location, { apiUrl, offerId });
        if (operation === null) {
          throw new SyncError(
            'OutcomeUnknown',
            'writeOffer: Allegro accepted the change without saying where to ask for it.',
            {
              status: 202,
              ...(answer.traceId === null ? {} : { traceId: answer.traceId }),
            },
          );
        }
        return { kind: 'accepted', operation, pollInMs: answer.retryAfterMs ?? POLL_MS, traceId: answer.traceId };
      }
      const offer = session.parse(editedOfferSchema, request, answer);
      checkId(request, offerId, offer.id);
      return { kind: 'applied', available: offer.stock?.available ?? null, traceId: answer.traceId };
    },

    async checkOperation(call, operation) {
      if (!operation.startsWith('/sale/')) throw new RangeError('checkOperation: not an operation of writeOffer');
      const request: AccountRequest = {
        operation: 'checkOperation',
        kind: 'operation',
        method: 'GET',
        route: '/sale/product-offers/{offerId}/operations/{operationId}',
        path: operation,
        quotas: () => quotas.application,
        timeoutMs: READ_TIMEOUT_MS,
        maxBytes: OFFER_BYTES,
        accepts: [202, 303],
      };
      const answer = await session.send(call, request);
      if (answer.status === 303) return { kind: 'done' };
      // COMPLETED is still followed by the 303 that says so for good.
      session.parse(operationSchema, request, answer);
      return { kind: 'running', pollInMs: answer.retryAfterMs ?? POLL_MS };
    },
  };
}

/** A merge patch (RFC 7396): what is absent stays. */
function bodyOf(write: OfferWrite): unknown {
  switch (write.kind) {
    case 'quantity':
      return { stock: { available: atLeastOne(write.quantity) } };
    case 'zero':
      return { stock: { available: 0 } };
    case 'end':
      return { publication: { status: 'ENDED' } };
    case 'reactivate':
      return { stock: { available: atLeastOne(write.quantity) }, publication: { status: 'ACTIVE' } };
  }
}

/** A 0 that came here by mistake would end the offer. */
function atLeastOne(quantity: number): number {
  if (!Number.isSafeInteger(quantity) || quantity < 1) throw new RangeError(`writeOffer: quantity ${quantity}`);
  return quantity;
}

function checkId(request: AccountRequest, asked: OfferId, answered: OfferId): void {
  if (asked === answered) return;
  throw new SyncError(
    'InvalidAnswer',
    `${request.operation}: Allegro answered about offer ${answered} instead of ${asked}.`,
  );
}
