import { expect, test } from '@jest/globals';
import { toAccountId } from '../../../src/domain/ids.js';
import type { StoredTokens, TokenPair, TokenStore } from '../../../src/domain/token-store.js';
import { withLearnedTokens } from '../../../src/storage/learned-tokens.js';

const SHOP = toAccountId('shop');

function aPair(name: string): TokenPair {
  return { accessToken: `access-${name}`, refreshToken: `refresh-${name}`, accessExpiresAt: new Date(0) };
}

/** Holds one pair; nothing else of a store is used here. */
function aStore(held: TokenPair | null): TokenStore {
  const unused = () => Promise.reject(new Error('not used'));
  const stored: StoredTokens | null =
    held === null
      ? null
      : { ...held, generation: 1, storedAt: new Date(0), refreshStartedAt: null, isSellerChecked: true };
  return {
    read: () => Promise.resolve(stored),
    replace: () => Promise.resolve(true),
    withRefreshLock: unused,
    markRefreshStarted: unused,
    pauseForLogin: unused,
    readSeller: unused,
    bindSeller: unused,
  };
}

test('tokens are learned when they are read, and new ones before they are stored', async () => {
  const learned: string[] = [];
  const store = withLearnedTokens(aStore(aPair('old')), (secret) => void learned.push(secret));

  await store.read(SHOP);
  expect(learned).toEqual(['access-old', 'refresh-old']);

  await store.replace(SHOP, 1, aPair('new'), 'refresh');
  expect(learned.slice(2)).toEqual(['access-new', 'refresh-new']);
});

test('an account without tokens teaches nothing', async () => {
  const learned: string[] = [];

  expect(await withLearnedTokens(aStore(null), (secret) => void learned.push(secret)).read(SHOP)).toBeNull();
  expect(learned).toEqual([]);
});
