/** How often somebody has set the number of an offer, over all who do so. */
export interface Edits {
  mayEdit(offerId: string): boolean;
  note(offerId: string): void;
}

/** Set back a third time within a day, an offer is left to whoever does it. */
const MOST_OF_ONE = 2;

export function createEdits(): Edits {
  const counts = new Map<string, number>();
  return {
    mayEdit: (offerId) => (counts.get(offerId) ?? 0) < MOST_OF_ONE,
    note: (offerId) => void counts.set(offerId, 1 + (counts.get(offerId) ?? 0)),
  };
}
