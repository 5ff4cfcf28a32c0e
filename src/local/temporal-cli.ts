import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { cacheDirectory } from './cache-directory.js';
import { buildTemporalCli, findGo, GO_MINIMUM } from './temporal-build.js';
import { downloadTemporalCli, temporalDownloadUrl } from './temporal-download.js';
import { readVariable, SetUpError, type Print, type System } from './system.js';

/** The version that is downloaded or built; tools/go.mod names the same one. */
export const TEMPORAL_CLI_VERSION = '1.8.2';

/** The server inside the CLI. Older ones were not tried: they lack flags or settings that the stack passes. */
const SERVER_MINIMUM: readonly [number, number] = [1, 31];

type Probe = { kind: 'usable'; server: string } | { kind: 'too-old'; server: string } | { kind: 'broken'; why: string };

/** Asks a binary for its version, e.g. `temporal version 1.8.2 (Server 1.31.2, UI 2.50.1)`. */
async function probe(system: System, path: string): Promise<Probe> {
  if (!system.isExecutable(path)) return { kind: 'broken', why: 'it is not an executable file' };
  const answer = await system.runCommand(path, ['--version'], { timeoutMs: 30_000 });
  const found = /Server (\d+)\.(\d+)\.(\d+)/.exec(answer.output);
  if (answer.exitCode !== 0 || found === null) {
    return { kind: 'broken', why: `"--version" gave exit code ${answer.exitCode}: ${answer.output.slice(0, 200)}` };
  }
  const [major, minor] = [Number(found[1]), Number(found[2])];
  const isEnough = major > SERVER_MINIMUM[0] || (major === SERVER_MINIMUM[0] && minor >= SERVER_MINIMUM[1]);
  return { kind: isEnough ? 'usable' : 'too-old', server: found[0].replace('Server ', '') };
}

function describeRefusal(refused: Exclude<Probe, { kind: 'usable' }>): string {
  return refused.kind === 'too-old'
    ? `its server ${refused.server} is older than ${SERVER_MINIMUM.join('.')}`
    : `it does not work: ${refused.why}`;
}

async function findInstalled(system: System, print: Print): Promise<string | undefined> {
  const onPath = system.findProgram('temporal');
  const cached = join(cacheDirectory(system), `temporal-${TEMPORAL_CLI_VERSION}`);
  const candidates = [
    ...(onPath === undefined ? [] : [{ path: onPath, origin: 'found on PATH' }]),
    ...(system.isExecutable(cached) ? [{ path: cached, origin: 'downloaded or built earlier' }] : []),
  ];
  for (const { path, origin } of candidates) {
    const result = await probe(system, path);
    if (result.kind === 'usable') {
      print(`Temporal CLI: ${path} (${origin}; server ${result.server})`);
      return path;
    }
    print(`Temporal CLI: ${path} is passed over, because ${describeRefusal(result)}`);
  }
  return undefined;
}

/**
 * The path of a usable `temporal` program: TEMPORAL_CLI_PATH, PATH, the cache, the official download (gives up after
 * 10 s), a build with Go; the first that works.
 *
 * @throws SetUpError when TEMPORAL_CLI_PATH is set to something unusable, or when nothing works.
 */
export async function findTemporalCli(system: System, print: Print): Promise<string> {
  const named = readVariable(system, 'TEMPORAL_CLI_PATH');
  if (named !== undefined) {
    const result = await probe(system, named);
    if (result.kind !== 'usable') {
      throw new SetUpError(`TEMPORAL_CLI_PATH is set to ${named}, but ${describeRefusal(result)}.`);
    }
    print(`Temporal CLI: ${named} (TEMPORAL_CLI_PATH; server ${result.server})`);
    return named;
  }
  const installed = await findInstalled(system, print);
  if (installed !== undefined) return installed;

  const go = await findGo(system);
  const target = join(cacheDirectory(system), `temporal-${TEMPORAL_CLI_VERSION}`);
  await mkdir(cacheDirectory(system), { recursive: true });

  const url = temporalDownloadUrl(system, TEMPORAL_CLI_VERSION);
  print(`Temporal CLI: not on PATH and not in the cache; downloading ${url}`);
  const download = await downloadTemporalCli(system, { url, target, hasAlternative: go.kind === 'usable' });
  if (download.kind === 'done') {
    const result = await probe(system, target);
    if (result.kind === 'usable') {
      print(`Temporal CLI: ${target} (downloaded; server ${result.server})`);
      return target;
    }
    print(`Temporal CLI: the downloaded file is passed over, because ${describeRefusal(result)}`);
  } else {
    print(`Temporal CLI: the download did not work (${download.why})`);
  }

  if (go.kind === 'usable') {
    print(`Temporal CLI: building ${TEMPORAL_CLI_VERSION} with ${go.path} (${go.version}); takes 3 to 4 minutes, once`);
    await buildTemporalCli(system, { go: go.path, target, version: TEMPORAL_CLI_VERSION, print });
    print(`Temporal CLI: ${target} (built from tools/go.mod)`);
    return target;
  }
  throw new SetUpError(
    [
      'The Temporal CLI is missing, and neither way to get it works here:',
      `  - the download from ${url} failed${download.kind === 'done' ? '' : ` (${download.why})`};`,
      `  - it cannot be built, because ${go.why}.`,
      'Do one of these and start again:',
      `  - install the Temporal CLI (https://docs.temporal.io/cli) and put it on PATH, or set TEMPORAL_CLI_PATH to it;`,
      `  - install Go ${GO_MINIMUM.join('.')} or newer (https://go.dev/dl/);`,
      '  - set TEMPORAL_ADDRESS to a Temporal server that is running.',
    ].join('\n'),
  );
}

/** Like `findTemporalCli`, but takes only what is there already; for a server that somebody else runs. */
export async function findInstalledTemporalCli(system: System): Promise<string | undefined> {
  return readVariable(system, 'TEMPORAL_CLI_PATH') ?? (await findInstalled(system, () => undefined));
}
