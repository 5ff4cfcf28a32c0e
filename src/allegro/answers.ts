import { createHash } from 'node:crypto';
import { z } from 'zod';
import { SyncError, type ErrorFacts } from '../domain/errors.js';
import { isOfferId, toOfferId, toSku } from '../domain/ids.js';

/**
 * The shapes of Allegro's answers: only what is used, unknown fields tolerated, with the nulls that the tutorials show
 * where the document does not (facts §12). A field without which an offer could be changed by mistake is required.
 */

const offerId = z.string().refine(isOfferId, 'expected an offer id').transform(toOfferId);
/** int32 in the document; nothing that is sold comes near its end. */
const pieces = z.int().min(0).max(2_147_483_647);
const time = z.string().refine((text) => !Number.isNaN(Date.parse(text)), 'expected a time');
const timeOrNull = time.nullish().transform((text) => text ?? null);
const external = z.object({ id: z.string().nullish() }).nullish();
const status = z.enum(['INACTIVE', 'ACTIVATING', 'ACTIVE', 'ENDED']);
/** A format that comes new is never written to. */
const format = z.enum(['BUY_NOW', 'AUCTION', 'ADVERTISEMENT']).or(z.string().transform(() => 'OTHER' as const));
const endedBy = z
  .enum(['USER', 'ADMIN', 'EXPIRATION', 'EMPTY_STOCK', 'PRODUCT_DETACHMENT', 'ERROR', 'UNKNOWN'])
  .or(z.string().transform(() => 'UNKNOWN' as const));

const soldElsewhere = z.object({ sold: pieces.nullish() }).nullish();

function soldAbroad(
  marketplaces: Record<string, { stock?: z.output<typeof soldElsewhere> } | null | undefined> | null | undefined,
): number {
  return Object.values(marketplaces ?? {}).reduce((sum, one) => sum + (one?.stock?.sold ?? 0), 0);
}

const anything = z.unknown().optional();

/** What somebody may have edited, as one short text: the same for the same values, in whatever order, nulls or not. */
function digestOf(shown: object): string {
  const inOrder = (_key: string, value: unknown): unknown => {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, entry]) => entry != null)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  };
  return createHash('sha256').update(JSON.stringify(shown, inOrder)).digest('base64url').slice(0, 22);
}

/**
 * A row of the listing. Drafts and what is not sold at a fixed price are never written to, and may lack what only the
 * others need: one unfinished draft must not hide a whole page.
 */
const listingRow = z
  .object({
    id: offerId,
    name: z.string().nullish(),
    sellingMode: z.looseObject({ format: format.nullish() }).nullish(),
    stock: z.object({ available: pieces.nullish(), sold: pieces.nullish() }).nullish(),
    publication: z.object({ status, endedAt: timeOrNull }),
    external,
    isFulfillment: z.boolean().nullish(),
    additionalMarketplaces: z.record(z.string(), z.object({ stock: soldElsewhere }).nullish()).nullish(),
    category: anything,
    primaryImage: anything,
    delivery: anything,
    afterSalesServices: anything,
    additionalServices: anything,
    b2b: anything,
  })
  .transform((row, context) => {
    const isDraft = row.publication.status === 'INACTIVE';
    const given = row.sellingMode?.format;
    const isNeverWritten = isDraft || (given != null && given !== 'BUY_NOW');
    function required<Value>(value: Value | null | undefined, otherwise: Value, path: string[]): Value {
      if (value == null && !isNeverWritten) context.addIssue({ code: 'custom', path, message: 'it is missing' });
      return value ?? otherwise;
    }
    return {
      offerId: row.id,
      sku: toSku(row.external?.id),
      name: row.name ?? '',
      format: required(given, 'OTHER' as const, ['sellingMode', 'format']),
      status: row.publication.status,
      available: required(row.stock?.available, 0, ['stock', 'available']),
      // One stock serves all marketplaces; \`stock.sold\` counts only the first of them (the document).
      sold: required(row.stock?.sold, 0, ['stock', 'sold']) + soldAbroad(row.additionalMarketplaces),
      endedAt: row.publication.endedAt,
      // An offer in Allegro's own warehouse must not be taken for one of ours.
      isFulfillment: required(row.isFulfillment, false, ['isFulfillment']),
      listedAs: digestOf({
        name: row.name,
        external: row.external,
        sellingMode: row.sellingMode,
        category: row.category,
        primaryImage: row.primaryImage,
        delivery: row.delivery,
        afterSalesServices: row.afterSalesServices,
        additionalServices: row.additionalServices,
        b2b: row.b2b,
      }),
    };
  });

/** The id of one offer on the row of another would let its number be written to the wrong offer. */
export const listingSchema = z.object({
  offers: z
    .array(listingRow)
    .max(1000)
    .refine((rows) => {
      const skus = new Map<string, string | null>();
      return rows.every(({ offerId: id, sku }) => {
        const isKnown = skus.has(id);
        const before = skus.get(id);
        skus.set(id, sku);
        return !isKnown || before === sku;
      });
    }, 'one offer stands there with two SKUs'),
  totalCount: pieces,
});

export const productOfferSchema = z.object({
  id: offerId,
  sellingMode: z.object({ format }),
  stock: z.object({ available: pieces }),
  publication: z.object({
    status,
    endedBy: endedBy.nullish(),
    endedAt: timeOrNull,
    republish: z.boolean().nullish(),
  }),
  external,
});

/** An edit's answer: the offer as it is now; drafts may lack parts. */
export const editedOfferSchema = z.object({
  id: offerId,
  stock: z.object({ available: pieces.nullish() }).nullish(),
});

export const partsSchema = z.object({ id: offerId, stock: z.object({ available: pieces }) });

export const meSchema = z.object({
  id: z.string().regex(/^[\w-]{1,64}$/, 'expected a seller id'),
  login: z.string().max(200).nullish(),
});

export const operationSchema = z.object({ operation: z.object({ status: z.string() }) });

export const commandReportSchema = z.object({
  id: z.string(),
  completedAt: timeOrNull,
  taskCount: z.object({ total: pieces, success: pieces, failed: pieces }),
});

const taskState = z.enum(['NEW', 'SUCCESS', 'FAIL']);
const taskErrors = z
  .array(z.object({ code: z.string().nullish(), message: z.string().nullish(), userMessage: z.string().nullish() }))
  .nullish();

export const tasksSchema = z.object({
  tasks: z
    .array(
      z.object({
        offer: z.object({ id: offerId }),
        status: taskState,
        message: z.string().nullish(),
        errors: taskErrors,
      }),
    )
    .max(1000),
});

/** Tasks of the bulk modification command name their offer otherwise. */
export const subjectTasksSchema = z.object({
  tasks: z
    .array(
      z.object({
        subject: z.object({ offerId, field: z.string().nullish() }),
        status: taskState,
        message: z.string().nullish(),
        errors: taskErrors,
      }),
    )
    .max(1000),
});

/** The tutorial shows the device flow's numbers as texts. */
const seconds = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d{1,9}$/, 'expected a number of seconds')
      .transform(Number),
  ])
  .pipe(z.number().min(0).max(1_000_000_000));
const secret = z.string().min(1);

export const tokenSchema = z.object({ access_token: secret, refresh_token: secret, expires_in: seconds });

export const deviceSchema = z.object({
  device_code: secret,
  user_code: secret,
  verification_uri: z.url(),
  verification_uri_complete: z.url(),
  expires_in: seconds,
  interval: seconds.default(5),
});

const eventTime = z.object({ id: z.string().min(1).max(256), type: z.string(), occurredAt: time });

export const offerEventsSchema = z.object({
  offerEvents: z
    .array(
      eventTime.extend({
        offer: z
          .object({ id: offerId, external, publication: z.object({ endedBy: endedBy.nullish() }).nullish() })
          .nullish(),
      }),
    )
    .max(1000),
});

export const orderEventsSchema = z.object({
  events: z
    .array(
      eventTime.extend({
        order: z.object({
          lineItems: z.array(
            z.object({
              id: z.string().min(1),
              offer: z.object({ id: offerId, external }),
              quantity: pieces,
              boughtAt: time,
            }),
          ),
          checkoutForm: z.object({ id: z.string() }).nullish(),
        }),
      }),
    )
    .max(1000),
});

export const orderEventStatsSchema = z.object({
  latestEvent: z.object({ id: z.string(), occurredAt: time }).nullish(),
});

const apiErrorsSchema = z.object({
  errors: z
    .array(
      z.object({
        code: z.string().nullish(),
        message: z.string().nullish(),
        userMessage: z.string().nullish(),
        path: z.string().nullish(),
      }),
    )
    .min(1),
});
const authErrorSchema = z.object({ error: z.string(), error_description: z.string().nullish() });

/** Allegro's own code and words; nulls when the body is not of the known shapes, as a gateway's HTML. */
export interface ApiProblem {
  readonly code: string | null;
  readonly message: string | null;
}

/** Never throws: the body of an error may be anything. */
export function parseProblem(body: string): ApiProblem {
  const value = parseJson(body);
  const api = apiErrorsSchema.safeParse(value);
  if (api.success) {
    const [first] = api.data.errors;
    const path = first?.path == null || first.path === '' ? '' : ` [${first.path}]`;
    const words = first?.userMessage ?? first?.message ?? null;
    return { code: first?.code ?? null, message: words === null ? null : `${words}${path}` };
  }
  const auth = authErrorSchema.safeParse(value);
  if (auth.success) return { code: auth.data.error, message: auth.data.error_description ?? null };
  return { code: null, message: null };
}

/** undefined: not JSON. */
function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/**
 * The answer in the schema's shape.
 * @throws SyncError InvalidAnswer naming the operation, the field and what was expected; never the body
 */
export function parseAnswer<Schema extends z.ZodType>(
  schema: Schema,
  answer: { operation: string; body: string; facts: ErrorFacts },
): z.output<Schema> {
  const value = parseJson(answer.body);
  if (value === undefined) {
    throw new SyncError('InvalidAnswer', `${answer.operation}: Allegro's answer is not complete JSON.`, answer.facts);
  }
  const parsed = schema.safeParse(value, { reportInput: false });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.map(String).join('.') ?? '';
  const what = issue?.message ?? 'unexpected shape';
  throw new SyncError(
    'InvalidAnswer',
    `${answer.operation}: field "${field === '' ? '(whole answer)' : field}" of Allegro's answer: ${what}.`,
    answer.facts,
  );
}
