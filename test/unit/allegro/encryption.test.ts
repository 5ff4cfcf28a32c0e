import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { toAccountId } from '../../../src/domain/ids.js';
import { createEncryption, DecryptionFailed } from '../../../src/storage/encryption.js';

const key = randomBytes(32);
const encryption = createEncryption(key);
const shop = toAccountId('shop');

test('what was encrypted for an account is read for that account', () => {
  const bytes = encryption.encrypt(shop, 'a token – żółw');

  expect(encryption.decrypt(shop, { keyId: encryption.keyId, bytes })).toBe('a token – żółw');
});

test('the same secret looks different each time', () => {
  expect(encryption.encrypt(shop, 'x').equals(encryption.encrypt(shop, 'x'))).toBe(false);
});

test('for another account, or changed in any byte, it is not read', () => {
  const bytes = encryption.encrypt(shop, 'secret');

  expect(() => encryption.decrypt(toAccountId('other'), { keyId: encryption.keyId, bytes })).toThrow(DecryptionFailed);
  for (let index = 0; index < bytes.length; index += 1) {
    const changed = Buffer.from(bytes);
    changed[index] = (changed[index] ?? 0) ^ 1;
    expect(() => encryption.decrypt(shop, { keyId: encryption.keyId, bytes: changed })).toThrow(DecryptionFailed);
  }
  expect(() => encryption.decrypt(shop, { keyId: encryption.keyId, bytes: Buffer.alloc(0) })).toThrow(DecryptionFailed);
});

test('the key’s id tells keys apart and comes from base64 and bytes alike', () => {
  expect(createEncryption(key.toString('base64')).keyId).toBe(encryption.keyId);
  expect(createEncryption(randomBytes(32)).keyId).not.toBe(encryption.keyId);
  expect(encryption.keyId).toMatch(/^[0-9a-f]{8}$/);
});

test('a key of another length is refused without showing it', () => {
  expect(() => createEncryption('c2hvcnQ=')).toThrow('TOKEN_ENCRYPTION_KEY: expected 32 bytes, in base64');
});
