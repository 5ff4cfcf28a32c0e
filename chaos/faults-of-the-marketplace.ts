import { setTimeout as sleep } from 'node:timers/promises';

import type { FaultRule } from '../simulator/faults.js';
import { waitUntil } from '../src/local/wait-until.js';
import { MET_WITHIN_MS, type FaultKind, type Scene } from './fault.js';
import { fillUp } from './life.js';
import type { Random } from './random.js';

type MarketplaceFault = FaultRule['fault'];

const LASTS_MS = { from: 3_000, to: 8_000 } as const;

interface Planted {
  readonly name: string;
  readonly fault: MarketplaceFault;
  readonly match?: FaultRule['match'];
}

const COMMAND = 'PUT /sale/offer-quantity-change-commands/{commandId}';
const ROUTES = ['PATCH /sale/product-offers/{offerId}', COMMAND, 'GET /sale/offers'] as const;

/** That of a command is seldom asked for. */
const ROUTES_WITH_TOKEN = ['PATCH /sale/product-offers/{offerId}', 'GET /sale/offers'] as const;

const PLANTED: readonly Planted[] = [
  { name: 'answers 503', fault: { kind: 'status', status: 503, body: { errors: [{ code: 'SERVICE_UNAVAILABLE' }] } } },
  { name: 'answers 503 in HTML', fault: { kind: 'html', status: 503 } },
  { name: 'answers 503 after the write took effect', fault: { kind: 'status', status: 503, applied: true } },
  { name: 'answers 409', fault: { kind: 'status', status: 409 }, match: { method: 'PATCH' } },
  { name: 'cuts before the effect', fault: { kind: 'cutBefore' } },
  { name: 'cuts after the effect', fault: { kind: 'cutAfter' } },
  { name: 'cuts in the middle of its answer', fault: { kind: 'cutMiddle' } },
  { name: 'truncates its JSON', fault: { kind: 'truncate' } },
  { name: 'hangs', fault: { kind: 'hang', ms: 5_000 } },
  { name: 'answers 429 with Retry-After', fault: { kind: 'tooMany', retryAfter: 2 }, match: { times: 1 } },
];

const EVENT_ROUTE = 'GET /order/events';
/** Runs follow each other faster than this. */
const ASKED_WITHIN_MS = 20_000;

async function plant({ application, warehouse }: Scene, random: Random, planted: Planted): Promise<number> {
  const { admin } = application;
  const { times = random.whole(1, 4) } = planted.match ?? {};
  const route = planted.match?.method === undefined ? random.pick(ROUTES) : undefined;
  const match = { ...(route === undefined ? {} : { route }), ...planted.match, times };
  const id = await admin.plantFault({ match, fault: planted.fault });
  // Sent only where many offers come to one number.
  if (match.route === COMMAND) await fillUp(warehouse, random);
  const met = async (): Promise<number> => (await admin.faults()).find((rule) => rule.id === id)?.planted ?? 0;
  await sleep(random.between(LASTS_MS.from, LASTS_MS.to));
  await waitUntil(async () => (await met()) > 0, MET_WITHIN_MS, 250);
  const hits = await met();
  await admin.removeFault(id);
  return hits;
}

const planted: readonly FaultKind[] = PLANTED.map((one) => ({
  name: `allegro: ${one.name}`,
  part: 'allegro',
  stopsWork: false,
  deal: (scene, random) => plant(scene, random, one),
}));

/** For a minute nothing is sent: dealt last, and seldom. */
export const LONG_BLOCK: FaultKind = {
  name: 'allegro: answers 429 without Retry-After',
  part: 'allegro',
  stopsWork: false,
  deal: (scene, random) =>
    plant(scene, random, { name: 'long block', fault: { kind: 'tooMany' }, match: { times: 1 } }),
};

/**
 * One request of each account, so that its repetition with another token is not met by the rule: a token that is refused
 * twice is another matter.
 */
const passing401: FaultKind = {
  name: 'allegro: answers 401',
  part: 'allegro',
  stopsWork: false,
  async deal(scene, random) {
    const sellers = await scene.application.admin.sellers();
    const hits = await Promise.all(
      sellers.map(({ id: sellerId }) =>
        plant(scene, random, {
          name: 'passing 401',
          fault: { kind: 'status', status: 401, body: { errors: [{ code: 'UNAUTHORIZED' }] } },
          match: { sellerId, times: 1, route: random.pick(ROUTES_WITH_TOKEN) },
        }),
      ),
    );
    return hits.reduce((sum, count) => sum + count, 0);
  },
};

const STALLED_MS = 15_000;

/** The command is carried out later than anybody waits for. */
const stalledCommand: FaultKind = {
  name: 'allegro: leaves a command lying',
  part: 'allegro',
  stopsWork: false,
  deal: (scene, random) =>
    plant(scene, random, {
      name: 'stall',
      fault: { kind: 'stall', ms: STALLED_MS },
      match: { route: COMMAND, times: 1 },
    }),
};

const TOO_MANY = 50;
const REFUSED_MS = { from: 6_000, to: 15_000 } as const;

/** Allegro checks the whole offer with every change, and finds something wrong with it until somebody corrects it. */
const refusedOffer: FaultKind = {
  name: 'allegro: refuses an offer (422)',
  part: 'allegro',
  stopsWork: false,
  async deal({ application, warehouse, edits, database }, random) {
    const { admin } = application;
    const { offers } = await admin.offers({ limit: 100_000, status: 'ACTIVE' });
    const stockOf = ({ externalId }: { externalId: string | null }): number =>
      warehouse.stock.get(externalId?.trim() ?? '') ?? 0;
    const offer = random.pick(
      offers.filter(
        (one) => one.format === 'BUY_NOW' && !one.isFulfillment && stockOf(one) > 0 && edits.mayEdit(one.id),
      ),
    );
    if (offer === undefined) return 0;
    const since = new Date();
    // Whichever way the change went: a PATCH is answered 422, of a command the task fails.
    const countRefusals = async (): Promise<number> => {
      const { rows } = await database.query<{ count: number }>(
        `select count(*)::integer as count from offer_changes where offer_id = $1 and error_class = 'OfferRejected'
          and planned_at > $2`,
        [offer.id, since],
      );
      return rows[0]?.count ?? 0;
    };
    // Too high a number, which no guard holds back from being lowered.
    const available = stockOf(offer) + TOO_MANY;
    edits.note(offer.id);
    await admin.editOffer(offer.id, { rejection: { commands: true, endings: true }, available });
    await sleep(random.between(REFUSED_MS.from, REFUSED_MS.to));
    await waitUntil(async () => (await countRefusals().catch(() => 0)) > 0, MET_WITHIN_MS, 500);
    const refusals = await countRefusals().catch(() => 0);
    await admin.editOffer(offer.id, { rejection: null });
    // What is in quarantine is looked at again when its stock changes.
    await warehouse.receive(new Map([[offer.externalId?.trim() ?? '', 2]]));
    return refusals;
  },
};

const eventFaults: readonly FaultKind[] = (['duplicateEvents', 'reorderEvents'] as const).map((kind) => ({
  name: kind === 'duplicateEvents' ? 'allegro: repeats events' : 'allegro: mixes up events',
  part: 'allegro',
  stopsWork: false,
  ifAsked: EVENT_ROUTE,
  async deal(scene, random) {
    const isAsked = async (): Promise<boolean> =>
      EVENT_ROUTE in (await scene.application.admin.report()).requestsByRoute;
    if (!(await waitUntil(isAsked, ASKED_WITHIN_MS, 500))) return 0;
    return plant(scene, random, { name: kind, fault: { kind }, match: { route: EVENT_ROUTE } });
  },
}));

/** Of the marketplace, as it is known to misbehave. */
export const MARKETPLACE_FAULTS: readonly FaultKind[] = [
  ...planted,
  passing401,
  stalledCommand,
  refusedOffer,
  ...eventFaults,
];
