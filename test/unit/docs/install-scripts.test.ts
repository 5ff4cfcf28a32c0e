import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

/** That each install script is known, decided upon in package.json, and has its reason in docs/dependencies.md. */

const readText = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), 'utf8');

const manifest = z
  .object({ allowScripts: z.record(z.string(), z.boolean()), dependencies: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readText('package.json')));
const lock = z
  .object({ packages: z.record(z.string(), z.object({ hasInstallScript: z.boolean().optional() })) })
  .parse(JSON.parse(readText('package-lock.json')));
const page = readText('docs/dependencies.md');

const withScript = Object.entries(lock.packages)
  .filter(([, { hasInstallScript }]) => hasInstallScript === true)
  .map(([path]) => path.replace(/^.*node_modules\//, ''));

const rows = [...page.matchAll(/^\| `([^`]+)` \| (yes|no) \| (.+) \|$/gm)].map(
  ([, name = '', runs = '', reason = '']) => ({
    name,
    runs: runs === 'yes',
    reason,
  }),
);

describe('install scripts', () => {
  test('are those of package-lock.json, each allowed or denied', () => {
    expect(withScript.length).toBeGreaterThan(0);
    expect(Object.keys(manifest.allowScripts).sort()).toEqual([...new Set(withScript)].sort());
  });

  test('have a reason each in docs/dependencies.md, and the same decision', () => {
    expect(Object.fromEntries(rows.map(({ name, runs }) => [name, runs]))).toEqual(manifest.allowScripts);
    expect(rows.filter(({ reason }) => reason.length < 'likewise'.length)).toEqual([]);
  });
});

test('each dependency of the program has its purpose in docs/dependencies.md', () => {
  const [, table = ''] = /## Of the program\n([\s\S]+?)\n## /.exec(page) ?? [];
  const named = [...table.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);

  const wanted = Object.keys(manifest.dependencies).map((name) => name.replace(/^@temporalio\/(?!activity$)/, ''));
  expect(named.sort()).toEqual(wanted.sort());
});
