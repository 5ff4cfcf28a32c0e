import { toAccountId, toOfferId, toSku, type OfferId, type Sku } from '../../src/domain/ids.js';
import type { Call, OperationAnswer, WriteAnswer } from '../../src/domain/marketplace.js';
import { addAccount } from '../../src/storage/accounts.js';
import { callFor, errorOf, eventually, newCommandId } from '../integration/allegro/allegro-under-test.js';
import type { CheckedAllegro } from './checked-allegro.js';

const SELLER = '44000001';
const OTHER_SELLER = '44000002';
const ACCESS_TOKEN_LIFETIME_MS = 43_200_000;

/** Every request that the adapter can make, and every answer that a shop in order gives. */
export async function runFullFlow(checked: CheckedAllegro): Promise<void> {
  const call = await logIn(checked);
  await readShop(checked, call);
  await readOffers(checked, call);
  await edit(checked, call);
  await command(checked, call);
  await readEvents(checked, call);
  await refuse(checked);
  await expire(checked, call);
}

/** The device flow, then `/me` to see whose shop it is. */
async function logIn({ under, allegro }: CheckedAllegro): Promise<Call> {
  const accountId = toAccountId('checked');
  await addAccount(under.db, { accountId, name: 'Checked' });
  const login = await allegro.login.start(accountId);
  await under.admin.decideDevice(login.userCode, { decision: 'approve', sellerId: SELLER });
  await allegro.login.finish(accountId, login);
  const call = callFor(accountId);
  await allegro.marketplace.identify(call);
  return call;
}

/** Listing rows of every kind, with the nulls of the tutorial. */
async function readShop({ under, allegro }: CheckedAllegro, call: Call): Promise<void> {
  await allegro.marketplace.listOffers(call, { offset: 0, limit: 1000 });
  await under.admin.addOffers([
    { sellerId: SELLER, externalId: 'TEA' },
    { sellerId: SELLER, externalId: null, status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 },
    { sellerId: SELLER, externalId: 'BOX', format: 'AUCTION', durationDays: 7 },
    { sellerId: SELLER, externalId: 'ADS', format: 'ADVERTISEMENT', durationDays: 30 },
    { sellerId: SELLER, status: 'INACTIVE', rejection: {} },
    { sellerId: SELLER, status: 'ACTIVATING' },
    { sellerId: SELLER, isFulfillment: true, status: 'ENDED', endedBy: 'EXPIRATION', durationDays: 10 },
  ]);
  for (const nullsInRows of ['none', 'all'] as const) {
    await under.admin.changeSettings({ nullsInRows });
    await allegro.marketplace.listOffers(call, { offset: 0, limit: 1000 });
  }
  await under.admin.changeSettings({ nullsInRows: 'none' });
  await allegro.marketplace.findOffers(call, [sku('TEA')]);
  await allegro.marketplace.findOffers(call, [sku('TEA'), sku('BOX'), sku('ŁÓŻKO, 1&2')]);
}

async function readOffers({ under, allegro }: CheckedAllegro, call: Call): Promise<void> {
  const { offers } = await under.admin.offers({ sellerId: SELLER });
  for (const { id } of offers) await allegro.marketplace.readOffer(call, toOfferId(id));
  await allegro.marketplace.readAvailable(call, await under.offer());
  const foreign = await under.offer({ sellerId: OTHER_SELLER });
  for (const [offerId, type] of [
    [toOfferId('1'), 'OfferNotFound'],
    [foreign, 'AccessDenied'],
  ] as const) {
    await errorOf(allegro.marketplace.readOffer(call, offerId), type);
    await errorOf(allegro.marketplace.readAvailable(call, offerId), type);
  }
}

/** Edits that are done at once, later, too late, or not at all. */
async function edit({ under, allegro }: CheckedAllegro, call: Call): Promise<void> {
  const { marketplace } = allegro;
  await under.admin.changeSettings({ operationDelayMs: 60_000 });
  const offerId = await under.offer({ available: 3 });
  await marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 7 });
  await marketplace.writeOffer(call, await under.offer(), { kind: 'zero' });

  const ending = await marketplace.writeOffer(call, offerId, { kind: 'end' });
  await errorOf(marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 8 }), 'OfferConflict');
  await marketplace.checkOperation(call, operationOf(ending));
  await under.admin.advanceClock(60_000);
  await settled(() => marketplace.checkOperation(call, operationOf(ending)));
  const comingBack = await marketplace.writeOffer(call, offerId, { kind: 'reactivate', quantity: 5 });
  await under.admin.advanceClock(60_000);
  await settled(() => marketplace.checkOperation(call, operationOf(comingBack)));

  const refused = await under.offer({ rejection: { code: 'MissingRequiredParameters' } });
  await errorOf(marketplace.writeOffer(call, refused, { kind: 'quantity', quantity: 2 }), 'OfferRejected');
  const late = await under.offer({ rejection: { mode: 'async' } });
  const failing = await marketplace.writeOffer(call, late, { kind: 'quantity', quantity: 2 });
  await under.admin.advanceClock(60_000);
  await errorOf(marketplace.checkOperation(call, operationOf(failing)), 'OfferRejected');
  const foreign = await under.offer({ sellerId: OTHER_SELLER });
  await errorOf(marketplace.writeOffer(call, toOfferId('1'), { kind: 'quantity', quantity: 2 }), 'OfferNotFound');
  await errorOf(marketplace.writeOffer(call, foreign, { kind: 'quantity', quantity: 2 }), 'AccessDenied');
}

/** Each command is registered, registered again, asked for too early, and read to the end, failed tasks included. */
async function command({ under, allegro }: CheckedAllegro, call: Call): Promise<void> {
  const { marketplace, bulk } = allegro;
  const offerIds: OfferId[] = [await under.offer(), await under.offer({ format: 'AUCTION' }), toOfferId('1')];
  const commandId = newCommandId();
  const changes = offerIds.map((offerId, index) => ({ offerId, quantity: index + 1 }));
  const kinds = [
    {
      submit: () => marketplace.submitQuantityCommand(call, { commandId, quantity: 4, offerIds }),
      read: () => marketplace.readQuantityCommand(call, commandId),
    },
    { submit: () => bulk.submit(call, { commandId, changes }), read: () => bulk.read(call, commandId) },
    {
      submit: () => marketplace.submitEndCommand(call, { commandId, offerIds }),
      read: () => marketplace.readEndCommand(call, commandId),
    },
  ];
  for (const { submit, read } of kinds) {
    await read();
    await submit();
    await read();
    await submit();
    await eventually(async () => (await read()).isComplete, 'the command is complete');
  }
}

async function readEvents({ under, allegro }: CheckedAllegro, call: Call): Promise<void> {
  const { events } = allegro;
  await events.latestSaleCursor(call);
  const cursor = (await events.readSales(call, null)).cursor;
  const [a, b] = [await under.offer({ externalId: 'TEA' }), await under.offer({ available: 1 })];
  await under.admin.sell({ offerId: a, also: [{ offerId: b, quantity: 1 }] });
  await under.admin.editOffer(a, { archived: true });
  await eventually(async () => (await under.admin.offer(b)).status === 'ENDED', 'what is sold out ends');
  const offerEvents = await events.readOfferEvents(call, null);
  await events.readOfferEvents(call, offerEvents.cursor);
  await events.readSales(call, cursor);
  await events.latestSaleCursor(call);
}

/** A private account may read itself and nothing else. */
async function refuse({ under, allegro }: CheckedAllegro): Promise<void> {
  await under.admin.addSeller({ sellerId: '44000003', isBusiness: false });
  const call = await under.logIn('44000003');
  await errorOf(allegro.marketplace.listOffers(call, { offset: 0, limit: 1000 }), 'AccountRefused');
}

/** Each resource whose 401 is declared meets an expired token once, and goes on with the next one. */
async function expire({ under, allegro }: CheckedAllegro, call: Call): Promise<void> {
  const offerId = await under.offer();
  const works: (() => Promise<unknown>)[] = [
    () => allegro.marketplace.identify(call),
    () => allegro.marketplace.readOffer(call, offerId),
    () => allegro.marketplace.readAvailable(call, offerId),
    () => allegro.marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 9 }),
    () => allegro.events.readOfferEvents(call, null),
  ];
  for (const work of works) {
    await under.admin.advanceClock(ACCESS_TOKEN_LIFETIME_MS);
    await work();
  }
}

export function operationOf(answer: WriteAnswer): string {
  if (answer.kind !== 'accepted') throw new Error(`expected an accepted edit, but it is ${answer.kind}`);
  return answer.operation;
}

export async function settled(check: () => Promise<OperationAnswer>): Promise<void> {
  await eventually(async () => (await check()).kind === 'done', 'the operation is done');
}

export function sku(text: string): Sku {
  const value = toSku(text);
  if (value === null) throw new Error(`not a SKU: ${text}`);
  return value;
}
