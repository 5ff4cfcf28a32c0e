import type { ChangeKind } from '../domain/decision.js';
import { allowsEndings, whyRisesAreHeld } from '../domain/guards.js';
import type { OfferChange } from '../storage/changes.js';
import { claimChange, readGuardMeasure, withRise } from '../storage/guarded-changes.js';
import type { RunScope } from './run-scope.js';
import type { ActivityServices } from './services.js';

/**
 * Whether a change may be sent as what the stock has made of it since the guards have looked: their allowance holds for
 * that too. What is planned as it was, or as less, was weighed.
 */
export async function mayBecome(
  { db, sync }: ActivityServices,
  { run }: RunScope,
  change: OfferChange,
  next: { readonly kind: ChangeKind; readonly target: number },
): Promise<boolean> {
  const isEnding = next.kind === 'end';
  const isWeighed = isEnding ? change.kind === 'end' : isRise(change.kind) && next.target <= change.target;
  if (isWeighed || next.kind === 'lower') return true;
  const measure = await readGuardMeasure(db, run, sync.guardMaxEndedPercent);
  const shown = change.statusBefore === 'ACTIVE' ? change.valueBefore : 0;
  return claimChange(db, run, { offerId: change.offerId, mark: change.mark, ...next }, (others, verdict) =>
    isEnding
      ? allowsEndings(measure, others.endings + 1) && verdict?.hasStockFallen !== true
      : whyRisesAreHeld(measure, withRise(others.rises, next.target - shown)).length === 0,
  );
}

function isRise(kind: ChangeKind): boolean {
  return kind === 'raise' || kind === 'reactivate';
}
