import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Redis } from 'ioredis';
import { LOOK_AHEAD_MS } from '../../../src/rate-limit/permit-script.js';
import type { Quota } from '../../../src/rate-limit/pace.js';
import { heaviestWindow } from './arrivals.js';
import { connectToTestRedis, scriptedRedis, take, type ScriptedRedis } from './scripted-redis.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const START_MS = 1_700_000_000_000;

const app: Quota = { scope: 'app', limit: 620, windowMs: MINUTE_MS, weight: 1, maxWeight: 1 };
const seller: Quota = { ...app, scope: 'seller:1', limit: 62 };
const sellerHour: Quota = { ...app, scope: 'seller:1:hour', limit: 100, windowMs: HOUR_MS };
const commands: Quota = { ...app, scope: 'seller:1:commands', limit: 719, weight: 100, maxWeight: 100 };

let redis: Redis;
let scripted: ScriptedRedis;
let nowMs: number;

beforeAll(() => {
  redis = connectToTestRedis();
});

afterAll(() => {
  redis.disconnect();
});

beforeEach(async () => {
  scripted = scriptedRedis(redis);
  moveTo(START_MS);
  await scripted.script.call({ operation: 'hello', quotas: [] });
  moveTo(START_MS + 100_000);
});

afterEach(() => {
  scripted.script.close();
});

function moveTo(ms: number): void {
  nowMs = ms;
  scripted.setClock(ms);
}

async function usageOf(...quotas: Quota[]): Promise<{ used: number; blockedMs: number; assumed: number }[]> {
  const { numbers } = await scripted.script.call({ operation: 'usage', quotas });
  return quotas.map((_quota, index) => {
    const [used = -1, blockedUs = -1, assumed = -1] = numbers.slice(index * 3);
    return { used, blockedMs: blockedUs / 1000, assumed };
  });
}

async function penalise(blockMs: number, ...quotas: Quota[]): Promise<void> {
  await scripted.script.call({ operation: 'penalise', quotas, first: blockMs * 1000 });
}

describe('a paced quota', () => {
  it('spaces permits by (window + 2 s) / limit from the first one on', async () => {
    const waits = [];
    for (let n = 0; n < 4; n += 1) waits.push((await take(scripted.script, [app])).waitMs);
    expect(waits).toEqual([0, 100, 200, 300]);
  });

  it('never bunches: with a backlog every second has its share, however irregularly four processes ask', async () => {
    const busy: Quota = { ...app, limit: 9000 };
    const slots: number[] = [];
    for (let n = 0; slots.length < 1200; n += 1) {
      // Each asks for up to 20 permits of the next 250 ms, then nobody comes for up to 200 ms.
      for (let asked = 0; asked < 4 * 20; asked += 1) {
        const permit = await take(scripted.script, [busy], 250);
        if (permit.granted) slots.push(nowMs + permit.waitMs);
      }
      moveTo(nowMs + ((n * 67) % 200));
    }
    const seconds = heaviestWindow(
      slots.map((atMs) => ({ atMs, weight: 1 })),
      1000,
    );
    expect(seconds).toBeLessThanOrEqual(Math.ceil((1000 * busy.limit) / 62_000));
    const spanMs = (slots.at(-1) ?? 0) - (slots[0] ?? 0);
    expect((slots.length - 1) / spanMs).toBeGreaterThan((0.96 * busy.limit) / MINUTE_MS);
  });

  it('gives no burst after a pause', async () => {
    await take(scripted.script, [app]);
    moveTo(nowMs + 10 * MINUTE_MS);
    expect((await take(scripted.script, [app])).waitMs).toBe(0);
    expect((await take(scripted.script, [app])).waitMs).toBe(100);
  });

  it('refuses what lies further ahead than asked, says how far, and takes nothing', async () => {
    await take(scripted.script, [app]);
    expect(await take(scripted.script, [app], 99)).toMatchObject({ granted: false, waitMs: 100, index: 0, reason: 0 });
    expect(await usageOf(app)).toMatchObject([{ used: 1 }]);
  });

  it('charges a request by its weight', async () => {
    await take(scripted.script, [app, commands]);
    moveTo(nowMs + 9990);
    expect((await take(scripted.script, [app, { ...commands, weight: 1 }])).waitMs).toBe(10);
    expect((await take(scripted.script, [app, { ...commands, weight: 1 }])).waitMs).toBe(110);
  });
});

describe('a counted quota', () => {
  it('is spent at full pace, then closed until the oldest permits have left the window', async () => {
    for (let n = 0; n < 100; n += 1) {
      expect(await take(scripted.script, [app, sellerHour])).toMatchObject({ granted: true, waitMs: 0 });
      moveTo(nowMs + 1000);
    }
    const refusal = await take(scripted.script, [app, sellerHour]);
    expect(refusal).toMatchObject({ granted: false, index: 1, reason: 0 });
    expect(refusal.waitMs).toBeGreaterThan(HOUR_MS - 100_000);
    moveTo(nowMs + refusal.waitMs - LOOK_AHEAD_MS - 1);
    expect(await take(scripted.script, [app, sellerHour])).toMatchObject({ granted: false, index: 1 });
    moveTo(nowMs + LOOK_AHEAD_MS + 1);
    expect(await take(scripted.script, [app, sellerHour])).toMatchObject({ granted: true, waitMs: 0 });
  });
});

describe('several quotas', () => {
  it('are taken together or not at all when a further one has its slot later', async () => {
    const slow: Quota = { ...seller, limit: 1 };
    await take(scripted.script, [app, slow]);
    const before = await usageOf(app, slow);
    expect(await take(scripted.script, [app, slow])).toMatchObject({ granted: false, index: 1, waitMs: 62_000 });
    expect(await usageOf(app, slow)).toEqual(before);
    expect((await take(scripted.script, [app])).waitMs).toBe(100);
  });

  it('wait for a further slot that is near, without moving the first quota', async () => {
    const nearby: Quota = { ...seller, limit: 310 };
    await take(scripted.script, [app, nearby]);
    expect(await take(scripted.script, [app, nearby])).toMatchObject({ granted: true, waitMs: 200, behindMs: 100 });
    expect((await take(scripted.script, [app])).waitMs).toBe(200);
  });

  it('leave the others 95 % of the rate while one seller is slow', async () => {
    const slow: Quota = { ...seller, limit: 10 };
    let granted = 0;
    for (let step = 0; step < 600; step += 1) {
      await take(scripted.script, [app, slow], 0);
      if ((await take(scripted.script, [app], 50)).granted) granted += 1;
      moveTo(nowMs + 100);
    }
    expect(granted).toBeGreaterThanOrEqual(0.95 * 600);
  });

  it('cost one round trip', async () => {
    const sent = jest.spyOn(redis, 'sendCommand');
    await take(scripted.script, [app, seller, sellerHour]);
    expect(sent.mock.calls.map(([command]) => command.name)).toEqual(['evalsha']);
    sent.mockRestore();
  });
});

describe('the clock', () => {
  it('stands still instead of stepping back', async () => {
    await take(scripted.script, [app]);
    moveTo(nowMs - HOUR_MS);
    expect((await take(scripted.script, [app])).waitMs).toBe(100);
    moveTo(nowMs + 1000);
    expect((await take(scripted.script, [app])).waitMs).toBe(0);
  });
});

describe('lost state', () => {
  it('lets 3 s and one heaviest request pass before the first permit', async () => {
    await scripted.loseState();
    expect(await take(scripted.script, [app, commands])).toMatchObject({ granted: false, waitMs: 3000 });
    moveTo(nowMs + 3000);
    expect(await take(scripted.script, [app])).toMatchObject({ granted: true, waitMs: 100 });
    expect(await take(scripted.script, [app, commands])).toMatchObject({ granted: false, index: 1, waitMs: 10_000 });
  });

  it('is recognised when the server comes back with an old snapshot', async () => {
    const before = await scripted.script.call({ operation: 'hello', quotas: [] });
    const goBack = await scripted.takeSnapshot();
    moveTo(nowMs + 5000);
    await goBack();
    const after = await scripted.script.call({ operation: 'hello', quotas: [] });
    expect(after.epoch).not.toBe(before.epoch);
    expect(after.knownAgeMs).toBe(5000);
    expect(await take(scripted.script, [app])).toMatchObject({ granted: false, waitMs: 3000 });
  });

  it('is restored from what the processes remember', async () => {
    await scripted.loseState();
    await scripted.script.call({ operation: 'restore', quotas: [sellerHour], second: '1800000000:99' });
    await scripted.script.call({ operation: 'restore', quotas: [seller], first: 20_000_000 });
    moveTo(nowMs + 4000);
    expect(await take(scripted.script, [app, sellerHour])).toMatchObject({ granted: true });
    expect(await take(scripted.script, [app, sellerHour])).toMatchObject({ granted: false, index: 1 });
    expect(await take(scripted.script, [app, seller])).toMatchObject({ granted: false, reason: 1, waitMs: 16_000 });
  });
});

describe('a penalty', () => {
  async function useUp(share: number, ...quotas: Quota[]): Promise<void> {
    const times = Math.round(share * (quotas.at(-1)?.limit ?? 0));
    const paceMs = 62_000 / (quotas.at(-1)?.limit ?? 1);
    for (let n = 0; n < times; n += 1) {
      await take(scripted.script, quotas);
      moveTo(nowMs + paceMs);
    }
  }

  it('hits the quota whose own count is near its limit', async () => {
    await useUp(0.9, app, seller);
    await penalise(30_000, app, seller);
    expect(await usageOf(app, seller)).toMatchObject([{ blockedMs: 0 }, { blockedMs: 30_000 }]);
    expect(await take(scripted.script, [app])).toMatchObject({ granted: true });
    expect(await take(scripted.script, [app, seller])).toMatchObject({ granted: false, index: 1, reason: 1 });
  });

  it('hits all of them when none is near its limit', async () => {
    await penalise(30_000, app, seller);
    expect(await usageOf(app, seller)).toMatchObject([{ blockedMs: 30_000 }, { blockedMs: 30_000 }]);
  });

  it('is never shortened by a later one', async () => {
    await penalise(30_000, app);
    await penalise(1000, app);
    expect(await usageOf(app)).toMatchObject([{ blockedMs: 30_000 }]);
  });

  it('ends with a single probe, and full pace once that is answered', async () => {
    await penalise(30_000, app);
    moveTo(nowMs + 29_999);
    expect(await take(scripted.script, [app])).toMatchObject({ granted: false, reason: 1, waitMs: 1 });
    moveTo(nowMs + 1);
    expect(await take(scripted.script, [app])).toMatchObject({ granted: true, probe: true });
    moveTo(nowMs + 5000);
    expect(await take(scripted.script, [app])).toMatchObject({ granted: false, reason: 2 });
    await scripted.script.call({ operation: 'answered', quotas: [app] });
    expect(await take(scripted.script, [app])).toMatchObject({ granted: true, probe: false });
  });

  it('goes on with the next request as its probe when the first had no answer', async () => {
    await penalise(30_000, app);
    moveTo(nowMs + 30_000);
    await take(scripted.script, [app]);
    await scripted.script.call({ operation: 'unanswered', quotas: [app] });
    expect(await take(scripted.script, [app])).toMatchObject({ granted: true, probe: true });
    expect(await take(scripted.script, [app])).toMatchObject({ granted: false, reason: 2 });
    await scripted.script.call({ operation: 'answered', quotas: [app] });
    await scripted.script.call({ operation: 'unanswered', quotas: [app] });
    expect(await take(scripted.script, [app])).toMatchObject({ granted: true, probe: false });
  });

  it('does not wait longer than 10 s for a probe that nobody answers for', async () => {
    await penalise(30_000, app);
    moveTo(nowMs + 30_000);
    await take(scripted.script, [app]);
    moveTo(nowMs + 10_001);
    expect(await take(scripted.script, [app])).toMatchObject({ granted: true, probe: false });
    expect(await take(scripted.script, [app])).toMatchObject({ granted: true, probe: false });
  });

  it('starts anew when the probe is refused', async () => {
    await penalise(30_000, app);
    moveTo(nowMs + 30_000);
    await take(scripted.script, [app]);
    await penalise(60_000, app);
    expect(await take(scripted.script, [app])).toMatchObject({ granted: false, reason: 1, waitMs: 60_000 });
    moveTo(nowMs + 60_000);
    expect(await take(scripted.script, [app])).toMatchObject({ granted: true, probe: true });
  });

  it('lowers the assumed limit by 10 % for an hour, and the pace with it', async () => {
    await penalise(1000, app);
    expect(await usageOf(app)).toMatchObject([{ assumed: 558 }]);
    moveTo(nowMs + 1000);
    await take(scripted.script, [app]);
    await scripted.script.call({ operation: 'answered', quotas: [app] });
    expect((await take(scripted.script, [app])).waitMs).toBeCloseTo(62_000 / 558, 2);
    moveTo(nowMs + HOUR_MS);
    expect(await usageOf(app)).toMatchObject([{ assumed: 620 }]);
  });

  it('lowers it once per block and never under half', async () => {
    await penalise(1000, app);
    await penalise(1000, app);
    expect(await usageOf(app)).toMatchObject([{ assumed: 558 }]);
    for (let n = 0; n < 20; n += 1) {
      moveTo(nowMs + 1000);
      await take(scripted.script, [app]);
      await scripted.script.call({ operation: 'answered', quotas: [app] });
      await penalise(1000, app);
    }
    expect(await usageOf(app)).toMatchObject([{ assumed: 310 }]);
  });
});

describe('the keys', () => {
  it('are one cluster slot, expire by themselves and stay bounded', async () => {
    const quotas = [{ ...app, limit: 620_000 }, sellerHour];
    for (let n = 0; n < 300; n += 1) {
      await take(scripted.script, [quotas[0] ?? app, { ...sellerHour, limit: 1_000_000 }]);
      moveTo(nowMs + 37_000);
    }
    const pattern = `${scripted.prefix.replace(/[{}]/g, '?')}*`;
    const keys = await redis.keys(pattern);
    expect(keys.toSorted()).toEqual(
      ['scope:app', 'scope:seller:1:hour', 'state'].map((key) => `${scripted.prefix}:${key}`),
    );
    for (const key of keys) {
      expect(await redis.pttl(key)).toBeGreaterThan(HOUR_MS);
      expect(await redis.hlen(key)).toBeLessThanOrEqual(64 + 6);
    }
  });
});

describe('the script itself', () => {
  it('is loaded again when the server has forgotten it', async () => {
    await take(scripted.script, [app]);
    await redis.script('FLUSH');
    expect(await take(scripted.script, [app])).toMatchObject({ granted: true });
  });
});
