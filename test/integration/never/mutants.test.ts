import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import pLimit from 'p-limit';
import type { ActivitiesUnderTest } from '../activities/activities-under-test.js';
import { BUFFER, OFFERS_PER_PAGE, type Harm, type HazardName } from './hazards.js';
import { MutableSource, type Edit } from './mutable-source.js';
import { NEVER_SETTINGS, runCase, shopCase, type ShopCase } from './shop-case.js';

/** Each rule taken out of the source, one at a time: the shops of `never.test.ts` must notice. */

const DECISION = 'src/domain/decision.ts';
const SEND = 'src/activities/send-change.ts';
const SCAN = 'src/activities/scan-offers.ts';
const COMMANDS = 'src/activities/submit-command.ts';
const ENDING = 'src/domain/ending.ts';
const SALES = 'src/activities/confirm-sales.ts';
const PLAN = 'src/storage/write-plan.ts';
const STOCK = 'src/domain/stock.ts';
const OFFERS = 'src/allegro/offers.ts';
const ALLEGRO_COMMANDS = 'src/allegro/commands.ts';
/** Those first that others of them import. */
const FILES = [STOCK, ENDING, DECISION, PLAN, SEND, SCAN, SALES, COMMANDS, OFFERS, ALLEGRO_COMMANDS];

interface Mutant {
  readonly rule: string;
  readonly edits: readonly Edit[];
  readonly hazard: HazardName;
  readonly harm: Harm;
}

const STOCKLESS: Edit = {
  file: DECISION,
  find: 'const { offer, stock, memory } = facts;',
  replace: `const { offer, memory } = facts;
  const stock = facts.stock ?? { sku: offer.sku, quantity: 0, updatedAt: new Date(0), lastSaleAt: null };`,
};
const BLIND_STOCK: Edit = {
  file: SEND,
  find: '(await readStock(db, [change.sku])).get(change.sku) ?? null',
  replace:
    '({ sku: change.sku, quantity: change.target === 0 ? 0 : change.target + scope.account.buffer, updatedAt: new Date(0), lastSaleAt: null })',
};
const BLIND_OFFER: Edit = {
  file: SEND,
  find: 'const offer = await readOfferItself(services, scope, change);',
  replace: 'const offer = { ...seen, offerId: change.offerId, endedAt: null, republish: false };',
};
const ANY_ENDING: Edit = {
  file: DECISION,
  find: `if (endedBy !== 'EMPTY_STOCK' && !isOurEnding(offer, memory)) return skipped('ended_by_other');`,
  replace: '',
};

function without(line: string): Edit {
  return { file: DECISION, find: line, replace: '' };
}

const MUTANTS: readonly Mutant[] = [
  {
    rule: 'a SKU without a stock row is not taken for 0',
    edits: [STOCKLESS],
    hazard: 'a SKU without a stock row',
    harm: 'guess',
  },
  {
    rule: 'an offer without a SKU gets none from elsewhere',
    edits: [
      STOCKLESS,
      {
        file: OFFERS,
        find: 'return session.parse(listingSchema, request, answer);',
        replace: `const page = session.parse(listingSchema, request, answer);
    return { ...page, offers: page.offers.map((row) => ({ ...row, sku: row.sku ?? row.offerId })) };`,
      },
      { file: OFFERS, find: 'sku: toSku(offer.external?.id),', replace: 'sku: toSku(offer.external?.id ?? offerId),' },
    ],
    hazard: 'no SKU',
    harm: 'guess',
  },
  {
    rule: 'the buffer is kept back',
    edits: [{ file: STOCK, find: 'stock.quantity - settings.buffer', replace: 'stock.quantity' }],
    hazard: 'pieces kept back',
    harm: 'above_truth',
  },
  ...(['an auction', 'an advertisement'] as const).map((hazard): Mutant => ({
    rule: `${hazard} is left alone`,
    edits: [without(`if (offer.format !== 'BUY_NOW') return skipped('not_buy_now');`)],
    hazard,
    harm: 'never_touch',
  })),
  {
    rule: 'fulfilment is left alone',
    edits: [without(`if (offer.isFulfillment) return skipped('fulfillment');`)],
    hazard: 'fulfilment',
    harm: 'never_touch',
  },
  {
    rule: 'a draft is left alone',
    edits: [without(`if (offer.status === 'INACTIVE') return skipped('draft');`)],
    hazard: 'a draft',
    harm: 'never_touch',
  },
  ...(
    [
      'ended by the seller',
      'ended by an admin',
      'ended by expiry',
      'ended by product detachment',
      'ended by an error',
    ] as const
  ).flatMap((hazard): Mutant[] =>
    (['never_touch', 'reactivated_without_reason'] as const).map((harm) => ({
      rule: `what was ${hazard} stays ended`,
      edits: [ANY_ENDING],
      hazard,
      harm,
    })),
  ),
  {
    rule: 'an ending is ours only near the time of ours',
    edits: [
      {
        file: ENDING,
        find: 'return isOurs(new Date(offer.endedAt), memory.endedByUsAt, memory);',
        replace: 'return memory.endedByUsAt !== null;',
      },
    ],
    hazard: 'ended by us, later brought back and ended by the seller',
    harm: 'reactivated_without_reason',
  },
  {
    rule: 'nothing is raised while a sale may not be booked',
    edits: [
      {
        file: DECISION,
        find: 'if (addsPieces && unbookedSaleSince(facts) !== null)',
        replace: 'if (addsPieces && facts === null)',
      },
      {
        file: SALES,
        find: 'await holdForSales(db, scope.run, sync.unbookedSalePatienceSeconds)',
        replace: '[]',
      },
    ],
    hazard: 'a sale that the stock has not booked',
    harm: 'above_truth',
  },
  {
    rule: 'a listing that shows the number before our write is not believed',
    edits: [without(`if (!facts.isRead && isListingDoubtful(offer, memory, facts.now)) return { kind: 'look' };`)],
    hazard: 'a sale behind a listing that still shows the number before our write',
    harm: 'above_truth',
  },
  {
    rule: 'the stock is read again before a raise',
    edits: [BLIND_STOCK],
    hazard: 'less in stock before its raise is sent',
    harm: 'above_truth',
  },
  {
    rule: 'the stock is read again before an ending',
    edits: [BLIND_STOCK],
    hazard: 'restocked before its ending is sent',
    harm: 'ended_with_stock',
  },
  {
    rule: 'a row that vanished before the write stops it',
    edits: [BLIND_STOCK],
    hazard: 'its stock row deleted before the write is sent',
    harm: 'guess',
  },
  {
    rule: 'the stock is read again before a command',
    edits: [
      {
        file: COMMANDS,
        find: '(target === value || isKeptAtOne(scope, value, target))',
        replace: 'value > 0',
      },
    ],
    hazard: 'less in stock before the command of many is sent',
    harm: 'above_truth',
  },
  {
    rule: 'the offer itself is read before it is ended',
    edits: [BLIND_OFFER],
    hazard: 'ended by the seller, still up in the listing, nothing in stock',
    harm: 'never_touch',
  },
  {
    rule: 'the offer itself is read before it is brought back',
    edits: [BLIND_OFFER],
    hazard: 'sold out, then ended by the seller before it is brought back',
    harm: 'reactivated_without_reason',
  },
  {
    rule: 'an offer that has another SKU now is not brought back',
    edits: [
      {
        file: SEND,
        find: 'const stock = offer.sku === change.sku ? input.stock : null;',
        replace: 'const stock = input.stock;',
      },
    ],
    hazard: 'another SKU before it is brought back',
    harm: 'above_truth',
  },
  {
    rule: 'a write whose answer was lost may have been followed by a sale',
    edits: [
      {
        file: SEND,
        find: 'unsettled: valueSent === null || sentAt === null ? null : { value: valueSent, sentAt },',
        replace: 'unsettled: null,',
      },
    ],
    hazard: 'a sale after a raise whose answer was lost',
    harm: 'above_truth',
  },
  {
    rule: 'what Allegro would list anew is ended by its status, not by a 0',
    edits: [
      {
        file: SEND,
        find: `return republish ? { kind: 'end' } : { kind: 'zero' };`,
        replace: `return { kind: 'zero' };`,
      },
    ],
    hazard: 'listed anew by Allegro when it is sold out',
    harm: 'left_oversold',
  },
  {
    rule: 'a 0 is not sent by a command',
    edits: [
      {
        file: PLAN,
        find: `(row.kind === 'lower' || row.kind === 'raise') && row.target > 0;`,
        replace: `row.kind !== 'reactivate';`,
      },
      {
        file: ALLEGRO_COMMANDS,
        find: 'if (!Number.isSafeInteger(quantity) || quantity < 1)',
        replace: 'if (quantity < 0)',
      },
    ],
    hazard: 'many offers of one SKU that is sold out',
    harm: 'zero_by_command',
  },
  {
    rule: 'each of several offers of one SKU is corrected',
    edits: [
      {
        file: SCAN,
        find: 'new Map(rows.map((offer) => [offer.offerId, offer]))',
        replace: 'new Map(rows.map((offer) => [offer.sku, offer]))',
      },
    ],
    hazard: 'several offers of one SKU',
    harm: 'left_oversold',
  },
  {
    rule: 'the listing is read to its end',
    edits: [{ file: SCAN, find: 'if (listed < limit || position >= totalCount) {', replace: 'if (position > 0) {' }],
    hazard: 'beyond the first page',
    harm: 'left_oversold',
  },
];

const source = new MutableSource();
let under: ActivitiesUnderTest;
let parts: {
  openLimiter: (typeof import('../allegro/client-parts.js'))['openLimiter'];
  SYNC: (typeof import('../activities/activities-under-test.js'))['SYNC'];
};

beforeAll(async () => {
  await source.open(FILES);
  const { setUpActivities, SYNC } = await import('../activities/activities-under-test.js');
  const { openLimiter } = await import('../allegro/client-parts.js');
  parts = { SYNC, openLimiter };
  under = await setUpActivities({ ...NEVER_SETTINGS, buffer: BUFFER }, { isUnpaced: true });
});
afterAll(() => under.close());

const CASES: readonly ShopCase[] = fc.sample(shopCase, { numRuns: 1000, seed: 20261125 });
/** Shops with the hazard that are tried; the first that notices is enough. */
const MOST_SHOPS = 8;
const AT_ONCE = 2;

async function harmsOf(hazard: HazardName, isEnough: (harm: Harm) => boolean): Promise<Set<Harm>> {
  const marketplace = under.allegro.another({ limiter: parts.openLimiter().limiter }).marketplace;
  const sync = { ...parts.SYNC, guardMaxEndedPercent: 100 };
  const act = under.with({ marketplace, sync, offersPerPage: OFFERS_PER_PAGE });
  under.allegro.simulator.state.report.reset();
  const chosen = CASES.filter(({ hazards }) => hazards.some(({ name }) => name === hazard)).slice(0, MOST_SHOPS);
  const limit = pLimit(AT_ONCE);
  const harms = new Set<Harm>();
  await Promise.all(
    chosen.map((one) =>
      limit(async () => {
        if ([...harms].some(isEnough)) return;
        for (const { kind } of (await runCase(under, act, one)).harms) harms.add(kind);
      }),
    ),
  );
  return harms;
}

test('the sources as they are, loaded in this way, do no harm', async () => {
  await source.change([]);
  expect([...(await harmsOf('a draft', () => false))]).toEqual([]);
});

test.each(MUTANTS)('$harm is noticed when a rule is missing: $rule', async ({ edits, hazard, harm }) => {
  await source.change(edits);
  expect([...(await harmsOf(hazard, (kind) => kind === harm))]).toContain(harm);
});
