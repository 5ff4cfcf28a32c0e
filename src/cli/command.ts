import type { Command } from 'commander';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { UsageError, type ExitStatus } from './failures.js';
import type { Output } from './output.js';
import type { Need, Services } from './services.js';

export interface OptionDefinition {
  /** As commander writes it: `--reason <text>`. */
  readonly flags: string;
  readonly description: string;
  /** May be given several times; the values arrive as an array. */
  readonly isRepeatable?: boolean;
}

/** What a command is given besides its arguments and options. */
export interface CommandContext {
  readonly services: Services;
  readonly output: Output;
  readonly stdin: Readable;
  /** Never resolves; rejects with CommandFailed when the person presses Ctrl-C. The message says what goes on. */
  readonly interrupted: (message: string) => Promise<never>;
}

/** One command of the command line. */
export interface CommandDefinition<Input> {
  /** Name and arguments: `add <id>`. */
  readonly usage: string;
  readonly summary: string;
  /** Said below the options. */
  readonly details?: string;
  readonly options?: readonly OptionDefinition[];
  /** Without the program's name; at least one. */
  readonly examples: readonly [string, ...string[]];
  /** Checks arguments and options together, each under its name in camelCase. */
  readonly input: z.ZodType<Input>;
  /** Configuration that must be right before anything is connected. */
  readonly needs: readonly Need[] | ((input: Input) => readonly Need[]);
  /** What its group does when no command is named. */
  readonly isDefault?: boolean;
  run(input: Input, context: CommandContext): Promise<ExitStatus>;
}

/** Starts a command's services, runs it, stops them. */
export type RunCommand = (
  needs: readonly Need[],
  isJson: boolean,
  work: (context: CommandContext) => Promise<ExitStatus>,
) => Promise<void>;

export const PROGRAM = 'allegro-stock-sync';

function collect(value: string, earlier: unknown): string[] {
  return [...(Array.isArray(earlier) ? earlier.filter((item) => typeof item === 'string') : []), value];
}

function camelCase(name: string): string {
  return name.replace(/-(\w)/g, (_match, letter: string) => letter.toUpperCase());
}

function readInput<Input>(command: Command, schema: z.ZodType<Input>): Input {
  const values: Record<string, unknown> = { ...command.opts() };
  const labels = new Map<string, string>();
  for (const option of command.options) labels.set(option.attributeName(), option.long ?? option.flags);
  for (const [position, argument] of command.registeredArguments.entries()) {
    const name = camelCase(argument.name());
    const value: unknown = command.processedArgs[position];
    values[name] = value;
    labels.set(name, `<${argument.name()}>`);
  }
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => {
    const label = labels.get(String(issue.path[0]));
    return label === undefined ? issue.message : `${label}: ${issue.message}`;
  });
  throw new UsageError(problems.join('\n'));
}

/** A group of commands, with an example in its help. */
export function addGroup(
  program: Command,
  group: { readonly name: string; readonly summary: string; readonly example: string },
): Command {
  return program
    .command(group.name)
    .description(group.summary)
    .addHelpText('after', `\nExample:\n  $ ${PROGRAM} ${group.example}`);
}

/** Puts a command below its group, with `--json`, its examples, and its input checked before anything is started. */
export function addCommand<Input>(group: Command, runCommand: RunCommand, definition: CommandDefinition<Input>): void {
  const command = group
    .command(definition.usage, { isDefault: definition.isDefault ?? false })
    .description(definition.summary);
  for (const { flags, description, isRepeatable } of definition.options ?? []) {
    if (isRepeatable === true) command.option(flags, description, collect);
    else command.option(flags, description);
  }
  command.option('--json', 'print one JSON value instead of text');
  const examples = definition.examples.map((example) => `  $ ${PROGRAM} ${example}`).join('\n');
  const details = definition.details === undefined ? '' : `\n${definition.details}\n`;
  command.addHelpText('after', `${details}\nExample:\n${examples}`);

  command.action(async () => {
    const input = readInput(command, definition.input);
    const options: Record<string, unknown> = command.opts();
    const needs = typeof definition.needs === 'function' ? definition.needs(input) : definition.needs;
    await runCommand(needs, options['json'] === true, (context) => definition.run(input, context));
  });
}
