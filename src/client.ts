#!/usr/bin/env node
import { runProgram } from './cli/program.js';
import { createServices } from './client-services.js';
import { loadLocalEnv } from './env-file.js';

/** The command line. Its commands are in `cli/`. */

// The reader of a pipe may go away at any time, as `head` does.
process.stdout.on('error', () => process.exit(0));
loadLocalEnv();
process.exitCode = await runProgram(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  onInterrupt: (listener) => process.once('SIGINT', listener),
  createServices,
});
