import { rename, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { SetUpError, type Print, type System } from './system.js';

/** The CLI's own go.mod asks for this language version; Go fetches a newer patch release by itself where needed. */
export const GO_MINIMUM: readonly [number, number] = [1, 26];

const TOOLS_DIRECTORY = fileURLToPath(new URL('../../tools/', import.meta.url));

const STILL_BUILDING_EVERY_MS = 30_000;

export type GoSearch = { kind: 'usable'; path: string; version: string } | { kind: 'missing'; why: string };

/** Looks for Go on PATH and where its installer puts it. */
export async function findGo(system: System): Promise<GoSearch> {
  const installed = '/usr/local/go/bin/go';
  const path = system.findProgram('go') ?? (system.isExecutable(installed) ? installed : undefined);
  if (path === undefined) return { kind: 'missing', why: 'Go is not installed' };
  const answer = await system.runCommand(path, ['version'], { timeoutMs: 30_000 });
  const found = /go(\d+)\.(\d+)(?:\.\d+)?/.exec(answer.output);
  if (answer.exitCode !== 0 || found === null) return { kind: 'missing', why: `${path} does not tell its version` };
  const [major, minor] = [Number(found[1]), Number(found[2])];
  const isEnough = major > GO_MINIMUM[0] || (major === GO_MINIMUM[0] && minor >= GO_MINIMUM[1]);
  return isEnough
    ? { kind: 'usable', path, version: found[0] }
    : { kind: 'missing', why: `${path} is ${found[0]}, older than ${GO_MINIMUM.join('.')}` };
}

export interface BuildRequest {
  go: string;
  /** The file to be written; it appears only when complete. */
  target: string;
  version: string;
  print: Print;
}

/** Builds the CLI from the pinned modules of tools/go.mod. @throws SetUpError with the end of Go's output. */
export async function buildTemporalCli(system: System, request: BuildRequest): Promise<void> {
  const unfinished = `${request.target}.${process.pid}.build`;
  const startedAt = Date.now();
  const progress = setInterval(() => {
    request.print(`Temporal CLI: still building, ${Math.round((Date.now() - startedAt) / 1000)} s so far`);
  }, STILL_BUILDING_EVERY_MS);
  try {
    const built = await system.runCommand(
      request.go,
      [
        'build',
        '-ldflags',
        `-s -w -X github.com/temporalio/cli/internal/temporalcli.Version=${request.version}`,
        '-o',
        unfinished,
        'github.com/temporalio/cli/cmd/temporal',
      ],
      // No C compiler is needed (SQLite is pure Go), and a GOFLAGS or go.work of the user must not change the pins.
      { cwd: TOOLS_DIRECTORY, env: { CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOWORK: 'off' } },
    );
    if (built.exitCode !== 0) {
      throw new SetUpError(
        [
          `The Temporal CLI could not be built with ${request.go} (exit code ${built.exitCode}). Go said:`,
          built.output.slice(-2000),
          'Set TEMPORAL_CLI_PATH to a Temporal CLI (https://docs.temporal.io/cli), or let Go reach its module proxy.',
        ].join('\n'),
      );
    }
    await rename(unfinished, request.target);
  } finally {
    clearInterval(progress);
    await rm(unfinished, { force: true });
  }
}
