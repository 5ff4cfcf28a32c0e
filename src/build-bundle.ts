import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';

/**
 * The last step of `npm run build`: bundles the compiled workflows once, beside the compiled worker, so that a worker
 * starts without a bundler and all workers of one image run the same workflow code.
 */

const WORKFLOWS = fileURLToPath(new URL('./workflows/index.js', import.meta.url));
const BUNDLE = fileURLToPath(new URL('./workflow-bundle.js', import.meta.url));

const { code } = await bundleWorkflowCode({ workflowsPath: WORKFLOWS, logger: new DefaultLogger('WARN') });
await writeFile(BUNDLE, code);
