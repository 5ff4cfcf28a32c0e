import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { toSellerId } from '../../../src/domain/ids.js';
import type { Call } from '../../../src/domain/marketplace.js';
import type { StoredTokens } from '../../../src/domain/token-store.js';
import { errorOf, setUpAllegro, type AllegroUnderTest } from './allegro-under-test.js';

let under: AllegroUnderTest;

beforeAll(async () => {
  under = await setUpAllegro();
});
afterAll(() => under.close());

let sellers = 44_005_000;
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

describe('the right shop', () => {
  test('the first use of a token binds the account to its seller', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller);

    await list(call);

    expect(await under.store.readSeller(call.accountId)).toBe(seller);
    expect((await stored(call)).isSellerChecked).toBe(true);
  });

  test('it is asked once, also over refreshes and processes', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller, 60_000);
    await list(call);
    await list(call, under.another());

    const { entries } = await under.admin.journal({ limit: 100_000 });
    expect(entries.filter((entry) => entry.route === '/me' && entry.sellerId === seller)).toHaveLength(1);
  });

  test('a token of another seller is refused, and nothing is read or written with it', async () => {
    const call = await under.logIn(newSeller());
    await list(call);
    const otherSeller = newSeller();
    const other = await under.admin.issueTokens({ sellerId: otherSeller });
    const { generation } = await stored(call);
    await under.store.replace(call.accountId, generation, {
      ...other,
      accessExpiresAt: new Date(Date.now() + 3_600_000),
    });
    const offerId = await under.offer({ sellerId: otherSeller });
    const fresh = under.another();

    const error = await errorOf(
      fresh.marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 1 }),
      'AccountRefused',
    );

    expect(error.message).toContain(otherSeller);
    const { entries } = await under.admin.journal({ limit: 100_000 });
    expect(entries.filter((entry) => entry.sellerId === otherSeller).map(({ route }) => route)).toEqual(['/me']);
  });

  test('a seller who is connected already is refused for a second account', async () => {
    const seller = newSeller();
    const first = await under.logIn(seller);
    await list(first);
    const second = await under.logIn(seller);

    const error = await errorOf(list(second), 'AccountRefused');

    expect(error.message).toContain(`already connected as account "${first.accountId}"`);
    expect(await under.store.readSeller(second.accountId)).toBeNull();
  });

  test('identify tells whose shop it is', async () => {
    const seller = newSeller();
    const call = await under.logIn(seller);

    expect(await under.allegro.marketplace.identify(call)).toMatchObject({ sellerId: toSellerId(seller) });
  });
});
