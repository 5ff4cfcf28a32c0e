import type { Trouble } from './crash-shop.js';
import type { DatabasePoint, Fate } from './database-hold.js';

/**
 * Where a worker is killed. A request has the points of the simulator's journal, and the one before it was written to
 * the wire; work in the database has its statement, lost or carried out without anybody having heard of it.
 */
export type Hold =
  | {
      readonly kind: 'marketplace';
      readonly route: string;
      /** The request as it begins on the wire. */
      readonly request: RegExp;
      readonly at: RequestPoint;
      /** Requests of this kind that go by before. */
      readonly skip?: number;
      /** Only requests for the offer that a first attempt has failed for. */
      readonly ofRetriedOffer?: boolean;
    }
  | { readonly kind: 'redis'; readonly request: RegExp; readonly at: 'before' | 'answered' }
  | { readonly kind: 'telegram'; readonly request: RegExp; readonly at: RequestPoint }
  | ({ readonly kind: 'database'; readonly fate: Fate } & DatabasePoint);

/**
 * - `before`: on its way, not arrived
 * - `received`: arrived, nothing done
 * - `applied`: its effect has taken place, no answer
 * - `answered`: answered, and the worker has not heard it
 */
export const REQUEST_POINTS = ['before', 'received', 'applied', 'answered'] as const;
export type RequestPoint = (typeof REQUEST_POINTS)[number];

export interface CrashPoint extends Trouble {
  readonly activity: string;
  /** As the table calls it. */
  readonly name: string;
  readonly hold: Hold;
  /** Without a login that is known, so that opening the run asks for one. */
  readonly isLoginDue?: boolean;
  /** So many endings that the guard holds them. */
  readonly hasMassEnding?: boolean;
}

const POINT_NAMES: Record<RequestPoint, string> = {
  before: 'before the request',
  received: 'request received',
  applied: 'applied',
  answered: 'answered, not reported',
};

type RequestOf = Omit<Extract<Hold, { kind: 'marketplace' }>, 'kind' | 'at'>;

function ofRequest(activity: string, what: string, request: RequestOf, more: Partial<CrashPoint> = {}): CrashPoint[] {
  return REQUEST_POINTS.map((at) => ({
    activity,
    name: `${what}: ${POINT_NAMES[at]}`,
    hold: { kind: 'marketplace', at, ...request },
    ...more,
  }));
}

function ofStatement(activity: string, what: string, point: DatabasePoint, more: Partial<CrashPoint> = {}) {
  const fates: readonly Fate[] = ['lost', 'applied'];
  return fates.map((fate): CrashPoint => ({
    activity,
    name: `${what}: ${fate === 'lost' ? 'statement lost' : 'committed, not reported'}`,
    hold: { kind: 'database', fate, ...point, at: fate === 'lost' ? 'row' : point.at },
    ...more,
  }));
}

const TOKEN = { route: 'POST /auth/oauth/token', request: /^POST \/auth\/oauth\/token/ };
const ME = { route: 'GET /me', request: /^GET \/me / };
const LISTING = { route: 'GET /sale/offers', request: /^GET \/sale\/offers\?/ };
const EVENTS = { route: 'GET /order/events', request: /^GET \/order\/events[? ]/ };
const COMMAND = '/sale/offer-quantity-change-commands/{commandId}';
const PUT_COMMAND = { route: `PUT ${COMMAND}`, request: /^PUT \/sale\/offer-quantity-change-commands\// };
const REPORT = { route: `GET ${COMMAND}`, request: /^GET \/sale\/offer-quantity-change-commands\/[^/]+ / };
const ENDING = '/sale/offer-publication-commands/{commandId}';
const PUT_ENDING = { route: `PUT ${ENDING}`, request: /^PUT \/sale\/offer-publication-commands\// };
const ENDING_REPORT = { route: `GET ${ENDING}`, request: /^GET \/sale\/offer-publication-commands\/[^/]+ / };
const TASKS = {
  route: `GET ${COMMAND}/tasks`,
  request: /^GET \/sale\/offer-quantity-change-commands\/[^/]+\/tasks/,
};
const OFFER = { route: 'GET /sale/product-offers/{offerId}', request: /^GET \/sale\/product-offers\/[^/]+ / };
const OPERATION = {
  route: 'GET /sale/product-offers/{offerId}/operations/{operationId}',
  request: /^GET \/sale\/product-offers\/[^/]+\/operations\//,
};
const PATCH = {
  route: 'PATCH /sale/product-offers/{offerId}',
  request: /^PATCH \/sale\/product-offers\//,
};

/** Every point of every activity of `syncAccount`. */
export const CRASH_POINTS: readonly CrashPoint[] = [
  ...ofRequest('openRun', 'refresh of the token', TOKEN, { isLoginDue: true }),
  ...ofRequest('openRun', 'whose shop', ME, { isLoginDue: true }),
  ...ofStatement('openRun', 'new run', { table: 'sync_runs', event: 'insert', at: 'commit' }),
  ...(['before', 'answered'] as const).map((at): CrashPoint => ({
    activity: 'awaitRateLimit',
    name: at === 'before' ? 'before Redis is asked' : 'Redis has answered',
    hold: { kind: 'redis', request: /\bpeek\b/, at },
  })),
  ...ofRequest('scanOffers', 'listing', LISTING),
  ...ofRequest('scanOffers', 'offer itself', OFFER),
  ...ofStatement('scanOffers', 'page stored', { table: 'offers', event: 'insert', at: 'commit' }),
  ...ofStatement('scanOffers', 'end of the scan', {
    ...{ table: 'sync_runs', event: 'update', when: 'new.total_count is not null and old.total_count is null' },
    at: 'commit',
  }),
  ...ofStatement('checkGuards', 'what is allowed', {
    ...{ table: 'sync_runs', event: 'update', when: 'new.guard is not null and old.guard is null', at: 'commit' },
  }),
  ...ofStatement(
    'checkGuards',
    'endings held',
    { table: 'offer_changes', event: 'update', when: `new.state = 'held'`, at: 'commit' },
    { hasMassEnding: true },
  ),
  ...ofRequest('confirmSales', 'order events', EVENTS),
  ...ofStatement('planWrites', 'batches', {
    ...{ table: 'offer_changes', event: 'update', when: 'new.batch is not null and old.batch is null', at: 'commit' },
  }),
  ...ofStatement('submitCommand', 'content frozen', {
    ...{ table: 'commands', event: 'update', when: `new.state = 'sent'`, at: 'commit' },
  }),
  ...ofRequest('submitCommand', 'command', PUT_COMMAND),
  ...ofStatement('submitCommand', 'accepted', {
    ...{ table: 'commands', event: 'update', when: `new.state = 'accepted'`, at: 'commit' },
  }),
  ...ofRequest('submitCommand', 'ending by command', PUT_ENDING, { isZeroRefused: true }),
  ...ofStatement(
    'giveUpCommand',
    'command given up',
    {
      ...{ table: 'offer_changes', event: 'update', when: 'new.command_id is null and old.command_id is not null' },
      at: 'commit',
    },
    { isCommandLost: true },
  ),
  ...ofRequest('checkCommands', 'report', REPORT),
  ...ofRequest('checkCommands', 'its offers', TASKS),
  ...ofRequest('checkCommands', 'report of an ending', ENDING_REPORT, { isZeroRefused: true }),
  ...ofStatement('checkCommands', 'settled', {
    ...{ table: 'commands', event: 'update', when: `new.state = 'complete'`, at: 'commit' },
  }),
  ...ofStatement('updateOfferBatch', 'rows marked', {
    ...{
      table: 'offer_changes',
      event: 'update',
      when: `new.state = 'sending' and new.batch is not null`,
      at: 'commit',
    },
  }),
  ...ofRequest('updateOfferBatch', 'write', PATCH),
  ...ofRequest('updateOfferBatch', 'accepted write asked for', OPERATION),
  ...ofStatement('updateOfferBatch', 'confirmed', {
    table: 'offer_changes',
    event: 'update',
    when: `new.state = 'confirmed' and new.batch is not null`,
    at: 'commit',
  }),
  ...ofRequest('updateOfferStock', 'write', { ...PATCH, ofRetriedOffer: true, skip: 1 }),
  ...ofStatement('updateOfferStock', 'confirmed', {
    table: 'offer_changes',
    event: 'update',
    when: `new.state = 'confirmed' and old.attempts = 1`,
    at: 'commit',
  }),
  ...ofStatement('rejectOffer', 'given up', {
    ...{ table: 'offer_changes', event: 'update', when: `new.state = 'rejected'`, at: 'commit' },
  }),
  ...ofStatement('closeRun', 'closed', {
    ...{ table: 'sync_runs', event: 'update', when: `new.state = 'closed' and old.state = 'open'`, at: 'commit' },
  }),
  ...ofStatement('closeRun', 'message in line', { table: 'outbox', event: 'insert', at: 'commit' }),
  ...ofStatement('notify', 'message claimed', {
    ...{ table: 'outbox', event: 'update', when: 'new.attempts > old.attempts', at: 'commit' },
  }),
  ...REQUEST_POINTS.map((at): CrashPoint => ({
    activity: 'notify',
    name: `message: ${POINT_NAMES[at]}`,
    hold: { kind: 'telegram', request: /^POST \/bot/, at },
  })),
  ...ofStatement('notify', 'message noted as sent', {
    ...{ table: 'outbox', event: 'update', when: 'new.sent_at is not null', at: 'commit' },
  }),
];

/** The few that tell most, for `npm run test:crash`: a write, a command, the token, and two that only touch the database. */
const TELLING = [
  'openRun, refresh of the token: answered, not reported',
  'submitCommand, command: applied',
  'updateOfferBatch, write: applied',
  'closeRun, closed: committed, not reported',
];

export const TELLING_POINTS: readonly CrashPoint[] = CRASH_POINTS.filter((point) => TELLING.includes(titleOf(point)));

export function titleOf({ activity, name }: CrashPoint): string {
  return `${activity}, ${name}`;
}
