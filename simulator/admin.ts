import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';

import { ZodError } from 'zod';

import * as requests from './admin-requests.js';
import { createDevicePage } from './device-page.js';
import { faultRuleSchema } from './faults.js';
import { isUp } from './lifecycle.js';
import type { Offer, OfferFields } from './offer.js';
import { overview } from './overview.js';
import { parseJson } from './record.js';
import { continueOrder, sell } from './sales.js';
import { seedCatalogue, seedSchema } from './seed.js';
import { changeSettings } from './settings.js';
import type { Simulation } from './simulation.js';
import { clearCatalogue } from './simulation.js';

export interface AdminRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly body: string;
}

/** What a wrong request to the admin API is answered with. */
class AdminError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const HTML = 'text/html; charset=utf-8';

type Action = (request: AdminRequest, id: string) => unknown;

/** A text that is no JSON. */
interface Text {
  readonly contentType: string;
  readonly chunks: Iterable<string>;
}

/** The admin API and the pages: what tests, the demo and people steer the simulator by. No part of Allegro. */
export function createAdmin(
  simulation: Simulation,
): (request: AdminRequest, response: ServerResponse) => Promise<void> {
  const actions = { ...catalogueActions(simulation), ...accessActions(simulation), ...watchActions(simulation) };
  const devicePage = createDevicePage(simulation);
  const answer = async (request: AdminRequest): Promise<unknown> => {
    if (request.path === '/') return { contentType: HTML, chunks: [page()] };
    if (request.path.startsWith('/skojarz-aplikacje')) return devicePage(request);
    const { key, id } = actionKey(request);
    const action: Action | undefined = actions[key];
    if (!action) throw new AdminError(404, `No such admin resource: ${request.method} ${request.path}`);
    return await action(request, id);
  };
  return async (request, response) => {
    try {
      const result = await answer(request);
      if (isText(result)) sendText(response, result);
      else sendJson(response, 200, result ?? {});
    } catch (error) {
      const status = error instanceof AdminError ? error.status : error instanceof ZodError ? 400 : 500;
      sendJson(response, status, { error: error instanceof Error ? error.message : String(error) });
    }
  };
}

/** Offers, sellers, sales, truth. */
function catalogueActions(simulation: Simulation): Record<string, Action> {
  const { catalogue, lifecycle, truth } = simulation;
  const find = (id: string): Offer => {
    const offer = catalogue.offers.get(id);
    if (!offer) throw new AdminError(404, `No offer ${id}`);
    return offer;
  };
  return {
    'POST seed': ({ body }) => seedCatalogue(simulation, seedSchema.parse(json(body))),
    'POST clear': () => clearCatalogue(simulation),
    'POST sellers': ({ body }) => {
      const { sellerId, ...fields } = requests.sellerSchema.parse(json(body));
      const { id, login, isBusiness } = catalogue.seller(sellerId, fields);
      return { id, login, isBusiness };
    },
    'GET sellers': () =>
      [...catalogue.sellers.values()].map(({ id, login, isBusiness, offers, countByStatus }) => ({
        id,
        login,
        isBusiness,
        offers: offers.length,
        countByStatus,
      })),
    'POST offers': ({ body }) => {
      const parsed = requests.newOffersSchema.parse(json(body));
      const added = (Array.isArray(parsed) ? parsed : [parsed]).map(({ sellerId, ...fields }) =>
        catalogue.add(sellerId, defined(fields)),
      );
      return { offers: added.map(offerView) };
    },
    'GET offers': ({ query }) => {
      const asked = requests.offersQuerySchema.parse(Object.fromEntries(new URLSearchParams(query)));
      const of =
        asked.sellerId === undefined
          ? [...catalogue.offers.values()]
          : (catalogue.sellers.get(asked.sellerId)?.offers ?? []);
      const matching =
        asked.externalId === undefined && asked.status === undefined
          ? of
          : of.filter(
              ({ externalId, status }) =>
                (asked.externalId === undefined || externalId === asked.externalId) &&
                (asked.status === undefined || status === asked.status),
            );
      const page = matching.slice(asked.offset, asked.offset + asked.limit);
      if (asked.format === 'ndjson') return { contentType: 'application/x-ndjson', chunks: lines(page) };
      return { total: matching.length, offers: page.map(offerView) };
    },
    'GET offers/:id': (_, id) => offerView(find(id)),
    'PATCH offers/:id': ({ body }, id) => {
      const offer = find(id);
      const change = defined(requests.offerChangeSchema.parse(json(body)));
      const wasUp = isUp(offer);
      catalogue.change(offer, { ...consequences(offer, change, simulation.clock.now()), ...change }, 'manual');
      if (wasUp && isUp(offer) && offer.available === 0) lifecycle.endWhenEmpty(offer, 'manual');
      return offerView(offer);
    },
    'POST offers/:id/freeze': ({ body }, id) => {
      catalogue.freeze(find(id), defined(requests.freezeSchema.parse(json(body === '' ? '{}' : body))));
    },
    'POST offers/:id/thaw': (_, id) => catalogue.thaw(find(id)),
    'POST sales': ({ body }) => {
      const request = requests.saleSchema.parse(json(body));
      const offer = find(request.offerId);
      const order = sell(simulation, request);
      if (!order) {
        throw new AdminError(
          409,
          `Offer ${offer.id} is ${offer.status} with ${offer.available} pieces, or another line of the order is not for sale`,
        );
      }
      const { checkoutFormId, lines } = order;
      const lineItemIds = lines.map(({ lineItemId }) => lineItemId);
      return { ...offerView(offer), checkoutFormId, lineItemId: lineItemIds[0], lineItemIds };
    },
    'POST orders/:id': ({ body }, checkoutFormId) => {
      const isKnown = continueOrder(simulation, checkoutFormId, requests.orderEventSchema.parse(json(body)));
      if (!isKnown) throw new AdminError(404, `No order ${checkoutFormId}`);
    },
    'PUT truth': ({ body }) => {
      const { skus, complete } = requests.truthSchema.parse(json(body));
      if (complete) {
        for (const [sku] of truth.entries()) if (!(sku in skus)) truth.remove(sku);
      }
      for (const [sku, quantity] of Object.entries(skus)) {
        if (quantity === null) truth.remove(sku);
        else truth.set(sku, quantity);
      }
    },
    'GET truth': () => ({ skus: Object.fromEntries(truth.entries()) }),
    'GET stock.csv': () => ({ contentType: 'text/csv; charset=utf-8', chunks: csv(truth.entries()) }),
  };
}

/** Tokens, the device flow, the clock, settings, faults. */
function accessActions(simulation: Simulation): Record<string, Action> {
  const { tokens, oauth, faults, clock } = simulation;
  return {
    'POST tokens': ({ body }) => {
      const { sellerId, clientId, scopes } = requests.tokenSchema.parse(json(body));
      simulation.catalogue.seller(sellerId);
      return tokens.authorize(sellerId, clientId, scopes);
    },
    'POST tokens/revoke': ({ body }) => ({ revoked: tokens.revoke(requests.revokeSchema.parse(json(body)).sellerId) }),
    'GET device': () => ({ userCodes: oauth.waitingUserCodes() }),
    'POST device/:id': ({ body }, userCode) => {
      const parsed = requests.decisionSchema.parse(json(body));
      if (parsed.decision === 'approve') simulation.catalogue.seller(parsed.sellerId);
      const decision = parsed.decision === 'approve' ? { sellerId: parsed.sellerId } : 'deny';
      if (!oauth.decide(userCode, decision))
        throw new AdminError(404, `No device authorization waits with code ${userCode}`);
    },
    'POST clock': ({ body }) => {
      clock.advance(requests.clockSchema.parse(json(body)).advanceMs);
      simulation.catalogue.expectArchived();
      return { now: clock.now() };
    },
    'GET settings': () => simulation.settings,
    'PUT settings': ({ body }) => {
      simulation.settings = changeSettings(simulation.settings, json(body));
      return simulation.settings;
    },
    'GET faults': () => ({ rules: faults.list() }),
    'POST faults': ({ body }) => ({ id: faults.plant(faultRuleSchema.parse(json(body))).id }),
    'DELETE faults': () => faults.remove(),
    'DELETE faults/:id': (_, id) => faults.remove(Number(id)),
  };
}

/** Journal, report, and what the page shows. */
function watchActions(simulation: Simulation): Record<string, Action> {
  const { journal, report, applicationLimit, sellerLimits } = simulation;
  return {
    'GET journal': ({ query }) => {
      const { since, limit } = requests.journalQuerySchema.parse(Object.fromEntries(new URLSearchParams(query)));
      return { lastRequest: journal.lastRequest, lastPhase: journal.lastPhase, entries: journal.read(since, limit) };
    },
    'GET journal/wait': async ({ query }) => {
      const { timeoutMs, ...asked } = requests.waitQuerySchema.parse(Object.fromEntries(new URLSearchParams(query)));
      return { entry: (await journal.wait(asked, timeoutMs)) ?? null };
    },
    'GET report': () => report.read({ clients: applicationLimit.report(), sellerLimits: sellerLimits.report() }),
    'POST report/reset': () => {
      report.reset();
      applicationLimit.reset();
      sellerLimits.reset();
    },
    'GET overview': () => overview(simulation),
  };
}

/** `/_admin/offers/17/freeze` is `offers/:id/freeze` with id 17. */
function actionKey({ method, path }: AdminRequest): { key: string; id: string } {
  const [first = '', second, third] = path.replace('/_admin/', '').split('/').map(decodeURIComponent);
  if (second === undefined) return { key: `${method} ${first}`, id: '' };
  const isId = ['offers', 'device', 'faults', 'orders'].includes(first);
  const tail = third === undefined ? '' : `/${third}`;
  return { key: `${method} ${first}/${isId ? ':id' : second}${tail}`, id: second };
}

/** What goes along with a status set by hand. */
function consequences(offer: Offer, change: Partial<OfferFields>, now: number): Partial<OfferFields> {
  if (change.status === 'ENDED' && offer.status !== 'ENDED')
    return { endedBy: 'USER', endedByApi: false, endedAt: now };
  if (change.status === 'ACTIVE' && offer.status !== 'ACTIVE') {
    return { endedBy: null, endedByApi: false, endedAt: null, startedAt: now };
  }
  return {};
}

/** An offer as the admin API shows it: the truth, and what the listing shows where that differs. */
export function offerView(offer: Offer): Omit<Offer, 'version' | 'editing' | 'zeroByApi'> {
  const { version: _version, editing: _editing, zeroByApi: _zeroByApi, ...view } = offer;
  return view;
}

function* lines(offers: readonly Offer[]): Iterable<string> {
  for (let start = 0; start < offers.length; start += 1000) {
    yield offers
      .slice(start, start + 1000)
      .map((offer) => `${JSON.stringify(offerView(offer))}\n`)
      .join('');
  }
}

function* csv(entries: readonly [string, number][]): Iterable<string> {
  yield 'sku,quantity\n';
  for (let start = 0; start < entries.length; start += 1000) {
    yield entries
      .slice(start, start + 1000)
      .map(([sku, quantity]) => `${/[",\n]/.test(sku) ? `"${sku.replaceAll('"', '""')}"` : sku},${quantity}\n`)
      .join('');
  }
}

function json(body: string): unknown {
  const parsed = parseJson(body === '' ? '{}' : body);
  if (parsed === undefined) throw new AdminError(400, 'The body is no JSON');
  return parsed;
}

type Defined<Values> = { [Key in keyof Values]: Exclude<Values[Key], undefined> };

/** Leaves out what is undefined, so that it does not overwrite. */
function defined<Values extends object>(values: Values): Partial<Defined<Values>> {
  const kept: Partial<Defined<Values>> = {};
  return Object.assign(kept, Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)));
}

function isText(value: unknown): value is Text {
  return typeof value === 'object' && value !== null && 'contentType' in value && 'chunks' in value;
}

function sendText(response: ServerResponse, { contentType, chunks }: Text): void {
  response.writeHead(200, { 'Content-Type': contentType });
  for (const chunk of chunks) response.write(chunk);
  response.end();
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(value));
}

function page(): string {
  return readFileSync(new URL('./page.html', import.meta.url), 'utf8');
}
