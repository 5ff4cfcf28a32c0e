import type { Command } from 'commander';
import { z } from 'zod';
import { listStock, readStockRecords, setStock, type StockRecord } from '../storage/stock.js';
import { addCommand, addGroup, type RunCommand } from './command.js';
import { UsageError } from './failures.js';
import { sku, stockQuantity, warehouse, wholeNumber } from './inputs.js';

export const DEFAULT_WAREHOUSE = 'main';

/** @returns the group, for the commands that live in files of their own */
export function registerStock(program: Command, runCommand: RunCommand): Command {
  const group = addGroup(program, {
    name: 'stock',
    summary: 'the local stock: what offers are compared with',
    example: 'stock import stock.csv',
  });
  addCommand(group, runCommand, {
    usage: 'set <sku> <quantity>',
    summary: 'set the number of one SKU in one warehouse',
    options: [{ flags: '--warehouse <name>', description: `default: ${DEFAULT_WAREHOUSE}` }],
    examples: ['stock set TEA-100 25'],
    input: z.object({ sku, quantity: stockQuantity, warehouse: warehouse.default(DEFAULT_WAREHOUSE) }),
    needs: ['database'],
    run: async (entry, { services, output }) => {
      const before = await setStock(await services.database(), entry);
      const was = before === null ? 'new' : `was ${before}`;
      output.print(`${entry.sku} in ${entry.warehouse}: ${entry.quantity} (${was}).`);
      output.json({ ...entry, before });
      return 0;
    },
  });
  addCommand(group, runCommand, {
    usage: 'get <sku>',
    summary: 'show the numbers of one SKU',
    examples: ['stock get TEA-100'],
    input: z.object({ sku }),
    needs: ['database'],
    run: async (input, { services, output }) => {
      const records = await readStockRecords(await services.database(), input.sku);
      if (records.length === 0) throw new UsageError(`<sku>: "${input.sku}" is not in the local stock`);
      const quantity = records.reduce((sum, record) => sum + record.quantity, 0);
      output.table(['warehouse', 'quantity', 'changed'], records.map(toRow));
      output.print(`${input.sku}: ${quantity} in all`);
      output.json({ sku: input.sku, quantity, warehouses: records });
      return 0;
    },
  });
  addCommand(group, runCommand, {
    usage: 'list',
    summary: 'list the local stock by SKU',
    options: [
      { flags: '--warehouse <name>', description: 'only this one' },
      { flags: '--limit <rows>', description: 'at most this many; default: 100' },
    ],
    examples: ['stock list --warehouse main --limit 1000'],
    input: z.object({
      warehouse: warehouse.optional(),
      limit: wholeNumber({ min: 1, max: 1_000_000 }).default(100),
    }),
    needs: ['database'],
    run: async (input, { services, output }) => {
      const { records, totalCount } = await listStock(await services.database(), {
        limit: input.limit,
        ...(input.warehouse === undefined ? {} : { warehouse: input.warehouse }),
      });
      output.table(
        ['sku', 'warehouse', 'quantity', 'changed'],
        records.map((record) => [record.sku, ...toRow(record)]),
      );
      if (records.length < totalCount) output.print(`${records.length} of ${totalCount} rows; more with --limit`);
      output.json({ totalCount, records });
      return 0;
    },
  });
  return group;
}

function toRow(record: StockRecord): string[] {
  return [record.warehouse, String(record.quantity), record.updatedAt.toISOString()];
}
