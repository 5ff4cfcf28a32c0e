import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { FaultRule } from '../../../simulator/faults.js';
import { ERROR_TABLE, type AnswerKind, type ErrorRule } from '../../../src/allegro/error-table.js';
import { findErrorRule } from '../../../src/allegro/errors.js';
import type { Allegro } from '../../../src/allegro/marketplace.js';
import { SyncError } from '../../../src/domain/errors.js';
import type { OfferId } from '../../../src/domain/ids.js';
import type { Call } from '../../../src/domain/marketplace.js';
import { createRateLimiter } from '../../../src/rate-limit/limiter.js';
import { newCommandId, setUpAllegro, type AllegroUnderTest } from './allegro-under-test.js';

/** Each row of the table, provoked at the simulator by each kind of request it is for. */

let under: AllegroUnderTest;
let allegro: Allegro;
let call: Call;
let offerId: OfferId;

beforeAll(async () => {
  under = await setUpAllegro();
  // Penalties and quotas are tested elsewhere; here each answer counts.
  const limiter: Pick<
    ReturnType<typeof createRateLimiter>,
    'acquire' | 'peek' | 'penalise' | 'answered' | 'unanswered' | 'usage'
  > = {
    acquire: () => Promise.resolve({ kind: 'granted', waitMs: 0, probe: false, isFresh: () => true }),
    peek: () => Promise.resolve({ waitMs: 0, scope: null }),
    penalise: () => Promise.resolve(),
    answered: () => Promise.resolve(),
    unanswered: () => Promise.resolve(),
    usage: () => Promise.resolve([]),
  };
  allegro = under.another({ limiter });
  call = await under.logIn();
  offerId = await under.offer();
  await allegro.marketplace.identify(call);
});
afterEach(() => under.admin.removeFaults());
afterAll(() => under.close());

type Provoked = (typeof PROVOKED)[number];

const REQUESTS: Readonly<Record<Provoked, { route: string; method: string; send: () => Promise<unknown> }>> = {
  account_read: {
    route: '/sale/offers',
    method: 'GET',
    send: () => allegro.marketplace.listOffers(call, { offset: 0, limit: 1 }),
  },
  command_write: {
    route: '/sale/offer-quantity-change-commands/{commandId}',
    method: 'PUT',
    send: () =>
      allegro.marketplace.submitQuantityCommand(call, { commandId: newCommandId(), quantity: 2, offerIds: [offerId] }),
  },
  command_read: {
    route: '/sale/offer-quantity-change-commands/{commandId}',
    method: 'GET',
    send: () => allegro.marketplace.readQuantityCommand(call, newCommandId()),
  },
  offer_read: {
    route: '/sale/product-offers/{offerId}',
    method: 'GET',
    send: () => allegro.marketplace.readOffer(call, offerId),
  },
  offer_write: {
    route: '/sale/product-offers/{offerId}',
    method: 'PATCH',
    send: () => allegro.marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 2 }),
  },
  operation: {
    route: '/sale/product-offers/{offerId}/operations/{operationId}',
    method: 'GET',
    send: () => allegro.marketplace.checkOperation(call, `/sale/product-offers/${offerId}/operations/x-1`),
  },
};

function statusesOf(rule: ErrorRule): number[] {
  switch (rule.status) {
    case 'task':
      return [];
    case '2xx':
      return [204];
    case '4xx':
      return [418, 451];
    case '5xx':
      return [500, 502, 503, 504];
    case 'any':
      return rule.codes.length === 0 ? [302] : [400];
    default:
      return [rule.status];
  }
}

const PROVOKED = [
  'account_read',
  'command_write',
  'command_read',
  'offer_read',
  'offer_write',
  'operation',
] as const satisfies readonly AnswerKind[];

const CASES = ERROR_TABLE.flatMap((rule) => {
  const kinds = PROVOKED.filter((kind) => rule.kinds.length === 0 || rule.kinds.includes(kind));
  const codes = rule.codes.length === 0 ? ['SOMETHING_NEW'] : rule.codes.map((code) => code.replace('*', 'Xyz'));
  return kinds.flatMap((kind) =>
    statusesOf(rule).flatMap((status) =>
      codes
        .filter((code) => findErrorRule({ kind, status, code }).id === rule.id)
        .map((code) => ({ id: rule.id, kind, status, code, type: rule.type, sentence: rule.sentence })),
    ),
  );
});

/** What these requests take as an answer, not as an error. */
function isTaken({ kind, status, code }: (typeof CASES)[number]): boolean {
  if (kind === 'command_read') return status === 404;
  return kind === 'command_write' && status === 409 && code !== 'COMMAND_ALREADY_REGISTERED_WITH_DIFFERENT_CONTENT';
}

test.each(CASES.filter((one) => !isTaken(one)))(
  '$id: $kind answered $status $code is $type, once',
  async ({ kind, status, code, type, sentence }) => {
    const request = REQUESTS[kind];
    const rule: FaultRule = {
      match: { route: request.route, method: request.method },
      fault: { kind: 'status', status, body: { errors: [{ code, message: 'told by Allegro' }] } },
    };
    await under.admin.plantFault(rule);
    const { lastRequest } = await under.admin.journal();

    const thrown: unknown = await request.send().catch((error: unknown) => error);

    if (!(thrown instanceof SyncError)) throw new Error(`expected ${type}, got ${String(thrown)}`);
    expect(thrown.type).toBe(type);
    expect(thrown.facts.status).toBe(status);
    if (status !== 429) {
      expect(thrown.message).toContain(sentence);
      expect(thrown.facts.code).toBe(code);
    }
    // A refused token is asked for once more with a fresh one; nothing else is repeated here.
    const { entries } = await under.admin.journal({ since: lastRequest });
    expect(entries.filter(({ route }) => route === request.route)).toHaveLength(status === 401 ? 2 : 1);
  },
);

test('every row that an answer to these requests can have is provoked', () => {
  const provoked = new Set(CASES.map(({ id }) => id));
  const left = ERROR_TABLE.filter(({ id }) => !provoked.has(id)).map(({ id }) => id);
  // Provoked with the tokens, and with the tasks of a command.
  expect(left.sort()).toEqual(
    [
      'client-refused',
      'login-denied',
      'login-link-expired',
      'login-refused',
      'login-revoked',
      'login-server-error',
      'task-access-denied',
      'task-failed',
      'task-offer-not-found',
    ].sort(),
  );
});
