import { randomUUID } from 'node:crypto';

import type { Answer, ApiError } from './answer.js';
import { errorAnswer, errorsAnswer, jsonAnswer } from './answer.js';
import type { ApiCall } from './call.js';
import type { Clock } from './clock.js';
import type { Offer } from './offer.js';
import type { Report } from './report.js';
import type { Settings } from './settings.js';

interface Operation {
  readonly id: string;
  readonly offerId: string;
  readonly startedAt: number;
  readonly retryAt: number;
  isDone: boolean;
  errors: readonly ApiError[];
}

/** Edits that are processed after their 202, and the resource that tells how they went. */
export class Operations {
  readonly #operations = new Map<string, Operation>();
  readonly #clock: Clock;
  readonly #settings: () => Settings;
  readonly #report: Report;

  constructor(clock: Clock, settings: () => Settings, report: Report) {
    this.#clock = clock;
    this.#settings = settings;
    this.#report = report;
  }

  clear(): void {
    this.#operations.clear();
  }

  /**
   * Accepts an edit for later. `finish` does the edit and returns why it failed, if it did.
   * @returns the 202's headers.
   */
  accept(offer: Offer, baseUrl: string, finish: () => readonly ApiError[]): Record<string, string> {
    const { operationDelayMs, operationRetryAfterS } = this.#settings();
    const now = this.#clock.now();
    const operation: Operation = {
      id: randomUUID(),
      offerId: offer.id,
      startedAt: now,
      // A poll half a second early is a matter of clocks, not of carelessness.
      retryAt: now + Math.max(0, operationRetryAfterS * 1000 - 500),
      isDone: false,
      errors: [],
    };
    this.#operations.set(operation.id, operation);
    offer.editing = true;
    this.#clock.after(operationDelayMs, () => {
      offer.editing = false;
      operation.errors = finish();
      operation.isDone = true;
    });
    return {
      Location: `${baseUrl}/sale/product-offers/${offer.id}/operations/${operation.id}`,
      'Retry-After': String(operationRetryAfterS),
    };
  }

  /** 202 while it lasts, 303 to the offer when it is done, 422 when it failed. */
  answer(call: ApiCall): Answer {
    const operation = this.#operations.get(call.route.operationId);
    if (operation?.offerId !== call.route.offerId) {
      return errorAnswer(404, 'OperationNotFoundException', 'Operation not found');
    }
    const now = this.#clock.now();
    if (now < operation.retryAt) this.#report.noteMistake('operation_polled_before_retry_after', operation.offerId);
    if (!operation.isDone) {
      const isPending = now - operation.startedAt < this.#settings().operationDelayMs / 2;
      return jsonAnswer(
        202,
        {
          offer: { id: operation.offerId },
          operation: {
            id: operation.id,
            status: isPending ? 'PENDING' : 'IN_PROGRESS',
            startedAt: new Date(operation.startedAt).toISOString(),
          },
        },
        {
          Location: `${call.baseUrl}/sale/product-offers/${operation.offerId}/operations/${operation.id}`,
          'Retry-After': String(this.#settings().operationRetryAfterS),
        },
      );
    }
    if (operation.errors.length > 0) return errorsAnswer(422, ...operation.errors);
    return { status: 303, body: '', headers: { Location: `${call.baseUrl}/sale/product-offers/${operation.offerId}` } };
  }
}
