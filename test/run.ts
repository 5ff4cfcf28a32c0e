import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { startLocalStack, type LocalStack } from '../src/local/stack.js';
import { waitForStopRequest } from '../src/local/stop-request.js';
import { SetUpError } from '../src/local/system.js';
import { closingLine, judge, readAllowedSkips, readJestResult, type Verdict } from './run-verdict.js';
import { assertRedisIsUnused, createTemplateDatabase } from './server-preparation.js';

/** `npm test`: starts the real servers once, runs jest against them, stops them, and closes with one line of counts. */

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const WORKFLOWS = join(ROOT, 'src/workflows/index.ts');
const JEST_WORKERS = 2;

function print(line: string): void {
  console.log(line);
}

/** Bundling takes 1.5 s; done here, no test file has to. */
async function bundleWorkflows(directory: string): Promise<Record<string, string>> {
  if (!existsSync(WORKFLOWS)) return {};
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const { code } = await bundleWorkflowCode({ workflowsPath: WORKFLOWS, logger: new DefaultLogger('WARN') });
  const file = join(directory, 'workflow-bundle.js');
  await writeFile(file, code);
  return { TEST_WORKFLOW_BUNDLE: file };
}

/** The running jest, to which a Ctrl-C is passed on. */
let jest: ChildProcess | undefined;

function runJest(args: readonly string[], environment: Readonly<Record<string, string>>): Promise<number> {
  const hasWorkers = args.some((arg) => /^(--maxWorkers|-w|-i$|--runInBand)/.test(arg));
  const child = spawn(
    process.execPath,
    [
      ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'],
      ...(hasWorkers ? [] : [`--maxWorkers=${JEST_WORKERS}`]),
      ...args,
    ],
    { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...environment } },
  );
  jest = child;
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      jest = undefined;
      resolve(code ?? 130);
    });
  });
}

async function testAgainst(stack: LocalStack, jestArgs: readonly string[], directory: string): Promise<Verdict> {
  await assertRedisIsUnused(stack.redisUrl, JEST_WORKERS);
  const template = await createTemplateDatabase(stack.databaseUrl);
  try {
    const outputFile = join(directory, 'jest.json');
    const exitCode = await runJest([...jestArgs, '--json', `--outputFile=${outputFile}`], {
      TEST_TEMPORAL_ADDRESS: stack.temporalAddress,
      TEST_TEMPORAL_NAMESPACE: stack.temporalNamespace,
      TEST_TEMPORAL_UI_URL: stack.temporalUiUrl,
      TEST_TEMPORAL_CLI: stack.temporalCliPath,
      TEST_DATABASE_URL: stack.databaseUrl,
      TEST_TEMPLATE_DATABASE: template.name,
      TEST_REDIS_URL: stack.redisUrl,
      ...(await bundleWorkflows(directory)),
    });
    const result = await readJestResult(outputFile);
    const allowedSkips = readAllowedSkips(await readFile(join(ROOT, 'README.md'), 'utf8').catch(() => ''));
    return judge({ result, exitCode, allowedSkips });
  } finally {
    await template.drop();
  }
}

/** What has to be stopped and deleted, at the end or when the run is interrupted before jest has started. */
let cleanUp: () => Promise<void> = () => Promise.resolve();

async function run(jestArgs: readonly string[]): Promise<Verdict> {
  try {
    const stack = await startLocalStack({ print });
    cleanUp = () => stack.stop();
    const directory = await mkdtemp(join(tmpdir(), 'allegro-stock-sync-test-'));
    cleanUp = async () => {
      await stack.stop();
      await rm(directory, { recursive: true, force: true });
    };
    return await testAgainst(stack, jestArgs, directory);
  } catch (error) {
    const problem = error instanceof SetUpError ? error.message : String(error instanceof Error ? error.stack : error);
    return { passed: 0, failed: 1, skipped: 0, problems: [problem] };
  } finally {
    await cleanUp();
  }
}

async function stopEarly(): Promise<void> {
  if (jest !== undefined) {
    // Jest ends its workers itself; the run then comes to its ordinary end.
    jest.kill('SIGINT');
    return;
  }
  await cleanUp();
  process.exit(130);
}

void waitForStopRequest().then(stopEarly);

const verdict = await run(process.argv.slice(2));
for (const problem of verdict.problems) console.error(problem);
// A pipe is written in the background: the closing line has to be out before the process ends.
process.stdout.write(`${closingLine(verdict)}\n`, () => process.exit(verdict.problems.length === 0 ? 0 : 1));
