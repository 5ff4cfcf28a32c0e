import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';

import type { TelegramMood } from '../src/local/telegram-stand-in.js';
import { waitUntil } from '../src/local/wait-until.js';
import { MET_WITHIN_MS, type FaultKind, type Scene } from './fault.js';

const WRONG_STOCK_MS = { from: 4_000, to: 12_000 } as const;
const VANISHED_ROWS = { from: 2, to: 6 } as const;
const TELEGRAM_MS = { from: 8_000, to: 16_000 } as const;

export const ALL_ZERO = 'stock: everything is 0';
/** The most that the marketplace takes: what a feed writes that does not know, or means "without end". */
const WITHOUT_END = 99_999;

const stockFaults: readonly FaultKind[] = [
  {
    name: 'stock: rows vanish',
    part: 'stock',
    stopsWork: false,
    async deal({ warehouse }, random) {
      const count = random.whole(VANISHED_ROWS.from, VANISHED_ROWS.to);
      const skus = random.shuffled([...warehouse.stock.keys()]).slice(0, count);
      const putRight = await warehouse.spoil('delete from stock_levels where sku = any($1::text[])', skus);
      await sleep(random.between(WRONG_STOCK_MS.from, WRONG_STOCK_MS.to));
      await putRight();
      return 1;
    },
  },
  {
    name: ALL_ZERO,
    part: 'stock',
    stopsWork: false,
    async deal({ warehouse }, random) {
      const putRight = await warehouse.spoil('update stock_levels set quantity = 0');
      await sleep(random.between(WRONG_STOCK_MS.from, WRONG_STOCK_MS.to));
      await putRight();
      return 1;
    },
  },
  {
    name: 'stock: everything is 99,999',
    part: 'stock',
    stopsWork: false,
    async deal({ warehouse, database }, random) {
      const since = new Date();
      const putRight = await warehouse.spoil(`update stock_levels set quantity = ${WITHOUT_END}`);
      await sleep(random.between(WRONG_STOCK_MS.from, WRONG_STOCK_MS.to));
      // It proves nothing until a run has read it and would raise everything.
      const countHeld = (): Promise<number> => countHeldRaises(database, since).catch(() => 0);
      await waitUntil(async () => (await countHeld()) > 0, MET_WITHIN_MS, 500);
      await putRight();
      return countHeld();
    },
  },
  {
    name: 'stock: a file with a broken row',
    part: 'stock',
    stopsWork: false,
    deal: importBrokenFile,
  },
];

/** Runs that began since then and of which the guards held the raises back. */
async function countHeldRaises(database: pg.Pool, since: Date): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    `select count(*)::integer as count from sync_runs
      where started_at > $1 and guard -> 'reasons' ?| array['rises', 'pieces']`,
    [since],
  );
  return rows[0]?.count ?? 0;
}

/** Nothing of it may be taken: it would put every number wrong for good. */
async function importBrokenFile({ application, warehouse, directory }: Scene): Promise<number> {
  const file = join(directory, 'broken-stock.csv');
  const rows = [...warehouse.stock.keys()].map((sku, index) => `${sku},${index === 40 ? 'many' : 7}`);
  await writeFile(file, `sku,quantity\n${rows.join('\n')}\n`);
  const { status } = await application.runClient(['stock', 'import', file, '--complete']);
  if (status === 0) throw new Error('a stock file with a broken row was imported');
  return 1;
}

const TELEGRAM_MOODS: readonly { mood: TelegramMood; name: string }[] = [
  { mood: 'down', name: 'telegram: down' },
  { mood: 'too_many', name: 'telegram: answers 429' },
];

const telegramFaults: readonly FaultKind[] = TELEGRAM_MOODS.map(({ mood, name }) => ({
  name,
  part: 'telegram',
  stopsWork: false,
  async deal({ telegram }, random) {
    const before = telegram.refusals;
    telegram.setMood(mood);
    await sleep(random.between(TELEGRAM_MS.from, TELEGRAM_MS.to));
    await waitUntil(() => telegram.refusals > before, MET_WITHIN_MS);
    telegram.setMood('well');
    return telegram.refusals - before;
  },
}));

/** Of the stock feed and of the chat. */
export const SURROUNDING_FAULTS: readonly FaultKind[] = [...stockFaults, ...telegramFaults];
