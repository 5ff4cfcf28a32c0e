import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { replayHistories, UnreadableHistory } from '../../src/local/replay-histories.js';
import { testWorkflowBundle } from '../servers.js';

const DIRECTORY = fileURLToPath(new URL('./', import.meta.url));
const REPLAY = fileURLToPath(new URL('../../src/local/replay.ts', import.meta.url));

let names: string[];
let directory: string;

beforeAll(async () => {
  Runtime.install({
    logger: new DefaultLogger('ERROR', () => undefined),
    telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
  });
  names = (await readdir(DIRECTORY)).filter((name) => name.endsWith('.json')).sort();
  directory = await mkdtemp(join(tmpdir(), 'replay-test-'));
});

afterAll(async () => {
  await Runtime.instance().shutdown();
  await rm(directory, { recursive: true, force: true });
});

const history = (name: string): string => join(DIRECTORY, `${name}.json`);

/** The bundle as it would be after an edit of the workflow code. */
async function editedBundle(from: string, to: string): Promise<string> {
  const code = await readFile(testWorkflowBundle(), 'utf8');
  if (code.split(from).length !== 2) throw new Error(`the bundle has not exactly one "${from}"`);
  const file = join(directory, 'edited-bundle.js');
  await writeFile(file, code.replace(from, to));
  return file;
}

test('the histories cover every workflow and every way in which a run of an account goes', async () => {
  const texts = await Promise.all(names.map((name) => readFile(join(DIRECTORY, name), 'utf8')));

  const has = (pattern: RegExp): boolean => texts.some((text) => pattern.test(text));

  for (const type of ['syncAccount', 'syncAllAccounts', 'housekeeping']) {
    expect(has(new RegExp(`"workflowType":\\{"name":"${type}"\\}`))).toBe(true);
  }
  const activities = ['loadAccounts', 'recordTick', 'openRun', 'awaitRateLimit', 'scanOffers', 'checkGuards'];
  const writes = [
    'planWrites',
    'submitCommand',
    'giveUpCommand',
    'checkCommands',
    'updateOfferBatch',
    'updateOfferStock',
    'rejectOffer',
  ];
  for (const type of [...activities, ...writes, 'closeRun', 'notify', 'housekeep']) {
    expect(has(new RegExp(`"activityType":\\{"name":"${type}"\\}`))).toBe(true);
  }
  for (const event of ['ACTIVITY_TASK_TIMED_OUT', 'ACTIVITY_TASK_CANCELED', 'CONTINUED_AS_NEW', 'TIMER_CANCELED']) {
    expect(has(new RegExp(`EVENT_TYPE_\\w*${event}`))).toBe(true);
  }
});

test('the workflow code of today goes the way that every recorded history went', async () => {
  const files = names.map((name) => join(DIRECTORY, name));

  const verdicts = await replayHistories(files, { workflowBundle: { codePath: testWorkflowBundle() } });

  expect(verdicts).toEqual(files.map((file) => ({ file, difference: null })));
  expect(verdicts.length).toBeGreaterThan(10);
});

describe('an edit that old runs cannot go on with is found', () => {
  test.each([
    {
      edit: 'one more activity before the guards',
      name: 'sync-account-preview',
      from: "progress.phase = 'guarding';",
      to: "progress.phase = 'guarding'; await awaitPermit(run.runId);",
    },
    {
      edit: 'another order of the phases',
      name: 'sync-account-writes',
      from: 'runInWindow)(commandIds, BATCHES_AT_ONCE, (commandId)=>sendCommand(kind, commandId)',
      to: 'runInWindow)(batches, BATCHES_AT_ONCE, (batch)=>sendBatch(kind, batch)',
    },
    {
      edit: 'an activity that is left out',
      name: 'housekeeping',
      from: '()=>housekeep.executeWithOptions(',
      to: '()=>(async () => ({ runs: 0, incidents: 0, messages: 0 }))(',
    },
  ])('$edit', async ({ name, from, to }) => {
    const codePath = await editedBundle(from, to);

    const [verdict] = await replayHistories([history(name)], { workflowBundle: { codePath } });

    expect(verdict?.difference).toMatch(/nondeterminism|TMPRL1100/i);
  });
});

describe('a file that cannot be replayed is refused, with the reason', () => {
  const preview = async (): Promise<string> => readFile(history('sync-account-preview'), 'utf8');
  test.each([
    { what: 'no history', change: () => '{"events": 1}', reason: 'expected a history' },
    { what: 'a history without events', change: () => '{"events": []}', reason: 'expected a history' },
    { what: 'half a file', change: (text: string) => text.slice(0, 2_000), reason: 'JSON' },
    {
      what: 'another program',
      change: (text: string) => text.replace('"name":"syncAccount"', '"name":"chargeCard"'),
      reason: 'a history of "chargeCard"',
    },
    {
      what: 'decoded payloads',
      change: (text: string) => text.replaceAll(/"payloads":\[\{[^\]]*\}\]/g, '"payloads":[{"accountId":"shop-1"}]'),
      reason: 'its payloads are decoded',
    },
  ])('$what', async ({ change, reason }) => {
    const file = join(directory, 'refused.json');
    await writeFile(file, change(await preview()));

    const replayed = replayHistories([file], { workflowBundle: { codePath: testWorkflowBundle() } });

    await expect(replayed).rejects.toThrow(UnreadableHistory);
    await expect(replayed).rejects.toThrow(reason);
  });
});

describe('npm run replay', () => {
  const run = (...args: string[]): Promise<{ status: number; output: string }> =>
    new Promise((resolve) => {
      const child = execFile(process.execPath, ['--import', 'tsx', REPLAY, ...args], (_error, stdout, stderr) => {
        resolve({ status: child.exitCode ?? -1, output: stdout + stderr });
      });
    });

  test('says of each file that it is the same, and ends with 0', async () => {
    const files = [history('housekeeping'), history('sync-account-preview')];

    const { status, output } = await run(...files);

    expect(output.trim().split('\n')).toEqual(files.map((file) => `same     ${file}`));
    expect(status).toBe(0);
  });

  test('names the file that differs, and ends with 1', async () => {
    const file = join(directory, 'other.json');
    const text = await readFile(history('housekeeping'), 'utf8');
    await writeFile(file, text.replaceAll('"housekeep"', '"tidyUp"'));

    const { status, output } = await run(file);

    expect(output).toContain(`DIFFERS  ${file}: `);
    expect(status).toBe(1);
  });

  test('without a file it says how it is used, and ends with 2', async () => {
    const { status, output } = await run();

    expect(output).toContain('Usage: npm run replay -- FILE…');
    expect(status).toBe(2);
  });
});
