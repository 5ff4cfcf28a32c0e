import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { SyncError } from '../../../src/domain/errors.js';
import { toSku } from '../../../src/domain/ids.js';
import type { Call } from '../../../src/domain/marketplace.js';
import { LimiterUnavailable } from '../../../src/rate-limit/limiter.js';
import { errorOf, eventually, setUpAllegro, type AllegroUnderTest } from './allegro-under-test.js';
import { clientFor, openLimiter, request, serve } from './client-parts.js';

let under: AllegroUnderTest;
let call: Call;

beforeAll(async () => {
  under = await setUpAllegro();
  call = await under.logIn();
});
afterEach(() => under.admin.removeFaults());
afterAll(() => under.close());

describe('every request', () => {
  test('carries our User-Agent, OAuth included', async () => {
    const own = await under.logIn('44003001', 60_000);
    const { lastRequest } = await under.admin.journal();

    await under.allegro.marketplace.listOffers(own, { offset: 0, limit: 1 });

    const { entries } = await under.admin.journal({ since: lastRequest });
    expect(entries.map(({ route }) => route)).toEqual(['/auth/oauth/token', '/me', '/sale/offers']);
    expect(entries.every(({ userAgentOk }) => userAgentOk)).toBe(true);
  });

  test('is told to the observer with its route, account, status, times and trace id', async () => {
    const offerId = await under.offer({ available: 1 });
    await under.allegro.marketplace.writeOffer({ ...call, runId: 'run-1' }, offerId, { kind: 'quantity', quantity: 2 });

    const report = under.reports.at(-1);

    expect(report).toMatchObject({
      operation: 'writeOffer',
      accountId: call.accountId,
      method: 'PATCH',
      route: '/sale/product-offers/{offerId}',
      status: 200,
      offerId,
      runId: 'run-1',
    });
    expect(report?.traceId).toMatch(/^\w+$/);
    expect(report?.error).toBeUndefined();
    expect(Object.keys(report ?? {}).some((key) => /header|token|body/i.test(key))).toBe(false);
  });

  test('that Allegro refuses is told with its SKU, its attempt, the class of the refusal and the code', async () => {
    const sku = toSku('TEA-1');
    if (sku === null) throw new Error('no SKU');
    const offerId = await under.offer({ available: 1, rejection: { message: 'no picture', commands: false } });

    await errorOf(
      under.allegro.marketplace.writeOffer({ ...call, sku, attempt: 2 }, offerId, { kind: 'quantity', quantity: 2 }),
      'OfferRejected',
    );

    const report = under.reports.at(-1);
    expect(report).toMatchObject({ operation: 'writeOffer', offerId, sku, attempt: 2, status: 422 });
    expect(report?.error).toBe('OfferRejected');
    expect(report?.errorCode).toMatch(/^\w+$/);
  });

  test('takes its permit for the account, the seller and the urgency of the call', async () => {
    const { limiter, asked } = openLimiter();
    const { marketplace } = under.another({ limiter });
    const offerId = await under.offer();

    await marketplace.readAvailable({ ...call, priority: 'danger' }, offerId);

    const [quotas, options] = asked.at(-1) ?? [[], {}];
    expect(quotas.map(({ scope, limit }) => `${scope} ${limit}`)).toEqual([
      'app 9000',
      'seller:44000001:part-reads:minute 7000',
    ]);
    expect(options).toMatchObject({ priority: 'danger', party: call.accountId });
  });

  test('that edits an offer is counted for its seller by the minute and by the hour', async () => {
    const { limiter, asked } = openLimiter();
    const offerId = await under.offer();

    await under.another({ limiter }).marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 2 });

    expect(asked.at(-1)?.[0].map(({ scope, limit }) => `${scope} ${limit}`)).toEqual([
      'app 9000',
      'seller:44000001:edits:minute 2490',
      'seller:44000001:edits:hour 74700',
    ]);
  });
});

describe('a write with a time to be sent by', () => {
  const WRITE = { kind: 'offer_write', method: 'PATCH', body: '{}' } as const;

  test('is not sent once that has passed, whichever of its waits took so long; a read is', async () => {
    let requests = 0;
    const { url, server } = await serve((_request, response) => {
      requests += 1;
      response.end('{}');
    });
    const isOver = (): number => performance.now() - 1;
    const soonOver = (): number => performance.now() + 30;
    const waits = <Value>(value: Value): Promise<Value> =>
      new Promise((resolve) => setTimeout(() => resolve(value), 60));
    const { limiter } = openLimiter({
      acquire: () => waits({ kind: 'granted', waitMs: 0, probe: false, isFresh: () => true }),
    });
    const stopSwitch = { isStopped: () => waits(false) };
    const send = (sendBy: number, parts: Parameters<typeof clientFor>[1] = {}, what: typeof WRITE | object = WRITE) =>
      clientFor(url, parts).send(request({ ...what, call: { accountId: null, priority: 'scheduled', sendBy } }));

    await errorOf(send(isOver()), 'DependencyUnavailable');
    await errorOf(send(soonOver(), { limiter }), 'DependencyUnavailable');
    await errorOf(send(soonOver(), { stopSwitch }), 'DependencyUnavailable');
    expect(requests).toBe(0);

    expect(await send(performance.now() + 60_000)).toMatchObject({ status: 200 });
    expect(await send(isOver(), {}, {})).toMatchObject({ status: 200 });
    expect(requests).toBe(2);
    server.close();
  });
});

describe('permits', () => {
  test('that are not to be had in time are RateLimited, and nothing is sent', async () => {
    const { limiter } = openLimiter({
      acquire: () => Promise.resolve({ kind: 'refused', retryInMs: 4321, scope: 'app', reason: 'quota' }),
    });
    let requests = 0;
    const { url, server } = await serve((_request, response) => {
      requests += 1;
      response.end('{}');
    });

    const error = await errorOf(clientFor(url, { limiter }).send(request()), 'RateLimited');

    expect(error.facts).toMatchObject({ retryInMs: 4321, scope: 'app' });
    expect(requests).toBe(0);
    server.close();
  });

  test('that went stale before sending are dropped and taken anew', async () => {
    let taken = 0;
    const { limiter } = openLimiter({
      acquire: () => {
        taken += 1;
        const isFresh = taken > 2;
        return Promise.resolve({ kind: 'granted', waitMs: 0, probe: false, isFresh: () => isFresh });
      },
    });
    const { url, server } = await serve((_request, response) => response.end('{}'));

    await clientFor(url, { limiter }).send(request());

    expect(taken).toBe(3);
    server.close();
  });

  test('cannot be had without Redis: DependencyUnavailable, and nothing is sent', async () => {
    const { limiter } = openLimiter({ acquire: () => Promise.reject(new LimiterUnavailable('gone')) });

    await errorOf(clientFor('http://127.0.0.1:9', { limiter }).send(request()), 'DependencyUnavailable');
  });

  test('of a probe are told when it was answered', async () => {
    let answered = 0;
    const { limiter } = openLimiter({
      acquire: () => Promise.resolve({ kind: 'granted', waitMs: 0, probe: true, isFresh: () => true }),
      answered: () => {
        answered += 1;
        return Promise.resolve();
      },
    });
    const { url, server } = await serve((_request, response) => response.end('{}'));

    await clientFor(url, { limiter }).send(request());

    expect(answered).toBe(1);
    server.close();
  });

  test.each([
    ['that is cut off', true],
    ['that comes too late to be sent', false],
  ])('of a probe %s are told too', async (_, isFresh) => {
    let unanswered = 0;
    let taken = 0;
    const { limiter } = openLimiter({
      acquire: () => {
        taken += 1;
        return Promise.resolve({ kind: 'granted', waitMs: 0, probe: taken === 1, isFresh: () => isFresh || taken > 1 });
      },
      unanswered: () => {
        unanswered += 1;
        return Promise.resolve();
      },
    });
    const { url, server } = await serve((_request, response) => {
      if (isFresh) response.destroy();
      else response.end('{}');
    });

    await clientFor(url, { limiter })
      .send(request())
      .catch(() => undefined);

    expect(unanswered).toBe(1);
    server.close();
  });

  test('are taken only when there is room to send at once', async () => {
    const { limiter, asked } = openLimiter();
    const waiting: (() => void)[] = [];
    const { url, server } = await serve((_request, response) => waiting.push(() => response.end('{}')));
    const client = clientFor(url, { limiter, maxInFlight: 2 });

    const all = Array.from({ length: 6 }, () => client.send(request()));
    await eventually(() => waiting.length === 2, 'two requests are on their way');

    expect(asked).toHaveLength(2);
    while (asked.length < 6 || waiting.length > 0) {
      waiting.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(all);
    server.close();
  });

  test('are not waited for behind a silent server: who finds no room in time comes back later', async () => {
    const { limiter, asked } = openLimiter();
    const waiting: (() => void)[] = [];
    const { url, server } = await serve((_request, response) => waiting.push(() => response.end('{}')));
    const client = clientFor(url, { limiter, maxInFlight: 1, maxInlineWaitMs: 50 });
    const first = client.send(request());
    await eventually(() => waiting.length === 1, 'the first is on its way');

    const error = await errorOf(client.send(request()), 'RateLimited');

    expect(error.facts).toMatchObject({ retryInMs: 50, scope: 'in_flight' });
    expect(asked).toHaveLength(1);
    waiting.shift()?.();
    await first;
    const next = client.send(request());
    await eventually(() => waiting.length === 1, 'the place of who gave up is free');
    waiting.shift()?.();
    expect((await next).status).toBe(200);
    server.close();
  });

  test('go to the more urgent first', async () => {
    const order: string[] = [];
    const { limiter } = openLimiter({
      acquire: (_quotas, options) => {
        order.push(options?.priority ?? '');
        return Promise.resolve({ kind: 'granted', waitMs: 0, probe: false, isFresh: () => true });
      },
    });
    const { url, server } = await serve((_request, response) => response.end('{}'));
    const client = clientFor(url, { limiter, maxInFlight: 1 });
    const send = (priority: Call['priority']) => client.send(request({ call: { accountId: null, priority } }));

    await Promise.all([send('scheduled'), send('scheduled'), send('adhoc'), send('danger')]);

    expect(order).toEqual(['scheduled', 'danger', 'adhoc', 'scheduled']);
    server.close();
  });
});

describe('a 429', () => {
  test.each([
    { name: 'with Retry-After', retryAfter: 7, retryInMs: 7000, told: 7000 },
    { name: 'without', retryAfter: undefined, retryInMs: 60_000, told: null },
  ])('$name is told to everybody and waited for', async ({ retryAfter, retryInMs, told }) => {
    const { limiter, penalised } = openLimiter();
    await under.admin.plantFault({
      match: { route: '/sale/offers', times: 1 },
      fault: { kind: 'tooMany', ...(retryAfter === undefined ? {} : { retryAfter }) },
    });

    const { marketplace } = under.another({ limiter });
    const error = await errorOf(marketplace.listOffers(call, { offset: 0, limit: 1 }), 'RateLimited');

    expect(error.facts).toMatchObject({ status: 429, retryInMs });
    expect(penalised).toEqual([[expect.arrayContaining([expect.objectContaining({ scope: 'app' })]), told]]);
  });
});

describe('what goes wrong on the way', () => {
  test('a silent server is given up: unknown for a write, unavailable for a read', async () => {
    const { url, server } = await serve(() => undefined);
    const client = clientFor(url, { timeoutFactor: 0.1 });

    await errorOf(client.send(request()), 'MarketplaceUnavailable');
    await errorOf(client.send(request({ kind: 'offer_write', method: 'PATCH', body: '{}' })), 'OutcomeUnknown');
    server.closeAllConnections();
    server.close();
  });

  test('a write that cannot even be connected has not happened', async () => {
    const client = clientFor('http://127.0.0.1:9');

    await errorOf(client.send(request({ kind: 'offer_write', method: 'PATCH', body: '{}' })), 'MarketplaceUnavailable');
  });

  test('a redirect is not followed', async () => {
    let requests = 0;
    const { url, server } = await serve((_request, response) => {
      requests += 1;
      response.writeHead(303, { location: '/elsewhere' }).end();
    });

    expect(await clientFor(url).send(request())).toMatchObject({ status: 303, location: '/elsewhere' });
    expect(requests).toBe(1);
    server.close();
  });

  test('a body longer than expected is refused before it fills the memory', async () => {
    let sent = 0;
    const { url, server } = await serve((_request, response) => {
      const pour = (): void => {
        while (!response.destroyed && sent < 500_000_000) {
          sent += 65_536;
          if (!response.write(Buffer.alloc(65_536, 32))) {
            response.once('drain', pour);
            return;
          }
        }
        response.end();
      };
      pour();
    });

    const error = await errorOf(clientFor(url).send(request({ timeoutMs: 10_000 })), 'InvalidAnswer');

    expect(error.message).toContain('longer than expected');
    expect(sent).toBeLessThan(100_000_000);
    server.closeAllConnections();
    server.close();
  });

  test('a small body that unpacks to a long one is refused too', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    const { url, server } = await serve((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb);
    });

    await errorOf(clientFor(url).send(request({ timeoutMs: 10_000, maxBytes: 1_000_000 })), 'InvalidAnswer');
    server.closeAllConnections();
    server.close();
  });

  test('a cancelled call gives up waiting for its turn, and a write under way is not called back', async () => {
    const waiting: (() => void)[] = [];
    const { url, server } = await serve((_request, response) => waiting.push(() => response.end('{"done":true}')));
    const client = clientFor(url, { maxInFlight: 1 });
    const cancel = new AbortController();
    const own = { accountId: null, priority: 'scheduled', signal: cancel.signal } as const;

    const write = client.send(request({ kind: 'offer_write', method: 'PATCH', body: '{}', call: own }));
    await eventually(() => waiting.length === 1, 'the write is on its way');
    const next = client.send(request({ call: own }));
    const reason = new Error('cancelled by the test');
    cancel.abort(reason);

    await expect(next).rejects.toBe(reason);
    waiting.shift()?.();
    expect((await write).body).toBe('{"done":true}');
    server.close();
  });

  test.each([
    { name: 'a 401', fault: { kind: 'status', status: 401, body: { error: 'invalid_token' } } as const },
    { name: 'a 500 that repeats the request', fault: { kind: 'echo' } as const },
    { name: 'a cut', fault: { kind: 'cutMiddle' } as const },
    { name: 'an answer of the wrong shape', fault: { kind: 'wrongTypes', path: 'id', value: 7 } as const },
    { name: 'a 422 that repeats the token', fault: null },
  ])('$name shows no token', async ({ fault }) => {
    const seller = '44003050';
    const own = await under.logIn(seller);
    const accounts = under.db.updateTable('accounts').set({ sellerId: null });
    await accounts.where('sellerId', '=', seller).execute();
    const offerId = await under.offer({ sellerId: seller });
    const tokens = await under.store.read(own.accountId);
    const token = tokens?.accessToken ?? '';
    const echo = { errors: [{ code: token, message: `you sent Bearer ${token}`, userMessage: null, path: token }] };
    await under.admin.plantFault({
      match: { offerId },
      fault: fault ?? { kind: 'status', status: 422, body: echo },
    });

    const thrown: unknown = await under.allegro.marketplace
      .writeOffer(own, offerId, { kind: 'quantity', quantity: 3 })
      .catch((error: unknown) => error);

    expect(thrown).toBeInstanceOf(SyncError);
    const shown = inspect([thrown, under.reports.slice(-5)], { depth: 12, showHidden: true });
    const after = await under.store.read(own.accountId);
    for (const secret of [token, after?.accessToken ?? token, token.split('.')[1] ?? token]) {
      expect(shown).not.toContain(secret);
    }
  });
});
