import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { startProcessRecord, stopLeftovers, sweepTemporaryDirectories } from './process-record.js';
import type { RunningServer, ServerPlace } from './running-server.js';
import { startPostgres } from './start-postgres.js';
import { startRedis } from './start-redis.js';
import { startTemporal } from './start-temporal.js';
import { realSystem, SetUpError, type Print, type System } from './system.js';

/** The three servers, each of them answering. */
export interface LocalStack {
  /** host:port */
  temporalAddress: string;
  temporalNamespace: string;
  temporalUiUrl: string;
  /** A program that speaks to that server; just `temporal` when the server is somebody else's and none is installed. */
  temporalCliPath: string;
  /** postgres://…, as a user who may create databases where the server was started here. */
  databaseUrl: string;
  redisUrl: string;
  /** Stops what was started here, and deletes its data when that was temporary. May be called twice. */
  stop(): Promise<void>;
}

export interface LocalStackOptions {
  /** Where the data is kept. Absent: everything is temporary and deleted on stop. */
  dataDir?: string;
  /** Take 7233, 8233, 5432 and 6379 where they are free. Absent: free ports. */
  preferUsualPorts?: boolean;
  print: Print;
  /** The machine, for tests that hide parts of it. */
  system?: System;
}

const TEMPORARY_PREFIX = 'allegro-stock-sync-stack-';

async function prepareDirectory(options: LocalStackOptions): Promise<string> {
  if (options.dataDir === undefined) {
    await sweepTemporaryDirectories(tmpdir(), TEMPORARY_PREFIX, options.print);
    const directory = await mkdtemp(join(tmpdir(), TEMPORARY_PREFIX));
    // PostgreSQL runs as another user when we are root, and must be able to enter.
    await chmod(directory, 0o711);
    return directory;
  }
  const directory = resolve(options.dataDir);
  await mkdir(directory, { recursive: true });
  await stopLeftovers(directory, options.print);
  return directory;
}

async function stopAll(servers: readonly RunningServer<unknown>[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}

/**
 * Starts Temporal, PostgreSQL and Redis at the same time and returns when all three answer. A server named by
 * TEMPORAL_ADDRESS, DATABASE_URL or REDIS_URL is used as it is.
 *
 * @throws SetUpError when one is missing and cannot be got, with the way to get it; the others are stopped then.
 */
export async function startLocalStack(options: LocalStackOptions): Promise<LocalStack> {
  const system = options.system ?? realSystem();
  const directory = await prepareDirectory(options);
  const isKept = options.dataDir !== undefined;
  const place: ServerPlace = { directory, isKept, prefersUsualPorts: options.preferUsualPorts ?? false };
  const record = startProcessRecord(directory);
  const use = { record, print: options.print };

  const cleanUp = async (servers: readonly RunningServer<unknown>[]): Promise<void> => {
    await stopAll(servers);
    await record.remove();
    if (!isKept) await rm(directory, { recursive: true, force: true });
  };

  const [temporal, postgres, redis] = await Promise.allSettled([
    startTemporal(system, place, use),
    startPostgres(system, place, use),
    startRedis(system, place, use),
  ]);
  if (temporal.status === 'rejected' || postgres.status === 'rejected' || redis.status === 'rejected') {
    const results: PromiseSettledResult<RunningServer<unknown>>[] = [temporal, postgres, redis];
    await cleanUp(results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])));
    throw joinFailures(results);
  }

  let stopping: Promise<void> | undefined;
  return {
    ...temporal.value.addresses,
    ...postgres.value.addresses,
    ...redis.value.addresses,
    stop: () => (stopping ??= cleanUp([temporal.value, postgres.value, redis.value])),
  };
}

function joinFailures(results: readonly PromiseSettledResult<unknown>[]): Error {
  const errors = results
    .filter((result) => result.status === 'rejected')
    .map(({ reason }: { reason: unknown }) => (reason instanceof Error ? reason : new Error(String(reason))));
  const [first] = errors;
  if (errors.length === 1 && first !== undefined) return first;
  // All that is missing is told at once, so that one more start is enough.
  return new SetUpError(errors.map((error) => error.message).join('\n\n'));
}
