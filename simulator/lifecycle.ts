import type { Catalogue, Cause } from './catalogue.js';
import type { Clock } from './clock.js';
import type { Offer } from './offer.js';
import type { Settings } from './settings.js';

/** An active offer holds at most so many pieces, the sold ones counted in (allegro-api #5385). */
export const MOST_PIECES = 99_999;

/** What becomes of offers after a change: endings that follow a zero, and the republishing that follows an ending. */
export class Lifecycle {
  readonly #catalogue: Catalogue;
  readonly #clock: Clock;
  readonly #settings: () => Settings;

  constructor(catalogue: Catalogue, clock: Clock, settings: () => Settings) {
    this.#catalogue = catalogue;
    this.#clock = clock;
    this.#settings = settings;
  }

  /** Sets the stock at once; a zero ends an active offer after a while. */
  setStock(offer: Offer, available: number, cause: Cause): void {
    this.#catalogue.change(offer, { available }, cause);
    if (available === 0) this.endWhenEmpty(offer, cause);
  }

  /** Ends an offer whose stock is 0 as EMPTY_STOCK, after the delay, unless it has stock again by then. */
  endWhenEmpty(offer: Offer, cause: Cause): void {
    offer.zeroByApi = cause === 'api';
    this.#clock.after(this.#settings().endingDelayMs, () => {
      if (offer.available !== 0 || !isUp(offer)) return;
      this.#catalogue.end(offer, 'EMPTY_STOCK', offer.zeroByApi ? 'api' : cause);
      if (offer.republish && offer.format === 'BUY_NOW') this.#relist(offer);
    });
  }

  /** Ends an offer by request; one that is ended by hand is not republished. */
  endByUser(offer: Offer, cause: Cause): void {
    if (isUp(offer)) this.#catalogue.end(offer, 'USER', cause);
  }

  /** Autorenewal: the initial number under a new id, however many were sold (allegro-api #12434, #5321). */
  #relist(offer: Offer): void {
    const relisted = this.#catalogue.add(
      offer.sellerId,
      {
        name: offer.name,
        externalId: offer.externalId,
        format: offer.format,
        status: 'INACTIVE',
        available: offer.initialStock,
        durationDays: offer.durationDays,
        republish: true,
        priceGrosze: offer.priceGrosze,
        createdAt: this.#clock.now(),
      },
      true,
    );
    this.#catalogue.activate(relisted, 'allegro');
  }
}

/** Whether an offer can be bought, or will be soon. */
export function isUp(offer: Offer): boolean {
  return offer.status === 'ACTIVE' || offer.status === 'ACTIVATING';
}
