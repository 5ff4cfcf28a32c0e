import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { inspect } from 'node:util';
import { toAccountId } from '../../../src/domain/ids.js';
import type { Call } from '../../../src/domain/marketplace.js';
import type { StoredTokens, TokenStore } from '../../../src/domain/token-store.js';
import { SyncError } from '../../../src/domain/errors.js';
import { addAccount, readAccount } from '../../../src/storage/accounts.js';
import { callFor, CLIENT_SECRET, errorOf, setUpAllegro, type AllegroUnderTest } from './allegro-under-test.js';

let under: AllegroUnderTest;

beforeAll(async () => {
  under = await setUpAllegro();
});
afterEach(async () => {
  await under.admin.removeFaults();
  await under.admin.changeSettings({ clients: null, refreshReuseMs: 60_000, tokensPerMinute: null });
});
afterAll(() => under.close());

let sellers = 44_001_000;
function newSeller(): string {
  sellers += 1;
  return String(sellers);
}

async function stored(call: Call): Promise<StoredTokens> {
  const tokens = await under.store.read(call.accountId);
  if (tokens === null) throw new Error('no tokens are stored');
  return tokens;
}

const list = (call: Call, allegro = under.allegro) => allegro.marketplace.listOffers(call, { offset: 0, limit: 1 });

async function refreshes(sellerId: string): Promise<number> {
  const { entries } = await under.admin.journal({ limit: 100_000 });
  return entries.filter((entry) => entry.route === '/auth/oauth/token' && entry.sellerId === sellerId).length;
}

describe('refreshing', () => {
  test('a token with less than 10 minutes left is refreshed before it is used, and the new pair is stored', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller, 9 * 60_000);
    const before = await stored(call);

    await list(call);

    const after = await stored(call);
    expect(after.generation).toBe(before.generation + 1);
    expect(after.refreshToken).not.toBe(before.refreshToken);
    expect(after.refreshStartedAt).toBeNull();
    expect(after.accessExpiresAt.getTime() - Date.now()).toBeGreaterThan(11 * 3_600_000);
  });

  test('a token with more time left is used as it is', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller, 11 * 60_000);

    await list(call);

    expect(await refreshes(seller)).toBe(0);
  });

  test('many requests at once share one refresh and one look at whose shop it is', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller, 60_000);

    await Promise.all(Array.from({ length: 20 }, () => list(call)));

    expect(await refreshes(seller)).toBe(1);
    const { entries } = await under.admin.journal({ limit: 100_000 });
    expect(entries.filter((entry) => entry.route === '/me' && entry.sellerId === seller)).toHaveLength(1);
  });

  test('two processes share one refresh', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller, 60_000);
    const other = under.another();

    await Promise.all([list(call), list(call, other)]);

    expect(await refreshes(seller)).toBe(1);
    expect((await stored(call)).generation).toBe(2);
  });

  test('a 401 is answered with the pair that another process has stored meanwhile, without a refresh', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller);
    await list(call);
    const first = await stored(call);
    const other = await under.admin.issueTokens({ sellerId: seller });
    await under.admin.plantFault({
      match: { route: '/sale/offers', sellerId: seller, times: 1 },
      fault: { kind: 'status', status: 401, body: { error: 'invalid_token' } },
    });
    await under.store.replace(
      call.accountId,
      first.generation,
      { ...other, accessExpiresAt: new Date(Date.now() + 3_600_000) },
      'refresh',
    );

    await list(call);

    expect(await refreshes(seller)).toBe(0);
  });

  test('a 401 to the stored pair is answered with a refresh, once, also for a write', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller);
    const offerId = await under.offer({ sellerId: seller, available: 3 });
    await list(call);
    await under.admin.plantFault({
      match: { method: 'PATCH', sellerId: seller, times: 1 },
      fault: {
        kind: 'status',
        status: 401,
        body: { error: 'invalid_token', error_description: 'Access token expired' },
      },
    });

    await under.allegro.marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 4 });

    expect((await under.admin.offer(offerId)).available).toBe(4);
    expect(await refreshes(seller)).toBe(1);
  });

  test('a token that is refused right after its refresh is the marketplace’s failure and pauses nobody', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller);
    await list(call);
    await under.admin.plantFault({
      match: { route: '/sale/offers', sellerId: seller },
      fault: { kind: 'status', status: 401, body: { error: 'invalid_token' } },
    });

    await errorOf(list(call), 'MarketplaceUnavailable');

    expect(await refreshes(seller)).toBe(1);
    expect((await readAccount(under.db, call.accountId))?.pausedReason).toBeNull();
  });
});

describe('an answer to a refresh that is lost', () => {
  test.each([
    { name: 'cut after Allegro had rotated the tokens', fault: { kind: 'cutAfter' } as const },
    { name: 'cut off in the middle', fault: { kind: 'truncate' } as const },
    { name: 'a 503', fault: { kind: 'html', status: 503 } as const },
  ])('is asked for again with the same refresh token: $name', async ({ fault }) => {
    const seller = newSeller();
    const call = await under.logIn(seller, 60_000);
    await under.admin.plantFault({ match: { route: '/auth/oauth/token', sellerId: seller, times: 1 }, fault });

    await list(call);

    expect(await refreshes(seller)).toBe(2);
    expect((await stored(call)).generation).toBe(2);
  });

  test('is asked for again by the next process when the first one died', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller, 60_000);
    const before = await stored(call);
    // What a process leaves that is killed between Allegro's rotation and its own store.
    await under.store.markRefreshStarted(call.accountId, before.generation);
    await useUp(before.refreshToken);

    await list(call);

    expect((await stored(call)).generation).toBe(2);
  });

  test('pauses the account and tells of the interruption when it is too late to ask again', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller, 60_000);
    const before = await stored(call);
    await under.store.markRefreshStarted(call.accountId, before.generation);
    await useUp(before.refreshToken);
    await under.admin.changeSettings({ refreshReuseMs: 0 });
    await new Promise((resolve) => setTimeout(resolve, 5));

    const error = await errorOf(list(call), 'TokenRevoked');

    expect(error.message).toContain('was interrupted before its answer was stored');
    expect((await readAccount(under.db, call.accountId))?.pausedReason).toMatch(/^login needed: .*interrupted/);
  });
});

/** A refresh whose answer nobody keeps. */
async function useUp(refreshToken: string): Promise<void> {
  const answer = await fetch(`${under.simulator.url}/auth/oauth/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`simulator-client:${CLIENT_SECRET}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken }),
  });
  expect(answer.status).toBe(200);
  await answer.text();
}

describe('a new pair', () => {
  test('is stored before it is used, and waits for PostgreSQL to come back', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller, 60_000);
    let failures = 2;
    const flaky: TokenStore = {
      ...under.store,
      replace: (...args) => {
        failures -= 1;
        if (failures >= 0)
          return Promise.reject(new SyncError('DependencyUnavailable', 'PostgreSQL cannot be reached.'));
        return under.store.replace(...args);
      },
    };
    const { lastRequest } = await under.admin.journal();

    await list(call, under.another({ tokenStore: flaky }));

    expect(failures).toBe(-1);
    expect((await stored(call)).generation).toBe(2);
    const { entries } = await under.admin.journal({ since: lastRequest });
    expect(entries.filter((entry) => entry.route === '/auth/oauth/token')).toHaveLength(1);
    expect(entries.filter((entry) => entry.route === '/sale/offers').map(({ status }) => status)).toEqual([200]);
  });

  test('that another login overtook is thrown away', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller, 60_000);
    const login = await under.admin.issueTokens({ sellerId: seller });
    const racing: TokenStore = {
      ...under.store,
      async replace(accountId, generation, pair, origin) {
        if (origin === 'refresh') {
          const expires = new Date(Date.now() + 3_600_000);
          await under.store.replace(accountId, generation, { ...login, accessExpiresAt: expires }, 'login');
        }
        return under.store.replace(accountId, generation, pair, origin);
      },
    };

    await list(call, under.another({ tokenStore: racing }));

    expect((await stored(call)).refreshToken).toBe(login.refreshToken);
  });
});

describe('a refused refresh', () => {
  test('pauses the account with the reason, and says how to log in again', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller, 60_000);
    await under.admin.revokeTokens(seller);

    const error = await errorOf(list(call), 'TokenRevoked');

    expect(error.facts).toMatchObject({ status: 400, code: 'invalid_grant' });
    expect((await readAccount(under.db, call.accountId))?.pausedReason).toMatch(/^login needed: /);
  });

  test('does not overwrite a pause that a person made', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller, 60_000);
    await under.db.updateTable('accounts').set({ pausedReason: 'holidays' }).where('id', '=', call.accountId).execute();
    await under.admin.revokeTokens(seller);

    await errorOf(list(call), 'TokenRevoked');

    expect((await readAccount(under.db, call.accountId))?.pausedReason).toBe('holidays');
  });

  test('is forgotten when somebody has logged in meanwhile', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller, 60_000);
    await under.admin.revokeTokens(seller);
    const login = await under.admin.issueTokens({ sellerId: seller });
    const overtaken: TokenStore = {
      ...under.store,
      async markRefreshStarted(accountId, generation) {
        await under.store.markRefreshStarted(accountId, generation);
        const expires = new Date(Date.now() + 3_600_000);
        await under.store.replace(accountId, generation, { ...login, accessExpiresAt: expires }, 'login');
      },
    };

    await list(call, under.another({ tokenStore: overtaken }));

    expect((await readAccount(under.db, call.accountId))?.pausedReason).toBeNull();
  });

  test('because of the application is a system problem and pauses nobody', async () => {
    const call = await under.logIn(newSeller(), 60_000);
    await under.admin.changeSettings({ clients: { 'simulator-client': 'another secret' } });

    const error = await errorOf(list(call), 'ApplicationRefused');

    expect(error.facts.code).toBe('invalid_client');
    expect((await readAccount(under.db, call.accountId))?.pausedReason).toBeNull();
  });

  test('because of too many logins waits, and holds up no other account', async () => {
    const other = await under.logIn(newSeller());
    await list(other);
    const seller = newSeller();
    const call = await under.logIn(seller, 60_000);
    await under.admin.plantFault({
      match: { route: '/auth/oauth/token', sellerId: seller, times: 1 },
      fault: { kind: 'tooMany', retryAfter: 2 },
    });

    const error = await errorOf(list(call), 'RateLimited');

    expect(error.facts).toMatchObject({ retryInMs: 2000, scope: `login:${call.accountId}` });
    await list(other);
    expect((await readAccount(under.db, call.accountId))?.pausedReason).toBeNull();
  });

  test('shows no token, though Allegro repeats it in its answer', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller, 60_000);
    const { refreshToken, accessToken } = await stored(call);
    await under.admin.revokeTokens(seller);

    const error = await errorOf(list(call), 'TokenRevoked');

    const shown = inspect(error, { depth: 10, showHidden: true }) + (error.stack ?? '');
    expect(shown).toContain('Invalid refresh token: [redacted]');
    expect(shown).not.toContain(refreshToken);
    expect(shown).not.toContain(accessToken);
    const paused = (await readAccount(under.db, call.accountId))?.pausedReason;
    expect(paused).not.toContain(refreshToken.slice(0, 40));
  });
});

test('an account without tokens is told to log in', async () => {
  const accountId = toAccountId('never-logged-in');
  await addAccount(under.db, { accountId, name: 'New' });

  const error = await errorOf(list(callFor(accountId)), 'TokenRevoked');

  expect(error.message).toContain('accounts authorize never-logged-in');
});
