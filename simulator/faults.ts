import { z } from 'zod';

import type { JournalEntry } from './journal.js';
import { namesRoute } from './journal.js';
import { createRandom } from './random.js';

/** `applied: true` plants the fault after the request took effect, so that its outcome is unknown to the caller. */
const applied = z.boolean().optional();

const faultSchema = z.discriminatedUnion('kind', [
  /** Any status, with a body (JSON unless it is a text) and headers of choice. */
  z.strictObject({
    kind: z.literal('status'),
    status: z.int().min(200).max(599),
    body: z.unknown().optional(),
    headers: z.record(z.string(), z.string()).optional(),
    applied,
  }),
  z.strictObject({ kind: z.literal('html'), status: z.int().min(200).max(599).optional(), applied }),
  /** The connection is closed before anything took effect, after it did, or in the middle of the answer. */
  z.strictObject({ kind: z.literal('cutBefore') }),
  z.strictObject({ kind: z.literal('cutAfter') }),
  z.strictObject({ kind: z.literal('cutMiddle') }),
  /** The right answer's first half, as if it were whole. */
  z.strictObject({ kind: z.literal('truncate') }),
  /** The right answer with one field of another type: `path` such as `offers.0.stock.available`, `*` for every element. */
  z.strictObject({ kind: z.literal('wrongTypes'), path: z.string().optional(), value: z.unknown().optional() }),
  /** Silence, then the right answer. Without `applied` it takes effect after the silence, and only if the caller still waits or `late`. */
  z.strictObject({ kind: z.literal('hang'), ms: z.number().min(0), applied, late: z.boolean().optional() }),
  z.strictObject({ kind: z.literal('tooMany'), retryAfter: z.int().min(0).optional(), code: z.string().optional() }),
  z.strictObject({ kind: z.literal('duplicateEvents') }),
  z.strictObject({ kind: z.literal('reorderEvents') }),
  /** 500 whose body repeats the request's headers, Authorization included. */
  z.strictObject({ kind: z.literal('echo') }),
  /** The command registered by this request is processed `ms` later, or never. */
  z.strictObject({ kind: z.literal('stall'), ms: z.number().min(0).optional() }),
]);

const matchSchema = z.strictObject({
  /** A template, with or without its method: `/me`, `PATCH /sale/product-offers/{offerId}`. */
  route: z.string().optional(),
  method: z.string().optional(),
  sellerId: z.string().optional(),
  offerId: z.string().optional(),
  /** Of the requests that match the rest: only the nth, each kth, each with this probability. */
  nth: z.int().min(1).optional(),
  every: z.int().min(1).optional(),
  probability: z.number().min(0).max(1).optional(),
  /** How often the fault is planted at most. */
  times: z.int().min(1).optional(),
});

export const faultRuleSchema = z.strictObject({ match: matchSchema.default({}), fault: faultSchema });

export type Fault = z.infer<typeof faultSchema>;
export type FaultKind = Fault['kind'];
/** A rule as sent to `POST /_admin/faults`. */
export type FaultRule = z.input<typeof faultRuleSchema>;

export interface PlantedRule {
  readonly id: number;
  readonly match: z.infer<typeof matchSchema>;
  readonly fault: Fault;
  /** Requests that matched, and how many of them got the fault. */
  matched: number;
  planted: number;
}

/** Which requests go wrong, and how: the first rule that fires wins. */
export class Faults {
  #rules: PlantedRule[] = [];
  #nextId = 1;
  #random = createRandom(1);

  list(): readonly PlantedRule[] {
    return this.#rules;
  }

  plant(rule: z.infer<typeof faultRuleSchema>): PlantedRule {
    const planted: PlantedRule = { id: this.#nextId, ...rule, matched: 0, planted: 0 };
    this.#nextId += 1;
    this.#rules.push(planted);
    return planted;
  }

  /** Removes one rule, or all. */
  remove(id?: number): void {
    this.#rules = id === undefined ? [] : this.#rules.filter((rule) => rule.id !== id);
  }

  /** Makes probabilities repeatable. */
  seed(seed: number): void {
    this.#random = createRandom(seed);
  }

  pick(entry: JournalEntry, body: string): Fault | undefined {
    for (const rule of this.#rules) {
      if (!this.#fires(rule, entry, body)) continue;
      rule.planted += 1;
      return rule.fault;
    }
    return undefined;
  }

  #fires(rule: PlantedRule, entry: JournalEntry, body: string): boolean {
    const { route, method, sellerId, offerId, nth, every, probability, times } = rule.match;
    if (times !== undefined && rule.planted >= times) return false;
    if (route !== undefined && !namesRoute(route, entry)) return false;
    if (method !== undefined && method !== entry.method) return false;
    if (sellerId !== undefined && sellerId !== entry.sellerId) return false;
    if (offerId !== undefined && !entry.offerIds.includes(offerId) && !body.includes(`"${offerId}"`)) return false;
    rule.matched += 1;
    if (nth !== undefined && rule.matched !== nth) return false;
    if (every !== undefined && rule.matched % every !== 0) return false;
    return probability === undefined || this.#random() < probability;
  }
}

/** The body with one field retyped. Without a path: the first number found, else the whole body becomes a text. */
export function retype(body: string, path: string | undefined, value: unknown): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return body;
  }
  const steps = path === undefined ? firstNumber(parsed, []) : path.split('.');
  return JSON.stringify(replaceAt(parsed, steps ?? [], value));
}

function replaceAt(node: unknown, steps: readonly string[], value: unknown): unknown {
  const [step, ...rest] = steps;
  if (step === undefined) return value === undefined ? otherType(node) : value;
  if (Array.isArray(node)) {
    return node.map((element: unknown, index) =>
      step === '*' || step === String(index) ? replaceAt(element, rest, value) : element,
    );
  }
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, child]) => [
      key,
      step === '*' || step === key ? replaceAt(child, rest, value) : child,
    ]),
  );
}

function otherType(value: unknown): unknown {
  if (typeof value === 'number') return `${value} szt.`;
  if (typeof value === 'string') return { text: value };
  if (typeof value === 'boolean') return Number(value);
  return 'unexpected';
}

function firstNumber(node: unknown, steps: readonly string[]): string[] | undefined {
  if (typeof node === 'number') return [...steps];
  if (typeof node !== 'object' || node === null) return undefined;
  for (const [key, child] of Object.entries(node)) {
    const found = firstNumber(child, [...steps, key]);
    if (found) return found;
  }
  return undefined;
}
