import { z } from 'zod';
import {
  isAccountId,
  isOfferId,
  isUuid,
  toAccountId,
  toOfferId,
  toSku,
  type AccountId,
  type OfferId,
  type Sku,
} from '../domain/ids.js';
import { HIGHEST_STOCK, nameProblem, readQuantity } from './stock-rows.js';

/** The checks of arguments and options that several commands share; a message follows the argument's name and a colon. */

export const accountId: z.ZodType<AccountId, string> = z
  .string()
  .refine(isAccountId, 'expected 1 to 64 of a-z, 0-9, "-" and "_", starting with a letter or digit')
  .transform(toAccountId);

export const accountIds: z.ZodType<AccountId[]> = z.array(accountId).default([]);

export const offerId: z.ZodType<OfferId> = z
  .string()
  .refine(isOfferId, 'expected the offer number as Allegro shows it')
  .transform(toOfferId);

export const sku: z.ZodType<Sku> = z.string().transform((text, context) => {
  const found = toSku(text);
  const problem = nameProblem(found ?? '');
  if (found !== null && problem === null) return found;
  context.addIssue({ code: 'custom', message: problem ?? 'is empty' });
  return z.NEVER;
});

export const skus: z.ZodType<Sku[]> = z.array(sku).default([]);

export const warehouse: z.ZodType<string> = z.string().transform((text, context) => {
  const problem = nameProblem(text.trim());
  if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  return text.trim();
});

/** A run's own id, or the id of the run over all accounts. */
export const runId: z.ZodType<string, string> = z
  .string()
  .refine(isUuid, 'expected the id of a run (a UUID), as printed by "sync" and "status"')
  .transform((text) => text.toLowerCase());

export const reason: z.ZodType<string, string> = z
  .string()
  .trim()
  .min(1, 'is empty')
  .max(500, 'has more than 500 characters');

export function wholeNumber({ min, max }: { min: number; max: number }): z.ZodType<number> {
  return z.string().transform((text, context) => {
    const value = /^\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    context.addIssue({ code: 'custom', message: `"${text}": expected a whole number from ${min} to ${max}` });
    return z.NEVER;
  });
}

export const stockQuantity: z.ZodType<number> = z.string().transform((text, context) => {
  const quantity = readQuantity(text);
  if (typeof quantity === 'number') return quantity;
  context.addIssue({
    code: 'custom',
    message: `${quantity.problem}; expected a whole number from 0 to ${HIGHEST_STOCK}`,
  });
  return z.NEVER;
});

export function oneOf<const Values extends readonly [string, ...string[]]>(values: Values): z.ZodType<Values[number]> {
  return z.enum(values, `expected ${values.join(' or ')}`);
}

export const onOff: z.ZodType<boolean> = oneOf(['on', 'off']).transform((text) => text === 'on');

export const flag: z.ZodType<boolean> = z.boolean().default(false);

export const nothing = z.object({});
