import type { Db } from './database.js';

/** The global stop of all writes to marketplaces. */
export interface StopSwitch {
  readonly isStopped: boolean;
  readonly reason: string | null;
  readonly changedAt: Date;
}

export async function readStopSwitch(db: Db): Promise<StopSwitch> {
  return db.selectFrom('stopSwitch').select(['isStopped', 'reason', 'changedAt']).executeTakeFirstOrThrow();
}

/** Stopping again replaces the reason and keeps the time of the first stop. @returns whether it was on before */
export async function setStopSwitch(
  db: Db,
  wanted: { isStopped: boolean; reason: string | null },
): Promise<{ wasStopped: boolean }> {
  return db.transaction().execute(async (transaction) => {
    const before = await transaction
      .selectFrom('stopSwitch')
      .select(['isStopped', 'changedAt'])
      .forUpdate()
      .executeTakeFirstOrThrow();
    await transaction
      .updateTable('stopSwitch')
      .set({
        isStopped: wanted.isStopped,
        reason: wanted.reason,
        changedAt: before.isStopped === wanted.isStopped ? before.changedAt : new Date(),
      })
      .execute();
    return { wasStopped: before.isStopped };
  });
}
