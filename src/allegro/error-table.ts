import type { SyncErrorType } from '../domain/errors.js';

/**
 * What was asked decides what an answer means: a 403 for one offer concerns that offer, a 403 for the listing the whole
 * account; a 503 to a read is a failure, to a write an unknown outcome.
 */
export type AnswerKind =
  | 'account_read'
  | 'command_write'
  | 'command_read'
  | 'offer_read'
  | 'offer_write'
  | 'operation'
  /** A pair of tokens for a refresh token. */
  | 'token'
  /** The device flow: its link, and whether the seller has agreed. */
  | 'device_login'
  | 'task';

/** `none`: not sent or not answered, no attempt is used. `declared`: by the retry table. `final`: never. */
export type Retry = 'none' | 'declared' | 'final';

/** One row of the table: the first row that fits an answer names its class. */
export interface ErrorRule {
  readonly id: string;
  /** A status, `4xx`/`5xx` for a whole hundred, `task` for a command's task, `any`. */
  readonly status: number | '2xx' | '4xx' | '5xx' | 'task' | 'any';
  /** Allegro's codes; `…*` fits by its beginning; empty fits every code. */
  readonly codes: readonly string[];
  /** Empty: whatever was asked. */
  readonly kinds: readonly AnswerKind[];
  readonly type: SyncErrorType;
  readonly retry: Retry;
  /** One sentence for the user. */
  readonly sentence: string;
  readonly whatToDo: string;
}

const OFFER: readonly AnswerKind[] = ['offer_read', 'offer_write', 'operation'];
const WRITES: readonly AnswerKind[] = ['offer_write', 'command_write'];
const LOGINS: readonly AnswerKind[] = ['token', 'device_login'];
const REPORT_IT = 'This is a fault of the program: report it with the trace id.';

/**
 * Sources: the error tables of the tutorials on offers and on authorization, the statuses of the document, RFC 6749 §5.2,
 * RFC 8628 §3.5, and the threads of allegro-api that the codes come from. `authorization_pending` and `slow_down` are no
 * errors but answers: the seller has not decided yet.
 */
export const ERROR_TABLE: readonly ErrorRule[] = [
  {
    id: 'login-revoked',
    status: 400,
    codes: ['invalid_grant'],
    kinds: ['token'],
    type: 'TokenRevoked',
    retry: 'final',
    sentence: 'Allegro no longer accepts the login of this account.',
    whatToDo: 'Log in again: "accounts authorize ID". A refresh token that is also used elsewhere stops working here.',
  },
  {
    id: 'login-denied',
    status: 400,
    codes: ['access_denied'],
    kinds: ['device_login'],
    type: 'AccountRefused',
    retry: 'final',
    sentence: 'The login was refused at Allegro.',
    whatToDo: 'Log in again ("accounts authorize ID") and agree to what the application asks for.',
  },
  {
    id: 'login-link-expired',
    status: 400,
    codes: ['expired_token', 'Invalid device code', 'invalid_device_code', 'invalid_grant'],
    kinds: ['device_login'],
    type: 'AccountRefused',
    retry: 'final',
    sentence: 'The login link has expired or was used already.',
    whatToDo: 'Start again: "accounts authorize ID" prints a new link.',
  },
  {
    id: 'client-refused',
    status: 'any',
    codes: ['invalid_client', 'unauthorized_client'],
    kinds: LOGINS,
    type: 'ApplicationRefused',
    retry: 'final',
    sentence: 'Allegro does not accept the application: its Client ID or secret is wrong, or it was blocked.',
    whatToDo:
      'Compare ALLEGRO_CLIENT_ID, ALLEGRO_CLIENT_SECRET and ALLEGRO_ENVIRONMENT with apps.developer.allegro.pl.',
  },
  {
    id: 'too-many-requests',
    status: 429,
    codes: [],
    kinds: [],
    type: 'RateLimited',
    retry: 'none',
    sentence: 'Allegro has had too many requests from this application or seller.',
    whatToDo: 'Nothing: the work goes on by itself. If it happens often, another program uses the same quota.',
  },
  {
    id: 'login-server-error',
    status: '5xx',
    codes: [],
    kinds: LOGINS,
    type: 'MarketplaceUnavailable',
    retry: 'declared',
    sentence: 'Allegro did not answer when asked for a new access token.',
    whatToDo: 'Nothing: it is tried again. See status.allegro.pl when it lasts.',
  },
  {
    id: 'login-refused',
    status: '4xx',
    codes: [],
    kinds: LOGINS,
    type: 'ApplicationRefused',
    retry: 'final',
    sentence: 'Allegro refuses the way this application asks for tokens.',
    whatToDo:
      'Check that the application is registered for the device flow, and its scopes, at apps.developer.allegro.pl.',
  },
  {
    id: 'token-not-accepted',
    status: 401,
    codes: [],
    kinds: [],
    type: 'MarketplaceUnavailable',
    retry: 'declared',
    sentence: 'Allegro refuses an access token that it has just issued.',
    whatToDo: 'If it lasts, another program refreshes the same login: give each program its own.',
  },
  {
    id: 'not-acceptable',
    status: 406,
    codes: [],
    kinds: [],
    type: 'ApplicationRefused',
    retry: 'final',
    sentence: 'Allegro does not serve the version of its API that this program asks for.',
    whatToDo: REPORT_IT,
  },
  {
    id: 'media-type',
    status: 415,
    codes: [],
    kinds: [],
    type: 'ApplicationRefused',
    retry: 'final',
    sentence: 'Allegro does not accept the version of its API that this program speaks.',
    whatToDo: REPORT_IT,
  },
  {
    id: 'scope-missing',
    status: 403,
    codes: ['insufficient_scope', 'access_denied'],
    kinds: [],
    type: 'AccountRefused',
    retry: 'final',
    sentence: 'The login of this account does not allow what the sync has to do.',
    whatToDo: 'Log in again with all scopes: "accounts authorize ID".',
  },
  {
    id: 'offer-access-denied',
    status: 403,
    codes: [],
    kinds: OFFER,
    type: 'AccessDenied',
    retry: 'final',
    sentence: 'This account may not read or change this offer.',
    whatToDo: 'Check that the offer belongs to this account and that the account is a business account.',
  },
  {
    id: 'account-access-denied',
    status: 403,
    codes: [],
    kinds: [],
    type: 'AccountRefused',
    retry: 'final',
    sentence: 'Allegro does not let this account use this part of its API.',
    whatToDo:
      'Log in again with all scopes ("accounts authorize ID"); only business accounts may manage offers by the API.',
  },
  {
    id: 'operation-unknown',
    status: 404,
    codes: [],
    kinds: ['operation'],
    type: 'OutcomeUnknown',
    retry: 'declared',
    sentence: 'Allegro no longer knows the operation that it had accepted.',
    whatToDo: 'Nothing: the offer is read and the value is sent again if need be.',
  },
  {
    id: 'offer-not-found',
    status: 404,
    codes: [],
    kinds: ['offer_read', 'offer_write'],
    type: 'OfferNotFound',
    retry: 'final',
    sentence: 'Allegro does not know this offer: it was archived (60 days after its end), deleted, or never existed.',
    whatToDo: 'Nothing, unless it should be on sale: then list it anew.',
  },
  {
    id: 'command-not-understood',
    status: 404,
    codes: [],
    kinds: ['command_write'],
    type: 'OfferRejected',
    retry: 'final',
    sentence: 'Allegro did not understand a command for several offers.',
    whatToDo: REPORT_IT,
  },
  {
    id: 'command-id-with-other-content',
    status: 409,
    codes: ['COMMAND_ALREADY_REGISTERED_WITH_DIFFERENT_CONTENT'],
    kinds: ['command_write'],
    type: 'OfferRejected',
    retry: 'final',
    sentence: 'A command id was used again with other content.',
    whatToDo: REPORT_IT,
  },
  {
    id: 'offer-conflict',
    status: 409,
    codes: [],
    kinds: [...WRITES, 'operation'],
    type: 'OfferConflict',
    retry: 'declared',
    sentence: 'An earlier change of this offer is still being processed by Allegro.',
    whatToDo: 'Nothing: it is tried again.',
  },
  {
    id: 'offer-service-error',
    status: 'any',
    codes: ['OFFER_SERVICE_ERROR', 'OfferConflictException'],
    kinds: ['offer_write', 'operation', 'task'],
    type: 'OfferConflict',
    retry: 'declared',
    sentence: 'Allegro is processing the same change of this offer already, or its brand protection stands in the way.',
    whatToDo: 'Nothing at first: it is tried again. If it lasts, open the offer at Allegro and save it there.',
  },
  {
    id: 'task-offer-not-found',
    status: 'task',
    codes: ['OFFER_NOT_FOUND', 'OfferNotFoundException'],
    kinds: ['task'],
    type: 'OfferNotFound',
    retry: 'final',
    sentence: 'Allegro does not know this offer: it was archived (60 days after its end), deleted, or never existed.',
    whatToDo: 'Nothing, unless it should be on sale: then list it anew.',
  },
  {
    id: 'task-access-denied',
    status: 'task',
    codes: ['OfferAccessDeniedException', 'ACCESS_DENIED'],
    kinds: ['task'],
    type: 'AccessDenied',
    retry: 'final',
    sentence: 'This account may not change this offer.',
    whatToDo: 'Check that the offer belongs to this account.',
  },
  {
    id: 'quantity-out-of-range',
    status: 'any',
    codes: [
      'ERR_INVALID_QUANTITY',
      'INVALID_OFFER_QUANTITY',
      'INCORRECT_QUANTITY_VALUE',
      'EXCEPTION_DURING_OFFER_QUANTITY_UPDATE',
      'INVALID_SUM_OF_SOLD_AND_AVAILABLE_ITEMS',
      'AvailableStock*',
    ],
    kinds: ['offer_write', 'operation', 'command_write', 'task'],
    type: 'OfferRejected',
    retry: 'final',
    sentence: 'Allegro does not accept this number of pieces for this offer (at most 99,999 with those sold).',
    whatToDo: 'Check the stock of this SKU; set a maximum with "accounts set ID --max N".',
  },
  {
    id: 'too-many-active-offers',
    status: 'any',
    codes: ['PublicationValidationException.MaxActiveOffers'],
    kinds: ['offer_write', 'operation', 'command_write', 'task'],
    type: 'OfferRejected',
    retry: 'final',
    sentence: 'The account has as many active offers as Allegro allows (200,000).',
    whatToDo: 'End offers that are not needed.',
  },
  {
    id: 'offer-incomplete',
    status: 422,
    codes: ['MissingRequiredParameters', 'VALIDATION_FAILED', 'ProductConstraintViolation*'],
    kinds: ['offer_write', 'operation'],
    type: 'OfferRejected',
    retry: 'final',
    sentence: 'Allegro checks the whole offer with every change, and something else in this offer is missing or wrong.',
    whatToDo:
      'Open the offer at Allegro, correct what the message names, save it; the stock follows with the next run.',
  },
  {
    id: 'unknown-property',
    status: 422,
    codes: ['UnknownJSONProperty'],
    kinds: WRITES,
    type: 'OfferRejected',
    retry: 'final',
    sentence: 'Allegro does not know a field that this program sends.',
    whatToDo: REPORT_IT,
  },
  {
    id: 'offer-rejected',
    status: 422,
    codes: [],
    kinds: ['offer_write', 'operation', 'command_write'],
    type: 'OfferRejected',
    retry: 'final',
    sentence: 'Allegro refuses this change of the offer.',
    whatToDo: 'Open the offer at Allegro and correct what the message names.',
  },
  {
    id: 'task-failed',
    status: 'task',
    codes: [],
    kinds: ['task'],
    type: 'OfferRejected',
    retry: 'final',
    sentence: 'Allegro refused this offer when it carried out a command for several offers.',
    whatToDo: 'Open the offer at Allegro and correct what the message names.',
  },
  {
    id: 'request-not-understood',
    status: 400,
    codes: [],
    kinds: ['offer_write', 'operation', 'command_write'],
    type: 'OfferRejected',
    retry: 'final',
    sentence: 'Allegro did not understand what this program sent for the offer.',
    whatToDo: REPORT_IT,
  },
  {
    id: 'operation-server-error',
    status: '5xx',
    codes: [],
    kinds: ['operation'],
    type: 'OutcomeUnknown',
    retry: 'declared',
    sentence: 'Allegro does not say what became of a change that it had accepted.',
    whatToDo: 'Nothing: the offer is read and the value is sent again if need be.',
  },
  {
    id: 'timeout-status',
    status: 408,
    codes: [],
    kinds: [...WRITES, 'operation'],
    type: 'OutcomeUnknown',
    retry: 'declared',
    sentence: 'Allegro gave up before the change was done; whether it took effect is not known.',
    whatToDo: 'Nothing: the same value is sent again, which is safe.',
  },
  {
    id: 'timeout-status-read',
    status: 408,
    codes: [],
    kinds: [],
    type: 'MarketplaceUnavailable',
    retry: 'declared',
    sentence: 'Allegro does not answer in time.',
    whatToDo: 'Nothing: it is tried again. See status.allegro.pl when it lasts.',
  },
  {
    id: 'server-error-write',
    status: '5xx',
    codes: [],
    kinds: WRITES,
    type: 'OutcomeUnknown',
    retry: 'declared',
    sentence: 'Allegro failed while changing the offer; whether the change took effect is not known.',
    whatToDo: 'Nothing: the same value is sent again, which is safe.',
  },
  {
    id: 'server-error-read',
    status: '5xx',
    codes: [],
    kinds: [],
    type: 'MarketplaceUnavailable',
    retry: 'declared',
    sentence: 'Allegro is not available at the moment.',
    whatToDo: 'Nothing: it is tried again. See status.allegro.pl when it lasts.',
  },
  {
    // Refused to be read is not refused to be changed: nothing is written to it by another way.
    id: 'offer-unreadable',
    status: '4xx',
    codes: [],
    kinds: ['offer_read'],
    type: 'InvalidAnswer',
    retry: 'declared',
    sentence: 'Allegro refuses to show this offer.',
    whatToDo: 'Nothing at first: it is tried again. If it lasts, open the offer at Allegro.',
  },
  {
    id: 'offer-refused-otherwise',
    status: '4xx',
    codes: [],
    kinds: ['offer_write', 'operation', 'command_write'],
    type: 'OfferRejected',
    retry: 'final',
    sentence: 'Allegro refuses this request about the offer.',
    whatToDo: 'See the code and message; report it with the trace id when they do not help.',
  },
  {
    id: 'request-refused-otherwise',
    status: '4xx',
    codes: [],
    kinds: [],
    type: 'ApplicationRefused',
    retry: 'final',
    sentence: 'Allegro refuses a request of this program.',
    whatToDo: REPORT_IT,
  },
  {
    id: 'not-understood',
    status: 'any',
    codes: [],
    kinds: [],
    type: 'InvalidAnswer',
    retry: 'declared',
    sentence: 'Allegro answered with something this program does not understand.',
    whatToDo: 'Nothing at first: it is tried again. If it lasts, report it with the trace id.',
  },
];
