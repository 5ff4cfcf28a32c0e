import type { Call } from '../../src/domain/marketplace.js';
import { eventually, newCommandId } from '../integration/allegro/allegro-under-test.js';
import type { CheckedAllegro } from './checked-allegro.js';
import { operationOf, sku } from './flow.js';
import type { Sent } from './relay.js';

/** A request of the adapter with something wrong in it, and where that has to be reported. */
export interface WrongRequest {
  readonly send: () => Promise<unknown>;
  readonly spoil: (sent: Sent) => Sent;
  readonly place: string;
}

/** An answer of the simulator with a field replaced; asked for by hand. */
export interface WrongAnswer {
  readonly method: string;
  readonly path: string;
  readonly body?: object;
  readonly isBeta?: boolean;
  /** As in the simulator's fault `wrongTypes`; without a value, one of another type. */
  readonly field: string;
  readonly value?: unknown;
  readonly place: string;
}

const replaced =
  (from: string, to: string) =>
  ({ path, body }: Sent): Sent => ({ path: path.replace(from, to), body: body.replace(from, to) });

/** A value of another type and a field that is not in the document for each body; a value out of range for each query. */
export async function wrongRequests({ under, allegro }: CheckedAllegro): Promise<WrongRequest[]> {
  const { marketplace, events, bulk } = allegro;
  const sellerId = '44000011';
  const call = await under.logIn(sellerId);
  const offerId = await under.offer({ sellerId });
  const edit = () => marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 7 });
  const setQuantity = () =>
    marketplace.submitQuantityCommand(call, { commandId: newCommandId(), quantity: 7, offerIds: [offerId] });
  const end = () => marketplace.submitEndCommand(call, { commandId: newCommandId(), offerIds: [offerId] });
  const setMany = () => bulk.submit(call, { commandId: newCommandId(), changes: [{ offerId, quantity: 7 }] });
  const done = newCommandId();
  await marketplace.submitQuantityCommand(call, { commandId: done, quantity: 7, offerIds: [offerId] });
  await eventually(
    async () => (await marketplace.readQuantityCommand(call, done)).isComplete,
    'the command is complete',
  );

  const PATCH = 'PATCH /sale/product-offers/{offerId}';
  const QUANTITY = 'PUT /sale/offer-quantity-change-commands/{commandId}';
  const END = 'PUT /sale/offer-publication-commands/{commandId}';
  const BULK = 'POST /sale/offer-bulk-modification-commands';
  return [
    { send: edit, spoil: replaced(':7', ':"7"'), place: `${PATCH} 400 request body.stock.available` },
    { send: edit, spoil: replaced('"stock"', '"stok"'), place: `${PATCH} 422 request body.stok` },
    { send: edit, spoil: replaced('"available"', '"left"'), place: `${PATCH} 422 request body.stock.left` },
    { send: setQuantity, spoil: replaced(':7', ':"7"'), place: `${QUANTITY} 400 request body.modification.value` },
    {
      send: setQuantity,
      spoil: replaced('"value"', '"amount"'),
      place: `${QUANTITY} 400 request body.modification.amount`,
    },
    {
      send: setQuantity,
      spoil: replaced('CONTAINS_OFFERS', 'ALL'),
      place: `${QUANTITY} 400 request body.offerCriteria.*.type`,
    },
    { send: end, spoil: replaced('"END"', '"STOP"'), place: `${END} 400 request body.publication.action` },
    { send: end, spoil: replaced('"action"', '"act"'), place: `${END} 400 request body.publication.act` },
    { send: setMany, spoil: replaced(':7', ':"7"'), place: `${BULK} 400 request body.modifications.*.stock.value` },
    { send: setMany, spoil: replaced('"offerId"', '"id"'), place: `${BULK} 400 request body.modifications.*.id` },
    {
      send: () => marketplace.listOffers(call, { offset: 0, limit: 1000 }),
      spoil: replaced('limit=1000', 'limit=1001'),
      place: 'GET /sale/offers 400 request query.limit',
    },
    {
      send: () => marketplace.findOffers(call, [sku('TEA')]),
      spoil: replaced('external.id=TEA', 'publication.status=OPEN'),
      place: 'GET /sale/offers 400 request query.publication.status.*',
    },
    {
      send: () => marketplace.readAvailable(call, offerId),
      spoil: replaced('include=stock', 'include=left'),
      place: 'GET /sale/product-offers/{offerId}/parts 400 request query.include.*',
    },
    {
      send: () => marketplace.readQuantityCommand(call, done),
      spoil: replaced('limit=1000', 'limit=1001'),
      place: 'GET /sale/offer-quantity-change-commands/{commandId}/tasks 422 request query.limit',
    },
    {
      send: () => events.readOfferEvents(call, null),
      spoil: replaced('OFFER_ENDED', 'OFFER_GONE'),
      place: 'GET /sale/offer-events 400 request query.type.*',
    },
    {
      send: () => events.readSales(call, null),
      spoil: replaced('limit=1000', 'limit=1001'),
      place: 'GET /order/events 422 request query.limit',
    },
  ];
}

/** A field of another type in an answer of every route that answers with a body, and some that are not in the document. */
export async function wrongAnswers({
  under,
  allegro,
}: CheckedAllegro): Promise<{ call: Call; answers: WrongAnswer[] }> {
  const { marketplace, bulk } = allegro;
  const sellerId = '44000012';
  const call = await under.logIn(sellerId);
  await under.admin.changeSettings({ operationDelayMs: 3_600_000 });
  const offerId = await under.offer({ sellerId });
  const [busy, ended] = [await under.offer({ sellerId }), await under.offer({ sellerId })];
  await under.admin.editOffer(ended, { status: 'ENDED' });
  await under.admin.sell({ offerId });
  const operation = operationOf(await marketplace.writeOffer(call, busy, { kind: 'end' }));
  const commandId = newCommandId();
  await marketplace.submitQuantityCommand(call, { commandId, quantity: 7, offerIds: [offerId] });
  await marketplace.submitEndCommand(call, { commandId, offerIds: [ended] });
  await bulk.submit(call, { commandId, changes: [{ offerId, quantity: 7 }] });

  const offer = `/sale/product-offers/${offerId}`;
  const PRODUCT_OFFER = '/sale/product-offers/{offerId}';
  const QUANTITY = '/sale/offer-quantity-change-commands';
  const END = '/sale/offer-publication-commands';
  const BULK = '/sale/offer-bulk-modification-commands';
  const offerCriteria = [{ type: 'CONTAINS_OFFERS', offers: [{ id: offerId }] }];
  const get = (path: string, field: string, place: string, value?: unknown): WrongAnswer => ({
    method: 'GET',
    path,
    field,
    place: `GET ${place}`,
    value,
  });
  const answers = [
    get('/me', 'login', '/me 200 response body.login'),
    get('/sale/offers?limit=1', 'offers.0.stock.available', '/sale/offers 200 response body.offers.*.stock.available'),
    get('/sale/offers?limit=1', 'offers.0.stock', '/sale/offers 200 response body.offers.*.stock.left', { left: 1 }),
    get('/sale/offers?limit=1', 'totalCount', '/sale/offers 200 response body.totalCount'),
    get(offer, 'publication.status', `${PRODUCT_OFFER} 200 response body.publication.status`),
    get(offer, 'publication.endedBy', `${PRODUCT_OFFER} 200 response body.publication.endedBy`, 'NOBODY'),
    get(offer, 'stock', `${PRODUCT_OFFER} 200 response body.stock.left`, { left: 1 }),
    get('/sale/product-offers/1', 'errors.0.code', `${PRODUCT_OFFER} 404 response body.errors.*.code`),
    get(`${offer}/parts?include=stock`, 'stock.available', `${PRODUCT_OFFER}/parts 200 response body.stock.available`),
    get(operation, 'operation.status', `${PRODUCT_OFFER}/operations/{operationId} 202 response body.operation.status`),
    {
      method: 'PATCH',
      path: offer,
      body: { stock: { available: 6 } },
      field: 'stock.available',
      place: `PATCH ${PRODUCT_OFFER} 200 response body.stock.available`,
    },
    {
      method: 'PUT',
      path: `${QUANTITY}/${newCommandId()}`,
      body: { modification: { changeType: 'FIXED', value: 7 }, offerCriteria },
      field: 'taskCount.total',
      place: `PUT ${QUANTITY}/{commandId} 201 response body.taskCount.total`,
    },
    {
      method: 'PUT',
      path: `${END}/${newCommandId()}`,
      body: { publication: { action: 'END' }, offerCriteria },
      field: 'createdAt',
      place: `PUT ${END}/{commandId} 201 response body.createdAt`,
      value: 'yesterday',
    },
    {
      method: 'POST',
      path: BULK,
      isBeta: true,
      body: { commandId: newCommandId(), modifications: [{ offerId, stock: { changeType: 'FIXED', value: 7 } }] },
      field: 'id',
      place: `POST ${BULK} 201 response body.id`,
    },
    ...[QUANTITY, END, BULK].flatMap((route) => [
      get(`${route}/${commandId}`, 'taskCount.success', `${route}/{commandId} 200 response body.taskCount.success`),
      get(
        `${route}/${commandId}/tasks`,
        'tasks.0.status',
        `${route}/{commandId}/tasks 200 response body.tasks.*.status`,
      ),
    ]),
    get(
      '/sale/offer-events',
      'offerEvents.0.occurredAt',
      '/sale/offer-events 200 response body.offerEvents.*.occurredAt',
    ),
    get(
      '/sale/offer-events?type=OFFER_ENDED',
      'offerEvents.0.offer.publication.endedBy',
      '/sale/offer-events 200 response body.offerEvents.*.offer.publication.endedBy',
      'NOBODY',
    ),
    get(
      '/order/events',
      'events.0.order.lineItems.0.quantity',
      '/order/events 200 response body.events.*.order.lineItems.*.quantity',
    ),
    get('/order/event-stats', 'latestEvent.id', '/order/event-stats 200 response body.latestEvent.id'),
  ];
  return { call, answers };
}
