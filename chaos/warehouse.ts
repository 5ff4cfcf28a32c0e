import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

import type { SimulatorAdmin } from '../simulator/admin-client.js';

const TRY_AGAIN_AFTER_MS = 250;
const CONNECT_TIMEOUT_MS = 5_000;

/** The warehouse: what it truly holds, and what it writes into `stock_levels`, as docs/stock.md says. */
export interface Warehouse {
  /** Pieces by SKU, as they truly are. */
  readonly stock: ReadonlyMap<string, number>;
  /** Pieces come in: true at once, then booked. */
  receive(pieces: ReadonlyMap<string, number>): Promise<void>;
  /** Pieces have left, as the marketplace knows already; the booking is another matter. */
  noteLeft(sku: string, pieces: number): void;
  /** Everything of a SKU is lost: broken, or never there. True at once, then booked. */
  writeOff(sku: string): Promise<void>;
  /** Writes what is true of these SKUs, or of all, however long the database is away. */
  book(skus?: readonly string[]): Promise<void>;
  /** Runs a statement of a feed that has gone wrong. @returns puts these SKUs, or all, right again */
  spoil(statement: string, skus?: readonly string[]): Promise<() => Promise<void>>;
  /** Since when no feed is wrong; null: one is. */
  rightSince(): Date | null;
  /** Waits until everything that is to be booked is booked. */
  settled(): Promise<void>;
}

export async function openWarehouse(admin: SimulatorAdmin, databaseUrl: string): Promise<Warehouse> {
  const stock = new Map(Object.entries(await admin.truth()));
  let line: Promise<unknown> = Promise.resolve();
  let wrongFeeds = 0;
  let rightAgainAt = new Date();

  /** One after the other, so that what is written last is what is true. */
  function inLine(work: () => Promise<void>): Promise<void> {
    const done = line.then(work);
    line = done.catch(() => undefined);
    return done;
  }

  async function run(statement: string, values: () => readonly unknown[]): Promise<void> {
    for (;;) {
      const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
      client.on('error', () => undefined);
      try {
        await client.connect();
        await client.query(statement, [...values()]);
        return;
      } catch (error) {
        // A statement that is wrong would be tried for ever.
        if (error instanceof pg.DatabaseError && error.code?.startsWith('42') === true) throw error;
        await sleep(TRY_AGAIN_AFTER_MS);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }

  const book = (skus?: readonly string[]): Promise<void> =>
    inLine(() =>
      run(
        `insert into stock_levels (sku, quantity)
          select sku, quantity from unnest($1::text[], $2::integer[]) as news (sku, quantity) order by sku
          on conflict (sku, warehouse) do update set quantity = excluded.quantity
          where stock_levels.quantity <> excluded.quantity`,
        () => {
          const chosen = skus ?? [...stock.keys()];
          return [chosen, chosen.map((sku) => stock.get(sku) ?? 0)];
        },
      ),
    );

  return {
    stock,
    async receive(pieces) {
      for (const [sku, count] of pieces) stock.set(sku, (stock.get(sku) ?? 0) + count);
      const skus = [...pieces.keys()];
      await admin.setTruth({ skus: Object.fromEntries(skus.map((sku) => [sku, stock.get(sku) ?? 0])) });
      await book(skus);
    },
    noteLeft(sku, pieces) {
      stock.set(sku, Math.max(0, (stock.get(sku) ?? 0) - pieces));
    },
    async writeOff(sku) {
      stock.set(sku, 0);
      await admin.setTruth({ skus: { [sku]: 0 } });
      await book([sku]);
    },
    book,
    async spoil(statement, skus) {
      wrongFeeds += 1;
      await inLine(() => run(statement, () => (skus === undefined ? [] : [skus])));
      return async () => {
        await book(skus);
        wrongFeeds -= 1;
        rightAgainAt = new Date();
      };
    },
    rightSince: () => (wrongFeeds > 0 ? null : rightAgainAt),
    settled: () => inLine(() => Promise.resolve()),
  };
}
