/** Identifiers that must not be mixed up: each is a string that passed the check beside it. */
declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** The seller's own short name of one marketplace account: 1–64 of `a-z 0-9 - _`, as in `accounts add ID`. */
export type AccountId = Branded<'AccountId'>;
/** A marketplace offer: at Allegro a string of digits. */
export type OfferId = Branded<'OfferId'>;
/** Stock keeping unit: what Allegro calls `external.id`, with outer white space removed. Never empty. */
export type Sku = Branded<'Sku'>;
/** One sync of one account: a UUID minted by `openRun`. */
export type RunId = Branded<'RunId'>;
/** One quantity or publication command: a random UUID, stored before it is first sent. */
export type CommandId = Branded<'CommandId'>;
/** The marketplace's own id of the shop behind an account. */
export type SellerId = Branded<'SellerId'>;

const ACCOUNT_ID = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function isAccountId(value: string): value is AccountId {
  return ACCOUNT_ID.test(value);
}

export function isOfferId(value: string): value is OfferId {
  return /^[\w-]{1,64}$/.test(value);
}

export function isUuid(value: string): boolean {
  return UUID.test(value);
}

/** @throws Error when the text is not an account id */
export function toAccountId(value: string): AccountId {
  if (!isAccountId(value)) {
    throw new Error(
      `account id "${value}": expected 1 to 64 of a-z, 0-9, "-" and "_", starting with a letter or digit`,
    );
  }
  return value;
}

/** @throws Error when the text cannot be an offer id */
export function toOfferId(value: string): OfferId {
  if (!isOfferId(value)) throw new Error(`offer id "${value}": expected 1 to 64 letters or digits`);
  return value;
}

/**
 * The SKU in a text, or null when nothing but white space is left: external ids match exactly after trimming. NUL, which
 * no stock can hold, is replaced.
 */
export function toSku(value: string | null | undefined): Sku | null {
  const trimmed = value?.replaceAll('\0', '\ufffd').trim() ?? '';
  return trimmed === '' ? null : (trimmed as Sku);
}

/** @throws Error when the text is not a UUID */
export function toRunId(value: string): RunId {
  if (!isUuid(value)) throw new Error(`run id "${value}": expected a UUID, as printed by "sync" and "status"`);
  return value as RunId;
}

/** @throws Error when the text is not a UUID */
export function toCommandId(value: string): CommandId {
  if (!isUuid(value)) throw new Error(`command id "${value}": expected a UUID`);
  return value as CommandId;
}

/** @throws Error when the text is empty */
export function toSellerId(value: string): SellerId {
  if (value.trim() === '') throw new Error('seller id: expected a text that is not empty');
  return value as SellerId;
}
