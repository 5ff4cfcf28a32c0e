import { toSku } from '../domain/ids.js';
import type { Call } from '../domain/marketplace.js';
import type { EventPage, MarketplaceEvents, OfferEvent, Sale } from '../domain/marketplace-events.js';
import { offerEventsSchema, orderEventsSchema, orderEventStatsSchema } from './answers.js';
import type { Quotas } from './quotas.js';
import type { AccountRequest, Session } from './session.js';

/** The document's largest page. */
const PAGE = 1000;
const TIMEOUT_MS = 20_000;
const MAX_BYTES = 16 * 1024 * 1024;

const OFFER_EVENT_KINDS: Readonly<Record<string, OfferEvent['kind']>> = {
  OFFER_STOCK_CHANGED: 'stock_changed',
  OFFER_ENDED: 'ended',
  OFFER_ACTIVATED: 'activated',
  OFFER_ARCHIVED: 'archived',
};

/** `GET /sale/offer-events` and `GET /order/events` (facts §7). */
export function createEvents({
  session,
  quotas,
}: {
  readonly session: Session;
  readonly quotas: Quotas;
}): MarketplaceEvents {
  function readRequest(operation: string, route: string, query: URLSearchParams): AccountRequest {
    const text = query.toString();
    return {
      operation,
      kind: 'account_read',
      method: 'GET',
      route,
      path: text === '' ? route : `${route}?${text}`,
      quotas: () => quotas.application,
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
      accepts: [200],
    };
  }

  function pageQuery(cursor: string | null, types: readonly string[]): URLSearchParams {
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (cursor !== null) query.set('from', cursor);
    for (const type of types) query.append('type', type);
    return query;
  }

  /** The cursor is the place of the page's last event: what comes out of order is told again rather than missed. */
  function toPage<Raw extends { readonly id: string }, Event>(
    raw: readonly Raw[],
    cursor: string | null,
    eventsOf: (event: Raw) => readonly Event[],
  ): EventPage<Event> {
    const distinct = [...new Map(raw.map((event) => [event.id, event])).values()];
    return {
      events: distinct.flatMap(eventsOf),
      cursor: raw.at(-1)?.id ?? cursor,
      isLast: raw.length < PAGE,
    };
  }

  return {
    async readOfferEvents(call: Call, cursor) {
      const query = pageQuery(cursor, Object.keys(OFFER_EVENT_KINDS));
      const request = readRequest('readOfferEvents', '/sale/offer-events', query);
      const { offerEvents } = session.parse(offerEventsSchema, request, await session.send(call, request));
      return toPage(offerEvents, cursor, (event): OfferEvent[] => {
        if (event.offer == null) return [];
        return [
          {
            offerId: event.offer.id,
            sku: toSku(event.offer.external?.id),
            kind: OFFER_EVENT_KINDS[event.type] ?? 'other',
            endedBy: event.offer.publication?.endedBy ?? null,
            occurredAt: event.occurredAt,
          },
        ];
      });
    },

    async readSales(call, cursor) {
      const request = readRequest('readSales', '/order/events', pageQuery(cursor, ['BOUGHT']));
      const { events } = session.parse(orderEventsSchema, request, await session.send(call, request));
      const page = toPage(events, cursor, ({ order }): Sale[] =>
        order.lineItems.map((line) => ({
          key: `${order.checkoutForm?.id ?? ''}/${line.id}`,
          offerId: line.offer.id,
          sku: toSku(line.offer.external?.id),
          quantity: line.quantity,
          boughtAt: line.boughtAt,
        })),
      );
      // The same line may be told by several events.
      return { ...page, events: [...new Map(page.events.map((sale) => [sale.key, sale])).values()] };
    },

    async latestSaleCursor(call) {
      const request = readRequest('latestSaleCursor', '/order/event-stats', new URLSearchParams());
      const stats = session.parse(orderEventStatsSchema, request, await session.send(call, request));
      return stats.latestEvent?.id ?? null;
    },
  };
}
