import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { findRedisServer } from '../../../src/local/redis-program.js';
import { aPrinter, aSystem, type PretendedMachine, type PretendedSystem } from './a-system.js';

let directory: string;
let policyFile: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'redis-program-test-'));
  policyFile = join(directory, 'policy-rc.d');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Root on Debian; `installs` decides what each `apt-get install` does. */
function aDebian(
  installs: (system: PretendedSystem) => { exitCode: number; output?: string },
  machine: PretendedMachine = {},
): PretendedSystem {
  const system: PretendedSystem = aSystem({
    isRoot: true,
    isDebian: true,
    onPath: { 'apt-get': '/usr/bin/apt-get' },
    env: { XDG_CACHE_HOME: directory },
    run: (_program, args) => Promise.resolve(args[0] === 'install' ? installs(system) : {}),
    ...machine,
  });
  return system;
}

describe('redis-server', () => {
  it('is taken from PATH, and nothing is installed', async () => {
    const { print, lines } = aPrinter();
    const system = aDebian(() => ({ exitCode: 0 }), { onPath: { 'redis-server': '/usr/bin/redis-server' } });
    await expect(findRedisServer(system, print, policyFile)).resolves.toBe('/usr/bin/redis-server');
    expect(lines).toEqual(['Redis: /usr/bin/redis-server (found on PATH)']);
    expect(system.commands).toEqual([]);
  });

  it('is installed by apt-get when root on Debian, without starting a service', async () => {
    const { print, lines } = aPrinter();
    let policy: string | undefined;
    const system = aDebian((machine) => {
      policy = readFileSync(policyFile, 'utf8');
      machine.programs['redis-server'] = '/usr/bin/redis-server';
      return { exitCode: 0 };
    });
    await expect(findRedisServer(system, print, policyFile)).resolves.toBe('/usr/bin/redis-server');
    expect(policy).toContain('exit 101');
    expect(existsSync(policyFile)).toBe(false);
    expect(lines.at(-1)).toContain('installed by apt-get, as root on Debian');
  });

  it('leaves a policy on services that the system has already as it is', async () => {
    writeFileSync(policyFile, 'theirs');
    const system = aDebian((machine) => {
      machine.programs['redis-server'] = '/usr/bin/redis-server';
      return { exitCode: 0 };
    });
    await findRedisServer(system, aPrinter().print, policyFile);
    expect(readFileSync(policyFile, 'utf8')).toBe('theirs');
  });

  it('is installed at the second try, after apt-get update, where the package lists are missing', async () => {
    let tries = 0;
    const system = aDebian((machine) => {
      tries += 1;
      if (tries === 1) return { exitCode: 100, output: 'E: Unable to locate package redis-server' };
      machine.programs['redis-server'] = '/usr/bin/redis-server';
      return { exitCode: 0 };
    });
    await expect(findRedisServer(system, aPrinter().print, policyFile)).resolves.toBe('/usr/bin/redis-server');
    expect(system.commands).toEqual([
      '/usr/bin/apt-get install -y --no-install-recommends redis-server',
      '/usr/bin/apt-get update',
      '/usr/bin/apt-get install -y --no-install-recommends redis-server',
    ]);
  });

  it.each([
    ['not root', { isRoot: false, isDebian: true }, 'not root'],
    ['not on Debian', { isRoot: true, isDebian: false }, 'this is not Debian or Ubuntu'],
  ])('is built by the npm package when %s', async (_case, machine, why) => {
    const { print, lines } = aPrinter();
    const built = '/cache/redis-server';
    const system = aSystem({
      ...machine,
      env: { XDG_CACHE_HOME: directory },
      onPath: { 'apt-get': '/usr/bin/apt-get', npm: '/usr/bin/npm' },
      executables: [built],
      run: (program) =>
        Promise.resolve(program === process.execPath ? { output: `compiling\nredis-server=${built}` } : {}),
    });
    await expect(findRedisServer(system, print, policyFile)).resolves.toBe(built);
    expect(system.commands[0]).toBe(
      `/usr/bin/npm install --prefix ${directory}/allegro-stock-sync/redis-memory-server-0.17.1 --ignore-scripts redis-memory-server@0.17.1`,
    );
    expect(system.commands.some((command) => command.includes('apt-get'))).toBe(false);
    expect(lines.join('\n')).toContain(`apt-get is no way here (${why})`);
  });

  it('is built by the npm package when apt-get cannot reach its servers', async () => {
    const built = '/cache/redis-server';
    const system = aDebian(() => ({ exitCode: 100, output: 'Temporary failure resolving' }), {
      onPath: { 'apt-get': '/usr/bin/apt-get', npm: '/usr/bin/npm' },
      executables: [built],
      run: (program) => {
        if (program === '/usr/bin/apt-get') return Promise.resolve({ exitCode: 100 });
        return Promise.resolve(program === process.execPath ? { output: `redis-server=${built}` } : {});
      },
    });
    await expect(findRedisServer(system, aPrinter().print, policyFile)).resolves.toBe(built);
  });

  it('is asked for in one message with each reason when no way works', async () => {
    const system = aSystem({
      env: { XDG_CACHE_HOME: directory },
      onPath: { npm: '/usr/bin/npm' },
      run: (program) =>
        Promise.resolve(
          program === '/usr/bin/npm' ? {} : { exitCode: 1, output: 'getaddrinfo ENOTFOUND download.redis.io' },
        ),
    });
    const failure = await findRedisServer(system, aPrinter().print, policyFile).then(String, String);
    expect(failure).toContain('Redis is missing');
    expect(failure).toContain('apt-get install redis-server: this is not Debian or Ubuntu');
    expect(failure).toContain('getaddrinfo ENOTFOUND download.redis.io');
    expect(failure).toContain('sudo apt-get install redis-server');
    expect(failure).toContain('REDIS_URL');
  });
});
