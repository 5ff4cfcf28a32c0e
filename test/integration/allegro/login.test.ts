import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { toAccountId, type AccountId } from '../../../src/domain/ids.js';
import { addAccount, readAccount } from '../../../src/storage/accounts.js';
import { callFor, CLIENT_ID, errorOf, eventually, setUpAllegro, type AllegroUnderTest } from './allegro-under-test.js';

let under: AllegroUnderTest;
let accounts = 0;

beforeAll(async () => {
  under = await setUpAllegro({ deviceIntervalS: 0 });
});
afterEach(async () => {
  await under.admin.removeFaults();
  await under.admin.changeSettings({ deviceIntervalS: 0, deviceLifetimeS: 3600, deviceNumbersAsStrings: false });
});
afterAll(() => under.close());

async function newAccount(): Promise<AccountId> {
  accounts += 1;
  const accountId = toAccountId(`shop-${accounts}`);
  await addAccount(under.db, { accountId, name: 'Shop' });
  return accountId;
}

describe('the device flow', () => {
  test('shows a link, waits for the seller, binds the account and stores the tokens', async () => {
    const accountId = await newAccount();
    const login = await under.allegro.login.start(accountId);
    expect(login.verificationUriComplete).toContain(login.userCode);
    expect(login.expiresAt.getTime()).toBeGreaterThan(Date.now() + 3_500_000);

    const finished = under.allegro.login.finish(accountId, login);
    await under.admin.decideDevice(login.userCode, { decision: 'approve', sellerId: '44002001' });

    expect(await finished).toMatchObject({ sellerId: '44002001' });
    expect(await under.store.readSeller(accountId)).toBe('44002001');
    expect(await under.store.read(accountId)).toMatchObject({ generation: 1, isSellerChecked: true });
    await under.allegro.marketplace.listOffers(callFor(accountId), { offset: 0, limit: 1 });
  });

  test('asks for the scopes it needs and no more', async () => {
    const accountId = await newAccount();
    const login = await under.allegro.login.start(accountId);
    await under.admin.decideDevice(login.userCode, { decision: 'approve', sellerId: '44002002' });

    await under.allegro.login.finish(accountId, login);

    const tokens = await under.store.read(accountId);
    const payload = Buffer.from(tokens?.accessToken.split('.')[1] ?? '', 'base64url').toString();
    expect(payload).toContain('allegro:api:sale:offers:write');
    expect(payload).not.toContain('fulfillment');
  });

  test('reads numbers that come as texts', async () => {
    await under.admin.changeSettings({ deviceNumbersAsStrings: true, deviceIntervalS: 3 });

    const login = await under.allegro.login.start(await newAccount());

    expect(login.intervalMs).toBe(3000);
    expect(login.expiresAt.getTime()).toBeGreaterThan(Date.now() + 3_500_000);
  });

  test('asks more slowly when told to', async () => {
    const accountId = await newAccount();
    const login = await under.allegro.login.start(accountId);
    await under.admin.plantFault({
      match: { route: '/auth/oauth/token', times: 1 },
      fault: { kind: 'status', status: 400, body: { error: 'slow_down' } },
    });
    const { lastRequest } = await under.admin.journal();

    const finished = under.allegro.login.finish(accountId, login);
    await under.admin.decideDevice(login.userCode, { decision: 'approve', sellerId: '44002003' });
    await finished;

    const { entries } = await under.admin.journal({ since: lastRequest });
    const [first, second] = entries.filter(({ route }) => route === '/auth/oauth/token');
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(4990);
  });

  test('goes on when Allegro does not answer for a moment', async () => {
    const accountId = await newAccount();
    const login = await under.allegro.login.start(accountId);
    await under.admin.plantFault({
      match: { route: '/auth/oauth/token', times: 2 },
      fault: { kind: 'html', status: 503 },
    });

    const finished = under.allegro.login.finish(accountId, login);
    await under.admin.decideDevice(login.userCode, { decision: 'approve', sellerId: '44002004' });

    expect(await finished).toMatchObject({ sellerId: '44002004' });
  });

  test('ends when the seller refuses', async () => {
    const accountId = await newAccount();
    const login = await under.allegro.login.start(accountId);
    await under.admin.decideDevice(login.userCode, { decision: 'deny' });

    const error = await errorOf(under.allegro.login.finish(accountId, login), 'AccountRefused');

    expect(error.message).toMatch(/^The login was refused at Allegro\./);
    expect(await under.store.read(accountId)).toBeNull();
  });

  test('ends when the link has expired', async () => {
    const accountId = await newAccount();
    const login = await under.allegro.login.start(accountId);

    await errorOf(under.allegro.login.finish(accountId, { ...login, expiresAt: new Date() }), 'AccountRefused');
    await errorOf(under.allegro.login.finish(accountId, { ...login, deviceCode: 'unknown' }), 'AccountRefused');
  });

  test('ends when the user gives up waiting', async () => {
    const accountId = await newAccount();
    const login = await under.allegro.login.start(accountId);
    const giveUp = new AbortController();

    const finished = under.allegro.login.finish(accountId, { ...login, intervalMs: 60_000 }, giveUp.signal);
    giveUp.abort();

    await expect(finished).rejects.toThrow();
  });

  test('with a wrong client secret says what to check', async () => {
    const accountId = await newAccount();
    await under.admin.changeSettings({ clients: { [CLIENT_ID]: 'the right one' } });

    const error = await errorOf(under.allegro.login.start(accountId), 'ApplicationRefused');

    expect(error.message).toContain('Client ID or secret');
    await under.admin.changeSettings({ clients: null });
  });
});

describe('another seller', () => {
  test('is refused for an account that is bound, and the old tokens stay', async () => {
    const accountId = await newAccount();
    const mine = await under.admin.issueTokens({ sellerId: '44002010' });
    await under.allegro.login.adoptRefreshToken(accountId, mine.refreshToken);
    const before = await under.store.read(accountId);
    const foreign = await under.admin.issueTokens({ sellerId: '44002011' });

    const error = await errorOf(
      under.allegro.login.adoptRefreshToken(accountId, foreign.refreshToken),
      'AccountRefused',
    );

    expect(error.message).toContain('belongs to seller 44002010');
    expect(await under.store.read(accountId)).toEqual(before);
  });

  test('who is bound already is refused for a new account', async () => {
    const first = await newAccount();
    const second = await newAccount();
    const one = await under.admin.issueTokens({ sellerId: '44002020' });
    await under.allegro.login.adoptRefreshToken(first, one.refreshToken);
    const two = await under.admin.issueTokens({ sellerId: '44002020' });

    await errorOf(under.allegro.login.adoptRefreshToken(second, two.refreshToken), 'AccountRefused');

    expect(await under.store.read(second)).toBeNull();
  });
});

describe('a refresh token that is handed over', () => {
  test('is exchanged at once, so that it works nowhere else', async () => {
    const accountId = await newAccount();
    const pair = await under.admin.issueTokens({ sellerId: '44002030' });

    const seller = await under.allegro.login.adoptRefreshToken(accountId, pair.refreshToken);

    expect(seller.sellerId).toBe('44002030');
    expect((await under.store.read(accountId))?.refreshToken).not.toBe(pair.refreshToken);
  });

  test('that is not accepted is told, and stores nothing', async () => {
    const accountId = await newAccount();

    await errorOf(under.allegro.login.adoptRefreshToken(accountId, 'made-up'), 'TokenRevoked');

    expect(await under.store.read(accountId)).toBeNull();
    expect((await readAccount(under.db, accountId))?.pausedReason).toBeNull();
  });

  test('is not lost when its seller cannot be asked for: it is checked at its first use', async () => {
    const accountId = await newAccount();
    const pair = await under.admin.issueTokens({ sellerId: '44002031' });
    await under.admin.plantFault({ match: { route: '/me', times: 1 }, fault: { kind: 'html', status: 503 } });

    await errorOf(under.allegro.login.adoptRefreshToken(accountId, pair.refreshToken), 'MarketplaceUnavailable');

    expect(await under.store.read(accountId)).toMatchObject({ isSellerChecked: false });
    await under.allegro.marketplace.listOffers(callFor(accountId), { offset: 0, limit: 1 });
    expect(await under.store.readSeller(accountId)).toBe('44002031');
  });
});

test('a login ends the pause that the refused one began', async () => {
  const accountId = await newAccount();
  const pair = await under.admin.issueTokens({ sellerId: '44002040' });
  await under.allegro.login.adoptRefreshToken(accountId, pair.refreshToken);
  await under.store.pauseForLogin(accountId, 'Allegro no longer accepts the login of this account.');

  const again = await under.admin.issueTokens({ sellerId: '44002040' });
  await under.allegro.login.adoptRefreshToken(accountId, again.refreshToken);

  await eventually(async () => (await readAccount(under.db, accountId))?.pausedReason === null, 'the account goes on');
});
