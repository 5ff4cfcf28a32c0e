import type { Command } from 'commander';
import { z } from 'zod';
import { importStock, type StockImport } from '../storage/stock.js';
import { addCommand, type CommandContext, type RunCommand } from './command.js';
import { CommandFailed, messageOf, UsageError, type ExitStatus } from './failures.js';
import { flag, warehouse } from './inputs.js';
import { readStockFile, StockFileError } from './stock-file.js';
import type { BadRow, CheckedStock } from './stock-rows.js';
import { DEFAULT_WAREHOUSE } from './stock.js';

/** More would push what matters off the screen; --json has them all. */
const BAD_ROWS_SHOWN = 50;

interface ImportInput {
  readonly file: string;
  readonly warehouse?: string | undefined;
  readonly complete: boolean;
  readonly skipBadRows: boolean;
}

export function registerStockImport(group: Command, runCommand: RunCommand): void {
  addCommand(group, runCommand, {
    usage: 'import <file>',
    summary: 'merge a CSV file into the local stock; with any bad row nothing is written',
    details: [
      'Columns: sku,quantity or sku,quantity,warehouse, named in the first line. Separated by comma, semicolon or tab;',
      'UTF-8, with or without BOM; LF or CRLF. The same SKU twice with different numbers is a bad row.',
    ].join('\n'),
    options: [
      {
        flags: '--warehouse <name>',
        description: `of all rows, when the file does not tell; default: ${DEFAULT_WAREHOUSE}`,
      },
      {
        flags: '--complete',
        description: 'the file is all there is in its warehouses: every other SKU there goes to 0',
      },
      { flags: '--skip-bad-rows', description: 'write the good rows and list the bad ones' },
    ],
    examples: ['stock import stock.csv', 'stock import stock.csv --warehouse north --complete'],
    input: z.object({ file: z.string().min(1), warehouse: warehouse.optional(), complete: flag, skipBadRows: flag }),
    needs: ['database'],
    run: importFile,
  });
}

async function importFile(input: ImportInput, { services, output }: CommandContext): Promise<ExitStatus> {
  const file = await readFile(input);
  const isWritten = file.badRows.length === 0 || input.skipBadRows;
  if (isWritten) checkComplete(file, input.complete);
  showBadRows(file, isWritten, output.warn);
  if (!isWritten) {
    output.json({ isWritten, rows: file.rowCount, badRows: file.badRows });
    throw new CommandFailed('nothing is written. Correct the file, or write its good rows with --skip-bad-rows');
  }
  const result = await importStock(await services.database(), toImport(file, input));
  const zeroed = input.complete ? `, ${result.zeroed} not in the file set to 0` : '';
  output.print(
    `${file.rowCount} rows read: ${result.added} added, ${result.changed} changed, ${result.unchanged} unchanged${zeroed}.`,
  );
  output.json({ isWritten, rows: file.rowCount, ...result, badRows: file.badRows });
  return file.badRows.length === 0 ? 0 : 1;
}

async function readFile(input: ImportInput): Promise<CheckedStock> {
  try {
    const file = await readStockFile(input.file, input.warehouse ?? DEFAULT_WAREHOUSE);
    if (file.hasWarehouses && input.warehouse !== undefined) {
      throw new UsageError('--warehouse: the file has a column "warehouse" of its own; leave one of them out');
    }
    return file;
  } catch (error) {
    if (error instanceof StockFileError)
      throw new CommandFailed(`${input.file}: ${error.message}. Nothing is written.`);
    if (isSystemError(error)) throw new UsageError(`<file>: ${messageOf(error)}`);
    throw error;
  }
}

/** The file cannot be opened or read. */
function isSystemError(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'syscall' in error;
}

/** Where it cannot be known what is missing from the file, nothing goes to 0. */
function checkComplete(file: CheckedStock, isComplete: boolean): void {
  if (!isComplete) return;
  if (file.rowCount === 0) {
    throw new CommandFailed('the file has no rows: with --complete every SKU would go to 0. Nothing is written.');
  }
  if (file.namelessBadRows > 0) {
    throw new CommandFailed(
      `${file.namelessBadRows} bad rows do not tell which SKU they mean, so nobody knows what is missing from the file: --complete cannot be used with it. Nothing is written.`,
    );
  }
}

function toImport(file: CheckedStock, input: ImportInput): StockImport {
  if (!input.complete) return { entries: file.entries };
  const warehouses = new Set([...file.entries, ...file.unclear].map((entry) => entry.warehouse));
  return { entries: file.entries, complete: { warehouses: [...warehouses], unclear: file.unclear } };
}

function showBadRows({ badRows }: CheckedStock, isWritten: boolean, warn: (line: string) => void): void {
  if (badRows.length === 0) return;
  const lines = badRows.slice(0, BAD_ROWS_SHOWN).map(describeBadRow);
  const more = badRows.length - lines.length;
  if (more > 0) lines.push(`  … and ${more} more; --json lists them all`);
  warn(`${badRows.length} problems in the file${isWritten ? '; these rows are left out' : ''}:\n${lines.join('\n')}`);
}

export function describeBadRow({ line, field, message }: BadRow): string {
  return `  line ${line}, ${field}: ${message}`;
}
