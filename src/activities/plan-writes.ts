import type { ChangeKind } from '../domain/decision.js';
import { judgeRun, type GuardVerdict } from '../domain/guards.js';
import type { RunId } from '../domain/ids.js';
import {
  countPlannedChanges,
  countStock,
  holdChanges,
  readGuardMeasure,
  readStockBefore,
} from '../storage/guarded-changes.js';
import { recordGuard } from '../storage/runs.js';
import { planWrites as planWriteRows, type WritePhase } from '../storage/write-plan.js';
import { usableBulk } from './command-calls.js';
import { inRun } from './run-scope.js';
import type { ActivityServices } from './services.js';

export interface CheckGuardsResult {
  /** Changes held back until a person approves them. */
  readonly held: number;
  /** Offers that may be ended, and as many that may be raised or brought back. */
  readonly allowedOffers: number;
}

/** Holds back what would close too much of the shop at once, or put too much on sale. */
export function createCheckGuards(services: ActivityServices) {
  return function checkGuards(input: { readonly runId: RunId }): Promise<CheckGuardsResult> {
    return inRun(services, { ...input, priority: 'scheduled' }, async ({ run }) => {
      const { db, sync } = services;
      const verdict = judgeRun({
        measure: await readGuardMeasure(db, run, sync.guardMaxEndedPercent),
        planned: await countPlannedChanges(db, run),
        stock: await countStock(db),
        stockBefore: await readStockBefore(db, run.accountId),
      });
      await recordGuard(db, run.runId, verdict);
      return { held: await holdChanges(db, run, heldKinds(verdict)), allowedOffers: verdict.allowedOffers };
    });
  };
}

function heldKinds({ reasons }: GuardVerdict): ChangeKind[] {
  const holdsEndings = reasons.includes('endings') || reasons.includes('stock_fell');
  const holdsRises = reasons.includes('rises') || reasons.includes('pieces');
  return [...(holdsEndings ? (['end'] as const) : []), ...(holdsRises ? (['reactivate', 'raise'] as const) : [])];
}

export interface PlanWritesResult {
  readonly phases: readonly WritePhase[];
}

export interface PlanWritesInput {
  readonly runId: RunId;
  /**
   * true: nothing of this execution is under way, so what is marked as sending was left by one before (a reset), and is
   * planned too. Default false.
   */
  readonly isIdle?: boolean;
}

/** Gives each planned change its batch or command. In preview nothing is planned: nothing will be sent. */
export function createPlanWrites(services: ActivityServices) {
  return function planWrites(input: PlanWritesInput): Promise<PlanWritesResult> {
    return inRun(services, { ...input, priority: 'scheduled' }, async ({ run, account }) => {
      const { db, marketplace } = services;
      if (run.mode === 'preview') return { phases: [] };
      const bulk = await usableBulk(services, run.accountId);
      const options = {
        maxBulkChanges: bulk?.maxChanges ?? 0,
        withSending: input.isIdle ?? false,
        ...(account.sellerId === null ? {} : { room: await marketplace.roomForWrites(account.sellerId) }),
      };
      return { phases: await planWriteRows(db, run, options) };
    });
  };
}
