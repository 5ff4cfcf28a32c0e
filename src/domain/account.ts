import type { AccountId, SellerId } from './ids.js';

/** `preview` shows what `live` would do and writes nothing. New accounts start in `preview`. */
export type AccountMode = 'preview' | 'live';
/** What happens to an offer whose stock is 0: it is ended, shows 1 piece, or is left as it is. */
export type AtZero = 'end' | 'one' | 'keep';

/** What `accounts set` changes. */
export interface AccountSettings {
  /** Pieces kept back from every SKU, ≥ 0. */
  readonly buffer: number;
  /** Most pieces shown per offer, ≥ 1; null: no limit of ours. */
  readonly max: number | null;
  readonly raise: boolean;
  readonly lower: boolean;
  readonly reactivate: boolean;
  readonly atZero: AtZero;
}

export interface Account extends AccountSettings {
  readonly accountId: AccountId;
  readonly name: string;
  readonly mode: AccountMode;
  /** null: not authorized yet. */
  readonly sellerId: SellerId | null;
  readonly sellerLogin: string | null;
  /** null: active. */
  readonly pausedReason: string | null;
}

export const DEFAULT_ACCOUNT_SETTINGS: AccountSettings = {
  buffer: 0,
  max: null,
  raise: true,
  lower: true,
  reactivate: true,
  atZero: 'end',
};
