import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let checkout: string;

/** Stands in for npm: notes how it was called and makes node_modules. */
const NPM = `
const { appendFileSync, mkdirSync, rmSync } = require('node:fs');
appendFileSync('npm-calls', process.argv.slice(2).join(' ') + '\\n');
rmSync('node_modules', { recursive: true, force: true });
if (process.env.NPM_FAILS) process.exit(7);
mkdirSync('node_modules');
`;

const LOCK = {
  packages: {
    '': { name: 'x' },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/b': { version: '2.0.0', optional: true },
  },
};

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'bootstrap-test-'));
  writeFileSync(join(checkout, 'package-lock.json'), JSON.stringify(LOCK));
  writeFileSync(join(checkout, 'npm-cli.cjs'), NPM);
});

afterEach(() => rmSync(checkout, { recursive: true, force: true }));

function bootstrap(
  env: Record<string, string> = {},
  nodeOptions: string[] = [],
): { status: number | null; output: string } {
  const result = spawnSync(process.execPath, [...nodeOptions, 'tools/bootstrap.mjs', checkout], {
    encoding: 'utf8',
    env: { ...process.env, npm_execpath: join(checkout, 'npm-cli.cjs'), ...env },
  });
  return { status: result.status, output: result.stdout + result.stderr };
}

function npmCalls(): string[] {
  const file = join(checkout, 'npm-calls');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
}

/** What npm leaves after an installation by hand. */
function installByHand(version: string): void {
  mkdirSync(join(checkout, 'node_modules'));
  writeFileSync(
    join(checkout, 'node_modules', '.package-lock.json'),
    JSON.stringify({ packages: { 'node_modules/a': { version } } }),
  );
}

describe('the first step of every command', () => {
  it('installs the dependencies on a fresh clone, development ones included, and says why', () => {
    const { status, output } = bootstrap();
    expect(status).toBe(0);
    expect(output).toBe('Dependencies: npm ci, because node_modules is missing\n');
    expect(npmCalls()).toEqual(['ci --include=dev --include=optional --no-audit --no-fund']);
  });

  it('does nothing and says nothing the second time', () => {
    bootstrap();
    expect(bootstrap()).toEqual({ status: 0, output: '' });
    expect(npmCalls()).toHaveLength(1);
  });

  it('installs again when package-lock.json has changed', () => {
    bootstrap();
    writeFileSync(join(checkout, 'package-lock.json'), JSON.stringify({ ...LOCK, version: '2' }));
    expect(bootstrap().output).toContain('because package-lock.json has changed');
    expect(npmCalls()).toHaveLength(2);
  });

  it('accepts an installation by hand that fits', () => {
    installByHand('1.0.0');
    expect(bootstrap()).toEqual({ status: 0, output: '' });
    expect(npmCalls()).toEqual([]);
  });

  it('replaces an installation by hand that does not fit', () => {
    installByHand('0.9.0');
    expect(bootstrap().output).toContain('because node_modules does not hold what package-lock.json names');
    expect(npmCalls()).toHaveLength(1);
  });

  it('fails with the command to make work when npm fails, and tries again the next time', () => {
    const failed = bootstrap({ NPM_FAILS: '1' });
    expect(failed.status).toBe(1);
    expect(failed.output).toContain(`npm ci failed (exit code 7). Make "npm ci" work in ${checkout}`);
    expect(bootstrap().status).toBe(0);
    expect(npmCalls()).toHaveLength(2);
  });

  it.each(['18.20.4', '20.18.3'])('refuses Node %s before anything else', (version) => {
    const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`;
    const { status, output } = bootstrap({}, ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`]);
    expect(status).toBe(1);
    expect(output).toContain(`Node 20.19 or newer is needed, this is ${version}.`);
    expect(npmCalls()).toEqual([]);
  });
});
