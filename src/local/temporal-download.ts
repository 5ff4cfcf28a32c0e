import { rm, rename, writeFile, mkdir, chmod } from 'node:fs/promises';
import { join } from 'node:path';

import type { System } from './system.js';

/** How long the download may take while something else can still be tried, and how long it may stand still else. */
const PATIENCE_MS = 10_000;

const TEMPORAL_ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

export interface DownloadRequest {
  url: string;
  /** The file to be written; it appears only when complete. */
  target: string;
  /** True when the CLI can also be built: then a slow download is not waited for. */
  hasAlternative: boolean;
}

export type DownloadResult = { kind: 'done' } | { kind: 'failed'; why: string };

/** The address of the official archive, as `temporal.download` documents it. */
export function temporalDownloadUrl(system: System, version: string): string {
  const architecture = TEMPORAL_ARCHITECTURES[system.arch] ?? system.arch;
  return `https://temporal.download/cli/archive/v${version}?platform=${system.platform}&arch=${architecture}`;
}

function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return `${error.message}${cause}`;
}

async function readBody(body: ReadableStream<Uint8Array>, onChunk: () => void): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const reader = body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    chunks.push(part.value);
    onChunk();
  }
  return Buffer.concat(chunks);
}

async function fetchArchive(system: System, request: DownloadRequest): Promise<Buffer> {
  const stop = new AbortController();
  const giveUp = (): void => stop.abort(new Error(`no complete answer within ${PATIENCE_MS / 1000} s`));
  let timer = setTimeout(giveUp, PATIENCE_MS);
  // `fetch` may hang in name resolution without obeying its signal, so the deadline is also raced against.
  const deadline = new Promise<never>((_, reject) => {
    stop.signal.addEventListener('abort', () => {
      reject(stop.signal.reason instanceof Error ? stop.signal.reason : new Error('stopped'));
    });
  });
  const download = async (): Promise<Buffer> => {
    const response = await system.fetch(request.url, { signal: stop.signal });
    if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
    return readBody(response.body, () => {
      if (request.hasAlternative) return;
      clearTimeout(timer);
      timer = setTimeout(giveUp, PATIENCE_MS);
    });
  };
  try {
    return await Promise.race([download(), deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** Downloads and unpacks the official archive. Gives up after 10 s; with no alternative, after 10 s without a byte. */
export async function downloadTemporalCli(system: System, request: DownloadRequest): Promise<DownloadResult> {
  const work = `${request.target}.${process.pid}.download`;
  try {
    const archive = await fetchArchive(system, request);
    await mkdir(work, { recursive: true });
    await writeFile(join(work, 'archive.tar.gz'), archive);
    const unpacked = await system.runCommand('tar', ['-xzf', 'archive.tar.gz', 'temporal'], { cwd: work });
    if (unpacked.exitCode !== 0) return { kind: 'failed', why: `tar cannot unpack the answer: ${unpacked.output}` };
    await chmod(join(work, 'temporal'), 0o755);
    await rename(join(work, 'temporal'), request.target);
    return { kind: 'done' };
  } catch (error) {
    return { kind: 'failed', why: describeFailure(error) };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
