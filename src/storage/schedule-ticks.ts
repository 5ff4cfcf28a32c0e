import type { Db } from './database.js';

/** Ticks of the Schedule, counted since it was made. */
export interface ScheduleTicks {
  /** Those that started no run. */
  readonly lost: number;
  readonly started: number;
  /** When the Schedule was made; null: not kept. */
  readonly madeAt: Date | null;
}

/** As they were when somebody looked last; null: nobody has. */
export async function readScheduleTicks(db: Db): Promise<ScheduleTicks | null> {
  return (await db.selectFrom('scheduleTicks').select(['lost', 'started', 'madeAt']).executeTakeFirst()) ?? null;
}

export async function storeScheduleTicks(db: Db, ticks: ScheduleTicks): Promise<void> {
  await db
    .insertInto('scheduleTicks')
    .values(ticks)
    .onConflict((conflict) => conflict.column('onlyRow').doUpdateSet(ticks))
    .execute();
}
