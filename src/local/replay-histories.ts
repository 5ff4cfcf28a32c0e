import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Worker, type ReplayWorkerOptions } from '@temporalio/worker';

/** The workflow code to replay with: a bundle, or sources that are bundled first. */
export type WorkflowCode = Pick<ReplayWorkerOptions, 'workflowBundle'> | Pick<ReplayWorkerOptions, 'workflowsPath'>;

export interface ReplayVerdict {
  readonly file: string;
  /** What the code would do otherwise than the history says; null: nothing. */
  readonly difference: string | null;
}

/** A file that holds no history. */
export class UnreadableHistory extends Error {}

/**
 * Runs the workflow code over recorded histories, without a server and without activities.
 *
 * @param files as written by `temporal workflow show --output json` or by "Download" of the Web UI, payloads encoded
 * @throws UnreadableHistory
 */
export async function replayHistories(files: readonly string[], code: WorkflowCode): Promise<ReplayVerdict[]> {
  const histories = await Promise.all(
    files.map(async (file) => ({ file, workflowId: basename(file, '.json'), history: await readHistory(file) })),
  );
  const verdicts = new Map<string, string | null>();
  for (const { file, workflowId, history } of histories) {
    const replay = Worker.runReplayHistories({ ...code, replayName: workflowId }, [{ workflowId, history }]);
    for await (const { error } of replay) verdicts.set(file, error === undefined ? null : error.message);
  }
  return files.map((file) => ({ file, difference: verdicts.get(file) ?? null }));
}

async function readHistory(file: string): Promise<object> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new UnreadableHistory(`${file}: ${error instanceof Error ? error.message : 'cannot be read'}`);
  }
  if (typeof parsed === 'object' && parsed !== null && 'events' in parsed && Array.isArray(parsed.events)) {
    return parsed;
  }
  throw new UnreadableHistory(`${file}: expected a history, an object with "events"`);
}
