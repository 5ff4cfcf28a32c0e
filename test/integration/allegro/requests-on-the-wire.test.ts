import type { IncomingMessage } from 'node:http';
import { brotliCompressSync, deflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { toSku } from '../../../src/domain/ids.js';
import type { Call } from '../../../src/domain/marketplace.js';
import {
  errorOf,
  newCommandId,
  SELLER,
  setUpAllegro,
  USER_AGENT,
  type AllegroUnderTest,
} from './allegro-under-test.js';
import { clientFor, openLimiter, request, serve } from './client-parts.js';

let under: AllegroUnderTest;
let call: Call;

beforeAll(async () => {
  under = await setUpAllegro();
  call = await under.logIn();
});
afterAll(() => under.close());

const PUBLIC = 'application/vnd.allegro.public.v1+json';
const BETA = 'application/vnd.allegro.beta.v1+json';

interface Seen {
  readonly request: string;
  readonly headers: IncomingMessage['headers'];
}

/** A server that keeps what it is sent and answers nothing of use, but for whose shop it is. */
async function startRecorder() {
  const seen: Seen[] = [];
  const { url, server } = await serve((incoming, response) => {
    seen.push({
      request: `${incoming.method ?? ''} ${(incoming.url ?? '').split('?')[0] ?? ''}`,
      headers: incoming.headers,
    });
    response.end(incoming.url?.endsWith('/me') === true ? JSON.stringify({ id: SELLER }) : '{}');
  });
  return { seen, url, stop: () => server.close() };
}

test('every call goes to its host, says who we are, and asks for the beta only where the document does', async () => {
  const [api, auth] = [await startRecorder(), await startRecorder()];
  const allegro = under.another({ limiter: openLimiter().limiter, apiUrl: `${api.url}/base`, authUrl: auth.url });
  const { marketplace, bulk, events, login } = allegro;
  const offerId = await under.offer();
  const commandId = newCommandId();
  const sku = toSku('TEA-1');
  if (sku === null) throw new Error('no SKU');

  const calls: readonly (() => Promise<unknown>)[] = [
    () => marketplace.listOffers(call, { offset: 0, limit: 10 }),
    () => marketplace.findOffers(call, [sku]),
    () => marketplace.readOffer(call, offerId),
    () => marketplace.readAvailable(call, offerId),
    () => marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 1 }),
    () => marketplace.checkOperation(call, `/sale/product-offers/${offerId}/operations/abc-12345`),
    () => marketplace.submitQuantityCommand(call, { commandId, quantity: 1, offerIds: [offerId] }),
    () => marketplace.readQuantityCommand(call, commandId),
    () => marketplace.submitEndCommand(call, { commandId, offerIds: [offerId] }),
    () => marketplace.readEndCommand(call, commandId),
    () => bulk.submit(call, { commandId, changes: [{ offerId, quantity: 1 }] }),
    () => bulk.read(call, commandId),
    () => events.readOfferEvents(call, null),
    () => events.readSales(call, null),
    () => events.latestSaleCursor(call),
    () => login.start(call.accountId),
    () => login.adoptRefreshToken(call.accountId, 'made-up'),
  ];
  // What comes back is of no use to them; what goes out is what counts.
  for (const send of calls) await send().catch(() => undefined);

  expect([...api.seen, ...auth.seen].length).toBeGreaterThanOrEqual(calls.length);
  for (const { request: sent, headers } of [...api.seen, ...auth.seen]) {
    expect({ sent, userAgent: headers['user-agent'] }).toEqual({ sent, userAgent: USER_AGENT });
  }
  expect(api.seen.every(({ request: sent }) => sent.includes(' /base/'))).toBe(true);
  for (const { request: sent, headers } of api.seen) {
    const mediaType = sent === 'POST /base/sale/offer-bulk-modification-commands' ? BETA : PUBLIC;
    const hasBody = !sent.startsWith('GET');
    expect({ sent, accept: headers.accept, type: headers['content-type'] }).toEqual({
      sent,
      accept: mediaType,
      type: hasBody ? mediaType : undefined,
    });
  }
  expect(api.seen.some(({ request: sent }) => sent.startsWith('POST /base/sale/offer-bulk'))).toBe(true);
  expect(auth.seen.map(({ request: sent, headers }) => `${sent} ${headers['content-type'] ?? ''}`)).toEqual([
    'POST /auth/oauth/device application/x-www-form-urlencoded',
    'POST /auth/oauth/token application/x-www-form-urlencoded',
  ]);
  api.stop();
  auth.stop();
});

describe('the client', () => {
  test.each([408, 413, 429, 500, 502, 503, 504])('does not repeat a request by itself: %i', async (status) => {
    let requests = 0;
    const { url, server } = await serve((_incoming, response) => {
      requests += 1;
      response.writeHead(status, { 'retry-after': '0' }).end('{}');
    });

    await clientFor(url)
      .send(request())
      .catch(() => undefined);

    expect(requests).toBe(1);
    server.close();
  });

  test('does not repeat a request whose connection was cut', async () => {
    let requests = 0;
    const { url, server } = await serve((incoming) => {
      requests += 1;
      incoming.socket.destroy();
    });

    await errorOf(clientFor(url).send(request()), 'MarketplaceUnavailable');

    expect(requests).toBe(1);
    server.close();
  });

  test('gives up an answer that comes drop by drop, after the time of the call that asked', async () => {
    const { url, server } = await serve((_incoming, response) => {
      const drip = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(drip));
    });
    const client = clientFor(url);

    const error = await errorOf(client.send(request({ timeoutMs: 300 })), 'MarketplaceUnavailable');

    expect(error.message).toContain('did not answer in time');
    server.closeAllConnections();
    server.close();
  });

  test('uses a connection again', async () => {
    const connections = new Set<unknown>();
    const { url, server } = await serve((incoming, response) => {
      connections.add(incoming.socket);
      response.end('{}');
    });
    const client = clientFor(url);

    for (let count = 0; count < 5; count += 1) await client.send(request());

    expect(connections.size).toBe(1);
    client.close();
    server.close();
  });

  test.each([
    ['br', brotliCompressSync(Buffer.alloc(20_000_000))],
    ['deflate', deflateSync(Buffer.alloc(20_000_000))],
    ['identity', Buffer.alloc(2_000_000)],
  ])('refuses a long body that comes as %s, with its length told', async (encoding, body) => {
    const { url, server } = await serve((_incoming, response) => {
      response.writeHead(200, { 'content-encoding': encoding, 'content-length': body.length }).end(body);
    });

    const error = await errorOf(
      clientFor(url).send(request({ timeoutMs: 10_000, maxBytes: 1_000_000 })),
      'InvalidAnswer',
    );

    expect(error.message).toContain('longer than expected');
    server.closeAllConnections();
    server.close();
  });

  test('keeps the trace id of a refusal for the one who has to ask Allegro about it', async () => {
    const offerId = await under.offer({ rejection: { message: 'no picture' } });

    const error = await errorOf(
      under.allegro.marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 2 }),
      'OfferRejected',
    );

    expect(error.facts.traceId).toMatch(/^\w+$/);
    expect(under.reports.at(-1)?.traceId).toBe(error.facts.traceId);
  });
});
