import { randomUUID } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { BETA, command, SELLER, startScene, type Scene } from './scene.js';

let scene: Scene;

beforeEach(async () => {
  scene = await startScene({ applicationLimit: { requests: 5, windowMs: 60_000, blockMs: 60_000 } });
});
afterEach(() => scene.stop());

const statuses = async (count: number): Promise<number[]> => {
  const seen: number[] = [];
  for (let n = 0; n < count; n += 1) seen.push((await scene.send('GET', '/me')).status);
  return seen;
};
const client = async () => (await scene.admin.report()).clients['simulator-client'];

describe('the limit per Client ID', () => {
  it('blocks the client for a minute, over all its sellers', async () => {
    const other = await scene.admin.issueTokens({ sellerId: '44000002' });
    expect(await statuses(5)).toEqual([200, 200, 200, 200, 200]);
    const refused = await scene.send('GET', '/me', { token: other.accessToken });
    expect([refused.status, refused.text.includes('TOO_MANY_REQUESTS')]).toEqual([429, true]);
    expect(refused.headers.get('retry-after')).toBeNull();
    await scene.admin.advanceClock(61_000);
    expect(await statuses(1)).toEqual([200]);
  });

  it('counts any 60 seconds, not calendar minutes', async () => {
    await statuses(3);
    await scene.admin.advanceClock(40_000);
    await statuses(2);
    await scene.admin.advanceClock(21_000);
    // The first three have left the window, the last two have not.
    expect(await statuses(4)).toEqual([200, 200, 200, 429]);
  });

  it('starts the block anew with each request sent into it', async () => {
    await statuses(6);
    await scene.admin.advanceClock(50_000);
    expect(await statuses(1)).toEqual([429]);
    await scene.admin.advanceClock(50_000);
    expect(await statuses(1)).toEqual([429]);
    await scene.admin.advanceClock(61_000);
    expect(await statuses(1)).toEqual([200]);
    expect(await client()).toMatchObject({ blocks: 1, requestsIntoBlock: 2 });
  });

  it('leaves a block as it is when so set', async () => {
    await scene.admin.changeSettings({ applicationLimit: { prolong: false } });
    await statuses(6);
    await scene.admin.advanceClock(50_000);
    await statuses(1);
    await scene.admin.advanceClock(11_000);
    expect(await statuses(1)).toEqual([200]);
  });

  it('starts counting afresh after a block, however short', async () => {
    await scene.admin.changeSettings({ applicationLimit: { blockMs: 1000 } });
    await statuses(6);
    await scene.admin.advanceClock(1001);
    expect(await statuses(5)).toEqual([200, 200, 200, 200, 200]);
  });

  it('does not concern other clients', async () => {
    await statuses(6);
    const other = await scene.admin.issueTokens({ sellerId: SELLER, clientId: 'other-app' });
    expect((await scene.send('GET', '/me', { token: other.accessToken })).status).toBe(200);
  });

  it('reports the most requests in any 60 seconds, refused ones included', async () => {
    await statuses(3);
    await scene.admin.advanceClock(59_000);
    await statuses(4);
    await scene.admin.advanceClock(300_000);
    await statuses(1);
    expect(await client()).toMatchObject({ requests: 8, maxIn60s: 7 });
  });

  it('can be switched off', async () => {
    await scene.admin.changeSettings({ applicationLimit: null });
    expect(await statuses(8)).not.toContain(429);
  });
});

describe('limits per seller and resource', () => {
  beforeEach(() =>
    scene.admin.changeSettings({
      applicationLimit: null,
      sellerLimits: {
        offerEdits: { perMinute: 2, perHour: 3 },
        partReads: { perMinute: 1 },
        quantityChanges: { perMinute: 5 },
        bulkChanges: { perMinute: 1 },
      },
    }),
  );

  it('bound edits per minute and per hour, for each seller alone', async () => {
    const { id } = await scene.offer();
    const foreign = await scene.admin.addOffer({ sellerId: '44000002' });
    const edit = async () => (await scene.patch(id, { stock: { available: 2 } })).status;
    expect([await edit(), await edit(), await edit()]).toEqual([200, 200, 429]);
    const { accessToken } = await scene.admin.issueTokens({ sellerId: '44000002' });
    const body = { stock: { available: 1 } };
    const theirs = await scene.send('PATCH', `/sale/product-offers/${foreign.id}`, { body, token: accessToken });
    expect(theirs.status).toBe(200);
    await scene.admin.advanceClock(61_000);
    expect([await edit(), await edit()]).toEqual([200, 429]);
    await scene.admin.advanceClock(3_600_000);
    expect(await edit()).toBe(200);
    expect((await scene.admin.report()).sellerLimits[`${SELLER} offerEdits`]).toEqual({
      maxPerMinute: 2,
      maxPerHour: 3,
      refused: 2,
    });
  });

  it('are kept apart by resource', async () => {
    const { id } = await scene.offer();
    const parts = async () => (await scene.send('GET', `/sale/product-offers/${id}/parts?include=stock`)).status;
    expect([await parts(), await parts()]).toEqual([200, 429]);
    expect((await scene.send('GET', `/sale/product-offers/${id}`)).status).toBe(200);
  });

  it('count each offer of a command', async () => {
    const put = async (count: number) => {
      const ids = Array.from({ length: count }, (_, n) => String(n + 1));
      return (
        await scene.send('PUT', `/sale/offer-quantity-change-commands/${randomUUID()}`, { body: command(ids, 2) })
      ).status;
    };
    expect([await put(4), await put(2), await put(1)]).toEqual([201, 429, 201]);
  });

  it('count each modification of a bulk command', async () => {
    const post = async () =>
      (
        await scene.send('POST', '/sale/offer-bulk-modification-commands', {
          media: BETA,
          body: {
            commandId: randomUUID(),
            modifications: [{ offerId: '1', stock: { changeType: 'FIXED', value: 1 } }],
          },
        })
      ).status;
    expect([await post(), await post()]).toEqual([201, 429]);
  });

  it('count failed edits for more when so set', async () => {
    await scene.admin.changeSettings({ failedEditWeight: 2 });
    const { id } = await scene.offer();
    const edit = async (available: number) => (await scene.patch(id, { stock: { available } })).status;
    expect([await edit(-1), await edit(2)]).toEqual([422, 429]);
  });
});
