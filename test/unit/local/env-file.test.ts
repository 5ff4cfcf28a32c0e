import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { formatEnvFile, loadLocalEnv, parseEnvFile } from '../../../src/env-file.js';
import { readOrMakeEncryptionKey } from '../../../src/local/encryption-key.js';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'env-file-test-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('the file of local addresses', () => {
  it('fills variables that are not set or empty, and leaves the others', () => {
    const file = join(directory, 'env');
    writeFileSync(file, 'REDIS_URL=redis://file\nDATABASE_URL=postgres://file\nTEMPORAL_ADDRESS=file:7233\n');
    const environment: NodeJS.ProcessEnv = { REDIS_URL: 'redis://real', DATABASE_URL: '' };
    loadLocalEnv(environment, file);
    expect(environment).toEqual({
      REDIS_URL: 'redis://real',
      DATABASE_URL: 'postgres://file',
      TEMPORAL_ADDRESS: 'file:7233',
    });
  });

  it('gives nothing of the simulated Allegro to whoever names a real application', () => {
    const file = join(directory, 'env');
    writeFileSync(file, 'REDIS_URL=redis://file\nALLEGRO_API_URL=http://127.0.0.1:8080\nALLEGRO_CLIENT_ID=local\n');
    const real: NodeJS.ProcessEnv = { ALLEGRO_CLIENT_ID: 'real' };
    loadLocalEnv(real, file);
    expect(real).toEqual({ ALLEGRO_CLIENT_ID: 'real', REDIS_URL: 'redis://file' });
    const tuned: NodeJS.ProcessEnv = { ALLEGRO_SYNC_SCHEDULE: '60' };
    loadLocalEnv(tuned, file);
    expect(tuned).toMatchObject({ ALLEGRO_API_URL: 'http://127.0.0.1:8080', ALLEGRO_CLIENT_ID: 'local' });
  });

  it('changes nothing when it is absent, as in production', () => {
    const environment: NodeJS.ProcessEnv = {};
    loadLocalEnv(environment, join(directory, 'absent'));
    expect(environment).toEqual({});
  });

  it('gives back what was written, equals signs and hashes in values included', () => {
    const variables = { KEY: 'a+b/c==', URL: 'postgres://u:p%23@h/d?x=1#y' };
    expect(parseEnvFile(formatEnvFile(variables))).toEqual(variables);
  });

  it('skips empty lines and comments, and reads CRLF', () => {
    expect(parseEnvFile('# A=1\r\n\r\nB=2\r\n=3\r\n')).toEqual({ B: '2' });
  });

  it('refuses a value that would begin another line', () => {
    expect(() => formatEnvFile({ KEY: 'a\nREDIS_URL=x' })).toThrow('KEY holds a line break');
  });
});

describe('the local encryption key', () => {
  it('is made once, 32 bytes, readable by the user alone', async () => {
    const [first, second] = await Promise.all([readOrMakeEncryptionKey(directory), readOrMakeEncryptionKey(directory)]);
    expect(Buffer.from(first, 'base64')).toHaveLength(32);
    expect(second).toBe(first);
    await expect(readOrMakeEncryptionKey(directory)).resolves.toBe(first);
    expect(statSync(join(directory, 'token-encryption-key')).mode & 0o777).toBe(0o600);
  });
});
