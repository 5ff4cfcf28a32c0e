import { randomUUID } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import type { FaultRule } from '../../../simulator/faults.js';
import { command, PUBLIC, SELLER, startScene, until, type Scene } from './scene.js';

let scene: Scene;

beforeEach(async () => {
  scene = await startScene();
});
afterEach(() => scene.stop());

const plant = (fault: FaultRule['fault'], match: FaultRule['match'] = {}): Promise<number> =>
  scene.admin.plantFault({ match, fault });
const available = async (offerId: string): Promise<number> => (await scene.admin.offer(offerId)).available;
const me = async (): Promise<number> => (await scene.send('GET', '/me')).status;

describe('what goes wrong', () => {
  it('a status with a body and headers of choice, nothing applied', async () => {
    await plant({
      kind: 'status',
      status: 422,
      body: { errors: [{ code: 'NEW_CODE' }] },
      headers: { 'X-Planted': 'yes' },
    });
    const { id } = await scene.offer();
    const reply = await scene.patch(id, { stock: { available: 3 } });
    expect([reply.status, reply.headers.get('x-planted'), reply.body]).toEqual([
      422,
      'yes',
      { errors: [{ code: 'NEW_CODE' }] },
    ]);
    expect(await available(id)).toBe(10);
  });

  it('a 504 although the change was applied', async () => {
    await plant({ kind: 'status', status: 504, applied: true });
    const { id } = await scene.offer();
    const reply = await scene.patch(id, { stock: { available: 3 } });
    expect([reply.status, reply.text.includes('ServiceTimeoutException')]).toEqual([504, true]);
    expect(await available(id)).toBe(3);
  });

  it('HTML instead of JSON', async () => {
    await plant({ kind: 'html' });
    const reply = await scene.send('GET', '/me');
    expect([reply.status, reply.headers.get('content-type'), reply.body]).toEqual([
      503,
      'text/html; charset=utf-8',
      undefined,
    ]);
  });

  it.each([
    ['cutBefore', 10],
    ['cutAfter', 3],
    ['cutMiddle', 3],
  ] as const)('%s: no answer, and the number is %i', async (kind, left) => {
    await plant({ kind });
    const { id } = await scene.offer();
    await expect(scene.patch(id, { stock: { available: 3 } })).rejects.toThrow();
    expect(await available(id)).toBe(left);
    expect((await scene.admin.journal()).entries.at(-1)).toMatchObject({ status: -1, fault: kind });
  });

  it('half of the JSON, as if it were whole', async () => {
    await plant({ kind: 'truncate' });
    const reply = await scene.send('GET', '/me');
    expect([reply.status, reply.body]).toEqual([200, undefined]);
    expect(reply.text).toMatch(/^\{"id":"44000001"/);
  });

  it('a field of another type', async () => {
    await scene.offer({ available: 7 });
    await scene.offer({ available: 8 });
    await plant({ kind: 'wrongTypes', path: 'offers.*.stock.available' });
    expect((await scene.send('GET', '/sale/offers?limit=5')).body).toMatchObject({
      offers: [{ stock: { available: '8 szt.' } }, { stock: { available: '7 szt.' } }],
    });
    await scene.admin.removeFaults();
    await plant({ kind: 'wrongTypes', path: 'offers.0.id', value: null });
    expect((await scene.send('GET', '/sale/offers?limit=5')).body).toMatchObject({ offers: [{ id: null }, {}] });
  });

  it('silence before the change, which then does not take place for a caller who has left, unless it is to come late', async () => {
    const { id } = await scene.offer();
    const route = 'PATCH /sale/product-offers/{offerId}';
    const leave = async (value: number): Promise<void> => {
      const { lastPhase } = await scene.admin.journal();
      const leaving = new AbortController();
      const call = fetch(`${scene.simulator.url}/sale/product-offers/${id}`, {
        method: 'PATCH',
        headers: { authorization: `Bearer ${token}`, accept: PUBLIC, 'content-type': PUBLIC },
        body: JSON.stringify({ stock: { available: value } }),
        signal: leaving.signal,
      });
      await scene.admin.waitForRequest({ phase: 'received', route, after: lastPhase });
      leaving.abort();
      await expect(call).rejects.toThrow();
      // What is sent after the leaving is seen after it.
      await until(async () => (await me()) === 200);
      await scene.admin.advanceClock(60_000);
    };
    const { accessToken: token } = await scene.admin.issueTokens({ sellerId: SELLER });
    const rule = await plant({ kind: 'hang', ms: 60_000 }, { route });
    await leave(3);
    expect(await available(id)).toBe(10);
    await scene.admin.removeFault(rule);
    await plant({ kind: 'hang', ms: 60_000, late: true }, { route });
    await leave(4);
    expect(await available(id)).toBe(4);
  });

  it('silence before the change, which takes place for a caller who waits', async () => {
    await plant({ kind: 'hang', ms: 60_000 }, { route: '/sale/product-offers/{offerId}' });
    const { id } = await scene.offer();
    const reply = scene.patch(id, { stock: { available: 3 } });
    await scene.admin.waitForRequest({ phase: 'received', route: '/sale/product-offers/{offerId}' });
    expect(await available(id)).toBe(10);
    await scene.admin.advanceClock(60_000);
    expect((await reply).status).toBe(200);
    expect(await available(id)).toBe(3);
  });

  it('silence after the change', async () => {
    await plant({ kind: 'hang', ms: 60_000, applied: true });
    const { id } = await scene.offer();
    const reply = scene.patch(id, { stock: { available: 3 } });
    await scene.admin.waitForRequest({ phase: 'applied', route: '/sale/product-offers/{offerId}' });
    expect(await available(id)).toBe(3);
    await scene.admin.advanceClock(60_000);
    expect((await reply).status).toBe(200);
  });

  it('429 with and without Retry-After, in the words of choice', async () => {
    await plant({ kind: 'tooMany', retryAfter: 30, code: 'RateLimitExceedException' }, { times: 1 });
    await plant({ kind: 'tooMany' });
    const [first, second] = [await scene.send('GET', '/me'), await scene.send('GET', '/me')];
    expect([first.status, first.headers.get('retry-after'), first.text.includes('RateLimitExceedException')]).toEqual([
      429,
      '30',
      true,
    ]);
    expect([second.status, second.headers.get('retry-after')]).toEqual([429, null]);
  });

  it('500 that repeats the headers it was sent, the token included', async () => {
    await plant({ kind: 'echo' });
    const reply = await scene.send('GET', '/me');
    expect([reply.status, reply.text.includes('Bearer ey')]).toEqual([500, true]);
  });

  it('events twice, and in another order', async () => {
    const [a, b] = [await scene.offer(), await scene.offer()];
    await scene.patch(a.id, { stock: { available: 3 } });
    await scene.patch(b.id, { stock: { available: 3 } });
    const offersOf = async (): Promise<string[]> => {
      const { text } = await scene.send('GET', '/sale/offer-events?limit=10');
      return [...text.matchAll(/"offer":\{"id":"(\d+)"/g)].map((match) => match[1] ?? '');
    };
    expect(await offersOf()).toEqual([a.id, b.id]);
    const doubling = await plant({ kind: 'duplicateEvents' });
    expect(await offersOf()).toEqual([a.id, a.id, b.id, b.id]);
    await scene.admin.removeFault(doubling);
    await plant({ kind: 'reorderEvents' });
    expect(await offersOf()).toEqual([b.id, a.id]);
  });
});

describe('latency', () => {
  it('lies between arrival and answer, and a planted fault keeps it', async () => {
    await scene.admin.changeSettings({ latency: { p50Ms: 40, p99Ms: 40 } });
    await plant({ kind: 'html' }, { nth: 2 });
    expect([await me(), await me()]).toEqual([200, 503]);
    const { entries } = await scene.admin.journal();
    // Timers may fire a millisecond early.
    expect(entries.map(({ durationMs }) => durationMs > 36)).toEqual([true, true]);
  });
});

describe('where it goes wrong', () => {
  it('by route, with and without its method', async () => {
    await plant({ kind: 'html' }, { route: 'GET /sale/offers' });
    await plant({ kind: 'html' }, { route: '/order/events' });
    expect(await me()).toBe(200);
    expect((await scene.send('GET', '/sale/offers?limit=1')).status).toBe(503);
    expect((await scene.send('GET', '/order/events')).status).toBe(503);
  });

  it('by seller', async () => {
    await plant({ kind: 'html' }, { sellerId: '44000002' });
    const other = await scene.admin.issueTokens({ sellerId: '44000002' });
    expect([await me(), (await scene.send('GET', '/me', { token: other.accessToken })).status]).toEqual([200, 503]);
  });

  it('by offer, in its path or in a command', async () => {
    const [a, b] = [await scene.offer(), await scene.offer()];
    await plant({ kind: 'html' }, { offerId: a.id });
    expect((await scene.patch(a.id, {})).status).toBe(503);
    expect((await scene.patch(b.id, {})).status).toBe(200);
    const put = async (ids: string[]) =>
      (await scene.send('PUT', `/sale/offer-quantity-change-commands/${randomUUID()}`, { body: command(ids, 1) }))
        .status;
    expect([await put([b.id]), await put([b.id, a.id])]).toEqual([201, 503]);
  });

  it('the nth time, every kth time, so many times', async () => {
    const seen = async (match: FaultRule['match']): Promise<number[]> => {
      await scene.admin.removeFaults();
      await plant({ kind: 'html' }, match);
      return [await me(), await me(), await me(), await me()];
    };
    expect(await seen({ nth: 2 })).toEqual([200, 503, 200, 200]);
    expect(await seen({ every: 2 })).toEqual([200, 503, 200, 503]);
    expect(await seen({ times: 3 })).toEqual([503, 503, 503, 200]);
  });

  it('with a probability', async () => {
    await plant({ kind: 'html' }, { probability: 0.5 });
    const seen: number[] = [];
    for (let n = 0; n < 60; n += 1) seen.push(await me());
    const planted = seen.filter((status) => status === 503).length;
    expect(planted).toBeGreaterThan(10);
    expect(planted).toBeLessThan(50);
    expect((await scene.admin.report()).faults).toEqual({ html: planted });
    expect(await scene.admin.faults()).toMatchObject([{ matched: 60, planted }]);
  });

  it('at OAuth too', async () => {
    await plant({ kind: 'status', status: 503 }, { route: 'POST /auth/oauth/token' });
    const response = await fetch(`${scene.simulator.url}/auth/oauth/token`, { method: 'POST' });
    expect(response.status).toBe(503);
  });
});
