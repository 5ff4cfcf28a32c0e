import { EventEmitter, once } from 'node:events';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { SyncError } from '../../../src/domain/errors.js';
import type { OfferId, RunId } from '../../../src/domain/ids.js';
import type { Call, Marketplace } from '../../../src/domain/marketplace.js';
import {
  changeOf,
  failureClass,
  journalEnd,
  requestsSince,
  setUpActivities,
  stock,
  type ActivitiesUnderTest,
  type Shop,
} from './activities-under-test.js';

/** A worker that is stopped between the marking of a change and its request, and woken when another one was at it. */
let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities({}, { isUnpaced: true });
});
afterAll(() => under.close());

const LATE = new SyncError('DependencyUnavailable', 'too late');

interface Planned {
  readonly shop: Shop;
  readonly skus: readonly string[];
  readonly offerIds: readonly OfferId[];
  readonly runId: RunId;
  readonly batch: number;
  readonly commandId: string;
}

/** Offers that show 10 and are to become 4: one goes alone, twelve go by a command. */
async function planned(count: number): Promise<Planned> {
  const shop = await under.shop();
  const skus = Array.from({ length: count }, () => shop.sku());
  await stock(under, Object.fromEntries(skus.map((sku) => [sku, 4])));
  const offerIds = await shop.offers(skus.map((externalId) => ({ externalId, available: 10 })));
  const runId = await shop.scanned();
  const { phases } = await under.act.planWrites({ runId });
  const [batch = 0] = phases.flatMap(({ batches }) => batches);
  const [commandId = ''] = phases.flatMap(({ commandIds }) => commandIds);
  return { shop, skus, offerIds, runId, batch, commandId };
}

function sendBatch({ runId, batch }: Planned, marketplace: Partial<Marketplace> = {}) {
  const act = under.with({ marketplace: { ...under.services.marketplace, ...marketplace } });
  return act.updateOfferBatch({ runId, batch, priority: 'scheduled' });
}

function sendCommand({ runId, commandId }: Planned, marketplace: Partial<Marketplace> = {}) {
  const act = under.with({ marketplace: { ...under.services.marketplace, ...marketplace } });
  return act.submitCommand({ runId, commandId, priority: 'scheduled' });
}

function rowOf({ runId, offerIds: [first] }: Planned) {
  if (first === undefined) throw new Error('no offer');
  return changeOf(under.db, runId, first);
}

async function commandOf({ commandId }: Planned) {
  return under.db.selectFrom('commands').selectAll().where('id', '=', commandId).executeTakeFirstOrThrow();
}

async function writesSince(since: number, { shop }: Planned): Promise<(readonly number[])[]> {
  const requests = await requestsSince(under, since, shop.seller);
  return requests.filter(({ method }) => method !== 'GET').map(({ values }) => values);
}

/** As if the process had stood still for 6 s before the request was written. */
function stopped(call: Call): Call {
  return { ...call, sendBy: (call.sendBy ?? Infinity) - 6_000 };
}

test('a write that is late is not sent; taken anew it carries the number of then', async () => {
  const change = await planned(1);
  const start = await journalEnd(under);

  const late = sendBatch(change, {
    writeOffer: (call, ...rest) => under.services.marketplace.writeOffer(stopped(call), ...rest),
  });

  expect(await failureClass(late)).toBe('DependencyUnavailable');
  expect(await writesSince(start, change)).toEqual([]);
  expect(await rowOf(change)).toMatchObject({ state: 'planned', valueSent: null, sentAt: null, attempts: 0 });
  await stock(under, { [change.skus[0] ?? '']: 3 });
  expect(await sendBatch(change)).toEqual({ retry: [], settled: 1 });
  expect(await writesSince(start, change)).toEqual([[3]]);
});

test('a command that is late is not sent; its offers are sent with the numbers of then', async () => {
  const change = await planned(12);
  const start = await journalEnd(under);

  const late = sendCommand(change, {
    submitQuantityCommand: (call, command) => under.services.marketplace.submitQuantityCommand(stopped(call), command),
  });

  expect(await failureClass(late)).toBe('DependencyUnavailable');
  expect(await writesSince(start, change)).toEqual([]);
  expect(await commandOf(change)).toMatchObject({ state: 'planned', sentAt: null });
  await stock(under, Object.fromEntries(change.skus.map((sku) => [sku, 3])));
  expect(await sendCommand(change)).toEqual({ isSent: false });
  expect((await rowOf(change)).target).toBe(3);
});

test('woken after another worker has sent the change, a worker takes no mark back', async () => {
  const change = await planned(1);

  const woken = sendBatch(change, {
    async writeOffer() {
      await stock(under, { [change.skus[0] ?? '']: 3 });
      const unanswered = () => Promise.reject(new SyncError('OutcomeUnknown', 'no answer'));
      await sendBatch(change, { writeOffer: unanswered });
      throw LATE;
    },
  });

  expect(await failureClass(woken)).toBe('DependencyUnavailable');
  expect(await rowOf(change)).toMatchObject({ state: 'sending', valueSent: 3, attempts: 1 });
});

test('woken after another worker has sent the command, a worker does not take it back', async () => {
  const change = await planned(12);

  const woken = sendCommand(change, {
    async submitQuantityCommand() {
      expect(await sendCommand(change)).toEqual({ isSent: true });
      throw LATE;
    },
  });

  expect(await failureClass(woken)).toBe('DependencyUnavailable');
  expect(await commandOf(change)).toMatchObject({ state: 'accepted' });
  expect(await rowOf(change)).toMatchObject({ state: 'sending', valueSent: 4 });
});

test('stopped before the marking, a worker does not mark what another one is at', async () => {
  const change = await planned(1);
  const start = await journalEnd(under);
  // An ending is decided by the offer itself.
  await stock(under, { [change.skus[0] ?? '']: 0 });
  const stop = stoppedReading();

  const woken = sendBatch(change, { readOffer: stop.readOffer });
  await stop.isReached;
  await sendBatch(change, {
    async writeOffer() {
      stop.wake();
      expect(await failureClass(woken)).toBe('DependencyUnavailable');
      throw new SyncError('OutcomeUnknown', 'no answer');
    },
  });

  expect(await writesSince(start, change)).toEqual([]);
  expect(await rowOf(change)).toMatchObject({ state: 'sending', attempts: 1 });
});

/** A worker that stands still when it has read the offer, until it is woken. */
function stoppedReading() {
  const [reached, woken] = [new EventEmitter(), new EventEmitter()];
  const isReached = once(reached, 'done');
  const isWoken = once(woken, 'done');
  return {
    readOffer: async (...args: Parameters<Marketplace['readOffer']>) => {
      const offer = await under.services.marketplace.readOffer(...args);
      reached.emit('done');
      await isWoken;
      return offer;
    },
    isReached,
    wake: () => woken.emit('done'),
  };
}
