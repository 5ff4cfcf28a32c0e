import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Worker, type ReplayWorkerOptions } from '@temporalio/worker';
import { z } from 'zod';
import { HOUSEKEEPING, SYNC_ACCOUNT, SYNC_ALL_ACCOUNTS } from '../workflows/api.js';

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
  const { success, data } = historySchema.safeParse(parsed);
  if (!success) {
    throw new UnreadableHistory(
      `${file}: expected a history: an object with "events" that begin with the workflow's start`,
    );
  }
  const { workflowType } = data.events[0].workflowExecutionStartedEventAttributes;
  if (!OURS.includes(workflowType.name)) {
    throw new UnreadableHistory(`${file}: a history of "${workflowType.name}", which is no workflow of this program`);
  }
  if (hasDecodedPayloads(data)) {
    throw new UnreadableHistory(
      `${file}: its payloads are decoded; download it with payloads as they are (in the Web UI: encoded)`,
    );
  }
  return data;
}

const OURS: readonly string[] = [SYNC_ALL_ACCOUNTS, SYNC_ACCOUNT, HOUSEKEEPING];

const historySchema = z.looseObject({
  events: z.tuple(
    [
      z.looseObject({
        eventId: z.union([z.string(), z.number()]),
        workflowExecutionStartedEventAttributes: z.looseObject({ workflowType: z.looseObject({ name: z.string() }) }),
      }),
    ],
    z.looseObject({}),
  ),
});

const payloadSchema = z.looseObject({ metadata: z.looseObject({ encoding: z.string() }) });

/** "Decode" of the Web UI puts plain values in the place of payloads. */
function hasDecodedPayloads(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, child]: [string, unknown]) => {
    if (key === 'payloads' && Array.isArray(child)) {
      return child.some((payload: unknown) => !payloadSchema.safeParse(payload).success);
    }
    return hasDecodedPayloads(child);
  });
}
