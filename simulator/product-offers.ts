import type { Answer, ApiError } from './answer.js';
import { apiError, errorAnswer, errorsAnswer } from './answer.js';
import type { ApiCall } from './call.js';
import type { Catalogue } from './catalogue.js';
import type { Journal } from './journal.js';
import type { Judge } from './judge.js';
import type { Lifecycle } from './lifecycle.js';
import { isUp, MOST_PIECES } from './lifecycle.js';
import type { Offer } from './offer.js';
import type { OfferEdit } from './offer-edit.js';
import { parseOfferEdit } from './offer-edit.js';
import { partsJson, productOfferJson } from './offer-json.js';
import type { Operations } from './operations.js';
import { parseJson } from './record.js';
import type { Report } from './report.js';
import type { Settings } from './settings.js';

interface ProductOfferParts {
  readonly catalogue: Catalogue;
  readonly lifecycle: Lifecycle;
  readonly operations: Operations;
  readonly judge: Judge;
  readonly journal: Journal;
  readonly report: Report;
  readonly settings: () => Settings;
}

/** `/sale/product-offers/{id}`: reading one offer, reading parts of it, editing it. */
export class ProductOffers {
  readonly #parts: ProductOfferParts;

  constructor(parts: ProductOfferParts) {
    this.#parts = parts;
  }

  get(call: ApiCall): Answer {
    const found = this.#find(call);
    return 'status' in found ? found : { status: 200, body: productOfferJson(found.offer) };
  }

  getParts(call: ApiCall): Answer {
    const include = new URLSearchParams(call.query).getAll('include');
    if (include.length === 0 || !include.every((part) => part === 'stock' || part === 'price')) {
      return errorAnswer(400, 'VALIDATION_ERROR', 'include must name stock or price', 'include');
    }
    const found = this.#find(call);
    return 'status' in found ? found : { status: 200, body: partsJson(found.offer, include) };
  }

  patch(call: ApiCall): Answer {
    const parsed = parseOfferEdit(parseJson(call.body));
    if (parsed.kind === 'edit' && parsed.edit.available !== undefined) call.entry.values = [parsed.edit.available];
    const found = this.#find(call);
    if ('status' in found) return found;
    if (parsed.kind === 'malformed') {
      this.#parts.report.noteMistake('malformed_body', `${call.entry.route}: ${parsed.message}`);
      return errorAnswer(400, 'JsonMappingException', parsed.message);
    }
    if (parsed.kind === 'refused') {
      if (parsed.hasUnknownProperty) this.#parts.report.noteMistake('unknown_property', call.body.slice(0, 200));
      return errorsAnswer(422, ...parsed.errors);
    }
    return this.#edit(call, found.offer, parsed.edit);
  }

  #edit(call: ApiCall, offer: Offer, edit: OfferEdit): Answer {
    const { settings, judge, operations, journal } = this.#parts;
    const { asyncEdits, conflictWhileEditing } = settings();
    judge.judge(
      {
        offer,
        available: edit.available,
        status: edit.status === 'ACTIVE' || edit.status === 'ENDED' ? edit.status : undefined,
        byCommand: false,
      },
      call.entry,
    );
    if (offer.editing && conflictWhileEditing) {
      return errorAnswer(
        409,
        'OfferConflictException',
        'Previous edition of the offer is still being processed. Try again later.',
      );
    }
    const rejection = offer.rejection;
    const isEnding = edit.status === 'ENDED';
    if (rejection?.mode !== 'async') {
      const errors = refusals(offer, edit);
      // With status ENDED the offer is ended even if the rest of the edit fails (offer tutorial).
      if (errors.length > 0 && !(isEnding && isUp(offer) && rejection?.endings !== true))
        return errorsAnswer(422, ...errors);
    }
    const changesStatus = edit.status !== undefined && edit.status !== offer.status;
    if (changesStatus || asyncEdits === 'all' || rejection?.mode === 'async') {
      const before = productOfferJson(offer);
      const headers = operations.accept(offer, call.baseUrl, () => {
        const errors = this.#finish(offer, edit);
        journal.mark(call.entry, 'applied');
        return errors;
      });
      return { status: 202, body: before, headers };
    }
    this.#apply(offer, edit);
    journal.mark(call.entry, 'applied');
    return { status: 200, body: productOfferJson(offer) };
  }

  /** The second half of an edit answered 202: the offer may have changed since, so it is looked at again. */
  #finish(offer: Offer, edit: OfferEdit): readonly ApiError[] {
    const errors = refusals(offer, edit);
    if (errors.length === 0) {
      this.#apply(offer, edit);
      return [];
    }
    if (edit.status === 'ENDED' && offer.rejection?.endings !== true) this.#parts.lifecycle.endByUser(offer, 'api');
    return errors;
  }

  #apply(offer: Offer, edit: OfferEdit): void {
    const { catalogue, lifecycle, report } = this.#parts;
    if (edit.republish !== undefined && edit.republish !== offer.republish) {
      catalogue.change(offer, { republish: edit.republish }, 'api');
    }
    if (edit.status === 'ENDED') {
      if (edit.available !== undefined) catalogue.change(offer, { available: edit.available }, 'api');
      lifecycle.endByUser(offer, 'api');
      report.noteEffect('ended');
      return;
    }
    if (edit.available !== undefined) {
      report.noteEffect(stockEffect(offer, edit.available));
      lifecycle.setStock(offer, edit.available, 'api');
    }
    if (edit.status === 'ACTIVE' && !isUp(offer)) {
      catalogue.activate(offer, 'api');
      report.noteEffect('activated');
    }
  }

  #find(call: ApiCall): { offer: Offer } | Answer {
    const { offerId } = call.route;
    if (!/^\d{1,20}$/.test(offerId)) return errorAnswer(400, 'VALIDATION_ERROR', 'Invalid offer id format', 'offerId');
    const offer = this.#parts.catalogue.offers.get(offerId);
    if (!offer || this.#parts.catalogue.isArchived(offer)) {
      return errorAnswer(404, 'OfferNotFoundException', `Offer not found: ${offerId}`);
    }
    if (offer.sellerId !== call.seller.id) {
      return errorAnswer(403, 'OfferAccessDeniedException', 'You do not have access to this offer');
    }
    return { offer };
  }
}

/** Why an edit of an offer in its present state is refused with 422. */
function refusals(offer: Offer, edit: OfferEdit): readonly ApiError[] {
  const { rejection } = offer;
  const errors: ApiError[] = [];
  const isDraft = offer.status === 'INACTIVE';
  if (rejection && (!isDraft || edit.status === 'ACTIVE')) {
    errors.push(apiError(rejection.code, rejection.message, rejection.path));
  }
  if (offer.format === 'AUCTION' && edit.available !== undefined && !isDraft) {
    errors.push(apiError('VALIDATION_FAILED', 'The quantity of an auction cannot be changed', 'stock.available'));
  }
  if (edit.available !== undefined && edit.available > MOST_PIECES - offer.sold) {
    errors.push(stockTooHigh(offer));
  }
  if (edit.status === 'ACTIVE' && (edit.available ?? offer.available) === 0) {
    errors.push(
      apiError(
        'AvailableStockMustEqualToOneOrBeGreaterThanOne',
        'Available stock must be equal to one or be greater than one',
        'stock.available',
      ),
    );
  }
  const isBackward = (edit.status === 'INACTIVE' || edit.status === 'ACTIVATING') && edit.status !== offer.status;
  if (isBackward || (edit.status === 'ENDED' && isDraft)) {
    errors.push(
      apiError('VALIDATION_FAILED', `Status ${offer.status} cannot become ${edit.status ?? ''}`, 'publication.status'),
    );
  }
  return errors;
}

export function stockTooHigh(offer: Offer): ApiError {
  return apiError(
    'INVALID_SUM_OF_SOLD_AND_AVAILABLE_ITEMS',
    `The sum of sold and available items must not exceed ${MOST_PIECES}; sold: ${offer.sold}`,
    'stock.available',
  );
}

/** What a new number does to an offer, as the report counts it. */
export function stockEffect(offer: Offer, available: number): string {
  if (available === offer.available) return 'unchanged';
  if (available === 0 && isUp(offer)) return 'ended';
  return available < offer.available ? 'lowered' : 'raised';
}
