import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, Runtime } from '@temporalio/worker';

import { replayHistories, UnreadableHistory, type ReplayVerdict, type WorkflowCode } from './replay-histories.js';

/**
 * `npm run replay -- FILE…`: replays recorded histories with the workflow code of this checkout or installation. A
 * history that differs belongs to a run that this code could not go on with. Exit status 0: none differs; 1: one
 * differs; 2: wrong usage.
 */

const USAGE = `Usage: npm run replay -- FILE…

Replays histories with the workflow code at hand, without a server. Get one by

  temporal workflow show --workflow-id sync-account/shop-1 --output json > shop-1.json
  npm run replay -- shop-1.json`;

/** Beside the compiled code; from the sources there is none, and they are bundled. */
const BUNDLE = fileURLToPath(new URL('../workflow-bundle.js', import.meta.url));
const SOURCES = fileURLToPath(new URL(`../workflows/index${import.meta.url.slice(-3)}`, import.meta.url));

function workflowCode(): WorkflowCode {
  return existsSync(BUNDLE) ? { workflowBundle: { codePath: BUNDLE } } : { workflowsPath: SOURCES };
}

function describe({ file, difference }: ReplayVerdict): string {
  return difference === null ? `same     ${file}` : `DIFFERS  ${file}: ${difference}`;
}

async function main(args: readonly string[]): Promise<number> {
  if (args.length === 0 || args.includes('--help')) {
    console.log(USAGE);
    return args.length === 0 ? 2 : 0;
  }
  // The SDK logs each difference as well, over many lines.
  Runtime.install({
    logger: new DefaultLogger('ERROR', () => undefined),
    telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
  });
  const verdicts = await replayHistories(args, workflowCode());
  for (const verdict of verdicts) console.log(describe(verdict));
  return verdicts.every(({ difference }) => difference === null) ? 0 : 1;
}

main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : 'the replay failed');
    process.exit(error instanceof UnreadableHistory ? 2 : 1);
  },
);
