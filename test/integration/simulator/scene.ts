import { simulatorAdmin, type SimulatorAdmin, type TrueOffer } from '../../../simulator/admin-client.js';
import type { NewOffer } from '../../../simulator/admin-requests.js';
import { startSimulator, type Simulator } from '../../../simulator/server.js';
import type { SettingsChange } from '../../../simulator/settings.js';

export const PUBLIC = 'application/vnd.allegro.public.v1+json';
export const BETA = 'application/vnd.allegro.beta.v1+json';
export const USER_AGENT = 'stock-sync-test/1.0.0 (+https://example.com/stock-sync)';
export const SELLER = '44000001';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Undefined where the text is no JSON. */
  readonly body: unknown;
}

export interface RequestParts {
  readonly body?: unknown;
  readonly media?: string;
  readonly headers?: Record<string, string>;
  readonly token?: string | null;
}

export type Send = (method: string, path: string, parts?: RequestParts) => Promise<Reply>;

/** A simulator of its own with one seller who has a token. */
export interface Scene {
  readonly simulator: Simulator;
  readonly admin: SimulatorAdmin;
  readonly send: Send;
  /** Adds an offer of the seller: active, with 10 pieces. */
  readonly offer: (fields?: Partial<NewOffer>) => Promise<TrueOffer>;
  readonly patch: (offerId: string, body: unknown) => Promise<Reply>;
  readonly stop: () => Promise<void>;
}

export async function startScene(settings: SettingsChange = {}): Promise<Scene> {
  const simulator = await startSimulator({ settings });
  const admin = simulatorAdmin(simulator.url);
  const { accessToken } = await admin.issueTokens({ sellerId: SELLER });
  const send = senderFor(simulator.url, accessToken);
  return {
    simulator,
    admin,
    send,
    offer: (fields = {}) => admin.addOffer({ sellerId: SELLER, externalId: 'MUG-1', ...fields }),
    patch: (offerId, body) => send('PATCH', `/sale/product-offers/${offerId}`, { body }),
    stop: () => simulator.stop(),
  };
}

export function senderFor(url: string, accessToken: string): Send {
  return async (method, path, { body, media = PUBLIC, headers = {}, token = accessToken } = {}) => {
    const response = await fetch(`${url}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        accept: media,
        'content-type': media,
        'user-agent': USER_AGENT,
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: parse(text) };
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Polls until `check` gives something other than undefined or false; fails after `deadlineMs`. */
export async function until<Result>(
  check: () => Promise<Result | undefined | false>,
  deadlineMs = 5000,
): Promise<Result> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const result = await check();
    if (result !== undefined && result !== false) return result;
    if (Date.now() > deadline) throw new Error('What was waited for did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function command(offerIds: readonly string[], value: number, changeType = 'FIXED'): object {
  return {
    modification: { changeType, value },
    offerCriteria: [{ type: 'CONTAINS_OFFERS', offers: offerIds.map((id) => ({ id })) }],
  };
}

export function publication(offerIds: readonly string[], action: string): object {
  return {
    publication: { action },
    offerCriteria: [{ type: 'CONTAINS_OFFERS', offers: offerIds.map((id) => ({ id })) }],
  };
}
