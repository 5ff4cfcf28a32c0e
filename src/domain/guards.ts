/** So many offers are never held back: small shops sell out, and are restocked. */
const ALWAYS_ALLOWED_OFFERS = 10;
/** A shop that shows more than this many times its pieces is not restocked: its file is wrong. */
const MOST_GROWTH = 3;
/** Fewer pieces than this, on no more than the offers above, are a small shop's delivery, however little it had. */
const SMALL_DELIVERY_PIECES = 1_000;
/** `GUARD_MAX_ENDED` of 100 switches the guards off. */
const OFF_PERCENT = 100;

/** What a run is weighed against. */
export interface GuardMeasure {
  /** `GUARD_MAX_ENDED`. */
  readonly maxPercent: number;
  /** Running offers of the last complete scan; before there is one, of this scan. */
  readonly activeOffers: number;
  /** Pieces they showed together. */
  readonly shownPieces: number;
  /**
   * true: no live run has seen the whole account yet. Then many offers may rightly differ, and the report of a preview
   * has shown them.
   */
  readonly isFirstLiveRun: boolean;
}

/** Changes of a run that nobody has approved. */
export interface PlannedChanges {
  readonly endings: number;
  readonly rises: PlannedRises;
}

/** Raises and reactivations. */
export interface PlannedRises {
  readonly offers: number;
  /** More than what the offers show now. */
  readonly addedPieces: number;
}

/** The stock table as a whole. */
export interface StockCount {
  readonly rows: number;
  /** Rows with a quantity above 0. */
  readonly filled: number;
}

/**
 * - `endings`: more offers than allowed would be ended
 * - `stock_fell`: the stock table is much smaller or emptier than at the last complete run
 * - `rises`: more offers than allowed would be raised or brought back
 * - `pieces`: the shop would show more than three times its pieces
 */
export type GuardReason = 'endings' | 'stock_fell' | 'rises' | 'pieces';

/** What the guards said of a run; kept with it. */
export interface GuardVerdict {
  readonly activeOffers: number;
  readonly allowedOffers: number;
  readonly plannedEndings: number;
  readonly plannedRises: number;
  readonly shownPieces: number;
  readonly addedPieces: number;
  readonly stock: StockCount;
  /** null: there was no complete run yet. */
  readonly stockBefore: StockCount | null;
  readonly hasStockFallen: boolean;
  /** Empty: nothing is held back. */
  readonly reasons: readonly GuardReason[];
}

/** Weighs a run: a wrong stock file must neither close the shop nor put pieces on sale that do not exist. */
export function judgeRun(input: {
  readonly measure: GuardMeasure;
  readonly planned: PlannedChanges;
  readonly stock: StockCount;
  readonly stockBefore: StockCount | null;
}): GuardVerdict {
  const { measure, planned, stock, stockBefore } = input;
  const { endings, rises } = planned;
  const hasStockFallen = stockBefore !== null && fellTooFar(stock, stockBefore, measure.maxPercent);
  const reasons: GuardReason[] = [
    ...(allowsEndings(measure, endings) ? [] : ['endings' as const]),
    ...(hasStockFallen && endings > 0 ? ['stock_fell' as const] : []),
    ...whyRisesAreHeld(measure, rises),
  ];
  return {
    activeOffers: measure.activeOffers,
    allowedOffers: allowedOffers(measure),
    plannedEndings: endings,
    plannedRises: rises.offers,
    shownPieces: measure.shownPieces,
    addedPieces: rises.addedPieces,
    stock,
    stockBefore,
    hasStockFallen,
    reasons,
  };
}

/** A fallen stock table that has not held anything back for this long is how the warehouse is now. */
const STOCK_STANDS_FOR_MS = 24 * 3_600_000;

/** Whether later runs measure the stock table against what this run found, or still against what was there before. */
export function isStockAccepted(
  verdict: GuardVerdict,
  before: { readonly hasApproval: boolean; readonly standsForMs: number | null },
): boolean {
  if (!verdict.hasStockFallen || before.hasApproval) return true;
  const isOld = before.standsForMs === null || before.standsForMs >= STOCK_STANDS_FOR_MS;
  return isOld && !verdict.reasons.includes('stock_fell');
}

/** The share of the active offers that may change in one way at once, and at least 10. */
export function allowedOffers({ activeOffers, maxPercent }: GuardMeasure): number {
  return Math.max(ALWAYS_ALLOWED_OFFERS, Math.floor((activeOffers * maxPercent) / 100));
}

/** Whether a run may end this many offers. Lowerings to ≥ 1 are never held. */
export function allowsEndings(measure: GuardMeasure, endings: number): boolean {
  return measure.maxPercent >= OFF_PERCENT || endings <= allowedOffers(measure);
}

/** Why a run may not raise and bring back this many offers, to this many more pieces; empty: it may. */
export function whyRisesAreHeld(measure: GuardMeasure, rises: PlannedRises): ('rises' | 'pieces')[] {
  if (measure.maxPercent >= OFF_PERCENT) return [];
  const isMany = !measure.isFirstLiveRun && rises.offers > allowedOffers(measure);
  const isSmall = rises.offers <= ALWAYS_ALLOWED_OFFERS && rises.addedPieces < SMALL_DELIVERY_PIECES;
  const isMuch = rises.addedPieces > (MOST_GROWTH - 1) * measure.shownPieces;
  return [...(isMany ? ['rises' as const] : []), ...(isMuch && !isSmall ? ['pieces' as const] : [])];
}

/** Whether rows, or rows with pieces, went away: more than the share, and more than 10. */
function fellTooFar(stock: StockCount, before: StockCount, maxPercent: number): boolean {
  if (maxPercent >= OFF_PERCENT) return false;
  return (['rows', 'filled'] as const).some((count) => {
    const gone = before[count] - stock[count];
    return gone > ALWAYS_ALLOWED_OFFERS && gone > (before[count] * maxPercent) / 100;
  });
}

/** Nothing was held when the guards looked, but the stock went on changing. */
export const CHANGED_MEANWHILE = 'the stock changed greatly while the run was at work';

/** Why changes are held back, as a sentence: the first words of the alert. */
export function describeVerdict(verdict: GuardVerdict): string {
  const { activeOffers, allowedOffers: allowed, stock, stockBefore } = verdict;
  const sentences = verdict.reasons.map((reason) => {
    switch (reason) {
      case 'endings':
        return `would end ${verdict.plannedEndings} of ${activeOffers} active offers; ${allowed} are allowed`;
      case 'stock_fell':
        return (
          `would end ${verdict.plannedEndings} offers while the stock has ${stock.filled} of ${stock.rows} rows with pieces; ` +
          `at the last complete run it had ${stockBefore?.filled ?? 0} of ${stockBefore?.rows ?? 0}`
        );
      case 'rises':
        return (
          `would raise or bring back ${verdict.plannedRises} offers, with ${activeOffers} active ones; ` +
          `${allowed} are allowed`
        );
      case 'pieces':
        return (
          `would put ${verdict.addedPieces} more pieces on sale, with ${verdict.shownPieces} shown now: ` +
          `more than three times as many`
        );
    }
  });
  return sentences.length === 0 ? CHANGED_MEANWHILE : sentences.join('. It ');
}
