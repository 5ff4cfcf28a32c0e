import { existsSync, lstatSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

import { identifyProcess, isStillRunning } from './process-identity.js';
import { SetUpError, type Print } from './system.js';
import { waitUntil } from './wait-until.js';

const RECORD_FILE = 'processes.json';

/** Postgres writes a checkpoint when it is stopped; on a busy machine that takes a while. */
const STOP_PATIENCE_MS = 15_000;

const recordedProcess = z.object({ pid: z.int().positive(), startedAt: z.string().min(1) });

const recordSchema = z.object({
  owner: recordedProcess,
  servers: z.array(recordedProcess.extend({ program: z.string().min(1), stopSignal: z.enum(['SIGINT', 'SIGTERM']) })),
});

type ProcessRecordContent = z.infer<typeof recordSchema>;
type RecordedServer = ProcessRecordContent['servers'][number];

/** Keeps, in the data directory, which server processes were started from there and by whom. */
export interface ProcessRecord {
  add(server: { pid: number; program: string; stopSignal: 'SIGINT' | 'SIGTERM' }): void;
  remove(): Promise<void>;
}

function readRecord(dataDirectory: string): ProcessRecordContent | undefined {
  const file = join(dataDirectory, RECORD_FILE);
  if (!existsSync(file)) return undefined;
  try {
    return recordSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    // Half written by a run that was killed, or not ours: then nothing in it may be acted upon.
    return undefined;
  }
}

/** Begins a new record in the name of this process. */
export function startProcessRecord(dataDirectory: string): ProcessRecord {
  const file = join(dataDirectory, RECORD_FILE);
  const owner = identifyProcess(process.pid);
  const content: ProcessRecordContent = {
    owner: { pid: process.pid, startedAt: owner?.startedAt ?? 'unknown' },
    servers: [],
  };
  const save = (): void => {
    writeFileSync(`${file}.new`, JSON.stringify(content, null, 2), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  save();
  return {
    add(server) {
      const identity = identifyProcess(server.pid);
      if (identity === undefined) return;
      content.servers.push({ ...server, startedAt: identity.startedAt });
      save();
    },
    remove: () => rm(file, { force: true }),
  };
}

/** Only a process that started when we recorded it and runs the program we recorded is ours to stop. */
function isOurs(server: RecordedServer): boolean {
  const identity = identifyProcess(server.pid);
  return identity?.startedAt === server.startedAt && identity.commandLine.includes(server.program);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended between the look and the signal.
  }
}

async function stopLeftover(server: RecordedServer): Promise<void> {
  // A process loses its command line shortly before its ports and files: only its end counts as the end.
  const hasEnded = (): boolean => !isStillRunning(server);
  signal(server.pid, server.stopSignal);
  if (await waitUntil(hasEnded, STOP_PATIENCE_MS)) return;
  signal(server.pid, 'SIGKILL');
  await waitUntil(hasEnded, STOP_PATIENCE_MS);
}

/**
 * Stops what a run that was killed has left behind in this data directory.
 *
 * @throws SetUpError when the run that owns the directory is still at work.
 */
export async function stopLeftovers(dataDirectory: string, print: Print): Promise<void> {
  const record = readRecord(dataDirectory);
  if (record === undefined) return;
  if (record.owner.pid !== process.pid && isStillRunning(record.owner)) {
    throw new SetUpError(
      `The servers of ${dataDirectory} are already running, started by process ${record.owner.pid}. Stop that one first (Ctrl-C there).`,
    );
  }
  const leftovers = record.servers.filter(isOurs);
  if (leftovers.length === 0) return;
  print(
    `Left over by process ${record.owner.pid}, which is gone: ${leftovers
      .map((server) => `${server.program} (${server.pid})`)
      .join(', ')}; stopping`,
  );
  await Promise.all(leftovers.map(stopLeftover));
}

/** Stops and deletes temporary data directories whose owner was killed before it could do so itself. */
export async function sweepTemporaryDirectories(parent: string, prefix: string, print: Print): Promise<void> {
  const names = (await readdir(parent)).filter((name) => name.startsWith(prefix));
  for (const directory of names.map((name) => join(parent, name))) {
    try {
      // The parent is writable for everybody: a directory of another user is not ours to read or delete.
      const stat = lstatSync(directory);
      if (!stat.isDirectory() || stat.uid !== process.getuid?.()) continue;
      const record = readRecord(directory);
      if (record === undefined || isStillRunning(record.owner)) continue;
      await stopLeftovers(directory, print);
      await rm(directory, { recursive: true, force: true });
    } catch {
      // Another run sweeps at the same time and was quicker.
    }
  }
}
