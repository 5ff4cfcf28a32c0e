import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { findTemporalCli, TEMPORAL_CLI_VERSION } from '../../../src/local/temporal-cli.js';
import type { CommandResult } from '../../../src/local/system.js';
import { aPrinter, aSystem } from './a-system.js';

const VERSION_LINE = 'temporal version 1.8.2 (Server 1.31.2, UI 2.50.1)';

let directory: string;
let cached: string;

/** Answers `--version` and `go version`; every other command succeeds silently. */
function answer(
  versions: Record<string, string>,
): (program: string, args: readonly string[]) => Promise<Partial<CommandResult>> {
  return (program) => Promise.resolve({ output: versions[program] ?? '' });
}

/** A Go whose build writes the file that `-o` names. */
function buildingGo(program: string, args: readonly string[]): Promise<Partial<CommandResult>> {
  if (args[0] === 'version') return Promise.resolve({ output: 'go version go1.26.8 linux/amd64' });
  if (args[0] === 'build') writeFileSync(args[args.indexOf('-o') + 1] ?? '', 'built', { mode: 0o755 });
  return Promise.resolve({ output: VERSION_LINE });
}

/** The official archive, holding a program that does not matter here. */
function anArchive(): Buffer {
  const folder = mkdtempSync(join(directory, 'archive-'));
  writeFileSync(join(folder, 'temporal'), '#!/bin/sh\n');
  writeFileSync(join(folder, 'LICENSE'), 'MIT');
  return execFileSync('tar', ['-czf', '-', '-C', folder, 'LICENSE', 'temporal']);
}

/** Unpacks for real, since what is tested is that the archive's file ends up in the cache. */
function unpack(program: string, args: readonly string[], cwd: string | undefined): Promise<Partial<CommandResult>> {
  if (program !== 'tar') return Promise.resolve({ output: VERSION_LINE });
  execFileSync('tar', args, { cwd });
  return Promise.resolve({});
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'temporal-cli-test-'));
  cached = join(directory, 'allegro-stock-sync', `temporal-${TEMPORAL_CLI_VERSION}`);
});

afterEach(() => {
  jest.useRealTimers();
  rmSync(directory, { recursive: true, force: true });
});

describe('an installed Temporal CLI', () => {
  it('is taken from TEMPORAL_CLI_PATH before PATH and cache', async () => {
    const { print, lines } = aPrinter();
    const system = aSystem({
      env: { TEMPORAL_CLI_PATH: '/opt/temporal', XDG_CACHE_HOME: directory },
      onPath: { temporal: '/usr/bin/temporal' },
      executables: ['/opt/temporal', cached],
      run: answer({ '/opt/temporal': VERSION_LINE }),
    });
    await expect(findTemporalCli(system, print)).resolves.toBe('/opt/temporal');
    expect(lines).toEqual(['Temporal CLI: /opt/temporal (TEMPORAL_CLI_PATH; server 1.31.2)']);
  });

  it('is not looked for elsewhere when TEMPORAL_CLI_PATH names something unusable', async () => {
    const system = aSystem({
      env: { TEMPORAL_CLI_PATH: '/opt/nothing', XDG_CACHE_HOME: directory },
      onPath: { temporal: '/usr/bin/temporal' },
      run: answer({ '/usr/bin/temporal': VERSION_LINE }),
    });
    await expect(findTemporalCli(system, aPrinter().print)).rejects.toThrow(
      'TEMPORAL_CLI_PATH is set to /opt/nothing, but it does not work: it is not an executable file.',
    );
  });

  it('is taken from PATH before the cache', async () => {
    const system = aSystem({
      env: { XDG_CACHE_HOME: directory },
      onPath: { temporal: '/usr/bin/temporal' },
      executables: [cached],
      run: answer({ '/usr/bin/temporal': VERSION_LINE, [cached]: VERSION_LINE }),
    });
    await expect(findTemporalCli(system, aPrinter().print)).resolves.toBe('/usr/bin/temporal');
  });

  it('is passed over when its server is too old, with the reason', async () => {
    const { print, lines } = aPrinter();
    const system = aSystem({
      env: { XDG_CACHE_HOME: directory },
      onPath: { temporal: '/usr/bin/temporal' },
      executables: [cached],
      run: answer({ '/usr/bin/temporal': 'temporal version 1.1.0 (Server 1.25.0, UI 2.30.3)', [cached]: VERSION_LINE }),
    });
    await expect(findTemporalCli(system, print)).resolves.toBe(cached);
    expect(lines[0]).toBe(
      'Temporal CLI: /usr/bin/temporal is passed over, because its server 1.25.0 is older than 1.31',
    );
  });

  it('is taken from the cache without asking the network', async () => {
    const fetched = jest.fn<typeof fetch>();
    const system = aSystem({
      env: { XDG_CACHE_HOME: directory },
      executables: [cached],
      run: answer({ [cached]: VERSION_LINE }),
      fetch: fetched,
    });
    await expect(findTemporalCli(system, aPrinter().print)).resolves.toBe(cached);
    expect(fetched).not.toHaveBeenCalled();
  });

  it('is looked for in ~/.cache when XDG_CACHE_HOME is not set', async () => {
    const inHome = `/home/nobody/.cache/allegro-stock-sync/temporal-${TEMPORAL_CLI_VERSION}`;
    const system = aSystem({ executables: [inHome], run: answer({ [inHome]: VERSION_LINE }) });
    await expect(findTemporalCli(system, aPrinter().print)).resolves.toBe(inHome);
  });
});

describe('the official download', () => {
  it('puts the program of the archive into the cache, executable', async () => {
    const archive = anArchive();
    const urls: string[] = [];
    const system = aSystem({
      env: { XDG_CACHE_HOME: directory },
      executables: [cached],
      run: unpack,
      fetch: (input) => {
        urls.push(new Request(input).url);
        return Promise.resolve(new Response(new Uint8Array(archive)));
      },
    });
    // Executable only once it is there, so that the search of the cache fails first.
    system.isExecutable = existsSync;
    await expect(findTemporalCli(system, aPrinter().print)).resolves.toBe(cached);
    expect(urls).toEqual(['https://temporal.download/cli/archive/v1.8.2?platform=linux&arch=amd64']);
    expect(readFileSync(cached, 'utf8')).toBe('#!/bin/sh\n');
    expect(execFileSync('stat', ['-c', '%a', cached], { encoding: 'utf8' }).trim()).toBe('755');
    expect(readdirSync(join(directory, 'allegro-stock-sync'))).toEqual([`temporal-${TEMPORAL_CLI_VERSION}`]);
  });

  it('is given up after 10 s when nothing answers, and Go builds instead', async () => {
    jest.useFakeTimers();
    const { print, lines } = aPrinter();
    const system = aSystem({
      env: { XDG_CACHE_HOME: directory },
      onPath: { go: '/usr/bin/go' },
      run: buildingGo,
      // Like a name server that never answers: not even the abort signal is obeyed.
      fetch: () => new Promise<Response>(() => undefined),
    });
    const search = findTemporalCli(system, print);
    let isFound = false;
    void search.then(() => (isFound = true));
    await untilPrinted(lines, 'downloading');
    await jest.advanceTimersByTimeAsync(9_900);
    expect(isFound).toBe(false);
    await jest.advanceTimersByTimeAsync(200);
    jest.useRealTimers();
    await expect(search).resolves.toBe(cached);
    expect(lines).toContain('Temporal CLI: the download did not work (no complete answer within 10 s)');
  });

  it('is given up after 10 s when it is slow and Go can build instead', async () => {
    jest.useFakeTimers();
    const { print, lines } = aPrinter();
    const system = aSystem({
      env: { XDG_CACHE_HOME: directory },
      onPath: { go: '/usr/bin/go' },
      run: buildingGo,
      fetch: () => Promise.resolve(new Response(aTrickle(anArchive(), 3_000))),
    });
    const search = findTemporalCli(system, print);
    await untilPrinted(lines, 'downloading');
    await jest.advanceTimersByTimeAsync(10_100);
    jest.useRealTimers();
    await expect(search).resolves.toBe(cached);
    expect(lines.join('\n')).toContain('building 1.8.2 with /usr/bin/go');
  });

  it('goes on past 10 s while bytes arrive when there is no Go to build with', async () => {
    jest.useFakeTimers();
    const { print, lines } = aPrinter();
    const archive = anArchive();
    const system = aSystem({
      env: { XDG_CACHE_HOME: directory },
      run: unpack,
      fetch: () => Promise.resolve(new Response(aTrickle(archive, 3_000))),
    });
    system.isExecutable = existsSync;
    const search = findTemporalCli(system, print);
    await untilPrinted(lines, 'downloading');
    await jest.advanceTimersByTimeAsync(20_000);
    jest.useRealTimers();
    await expect(search).resolves.toBe(cached);
    expect(lines.join('\n')).toContain('(downloaded; server 1.31.2)');
  });

  it.each([
    ['an error page', () => Promise.resolve(new Response('gone', { status: 404 })), 'HTTP 404'],
    [
      'a name that does not resolve',
      () => Promise.reject(new TypeError('fetch failed', { cause: new Error('getaddrinfo ENOTFOUND') })),
      'fetch failed: getaddrinfo ENOTFOUND',
    ],
  ])('falls back to Go after %s', async (_case, fetched: typeof fetch, why) => {
    const { print, lines } = aPrinter();
    const system = aSystem({
      env: { XDG_CACHE_HOME: directory },
      onPath: { go: '/usr/bin/go' },
      run: buildingGo,
      fetch: fetched,
    });
    await expect(findTemporalCli(system, print)).resolves.toBe(cached);
    expect(lines).toContain(`Temporal CLI: the download did not work (${why})`);
  });

  it('falls back to Go after an answer that is no archive', async () => {
    const { print, lines } = aPrinter();
    const system = aSystem({
      env: { XDG_CACHE_HOME: directory },
      onPath: { go: '/usr/bin/go' },
      run: (program, args) =>
        program === 'tar'
          ? Promise.resolve({ exitCode: 2, output: 'gzip: stdin: not in gzip format' })
          : buildingGo(program, args),
      fetch: () => Promise.resolve(new Response('<html>sign in to the network</html>')),
    });
    await expect(findTemporalCli(system, print)).resolves.toBe(cached);
    expect(lines).toContain(
      'Temporal CLI: the download did not work (tar cannot unpack the answer: gzip: stdin: not in gzip format)',
    );
  });
});

describe('the build with Go', () => {
  it('writes to another name first and leaves only the finished program in the cache', async () => {
    const system = aSystem({ env: { XDG_CACHE_HOME: directory }, onPath: { go: '/usr/bin/go' }, run: buildingGo });
    await findTemporalCli(system, aPrinter().print);
    expect(system.commands.find((command) => command.includes(' build '))).toContain(
      `-o ${cached}.${process.pid}.build github.com/temporalio/cli/cmd/temporal`,
    );
    expect(readdirSync(join(directory, 'allegro-stock-sync'))).toEqual([`temporal-${TEMPORAL_CLI_VERSION}`]);
  });

  it('says what Go said when it fails, and leaves nothing behind', async () => {
    const system = aSystem({
      env: { XDG_CACHE_HOME: directory },
      onPath: { go: '/usr/bin/go' },
      run: (program, args) =>
        args[0] === 'build' ? Promise.resolve({ exitCode: 1, output: 'no space left' }) : buildingGo(program, args),
    });
    await expect(findTemporalCli(system, aPrinter().print)).rejects.toThrow(/could not be built.*no space left/s);
    expect(readdirSync(join(directory, 'allegro-stock-sync'))).toEqual([]);
  });

  it('builds the version that is downloaded elsewhere', () => {
    const pinned = readFileSync('tools/go.mod', 'utf8');
    expect(pinned).toContain(`github.com/temporalio/cli v${TEMPORAL_CLI_VERSION}`);
    expect(existsSync('tools/go.sum')).toBe(true);
  });
});

describe('where no way works', () => {
  it('names the missing program, why each way failed, and what to do', async () => {
    const system = aSystem({ env: { XDG_CACHE_HOME: directory } });
    const failure = await findTemporalCli(system, aPrinter().print).then(String, String);
    expect(failure).toContain('The Temporal CLI is missing');
    expect(failure).toContain('failed (fetch failed: no network)');
    expect(failure).toContain('Go is not installed');
    expect(failure).toContain('TEMPORAL_CLI_PATH');
    expect(failure).toContain('install Go 1.26 or newer (https://go.dev/dl/)');
    expect(failure).toContain('TEMPORAL_ADDRESS');
  });

  it('says that an older Go is too old rather than that there is none', async () => {
    const system = aSystem({
      env: { XDG_CACHE_HOME: directory },
      onPath: { go: '/usr/bin/go' },
      run: answer({ '/usr/bin/go': 'go version go1.19.8 linux/amd64' }),
    });
    await expect(findTemporalCli(system, aPrinter().print)).rejects.toThrow(
      'it cannot be built, because /usr/bin/go is go1.19.8, older than 1.26',
    );
  });
});

/** Sends the bytes in five parts with a pause before each. */
function aTrickle(bytes: Buffer, pauseMs: number): ReadableStream<Uint8Array> {
  const size = Math.ceil(bytes.length / 5);
  let sent = 0;
  return new ReadableStream(
    {
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
        if (sent >= bytes.length) {
          controller.close();
          return;
        }
        controller.enqueue(new Uint8Array(bytes.subarray(sent, sent + size)));
        sent += size;
      },
    },
    { highWaterMark: 0 },
  );
}

/** With the clock held, only turns of the event loop pass. */
async function untilPrinted(lines: readonly string[], text: string): Promise<void> {
  for (let turn = 0; turn < 10_000; turn += 1) {
    if (lines.some((line) => line.includes(text))) return;
    await jest.advanceTimersByTimeAsync(0);
  }
  throw new Error(`"${text}" was not printed; printed was:\n${lines.join('\n')}`);
}
