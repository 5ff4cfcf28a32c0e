import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { identifyProcess, isStillRunning } from '../../../src/local/process-identity.js';
import { startProcessRecord, stopLeftovers, sweepTemporaryDirectories } from '../../../src/local/process-record.js';
import { waitUntil } from '../../../src/local/wait-until.js';
import { aPrinter } from './a-system.js';

let directory: string;
let children: ChildProcess[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'process-record-test-'));
  children = [];
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

/** A process that does nothing until it is told to stop. */
async function aProcess(): Promise<{ pid: number; startedAt: string }> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio: 'ignore' });
  children.push(child);
  const identify = (): ReturnType<typeof identifyProcess> => identifyProcess(child.pid ?? 0);
  // For a moment after its start, a process has no command line yet.
  await waitUntil(() => identify()?.commandLine.includes('node') ?? false, 5_000);
  const identity = identify();
  if (identity === undefined) throw new Error('the process did not start');
  return { pid: identity.pid, startedAt: identity.startedAt };
}

const GONE = { pid: 4_194_300, startedAt: 'never' };

function writeRecord(folder: string, owner: object, servers: readonly object[]): void {
  writeFileSync(join(folder, 'processes.json'), JSON.stringify({ owner, servers }));
}

describe('servers that a killed run left behind', () => {
  it('are stopped by the next run', async () => {
    const server = await aProcess();
    writeRecord(directory, GONE, [{ ...server, program: 'node', stopSignal: 'SIGTERM' }]);
    const { print, lines } = aPrinter();
    await stopLeftovers(directory, print);
    expect(isStillRunning(server)).toBe(false);
    expect(lines).toEqual([`Left over by process ${GONE.pid}, which is gone: node (${server.pid}); stopping`]);
  });

  it('are not confused with another process that got the same pid', async () => {
    const other = await aProcess();
    writeRecord(directory, GONE, [{ pid: other.pid, startedAt: 'earlier', program: 'node', stopSignal: 'SIGTERM' }]);
    await stopLeftovers(directory, aPrinter().print);
    expect(isStillRunning(other)).toBe(true);
  });

  it('are not confused with a process that runs another program', async () => {
    const other = await aProcess();
    writeRecord(directory, GONE, [{ ...other, program: 'redis-server', stopSignal: 'SIGTERM' }]);
    await stopLeftovers(directory, aPrinter().print);
    expect(isStillRunning(other)).toBe(true);
  });

  it('are not touched while the run that owns them is at work', async () => {
    const owner = await aProcess();
    const server = await aProcess();
    writeRecord(directory, owner, [{ ...server, program: 'node', stopSignal: 'SIGTERM' }]);
    await expect(stopLeftovers(directory, aPrinter().print)).rejects.toThrow(
      `already running, started by process ${owner.pid}`,
    );
    expect(isStillRunning(server)).toBe(true);
  });

  it.each(['', '{"owner":', '{"owner":{"pid":-1,"startedAt":"x"},"servers":[]}'])(
    'are not guessed from a damaged record %j',
    async (text) => {
      writeFileSync(join(directory, 'processes.json'), text);
      await expect(stopLeftovers(directory, aPrinter().print)).resolves.toBeUndefined();
    },
  );
});

describe('the record', () => {
  it('holds this process as owner and each server with its start', async () => {
    const server = await aProcess();
    const record = startProcessRecord(directory);
    record.add({ pid: server.pid, program: 'node', stopSignal: 'SIGINT' });
    expect(JSON.parse(readFileSync(join(directory, 'processes.json'), 'utf8'))).toEqual({
      owner: { pid: process.pid, startedAt: identifyProcess(process.pid)?.startedAt },
      servers: [{ ...server, program: 'node', stopSignal: 'SIGINT' }],
    });
    await record.remove();
    expect(existsSync(join(directory, 'processes.json'))).toBe(false);
  });
});

describe('temporary data directories', () => {
  function aDirectory(name: string): string {
    const folder = join(directory, name);
    mkdirSync(folder);
    return folder;
  }

  it('of a killed run are deleted after its servers were stopped', async () => {
    const server = await aProcess();
    const folder = aDirectory('stack-a');
    writeRecord(folder, GONE, [{ ...server, program: 'node', stopSignal: 'SIGTERM' }]);
    await sweepTemporaryDirectories(directory, 'stack-', aPrinter().print);
    expect(existsSync(folder)).toBe(false);
    expect(isStillRunning(server)).toBe(false);
  });

  it('of a run at work, without a record, or with another name stay', async () => {
    const folders = ['stack-busy', 'stack-unknown', 'other'].map(aDirectory);
    writeRecord(join(directory, 'stack-busy'), await aProcess(), []);
    writeRecord(join(directory, 'other'), GONE, []);
    await sweepTemporaryDirectories(directory, 'stack-', aPrinter().print);
    expect(folders.filter(existsSync)).toEqual(folders);
  });
});

describe('a process', () => {
  it('is no longer identified once it has ended', async () => {
    const { pid } = await aProcess();
    children[0]?.kill('SIGKILL');
    await expect(waitUntil(() => identifyProcess(pid) === undefined, 5_000)).resolves.toBe(true);
  });
});
