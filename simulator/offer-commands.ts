import type { Answer, ApiError } from './answer.js';
import { apiError, errorAnswer } from './answer.js';
import type { ApiCall } from './call.js';
import type { Catalogue } from './catalogue.js';
import type { Commands } from './commands.js';
import type { Judge } from './judge.js';
import type { Lifecycle } from './lifecycle.js';
import { isUp, MOST_PIECES } from './lifecycle.js';
import type { Offer } from './offer.js';
import { stockEffect, stockTooHigh } from './product-offers.js';
import { isRecord, parseJson } from './record.js';
import type { Report } from './report.js';
import type { Settings } from './settings.js';

const MOST_OFFERS = 1000;
const MOST_MODIFICATIONS = 25;

interface OfferCommandsParts {
  readonly catalogue: Catalogue;
  readonly lifecycle: Lifecycle;
  readonly judge: Judge;
  readonly report: Report;
  readonly settings: () => Settings;
  readonly quantity: Commands;
  readonly publication: Commands;
  readonly bulk: Commands;
}

interface StockModification {
  readonly changeType: 'FIXED' | 'GAIN';
  readonly value: number;
}

/** What registers commands: one number for many offers, one status for many offers, and (beta) a number for each offer. */
export class OfferCommands {
  readonly #parts: OfferCommandsParts;

  constructor(parts: OfferCommandsParts) {
    this.#parts = parts;
  }

  putQuantity(call: ApiCall): Answer {
    const body = parseJson(call.body);
    const offerIds = isRecord(body) ? criteriaOfferIds(body['offerCriteria']) : undefined;
    const modification = isRecord(body) ? stockModification(body['modification']) : undefined;
    if (!offerIds || !modification) return this.#malformed(call);
    call.entry.offerIds = offerIds;
    call.entry.values = [modification.value];
    this.#judgeStock(call, offerIds, modification);
    if (modification.changeType === 'FIXED' && modification.value < 1) return this.#zero(call);
    if (offerIds.length > MOST_OFFERS || offerIds.length === 0) return this.#wrongSize(offerIds.length, MOST_OFFERS);
    return this.#parts.quantity.register(call, {
      id: call.route.commandId,
      content: JSON.stringify([modification, offerIds]),
      tasks: offerIds.map((offerId) => ({
        offerId,
        field: 'quantity',
        run: () => this.#changeStock(call, offerId, modification),
      })),
    });
  }

  putPublication(call: ApiCall): Answer {
    const body = parseJson(call.body);
    const publication = isRecord(body) ? body['publication'] : undefined;
    const offerIds = isRecord(body) ? criteriaOfferIds(body['offerCriteria']) : undefined;
    const action = isRecord(publication) ? publication['action'] : undefined;
    if (!offerIds || (action !== 'ACTIVATE' && action !== 'END')) return this.#malformed(call);
    call.entry.offerIds = offerIds;
    const status = action === 'END' ? 'ENDED' : 'ACTIVE';
    for (const offer of this.#owned(call, offerIds)) {
      this.#parts.judge.judge({ offer, available: undefined, status, byCommand: true }, call.entry);
    }
    if (offerIds.length > MOST_OFFERS || offerIds.length === 0) return this.#wrongSize(offerIds.length, MOST_OFFERS);
    return this.#parts.publication.register(call, {
      id: call.route.commandId,
      content: JSON.stringify([publication, offerIds]),
      tasks: offerIds.map((offerId) => ({
        offerId,
        field: 'publication',
        run: () => (action === 'END' ? this.#end(call, offerId) : this.#activate(call, offerId)),
      })),
    });
  }

  postBulk(call: ApiCall): Answer {
    const body = parseJson(call.body);
    const commandId = isRecord(body) ? body['commandId'] : undefined;
    const modifications = isRecord(body) ? body['modifications'] : undefined;
    if (typeof commandId !== 'string' || !Array.isArray(modifications)) return this.#malformed(call);
    if (modifications.length === 0 || modifications.length > MOST_MODIFICATIONS) {
      return this.#wrongSize(modifications.length, MOST_MODIFICATIONS);
    }
    const changes: { offerId: string; stock: StockModification }[] = [];
    for (const element of modifications) {
      if (!isRecord(element) || typeof element['offerId'] !== 'string') return this.#malformed(call);
      if ((element['stock'] === undefined) === (element['prices'] === undefined)) {
        this.#parts.report.noteMistake('malformed_body', 'bulk modification with not exactly one of stock and prices');
        return errorAnswer(
          400,
          'INVALID_SINGLE_ELEMENT_IN_MODIFICATION',
          'Exactly one of stock and prices must be given in a modification',
          'modifications',
        );
      }
      const stock = stockModification(element['stock']);
      if (stock) changes.push({ offerId: element['offerId'], stock });
      else if (element['stock'] !== undefined) return this.#malformed(call);
    }
    call.entry.offerIds = changes.map(({ offerId }) => offerId);
    call.entry.values = changes.map(({ stock }) => stock.value);
    for (const { offerId, stock } of changes) this.#judgeStock(call, [offerId], stock);
    if (changes.some(({ stock }) => stock.changeType === 'FIXED' && stock.value < 1)) return this.#zero(call);
    if (new Set(call.entry.offerIds).size < changes.length) {
      return errorAnswer(
        400,
        'VALIDATION_ERROR',
        'An offer must not have two modifications of one type',
        'modifications',
      );
    }
    return this.#parts.bulk.register(call, {
      id: commandId,
      content: JSON.stringify(changes),
      tasks: changes.map(({ offerId, stock }) => ({
        offerId,
        field: 'stock',
        run: () => this.#changeStock(call, offerId, stock),
      })),
    });
  }

  #changeStock(call: ApiCall, offerId: string, { changeType, value }: StockModification): ApiError | null {
    const [offer] = this.#owned(call, [offerId]);
    if (!offer) return notFound(offerId);
    const available = changeType === 'FIXED' ? value : offer.available + value;
    if (available < 1) return apiError('INVALID_OFFER_QUANTITY', 'The quantity must be at least 1', 'quantity');
    if (available > MOST_PIECES) return apiError('ERR_INVALID_QUANTITY', 'Invalid quantity', 'quantity');
    if (available > MOST_PIECES - offer.sold) return stockTooHigh(offer);
    if (offer.format === 'AUCTION') {
      return apiError(
        'EXCEPTION_DURING_OFFER_QUANTITY_UPDATE',
        'The quantity of an auction cannot be changed',
        'quantity',
      );
    }
    const { rejection } = offer;
    if (rejection && (rejection.commands || this.#parts.settings().commandsValidateOffers)) {
      return apiError(rejection.code, rejection.message, rejection.path);
    }
    this.#parts.report.noteEffect(stockEffect(offer, available));
    this.#parts.lifecycle.setStock(offer, available, 'api');
    return null;
  }

  #end(call: ApiCall, offerId: string): ApiError | null {
    const [offer] = this.#owned(call, [offerId]);
    if (!offer) return notFound(offerId);
    if (offer.rejection?.endings) return apiError(offer.rejection.code, offer.rejection.message, offer.rejection.path);
    if (offer.status === 'INACTIVE')
      return apiError('VALIDATION_FAILED', 'A draft cannot be ended', 'publication.action');
    if (isUp(offer)) this.#parts.report.noteEffect('ended');
    this.#parts.lifecycle.endByUser(offer, 'api');
    return null;
  }

  #activate(call: ApiCall, offerId: string): ApiError | null {
    const [offer] = this.#owned(call, [offerId]);
    if (!offer) return notFound(offerId);
    if (offer.rejection) return apiError(offer.rejection.code, offer.rejection.message, offer.rejection.path);
    if (offer.available < 1) {
      return apiError(
        'AvailableStockMustEqualToOneOrBeGreaterThanOne',
        'Available stock must be equal to one or be greater than one',
        'stock.available',
      );
    }
    if (isUp(offer)) return null;
    this.#parts.catalogue.activate(offer, 'api');
    this.#parts.report.noteEffect('activated');
    return null;
  }

  #judgeStock(call: ApiCall, offerIds: readonly string[], { changeType, value }: StockModification): void {
    for (const offer of this.#owned(call, offerIds)) {
      const available = changeType === 'FIXED' ? value : offer.available + value;
      this.#parts.judge.judge({ offer, available, status: undefined, byCommand: true }, call.entry);
    }
  }

  /** The seller's own, existing offers among these. */
  #owned(call: ApiCall, offerIds: readonly string[]): Offer[] {
    const { catalogue } = this.#parts;
    return offerIds.flatMap((offerId) => {
      const offer = catalogue.offers.get(offerId);
      return offer?.sellerId === call.seller.id && !catalogue.isArchived(offer) ? [offer] : [];
    });
  }

  #malformed(call: ApiCall): Answer {
    this.#parts.report.noteMistake('malformed_body', `${call.entry.route}: ${call.body.slice(0, 200)}`);
    return errorAnswer(400, 'VALIDATION_ERROR', 'The request body is not valid');
  }

  #zero(call: ApiCall): Answer {
    this.#parts.report.noteMistake('zero_by_command', call.entry.offerIds.slice(0, 3).join(' '));
    return errorAnswer(400, 'INCORRECT_QUANTITY_VALUE', 'Quantity value must be greater than 0', 'modification.value');
  }

  #wrongSize(size: number, most: number): Answer {
    this.#parts.report.noteMistake('command_of_wrong_size', String(size));
    return errorAnswer(422, 'VALIDATION_ERROR', `A command must name between 1 and ${most} offers`, 'offerCriteria');
  }
}

function notFound(offerId: string): ApiError {
  return apiError('OFFER_NOT_FOUND', `The offer does not exist: ${offerId}`);
}

function stockModification(value: unknown): StockModification | undefined {
  if (!isRecord(value)) return undefined;
  const { changeType, value: number } = value;
  if (changeType !== 'FIXED' && changeType !== 'GAIN') return undefined;
  return typeof number === 'number' && Number.isInteger(number) ? { changeType, value: number } : undefined;
}

function criteriaOfferIds(criteria: unknown): string[] | undefined {
  if (!Array.isArray(criteria)) return undefined;
  const offerIds: string[] = [];
  for (const criterion of criteria) {
    if (!isRecord(criterion) || criterion['type'] !== 'CONTAINS_OFFERS' || !Array.isArray(criterion['offers'])) {
      return undefined;
    }
    for (const offer of criterion['offers']) {
      if (!isRecord(offer) || typeof offer['id'] !== 'string') return undefined;
      offerIds.push(offer['id']);
    }
  }
  return offerIds;
}
