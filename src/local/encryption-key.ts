import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * The key for tokens at rest (32 bytes, base64), made once and kept beside the local data: tokens stored by one run
 * must be readable by the next.
 */
export async function readOrMakeEncryptionKey(directory: string): Promise<string> {
  const file = join(directory, 'token-encryption-key');
  await mkdir(directory, { recursive: true });
  try {
    // "wx" fails where the file exists: of two runs that start at once, one makes the key and both read it.
    await writeFile(file, randomBytes(32).toString('base64'), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  return (await readFile(file, 'utf8')).trim();
}
