import { parse } from 'csv-parse/sync';
import { z } from 'zod';

/**
 * Says for every offer what it must hold after a complete run, from what was there before: the offers, the stock file
 * and the settings of the accounts. It shares no code with what it judges, so that a wrong rule there is not wrong here
 * too. The rules are those of Allegro's documents and of `docs/stock.md`.
 */

/** An offer as the marketplace truly holds it. */
export interface TrueState {
  readonly id: string;
  readonly sellerId: string;
  readonly externalId: string | null;
  readonly format: string;
  readonly status: string;
  readonly available: number;
  readonly sold: number;
  readonly endedBy: string | null;
  /** The ending came by this application. */
  readonly endedByApi: boolean;
  readonly isFulfillment: boolean;
  /** The marketplace refuses every edit of it; `commands`, `endings`: those ways too. */
  readonly rejection: { readonly commands: boolean; readonly endings: boolean } | null;
}

export interface JudgedAccount {
  readonly sellerId: string;
  readonly mode: 'preview' | 'live';
  readonly buffer: number;
  readonly max: number | null;
  readonly raise: boolean;
  readonly lower: boolean;
  readonly reactivate: boolean;
  readonly atZero: 'end' | 'one' | 'keep';
  /** Offers that a person has taken out of the sync. */
  readonly excluded?: readonly string[];
}

export interface OracleInput {
  readonly before: readonly TrueState[];
  readonly after: readonly TrueState[];
  /** The file as it was imported: `sku,quantity[,warehouse]`. */
  readonly stockCsv: string;
  readonly accounts: readonly JudgedAccount[];
  /** Offers of which the application says that it could not correct them. */
  readonly toldAsFailed: readonly string[];
}

export interface WrongOffer {
  readonly offerId: string;
  readonly sku: string | null;
  /** What it should be, why, and what it is instead. */
  readonly why: string;
}

export interface Verdict {
  readonly checked: number;
  /** Offers that had to change and could. */
  readonly toChange: number;
  /** Offers that had to change and could not: they must be as before, and be told. */
  readonly toTell: number;
  readonly wrong: readonly WrongOffer[];
}

type Expectation =
  | { readonly kind: 'as_before'; readonly because: string }
  | { readonly kind: 'on_sale'; readonly available: number; readonly because: string }
  | { readonly kind: 'ended'; readonly because: string }
  /** Cannot be changed by any way there is: as before, and told. */
  | { readonly kind: 'told'; readonly because: string };

/** The highest number an offer can hold, the pieces already sold counted in. */
const HIGHEST = 99_999;

export function judgeOffers(input: OracleInput): Verdict {
  const stock = readStockFile(input.stockCsv);
  const accounts = new Map(input.accounts.map((account) => [account.sellerId, account]));
  const after = new Map(input.after.map((offer) => [offer.id, offer]));
  const told = new Set(input.toldAsFailed);
  const wrong: WrongOffer[] = [];
  let toChange = 0;
  let toTell = 0;
  for (const offer of input.before) {
    const expected = expect(offer, accounts.get(offer.sellerId), stock);
    if (expected.kind === 'told') toTell += 1;
    if (expected.kind === 'on_sale' || expected.kind === 'ended') toChange += 1;
    const why = findFault(expected, { offer, now: after.get(offer.id), isTold: told.has(offer.id) });
    if (why !== null) wrong.push({ offerId: offer.id, sku: offer.externalId, why: `${why} (${expected.because})` });
  }
  return { checked: input.before.length, toChange, toTell, wrong: [...wrong, ...findNewOffers(input)] };
}

const stockRowSchema = z.object({ sku: z.string(), quantity: z.string().regex(/^\d+$/).transform(Number) });

/** Pieces by SKU, over all warehouses. */
export function readStockFile(csv: string): Map<string, number> {
  const rows: unknown = parse(csv, { columns: true, bom: true, trim: true, skip_empty_lines: true });
  const stock = new Map<string, number>();
  for (const { sku, quantity } of z.array(stockRowSchema).parse(rows)) stock.set(sku, (stock.get(sku) ?? 0) + quantity);
  return stock;
}

function expect(offer: TrueState, account: JudgedAccount | undefined, stock: ReadonlyMap<string, number>): Expectation {
  const asBefore = (because: string): Expectation => ({ kind: 'as_before', because });
  if (account === undefined) return asBefore('its account is not synced');
  if (account.mode === 'preview') return asBefore('its account is in preview');
  const sku = offer.externalId?.trim() ?? '';
  if (sku === '') return asBefore('it has no SKU');
  const quantity = stock.get(sku);
  if (quantity === undefined) return asBefore('its SKU is not in the stock');
  if (offer.format !== 'BUY_NOW') return asBefore(`it is an ${offer.format.toLowerCase()}`);
  if (offer.isFulfillment) return asBefore("its stock is in Allegro's warehouse");
  if (account.excluded?.includes(offer.id) === true) return asBefore('it is excluded');

  const target = publishable(quantity, offer.sold, account);
  if (offer.status === 'ACTIVE') return expectOfRunning(offer, target, account);
  if (offer.status === 'ENDED') return expectOfEnded(offer, target, account);
  return asBefore(`it is ${offer.status.toLowerCase()}`);
}

function publishable(quantity: number, sold: number, { buffer, max }: JudgedAccount): number {
  if (quantity <= buffer) return 0;
  const room = Math.max(HIGHEST - sold, 1);
  return [quantity - buffer, room, max ?? room].reduce((least, number) => (number < least ? number : least));
}

function expectOfRunning(offer: TrueState, target: number, account: JudgedAccount): Expectation {
  const { available, rejection } = offer;
  const because = `stock allows ${target}`;
  if (target === available) return { kind: 'as_before', because };
  if (target > available) {
    if (!account.raise) return { kind: 'as_before', because: 'raising is off' };
    if (rejection?.commands === true) return { kind: 'told', because };
    return { kind: 'on_sale', available: target, because };
  }
  if (!account.lower) return { kind: 'as_before', because: 'lowering is off' };
  if (target === 0 && account.atZero === 'keep') return { kind: 'as_before', because: 'it is kept at zero' };
  if (target === 0 && account.atZero === 'end') {
    return rejection?.endings === true ? { kind: 'told', because } : { kind: 'ended', because };
  }
  const shown = target === 0 ? 1 : target;
  if (shown === available) return { kind: 'as_before', because: 'it shows its last piece' };
  return rejection?.commands === true ? { kind: 'told', because } : { kind: 'on_sale', available: shown, because };
}

function expectOfEnded(offer: TrueState, target: number, account: JudgedAccount): Expectation {
  const because = `stock allows ${target}`;
  if (target === 0) return { kind: 'as_before', because };
  if (offer.endedBy !== 'EMPTY_STOCK' && !offer.endedByApi) {
    return { kind: 'as_before', because: `it was ended by ${(offer.endedBy ?? 'somebody').toLowerCase()}` };
  }
  if (!account.reactivate) return { kind: 'as_before', because: 'bringing back is off' };
  // Bringing back checks the whole offer, and there is no other way.
  return offer.rejection === null ? { kind: 'on_sale', available: target, because } : { kind: 'told', because };
}

function findFault(
  expected: Expectation,
  found: { offer: TrueState; now: TrueState | undefined; isTold: boolean },
): string | null {
  const { offer, now, isTold } = found;
  if (now === undefined) return 'it is gone';
  const is = `it is ${now.status} with ${now.available}`;
  const was = `${offer.status} with ${offer.available}`;
  if (expected.kind === 'told' && !isTold) return 'it cannot be changed, and nobody was told';
  if (expected.kind !== 'told' && isTold) return `it was told as failed, ${is}, was ${was}`;
  switch (expected.kind) {
    case 'as_before':
    case 'told': {
      const isSame = now.status === offer.status && now.available === offer.available && now.endedBy === offer.endedBy;
      return isSame ? null : `it must stay ${was}, ${is}`;
    }
    case 'on_sale':
      return now.status === 'ACTIVE' && now.available === expected.available
        ? null
        : `it must be ACTIVE with ${expected.available}, ${is}, was ${was}`;
    case 'ended':
      return now.status === 'ENDED' ? null : `it must be ENDED, ${is}, was ${was}`;
  }
}

/** The marketplace lists an offer anew under another id when it ends in the wrong way: more is on sale than there is. */
function findNewOffers({ before, after }: OracleInput): WrongOffer[] {
  const known = new Set(before.map(({ id }) => id));
  return after
    .filter(({ id }) => !known.has(id))
    .map(({ id, externalId, available }) => ({
      offerId: id,
      sku: externalId,
      why: `it was not there before: listed anew with ${available}`,
    }));
}
