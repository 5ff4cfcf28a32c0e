import { describe, expect, test } from '@jest/globals';
import { ERROR_TABLE, type AnswerKind } from '../../../src/allegro/error-table.js';
import { answerError, findErrorRule, transportError } from '../../../src/allegro/errors.js';
import { SYNC_ERROR_TYPES } from '../../../src/domain/errors.js';

const KINDS: readonly AnswerKind[] = [
  'account_read',
  'command_write',
  'command_read',
  'offer_read',
  'offer_write',
  'operation',
  'token',
  'device_login',
  'task',
];

describe('the error table', () => {
  test('gives every row an id of its own, one sentence and one thing to do', () => {
    expect(new Set(ERROR_TABLE.map(({ id }) => id)).size).toBe(ERROR_TABLE.length);
    for (const rule of ERROR_TABLE) {
      expect(rule.sentence).toMatch(/^[A-Z].*\.$/);
      expect(rule.sentence.match(/[.!?](\s|$)/g)).toHaveLength(1);
      expect(rule.whatToDo.length).toBeGreaterThan(10);
      expect(SYNC_ERROR_TYPES).toContain(rule.type);
    }
  });

  test('has no row that no answer reaches', () => {
    for (const rule of ERROR_TABLE) {
      const statuses = typeof rule.status === 'number' ? [rule.status] : sampleStatuses(rule.status);
      const kinds = rule.kinds.length === 0 ? KINDS : rule.kinds;
      const codes = rule.codes.length === 0 ? ['SOMETHING_NEW'] : rule.codes.map((code) => code.replace('*', 'Xyz'));
      const reached = statuses.some((status) =>
        kinds.some((kind) => codes.every((code) => findErrorRule({ kind, status, code }).id === rule.id)),
      );
      expect({ id: rule.id, reached }).toEqual({ id: rule.id, reached: true });
    }
  });

  test('classes whatever comes, by its status when the code is unknown', () => {
    for (const kind of KINDS) {
      for (let status = 200; status < 600; status += 1) {
        expect(SYNC_ERROR_TYPES).toContain(findErrorRule({ kind, status, code: 'SOMETHING_NEW' }).type);
      }
    }
  });

  test.each([
    { kind: 'offer_write', status: 422, code: 'MissingRequiredParameters', type: 'OfferRejected', retry: 'final' },
    { kind: 'offer_write', status: 422, code: 'SOMETHING_NEW', type: 'OfferRejected', retry: 'final' },
    { kind: 'offer_write', status: 422, code: 'OFFER_SERVICE_ERROR', type: 'OfferConflict', retry: 'declared' },
    { kind: 'offer_write', status: 422, code: 'ProductConstraintViolationX', type: 'OfferRejected', retry: 'final' },
    { kind: 'offer_write', status: 409, code: 'OfferConflictException', type: 'OfferConflict', retry: 'declared' },
    { kind: 'offer_write', status: 403, code: 'OfferAccessDeniedException', type: 'AccessDenied', retry: 'final' },
    { kind: 'offer_write', status: 404, code: 'OfferNotFoundException', type: 'OfferNotFound', retry: 'final' },
    { kind: 'offer_write', status: 500, code: null, type: 'OutcomeUnknown', retry: 'declared' },
    { kind: 'offer_write', status: 504, code: 'ServiceTimeoutException', type: 'OutcomeUnknown', retry: 'declared' },
    { kind: 'offer_write', status: 400, code: 'VALIDATION_ERROR', type: 'OfferRejected', retry: 'final' },
    { kind: 'offer_write', status: 418, code: null, type: 'OfferRejected', retry: 'final' },
    { kind: 'command_write', status: 503, code: null, type: 'OutcomeUnknown', retry: 'declared' },
    { kind: 'offer_read', status: 422, code: 'SOMETHING_NEW', type: 'InvalidAnswer', retry: 'declared' },
    { kind: 'account_read', status: 503, code: null, type: 'MarketplaceUnavailable', retry: 'declared' },
    { kind: 'account_read', status: 403, code: 'OfferAccessDeniedException', type: 'AccountRefused', retry: 'final' },
    { kind: 'account_read', status: 406, code: 'NotAcceptableException', type: 'ApplicationRefused', retry: 'final' },
    { kind: 'account_read', status: 302, code: null, type: 'InvalidAnswer', retry: 'declared' },
    { kind: 'operation', status: 404, code: null, type: 'OutcomeUnknown', retry: 'declared' },
    { kind: 'operation', status: 422, code: 'SOMETHING_NEW', type: 'OfferRejected', retry: 'final' },
    { kind: 'operation', status: 502, code: null, type: 'OutcomeUnknown', retry: 'declared' },
    { kind: 'operation', status: 408, code: null, type: 'OutcomeUnknown', retry: 'declared' },
    { kind: 'offer_write', status: 403, code: 'insufficient_scope', type: 'AccountRefused', retry: 'final' },
    { kind: 'device_login', status: 400, code: 'access_denied', type: 'AccountRefused', retry: 'final' },
    { kind: 'device_login', status: 400, code: 'Invalid device code', type: 'AccountRefused', retry: 'final' },
    { kind: 'device_login', status: 401, code: 'invalid_client', type: 'ApplicationRefused', retry: 'final' },
    { kind: 'token', status: 400, code: 'invalid_grant', type: 'TokenRevoked', retry: 'final' },
    { kind: 'token', status: 401, code: 'invalid_client', type: 'ApplicationRefused', retry: 'final' },
    { kind: 'token', status: 401, code: 'unauthorized', type: 'ApplicationRefused', retry: 'final' },
    { kind: 'token', status: 503, code: null, type: 'MarketplaceUnavailable', retry: 'declared' },
    { kind: 'account_read', status: 429, code: 'RateLimitExceedException', type: 'RateLimited', retry: 'none' },
    { kind: 'task', status: null, code: 'OFFER_NOT_FOUND', type: 'OfferNotFound', retry: 'final' },
    { kind: 'task', status: null, code: 'ERR_INVALID_QUANTITY', type: 'OfferRejected', retry: 'final' },
    { kind: 'task', status: null, code: 'SOMETHING_NEW', type: 'OfferRejected', retry: 'final' },
    { kind: 'task', status: null, code: null, type: 'OfferRejected', retry: 'final' },
  ] as const)('$kind, $status $code is $type', ({ kind, status, code, type, retry }) => {
    expect(findErrorRule({ kind, status, code })).toMatchObject({ type, retry });
  });
});

function sampleStatuses(status: string): (number | null)[] {
  switch (status) {
    case 'task':
      return [null];
    case '2xx':
      return [200, 204];
    case '4xx':
      return [400, 418, 451];
    case '5xx':
      return [500, 503];
    default:
      return [null, 200, 302, 400, 401, 409, 422];
  }
}

test('an error tells the sentence, and Allegro’s own code and words', () => {
  const error = answerError({ kind: 'offer_write', status: 422, code: 'NEW_CODE', message: 'Marka [parameters]' });

  expect(error.message).toBe('Allegro refuses this change of the offer. (422 NEW_CODE: Marka [parameters])');
  expect(error.facts).toEqual({
    status: 422,
    code: 'NEW_CODE',
    whatToDo: 'Open the offer at Allegro and correct what the message names.',
  });
});

test('without an answer a write is unknown and a read has failed, unless it was never sent', () => {
  expect(transportError('timeout', true, 'writeOffer').type).toBe('OutcomeUnknown');
  expect(transportError('cut', true, 'writeOffer').type).toBe('OutcomeUnknown');
  expect(transportError('unreachable', true, 'writeOffer').type).toBe('MarketplaceUnavailable');
  expect(transportError('timeout', false, 'listOffers').type).toBe('MarketplaceUnavailable');
});
