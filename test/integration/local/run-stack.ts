import { startLocalStack } from '../../../src/local/stack.js';
import { realSystem } from '../../../src/local/system.js';

/** A process that starts the stack in the given directory and stays, to be killed by a test. */

const [, , dataDir, hidden] = process.argv;
if (dataDir === undefined) throw new Error('usage: run-stack.ts DATA_DIRECTORY [HIDDEN_PROGRAM]');

const real = realSystem();
const stack = await startLocalStack({
  dataDir,
  print: (line) => console.error(line),
  system: { ...real, findProgram: (name) => (name === hidden ? undefined : real.findProgram(name)) },
});
console.log(
  JSON.stringify({ databaseUrl: stack.databaseUrl, redisUrl: stack.redisUrl, address: stack.temporalAddress }),
);
