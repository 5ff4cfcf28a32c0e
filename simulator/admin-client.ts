import { z } from 'zod';

import type {
  DeviceDecision,
  FrozenRow,
  NewOffer,
  NewSeller,
  OfferChange,
  OffersQuery,
  OrderEventRequest,
  SaleRequest,
  TokenRequest,
  TruthRequest,
  WaitRequest,
} from './admin-requests.js';
import type { FaultRule, PlantedRule } from './faults.js';
import type { JournalEntry } from './journal.js';
import type { Offer, OfferStatus } from './offer.js';
import type { Overview } from './overview.js';
import type { SimulatorReport } from './report.js';
import type { SeedRequest, SeedResult } from './seed.js';
import type { Settings, SettingsChange } from './settings.js';
import type { TokenPair } from './tokens.js';

/** An offer as it truly is; times in ms since 1970. */
export type TrueOffer = Omit<Offer, 'version' | 'editing' | 'zeroByApi'>;

export interface SellerSummary {
  readonly id: string;
  readonly login: string;
  readonly isBusiness: boolean;
  readonly offers: number;
  readonly countByStatus: Record<OfferStatus, number>;
}

/** The simulator's admin API, typed. Every method throws an Error with the simulator's own message when it refuses. */
export interface SimulatorAdmin {
  readonly url: string;
  seed(request?: SeedRequest): Promise<SeedResult>;
  clear(): Promise<void>;
  addSeller(seller: NewSeller): Promise<void>;
  sellers(): Promise<SellerSummary[]>;
  addOffer(offer: NewOffer): Promise<TrueOffer>;
  addOffers(offers: readonly NewOffer[]): Promise<TrueOffer[]>;
  offers(query?: OffersQuery): Promise<{ total: number; offers: TrueOffer[] }>;
  offer(offerId: string): Promise<TrueOffer>;
  /** Somebody else edits the offer, at Allegro's pages or by another application. */
  editOffer(offerId: string, change: OfferChange): Promise<TrueOffer>;
  /** From now on the listing shows the row as given (by default: as it is now). */
  freezeOffer(offerId: string, shown?: FrozenRow): Promise<void>;
  thawOffer(offerId: string): Promise<void>;
  /** A buyer buys. `lineItemId` is that of the first line. */
  sell(sale: SaleRequest): Promise<TrueOffer & { checkoutFormId: string; lineItemId: string; lineItemIds: string[] }>;
  /** Something more happens to an order: a cancellation, say, or BOUGHT told again. */
  continueOrder(checkoutFormId: string, event: OrderEventRequest): Promise<void>;
  /** Publishable pieces by SKU, by which writes are judged. */
  setTruth(truth: TruthRequest): Promise<void>;
  truth(): Promise<Record<string, number>>;
  /** `sku,quantity` of the truth, as a file for import. */
  stockCsv(): Promise<string>;
  issueTokens(request: TokenRequest): Promise<TokenPair>;
  revokeTokens(sellerId: string): Promise<number>;
  waitingUserCodes(): Promise<string[]>;
  decideDevice(userCode: string, decision: DeviceDecision): Promise<void>;
  advanceClock(advanceMs: number): Promise<void>;
  settings(): Promise<Settings>;
  changeSettings(change: SettingsChange): Promise<Settings>;
  /** @returns the rule's id. */
  plantFault(rule: FaultRule): Promise<number>;
  faults(): Promise<PlantedRule[]>;
  removeFault(id: number): Promise<void>;
  removeFaults(): Promise<void>;
  journal(query?: { since?: number; limit?: number }): Promise<{
    lastRequest: number;
    lastPhase: number;
    entries: JournalEntry[];
  }>;
  /** The first request to reach the phase later than phase number `after`; null when none does in time (30 s by default). */
  waitForRequest(request: WaitRequest): Promise<JournalEntry | null>;
  report(): Promise<SimulatorReport>;
  resetReport(): Promise<void>;
  overview(): Promise<Overview>;
}

/** @param url as printed by the simulator, such as `http://127.0.0.1:8080`. */
export function simulatorAdmin(url: string): SimulatorAdmin {
  const base = url.replace(/\/$/, '');
  const call = async <Result>(method: string, path: string, body?: unknown): Promise<Result> => {
    const response = await fetch(`${base}/_admin/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`Simulator: ${method} ${path} answered ${response.status}: ${text}`);
    // Not checked field by field: both ends are compiled from the same declarations.
    return z.custom<Result>().parse(JSON.parse(text));
  };
  return {
    url: base,
    seed: (request = {}) => call('POST', 'seed', request),
    clear: () => call('POST', 'clear'),
    addSeller: (seller) => call('POST', 'sellers', seller),
    sellers: () => call('GET', 'sellers'),
    addOffer: async (offer) => {
      const { offers } = await call<{ offers: TrueOffer[] }>('POST', 'offers', offer);
      const [added] = offers;
      if (!added) throw new Error('Simulator: no offer was added');
      return added;
    },
    addOffers: async (offers) => (await call<{ offers: TrueOffer[] }>('POST', 'offers', offers)).offers,
    offers: (query = {}) => call('GET', `offers?${queryString(query)}`),
    offer: (offerId) => call('GET', `offers/${offerId}`),
    editOffer: (offerId, change) => call('PATCH', `offers/${offerId}`, change),
    freezeOffer: (offerId, shown = {}) => call('POST', `offers/${offerId}/freeze`, shown),
    thawOffer: (offerId) => call('POST', `offers/${offerId}/thaw`),
    sell: (sale) => call('POST', 'sales', sale),
    continueOrder: async (checkoutFormId, event) => {
      await call('POST', `orders/${checkoutFormId}`, event);
    },
    setTruth: (truth) => call('PUT', 'truth', truth),
    truth: async () => (await call<{ skus: Record<string, number> }>('GET', 'truth')).skus,
    stockCsv: async () => await (await fetch(`${base}/_admin/stock.csv`)).text(),
    issueTokens: (request) => call('POST', 'tokens', request),
    revokeTokens: async (sellerId) => (await call<{ revoked: number }>('POST', 'tokens/revoke', { sellerId })).revoked,
    waitingUserCodes: async () => (await call<{ userCodes: string[] }>('GET', 'device')).userCodes,
    decideDevice: (userCode, decision) => call('POST', `device/${userCode}`, decision),
    advanceClock: async (advanceMs) => {
      await call('POST', 'clock', { advanceMs });
    },
    settings: () => call('GET', 'settings'),
    changeSettings: (change) => call('PUT', 'settings', change),
    plantFault: async (rule) => (await call<{ id: number }>('POST', 'faults', rule)).id,
    faults: async () => (await call<{ rules: PlantedRule[] }>('GET', 'faults')).rules,
    removeFault: (id) => call('DELETE', `faults/${id}`),
    removeFaults: () => call('DELETE', 'faults'),
    journal: (query = {}) => call('GET', `journal?${queryString(query)}`),
    waitForRequest: async (request) =>
      (await call<{ entry: JournalEntry | null }>('GET', `journal/wait?${queryString(request)}`)).entry,
    report: () => call('GET', 'report'),
    resetReport: () => call('POST', 'report/reset'),
    overview: () => call('GET', 'overview'),
  };
}

function queryString(query: object): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(key, String(value));
  }
  return parameters.toString();
}
