import { inspect } from 'node:util';
import { expect, test } from '@jest/globals';
import { createCommands } from '../../../src/allegro/commands.js';
import { createEvents } from '../../../src/allegro/events.js';
import type { HttpAnswer, HttpClient } from '../../../src/allegro/http-client.js';
import { createOAuth } from '../../../src/allegro/oauth.js';
import { createOffers } from '../../../src/allegro/offers.js';
import { createQuotas } from '../../../src/allegro/quotas.js';
import { createSession } from '../../../src/allegro/session.js';
import { SyncError } from '../../../src/domain/errors.js';
import { isOfferId, toAccountId, toCommandId, toOfferId, toSellerId, toSku } from '../../../src/domain/ids.js';
import type { Call, ListedOffer } from '../../../src/domain/marketplace.js';
import type { TokenStore } from '../../../src/domain/token-store.js';
import { createRandom, mutateField, mutateText, pick } from './mutations.js';

/** `FUZZ_CASES` mutated answers, from the seed `FUZZ_SEED`: the same seed gives the same answers. */
const CASES = Number(process.env['FUZZ_CASES'] ?? 3000);
const SEED = Number(process.env['FUZZ_SEED'] ?? 1);

const ACCESS_TOKEN = 'eyJhbGciOiJSUzI1NiJ9.eyJ1c2VyX25hbWUiOiI3In0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg';
const CLIENT_SECRET = 'k8Zw-client-secret';
const DEVICE_CODE = 'd3v1ce-code-of-a-login';
const call: Call = { accountId: toAccountId('shop'), priority: 'scheduled' };
const OFFER = toOfferId('17000000001');
const COMMAND = toCommandId('5f0c1f1e-0000-4000-8000-00000000000a');
const SKU = toSku('SKU-1');

const row = {
  id: OFFER,
  name: 'Kubek',
  category: { id: '257931' },
  sellingMode: { format: 'BUY_NOW', price: { amount: '9.99', currency: 'PLN' }, minimalPrice: null },
  stock: { available: 5, sold: 2 },
  publication: { status: 'ENDED', endedAt: '2026-10-01T10:00:00Z', startingAt: null },
  external: { id: SKU },
  isFulfillment: false,
};
const tasks = {
  tasks: [
    { offer: { id: OFFER }, status: 'FAIL', message: 'no', errors: [{ code: 'OFFER_NOT_FOUND', message: 'gone' }] },
    { offer: { id: '17000000002' }, status: 'SUCCESS', message: '', errors: [] },
  ],
};
const report = {
  id: COMMAND,
  createdAt: '2026-10-01T10:00:00Z',
  completedAt: '2026-10-01T10:00:05Z',
  taskCount: { total: 2, success: 1, failed: 1 },
};
const errors = {
  errors: [{ code: 'VALIDATION_FAILED', message: `with ${ACCESS_TOKEN}`, path: null, userMessage: 'Nie' }],
};
const authError = { error: 'invalid_token', error_description: `Access token expired: ${ACCESS_TOKEN}` };

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 2_147_483_647;
}

function isSound(offer: ListedOffer): boolean {
  return (
    isOfferId(offer.offerId) &&
    isCount(offer.available) &&
    isCount(offer.sold) &&
    (offer.sku === null || offer.sku.trim() === offer.sku) &&
    (offer.endedAt === null || !Number.isNaN(Date.parse(offer.endedAt))) &&
    ['INACTIVE', 'ACTIVATING', 'ACTIVE', 'ENDED'].includes(offer.status) &&
    ['BUY_NOW', 'AUCTION', 'ADVERTISEMENT', 'OTHER'].includes(offer.format)
  );
}

/** The adapter over answers that are made up here. */
function adapterOver(answer: () => HttpAnswer) {
  const http: HttpClient = {
    send: () => Promise.resolve(answer()),
    peek: () => Promise.resolve({ waitMs: 0, scope: null }),
    close: () => undefined,
  };
  const quotas = createQuotas(9000);
  const token = { accessToken: ACCESS_TOKEN, generation: 1, sellerId: toSellerId('7') };
  const store: Pick<TokenStore, 'bindSeller'> = { bindSeller: () => Promise.resolve({ kind: 'same' }) };
  const session = createSession({
    http,
    quotas,
    store,
    tokens: {
      current: () => Promise.resolve(token),
      afterRefusal: () => Promise.resolve(token),
      forget: () => undefined,
    },
  });
  return {
    session,
    offers: createOffers({ session, quotas, apiUrl: 'https://api.allegro.pl' }),
    commands: createCommands({ session, quotas }),
    events: createEvents({ session, quotas }),
    oauth: createOAuth({ http, quotas, clientId: 'client', clientSecret: CLIENT_SECRET }),
  };
}

type Adapter = ReturnType<typeof adapterOver>;

interface Target {
  readonly name: string;
  /** Answers in the order in which they are asked for; the last one stays. */
  readonly bodies: readonly unknown[];
  /** Resolves to whether what came out may be acted upon. */
  readonly run: (adapter: Adapter) => Promise<boolean>;
}

const TARGETS: readonly Target[] = [
  {
    name: 'listOffers',
    bodies: [{ offers: [row, { ...row, id: '17000000002' }], count: 2, totalCount: 2 }],
    run: async ({ offers }) => (await offers.list(call, { offset: 0, limit: 1000 })).offers.every(isSound),
  },
  {
    name: 'findOffers',
    bodies: [
      { offers: [row], count: 1, totalCount: 1 },
      { offers: [], count: 0, totalCount: 1 },
    ],
    run: async ({ offers }) => {
      const found = await offers.find(call, SKU === null ? [] : [SKU]);
      return found.every((offer) => isSound(offer) && offer.sku === SKU);
    },
  },
  {
    name: 'readOffer',
    bodies: [
      {
        id: OFFER,
        external: { id: SKU },
        sellingMode: { format: 'BUY_NOW' },
        stock: { available: 5, unit: 'UNIT' },
        publication: { status: 'ENDED', endedBy: 'EMPTY_STOCK', republish: false, duration: null },
      },
    ],
    run: async ({ offers }) => {
      const offer = await offers.read(call, OFFER);
      return offer.offerId === OFFER && isCount(offer.available) && typeof offer.republish === 'boolean';
    },
  },
  {
    name: 'readAvailable',
    bodies: [{ id: OFFER, stock: { available: 5 } }],
    run: async ({ offers }) => isCount(await offers.readAvailable(call, OFFER)),
  },
  {
    name: 'writeOffer',
    bodies: [{ id: OFFER, stock: { available: 5, unit: 'UNIT' }, publication: { status: 'ACTIVE' } }],
    run: async ({ offers }) => {
      const answer = await offers.write(call, OFFER, { kind: 'quantity', quantity: 5 });
      return answer.kind === 'accepted' || answer.available === null || isCount(answer.available);
    },
  },
  {
    name: 'checkOperation',
    bodies: [{ offer: { id: OFFER }, operation: { id: 'x', status: 'PENDING', startedAt: '2026-10-01T10:00:00Z' } }],
    run: async ({ offers }) => ['done', 'running'].includes((await offers.checkOperation(call, '/sale/x')).kind),
  },
  {
    name: 'submitQuantityCommand',
    bodies: [report],
    run: async ({ commands }) =>
      ['accepted', 'already_used'].includes(
        (await commands.submitQuantity(call, { commandId: COMMAND, quantity: 1, offerIds: [OFFER] })).kind,
      ),
  },
  {
    name: 'readQuantityCommand',
    bodies: [report, tasks, { tasks: [] }],
    run: async ({ commands }) => {
      const answer = await commands.readQuantity(call, COMMAND);
      return !answer.isComplete || answer.tasks.every(({ offerId, state }) => isOfferId(offerId) && state !== 'new');
    },
  },
  {
    name: 'submitEndCommand',
    bodies: [report],
    run: async ({ commands }) =>
      ['accepted', 'already_used'].includes(
        (await commands.submitEnd(call, { commandId: COMMAND, offerIds: [OFFER] })).kind,
      ),
  },
  {
    name: 'readEndCommand',
    bodies: [report, tasks, { tasks: [] }],
    run: async ({ commands }) => {
      const answer = await commands.readEnd(call, COMMAND);
      return !answer.isComplete || answer.tasks.every(({ offerId, state }) => isOfferId(offerId) && state !== 'new');
    },
  },
  {
    name: 'submitBulkCommand',
    bodies: [report],
    run: async ({ commands }) => {
      const changes = [{ offerId: OFFER, quantity: 1 }];
      const { kind } = await commands.bulk.submit(call, { commandId: COMMAND, changes });
      return ['accepted', 'already_used', 'not_available'].includes(kind);
    },
  },
  {
    name: 'readBulkCommand',
    bodies: [
      report,
      {
        tasks: ['17000000001', '17000000002'].map((offerId) => ({
          subject: { offerId, field: 'stock' },
          status: 'SUCCESS',
        })),
      },
      { tasks: [] },
    ],
    run: async ({ commands }) => {
      const answer = await commands.bulk.read(call, COMMAND);
      return !answer.isComplete || answer.tasks.every(({ offerId, state }) => isOfferId(offerId) && state !== 'new');
    },
  },
  {
    name: 'readOfferEvents',
    bodies: [
      {
        offerEvents: [
          {
            id: 'MTEz',
            type: 'OFFER_ENDED',
            occurredAt: '2026-10-01T10:00:00Z',
            offer: { id: OFFER, external: { id: SKU }, publication: { endedBy: 'USER' } },
          },
        ],
      },
    ],
    run: async ({ events }) =>
      (await events.readOfferEvents(call, null)).events.every(({ offerId }) => isOfferId(offerId)),
  },
  {
    name: 'readSales',
    bodies: [
      {
        events: [
          {
            id: '1532603898317497',
            type: 'BOUGHT',
            occurredAt: '2026-10-01T10:00:00Z',
            order: {
              lineItems: [
                { id: 'l', offer: { id: OFFER, external: null }, quantity: 1, boughtAt: '2026-10-01T10:00:00Z' },
              ],
              checkoutForm: { id: 'c' },
            },
          },
        ],
      },
    ],
    run: async ({ events }) =>
      (await events.readSales(call, null)).events.every(
        ({ offerId, quantity, boughtAt }) =>
          isOfferId(offerId) && isCount(quantity) && !Number.isNaN(Date.parse(boughtAt)),
      ),
  },
  {
    name: 'latestSaleCursor',
    bodies: [{ latestEvent: { id: '1532603898317497', occurredAt: '2026-10-01T10:00:00Z' } }],
    run: async ({ events }) => {
      const cursor = await events.latestSaleCursor(call);
      return cursor === null || typeof cursor === 'string';
    },
  },
  {
    name: 'identify',
    bodies: [{ id: '7', login: 'shop', email: 'a@example.com' }],
    run: async ({ session }) => (await session.identify(call)).sellerId.length > 0,
  },
  {
    name: 'refreshToken',
    bodies: [{ access_token: 'a', refresh_token: 'b', expires_in: 43_199, token_type: 'bearer' }],
    run: async ({ oauth }) => {
      const pair = await oauth.refresh(call.accountId, 'r'.repeat(20));
      return pair.accessToken !== '' && pair.refreshToken !== '' && !Number.isNaN(pair.accessExpiresAt.getTime());
    },
  },
  {
    name: 'startDeviceLogin',
    bodies: [
      {
        device_code: 'd',
        user_code: 'u',
        expires_in: '3600',
        interval: 5,
        verification_uri: 'https://allegro.pl/a',
        verification_uri_complete: 'https://allegro.pl/a?code=u',
      },
    ],
    run: async ({ oauth }) => {
      const login = await oauth.startDeviceLogin(call.accountId);
      return Number.isFinite(login.intervalMs) && !Number.isNaN(login.expiresAt.getTime());
    },
  },
  {
    name: 'awaitDeviceLogin',
    bodies: [{ access_token: 'a', refresh_token: 'b', expires_in: 43_199, token_type: 'bearer' }],
    run: async ({ oauth }) => {
      const pair = await oauth.awaitDeviceLogin(call.accountId, {
        verificationUri: 'https://allegro.pl/a',
        verificationUriComplete: 'https://allegro.pl/a?code=u',
        userCode: 'u',
        deviceCode: DEVICE_CODE,
        expiresAt: new Date(Date.now() + 200),
        intervalMs: 0,
      });
      return pair.accessToken !== '' && pair.refreshToken !== '' && !Number.isNaN(pair.accessExpiresAt.getTime());
    },
  },
];

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const STATUSES = [200, 200, 200, 201, 202, 204, 303, 400, 401, 403, 404, 409, 422, 500, 503, 504];

test(`${CASES} mutated answers are read as what they are or refused, and none shows a secret (seed ${SEED})`, async () => {
  const random = createRandom(SEED);
  let accepted = 0;
  let refused = 0;
  let stillJson = 0;
  for (let index = 0; index < CASES; index += 1) {
    const target = pick(random, TARGETS);
    const status = random() < 0.6 ? 200 : pick(random, STATUSES);
    const turn = Math.floor(random() * target.bodies.length);
    const keepsJson = random() < 0.7;
    const mutate = keepsJson ? mutateField : mutateText;
    const original = status >= 400 ? pick(random, [errors, authError, target.bodies[turn]]) : target.bodies[turn];
    const body = mutate(random, original, { secret: pick(random, [ACCESS_TOKEN, `Bearer ${ACCESS_TOKEN}`]) });
    if (keepsJson && isJson(body)) stillJson += 1;
    let asked = -1;
    const adapter = adapterOver(() => {
      asked += 1;
      // Pages go on for as long as they are asked for: a loop without end would show here.
      if (asked > 2000) throw new Error('asked without end');
      const plain = target.bodies[Math.min(asked, target.bodies.length - 1)];
      return {
        status: asked === turn ? status : 200,
        body: asked === turn ? body : JSON.stringify(plain),
        traceId: null,
        retryAfterMs: null,
        location: random() < 0.5 ? null : `https://api.allegro.pl/sale/x/${body.slice(0, 20)}`,
      };
    });

    let outcome: unknown;
    try {
      outcome = await target.run(adapter);
      accepted += 1;
    } catch (error) {
      outcome = error;
      refused += 1;
    }

    const context = { case: index, target: target.name, status, body: body.slice(0, 500) };
    if (outcome !== true && !(outcome instanceof SyncError))
      throw new Error(`${inspect(context)}: ${inspect(outcome)}`);
    if (outcome instanceof SyncError) {
      const shown = `${inspect(outcome, { depth: 8, showHidden: true })}${outcome.stack ?? ''}`;
      const leaked = [ACCESS_TOKEN, ACCESS_TOKEN.slice(0, 30), CLIENT_SECRET, DEVICE_CODE, 'r'.repeat(20)].some(
        (secret) => shown.includes(secret),
      );
      if (leaked) throw new Error(`${inspect(context)} leaks: ${shown}`);
    }
  }
  expect(accepted).toBeGreaterThan(CASES * 0.1);
  expect(refused).toBeGreaterThan(CASES * 0.3);
  expect(stillJson).toBeGreaterThanOrEqual(CASES / 2);
}, 600_000);
