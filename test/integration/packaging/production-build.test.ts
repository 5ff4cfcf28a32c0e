import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What the image holds: the compiled program without its sources, without TypeScript's loader. */

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

let directory: string;

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, args, {
    cwd: directory,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], ...env },
  });
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'production-build-'));
  cpSync(join(ROOT, 'package.json'), join(directory, 'package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  const compiled = spawnSync(
    process.execPath,
    [
      ...[join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', join(ROOT, 'tsconfig.build.json')],
      ...['--outDir', join(directory, 'dist')],
    ],
    { encoding: 'utf8' },
  );
  if (compiled.status !== 0) throw new Error(compiled.stdout);
  const bundled = run(['dist/build-bundle.js']);
  if (bundled.status !== 0) throw new Error(bundled.stderr);
}, 180_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('the build', () => {
  test('puts the workflow bundle where the compiled worker looks for it', () => {
    expect(statSync(join(directory, 'dist/workflow-bundle.js')).size).toBeGreaterThan(100_000);
  });

  test('has a command line that runs by itself', () => {
    const { status, stdout } = run(['dist/client.js', '--help']);

    expect({ status, isHelp: stdout.includes('Usage: allegro-stock-sync') }).toEqual({ status: 0, isHelp: true });
  });

  test('has a worker that names what is missing in its configuration, and ends with 2', () => {
    const { status, stderr } = run(['dist/worker.js']);

    expect({ status, isNamed: stderr.includes('DATABASE_URL is missing') }).toEqual({ status: 2, isNamed: true });
  });

  test('leaves the programs for local use out', () => {
    expect(() => statSync(join(directory, 'dist/local'))).toThrow(/ENOENT/);
  });
});
