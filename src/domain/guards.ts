/** Fewer endings than this are never held back: small shops sell out. */
const ALWAYS_ALLOWED_ENDINGS = 10;

export interface EndingsGuard {
  readonly activeOffers: number;
  readonly allowedEndings: number;
  readonly plannedEndings: number;
  /** true: a wrong stock file could be closing the shop; a person decides. */
  readonly isHeld: boolean;
}

/**
 * Holds all endings of a run when there are more than `maxEndedPercent` of the active offers, and more than 10.
 * Lowerings to ≥ 1 are never held.
 */
export function guardEndings(input: {
  readonly plannedEndings: number;
  readonly activeOffers: number;
  readonly maxEndedPercent: number;
}): EndingsGuard {
  const allowedEndings = Math.max(
    ALWAYS_ALLOWED_ENDINGS,
    Math.floor((input.activeOffers * input.maxEndedPercent) / 100),
  );
  return {
    activeOffers: input.activeOffers,
    allowedEndings,
    plannedEndings: input.plannedEndings,
    isHeld: input.plannedEndings > allowedEndings,
  };
}
