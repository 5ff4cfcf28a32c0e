import { guardEndings } from '../domain/guards.js';
import type { RunId } from '../domain/ids.js';
import { countActiveOffers, recordGuard } from '../storage/runs.js';
import {
  countPlannedEndings,
  holdEndings,
  planWrites as planWriteRows,
  type WritePhase,
} from '../storage/write-plan.js';
import { usableBulk } from './command-calls.js';
import { inRun } from './run-scope.js';
import type { ActivityServices } from './services.js';

export interface CheckGuardsResult {
  /** Endings held back until a person approves them. */
  readonly held: number;
  readonly allowedEndings: number;
}

/** Holds back the endings of a run that would close too much of the shop at once. */
export function createCheckGuards(services: ActivityServices) {
  return function checkGuards(input: { readonly runId: RunId }): Promise<CheckGuardsResult> {
    return inRun(services, { ...input, priority: 'scheduled' }, async ({ run }) => {
      const { db, sync } = services;
      const endings = await countPlannedEndings(db, run);
      const guard = guardEndings({
        plannedEndings: endings.unapproved,
        activeOffers: await countActiveOffers(db, run.runId, run.accountId),
        maxEndedPercent: sync.guardMaxEndedPercent,
      });
      await recordGuard(db, run.runId, guard);
      const held = guard.isHeld ? await holdEndings(db, run) : 0;
      return { held, allowedEndings: guard.allowedEndings };
    });
  };
}

export interface PlanWritesResult {
  readonly phases: readonly WritePhase[];
}

/** Gives each planned change its batch or command. In preview nothing is planned: nothing will be sent. */
export function createPlanWrites(services: ActivityServices) {
  return function planWrites(input: { readonly runId: RunId }): Promise<PlanWritesResult> {
    return inRun(services, { ...input, priority: 'scheduled' }, async ({ run, account }) => {
      const { db, marketplace } = services;
      if (run.mode === 'preview') return { phases: [] };
      const bulk = await usableBulk(services, run.accountId);
      const options = {
        maxBulkChanges: bulk?.maxChanges ?? 0,
        ...(account.sellerId === null ? {} : { room: await marketplace.roomForWrites(account.sellerId) }),
      };
      return { phases: await planWriteRows(db, run, options) };
    });
  };
}
