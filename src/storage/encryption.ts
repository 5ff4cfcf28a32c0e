import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import type { AccountId } from '../domain/ids.js';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

/** Keeps secrets of an account at rest: AES-256-GCM, bound to the account and the key (associated data). */
export interface Encryption {
  /** Names the key without telling it: stored beside what it encrypts. */
  readonly keyId: string;
  /** Nonce, tag and cipher text in one. */
  encrypt(accountId: AccountId, secret: string): Buffer;
  /** @throws DecryptionFailed when it was encrypted with another key or for another account, or changed since */
  decrypt(accountId: AccountId, stored: { keyId: string; bytes: Buffer }): string;
}

export class DecryptionFailed extends Error {
  override readonly name = 'DecryptionFailed';
}

/**
 * @param key `TOKEN_ENCRYPTION_KEY`: 32 bytes, or their base64
 * @param earlierKeys keys that are still read, for a rotation; what they encrypted is written anew with `key`
 */
export function createEncryption(key: Buffer | string, earlierKeys: readonly (Buffer | string)[] = []): Encryption {
  const current = readKey(key);
  const keys = new Map([current, ...earlierKeys.map(readKey)].map((known) => [known.keyId, known]));
  return {
    keyId: current.keyId,
    encrypt(accountId, secret) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', current.bytes, nonce);
      cipher.setAAD(associatedData(accountId, current.keyId));
      const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), text]);
    },
    decrypt(accountId, { keyId, bytes }) {
      const known = keys.get(keyId);
      if (known === undefined) {
        throw new DecryptionFailed(
          `the tokens of account "${accountId}" were encrypted with key ${keyId}, but TOKEN_ENCRYPTION_KEY is key ${[...keys.keys()].join(', TOKEN_ENCRYPTION_KEY_PREVIOUS key ')}`,
        );
      }
      try {
        const decipher = createDecipheriv('aes-256-gcm', known.bytes, bytes.subarray(0, NONCE_BYTES), {
          authTagLength: TAG_BYTES,
        });
        decipher.setAAD(associatedData(accountId, keyId));
        decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
        const text = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
        return Buffer.concat([text, decipher.final()]).toString('utf8');
      } catch {
        throw new DecryptionFailed(`the stored tokens of account "${accountId}" were changed outside this program`);
      }
    },
  };
}

interface KnownKey {
  readonly keyId: string;
  readonly bytes: Buffer;
}

function readKey(key: Buffer | string): KnownKey {
  const bytes = typeof key === 'string' ? Buffer.from(key, 'base64') : key;
  if (bytes.length !== KEY_BYTES) throw new Error(`TOKEN_ENCRYPTION_KEY: expected 32 bytes, in base64`);
  return { keyId: createHash('sha256').update(bytes).digest('hex').slice(0, 8), bytes };
}

function associatedData(accountId: AccountId, keyId: string): Buffer {
  return Buffer.from(`${accountId}\n${keyId}`, 'utf8');
}
