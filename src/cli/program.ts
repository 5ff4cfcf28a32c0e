import { isGrpcServiceError } from '@temporalio/client';
import { Command, CommanderError } from 'commander';
import type { Readable } from 'node:stream';
import pc from 'picocolors';
import { ConfigurationError, configuredSecrets, type Environment } from '../config.js';
import { createScrubber } from '../observability/scrubber.js';
import { registerAccountApproval } from './account-approval.js';
import { registerAccountLogin } from './account-login.js';
import { registerAccounts } from './accounts.js';
import type { CommandContext } from './command.js';
import { PROGRAM } from './command.js';
import { CommandFailed, messageOf, UsageError, type ExitStatus } from './failures.js';
import { registerAlerts } from './alerts.js';
import { registerChanges } from './changes.js';
import { registerIncidents } from './incidents.js';
import { registerKeyRotation } from './key-rotation.js';
import { registerMigrate } from './migrate.js';
import { registerOffers } from './offers.js';
import { createOutput, type TextStream } from './output.js';
import { registerSchedule } from './schedule.js';
import type { ClosableServices, Need } from './services.js';
import { registerStatus } from './status.js';
import { registerStockImport } from './stock-import.js';
import { registerStock } from './stock.js';
import { registerStopSwitch } from './stop-switch.js';
import { registerSync } from './sync.js';

/** What the command line runs in. */
export interface Runtime {
  readonly stdin: Readable;
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Environment;
  /** Calls back at Ctrl-C; the process goes on. */
  readonly onInterrupt: (listener: () => void) => void;
  /** @throws ConfigurationError */
  readonly createServices: (env: Environment, needs: readonly Need[]) => ClosableServices;
}

interface Ending {
  readonly status: ExitStatus;
  /** null: commander has said it already. */
  readonly message: string | null;
}

/** `scrub`: what comes from drivers and servers may hold anything. */
function endingOf(error: unknown, scrub: (text: string) => string): Ending {
  if (error instanceof CommanderError) return { status: error.exitCode === 0 ? 0 : 2, message: null };
  if (error instanceof UsageError || error instanceof ConfigurationError) return { status: 2, message: error.message };
  if (error instanceof CommandFailed) return { status: 1, message: scrub(error.message) };
  if (isGrpcServiceError(error)) {
    return { status: 1, message: scrub(`Temporal answered: ${error.details || error.message}`) };
  }
  return { status: 1, message: scrub(messageOf(error)) };
}

/** Runs one command line, without the program's name; says what went wrong on stderr. Never throws. */
export async function runProgram(args: readonly string[], runtime: Runtime): Promise<ExitStatus> {
  let status: ExitStatus = 0;
  const colors = pc.createColors(runtime.stderr.isTTY === true && (runtime.env['NO_COLOR'] ?? '') === '');

  const runCommand = async (
    needs: readonly Need[],
    isJson: boolean,
    work: (context: CommandContext) => Promise<ExitStatus>,
  ): Promise<void> => {
    const { stdin, stdout, stderr, env } = runtime;
    const services = runtime.createServices(env, needs);
    try {
      status = await work({ services, stdin, output: createOutput({ stdout, stderr, env, isJson }), interrupted });
    } finally {
      await services.close();
    }
  };

  const interrupted = (message: string): Promise<never> =>
    new Promise((_resolve, reject) => {
      runtime.onInterrupt(() => reject(new CommandFailed(message)));
    });

  const program = new Command(PROGRAM)
    .description('Keeps the stock of Allegro offers equal to the local stock, for several accounts, on Temporal.')
    .configureOutput({
      writeOut: (text) => void runtime.stdout.write(text),
      writeErr: (text) => void runtime.stderr.write(text),
      outputError: (text, write) => write(colors.red(text)),
    })
    .exitOverride()
    .showHelpAfterError('(add --help for what is expected)')
    .addHelpText(
      'after',
      '\nExample:\n  $ allegro-stock-sync sync --preview\n\nExit status: 0 all well; 1 something failed, is held or pending; 2 wrong usage or configuration.',
    );
  registerSchedule(program, runCommand);
  registerSync(program, runCommand);
  registerStopSwitch(program, runCommand);
  const accounts = registerAccounts(program, runCommand);
  registerAccountLogin(accounts, runCommand);
  registerAccountApproval(accounts, runCommand);
  registerKeyRotation(accounts, runCommand);
  const stock = registerStock(program, runCommand);
  registerStockImport(stock, runCommand);
  registerOffers(program, runCommand);
  registerChanges(program, runCommand);
  registerIncidents(program, runCommand);
  registerAlerts(program, runCommand);
  registerStatus(program, runCommand);
  registerMigrate(program, runCommand);

  try {
    await program.parseAsync([...args], { from: 'user' });
    return status;
  } catch (error) {
    const scrubber = createScrubber(configuredSecrets(runtime.env));
    const ending = endingOf(error, (text) => scrubber.scrub(text));
    if (ending.message !== null) runtime.stderr.write(`${colors.red('error:')} ${ending.message}\n`);
    return ending.status;
  }
}
