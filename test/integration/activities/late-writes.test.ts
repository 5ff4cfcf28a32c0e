import { EventEmitter, once } from 'node:events';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { SyncError } from '../../../src/domain/errors.js';
import type { OfferId, RunId } from '../../../src/domain/ids.js';
import type { Call, Marketplace } from '../../../src/domain/marketplace.js';
import { claimChange } from '../../../src/storage/guarded-changes.js';
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

test('woken with a confirmation, a worker does not end what another one lowers further', async () => {
  const change = await planned(1);
  const [offerId] = change.offerIds;
  if (offerId === undefined) throw new Error('no offer');
  const { marketplace } = under.services;

  await sendBatch(change, {
    async writeOffer(...args) {
      const answer = await marketplace.writeOffer(...args);
      await stock(under, { [change.skus[0] ?? '']: 3 });
      await sendBatch(change, { writeOffer: () => Promise.reject(new SyncError('OfferConflict', 'being edited')) });
      return answer;
    },
  });

  expect(await rowOf(change)).toMatchObject({ state: 'sending', valueSent: 3, sentBefore: [4] });
  await under.act.updateOfferStock({ runId: change.runId, offerId, priority: 'scheduled', maxAttempts: 4 });
  expect((await under.allegro.admin.offer(offerId)).available).toBe(3);
});

test('woken with a refusal, a worker does not undo a command that another one has sent', async () => {
  const change = await planned(12);

  const woken = await sendCommand(change, {
    async submitQuantityCommand() {
      expect(await sendCommand(change)).toEqual({ isSent: true });
      throw new SyncError('OfferRejected', 'refused');
    },
  });

  expect(woken).toEqual({ isSent: false });
  expect(await commandOf(change)).toMatchObject({ state: 'accepted' });
  expect(await rowOf(change)).toMatchObject({ state: 'sending', commandId: change.commandId, attempts: 0 });
});

test('woken with a refusal while another one sends the command again, a worker leaves it to that one', async () => {
  const change = await planned(12);
  const { marketplace } = under.services;
  const stop = stopping();
  const again: Promise<unknown>[] = [];

  const woken = await sendCommand(change, {
    async submitQuantityCommand() {
      again.push(
        sendCommand(change, {
          async submitQuantityCommand(...args) {
            await stop.here();
            return marketplace.submitQuantityCommand(...args);
          },
        }),
      );
      await stop.isReached;
      throw new SyncError('OfferRejected', 'refused');
    },
  });
  expect(await commandOf(change)).toMatchObject({ state: 'sent' });
  stop.wake();

  expect(woken).toEqual({ isSent: false });
  expect(await Promise.all(again)).toEqual([{ isSent: true }]);
  expect(await commandOf(change)).toMatchObject({ state: 'accepted' });
  expect(await rowOf(change)).toMatchObject({ state: 'sending', commandId: change.commandId, attempts: 0 });
});

test('woken with a report, a worker counts no attempt again that another one has counted', async () => {
  const change = await planned(12);
  await sendCommand(change);
  const [failed] = change.offerIds;
  if (failed === undefined) throw new Error('no offer');
  const task = { code: 'BUSY', message: 'being edited', errorType: 'OfferConflict' } as const;
  const tasks = change.offerIds.map((offerId) =>
    offerId === failed
      ? ({ offerId, state: 'fail', ...task } as const)
      : ({ offerId, state: 'success', code: null, message: null } as const),
  );
  const report = { isKnown: true, isComplete: true, tasks };
  const check = (readQuantityCommand: Marketplace['readQuantityCommand']) =>
    under
      .with({ marketplace: { ...under.services.marketplace, readQuantityCommand } })
      .checkCommands({ runId: change.runId, of: 'this_run', priority: 'scheduled', isLastCheck: false });

  await check(async () => {
    await check(() => Promise.resolve(report));
    return report;
  });

  expect(await changeOf(under.db, change.runId, failed)).toMatchObject({ state: 'sending', attempts: 1 });
});

test('woken with another number, a worker does not rename what another one has sent', async () => {
  const change = await planned(1);
  const { marketplace } = under.services;
  const { runId, shop, offerIds } = change;
  const [offerId] = offerIds;
  if (offerId === undefined) throw new Error('no offer');

  await sendBatch(change, {
    async writeOffer(...args) {
      const claim = { offerId, kind: 'raise', target: 12, mark: null } as const;
      await claimChange(under.db, { runId, accountId: shop.accountId }, claim, () => true);
      return marketplace.writeOffer(...args);
    },
  });

  expect(await rowOf(change)).toMatchObject({ state: 'confirmed', kind: 'lower', target: 4, valueSent: 4 });
});

test('stopped before the marking, a worker does not mark what another one is at', async () => {
  const change = await planned(1);
  const start = await journalEnd(under);
  // An ending is decided by the offer itself.
  await stock(under, { [change.skus[0] ?? '']: 0 });
  const stop = stopping();
  const { marketplace } = under.services;

  const woken = sendBatch(change, {
    async readOffer(...args) {
      const offer = await marketplace.readOffer(...args);
      await stop.here();
      return offer;
    },
  });
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

/** A place at which a worker stands still until it is woken. */
function stopping() {
  const [reached, woken] = [new EventEmitter(), new EventEmitter()];
  const isReached = once(reached, 'done');
  const isWoken = once(woken, 'done');
  return {
    async here(): Promise<void> {
      reached.emit('done');
      await isWoken;
    },
    isReached,
    wake: () => woken.emit('done'),
  };
}
