import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * The key for tokens at rest (32 bytes, base64), made once and kept beside the local data: tokens stored by one run
 * must be readable by the next.
 */
export async function readOrMakeEncryptionKey(directory: string): Promise<string> {
  const file = join(directory, 'token-encryption-key');
  await mkdir(directory, { recursive: true });
  if (!existsSync(file)) {
    // Of two runs that start at once, one gives the file its name, complete; both read that one.
    const own = `${file}.${randomBytes(6).toString('hex')}`;
    await writeFile(own, randomBytes(32).toString('base64'), { mode: 0o600 });
    await link(own, file).catch((error: unknown) => {
      if (!existsSync(file)) throw error;
    });
    await rm(own);
  }
  return (await readFile(file, 'utf8')).trim();
}
