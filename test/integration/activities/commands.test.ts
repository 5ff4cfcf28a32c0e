import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { FaultRule } from '../../../simulator/faults.js';
import { SyncError } from '../../../src/domain/errors.js';
import type { OfferId, RunId } from '../../../src/domain/ids.js';
import type { Marketplace, QuantityCommand } from '../../../src/domain/marketplace.js';
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

let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities({}, { isUnpaced: true });
});
afterEach(async () => {
  await under.allegro.admin.removeFaults();
  await under.allegro.admin.changeSettings({ commandReplay: 'conflict' });
});
afterAll(() => under.close());

const PUT = 'PUT /sale/offer-quantity-change-commands/{commandId}';

/** A run with one planned command for all its offers. */
interface Planned {
  readonly shop: Shop;
  readonly skus: readonly string[];
  readonly offerIds: readonly OfferId[];
  readonly runId: RunId;
  readonly commandId: string;
}

async function planned(pieces: number, count = 12): Promise<Planned> {
  const shop = await under.shop();
  const skus = Array.from({ length: count }, () => shop.sku());
  await stock(under, Object.fromEntries(skus.map((sku) => [sku, pieces])));
  const offerIds = await shop.offers(skus.map((externalId) => ({ externalId, available: 10 })));
  const runId = await shop.scanned();
  const { phases } = await under.act.planWrites({ runId });
  const commandIds = phases.flatMap((phase) => phase.commandIds);
  expect(commandIds).toHaveLength(1);
  expect(phases.flatMap((phase) => phase.batches)).toEqual([]);
  return { shop, skus, offerIds, runId, commandId: commandIds[0] ?? '' };
}

function submit({ runId, commandId }: Pick<Planned, 'runId' | 'commandId'>, act = under.act) {
  return act.submitCommand({ runId, commandId, priority: 'scheduled' });
}

/** Nobody learns whether it has arrived; it has not. */
async function submitInVain(change: Planned): Promise<void> {
  const lost: Marketplace = {
    ...under.services.marketplace,
    submitQuantityCommand: (_call, _command: QuantityCommand) => Promise.reject(new SyncError('OutcomeUnknown', 'cut')),
  };
  expect(await failureClass(submit(change, under.with({ marketplace: lost })))).toBe('OutcomeUnknown');
}

function check({ runId }: Pick<Planned, 'runId'>, isLastCheck = false, act = under.act) {
  return act.checkCommands({ runId, of: 'this_run', priority: 'scheduled', isLastCheck });
}

async function sentAgo({ commandId }: Planned, minutes: number): Promise<void> {
  const sentAt = new Date(Date.now() - minutes * 60_000);
  await under.db.updateTable('commands').set({ sentAt }).where('id', '=', commandId).execute();
}

async function settled(change: Pick<Planned, 'runId'>) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const result = await check(change);
    if (result.open === 0) return result;
    if (Date.now() > deadline) throw new Error('the command does not end');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function statesOf({ runId }: Planned): Promise<Record<string, number>> {
  const rows = await under.db.selectFrom('offerChanges').select('state').where('runId', '=', runId).execute();
  return Object.fromEntries(
    [...new Set(rows.map(({ state }) => state))].map((state) => [
      state,
      rows.filter((row) => row.state === state).length,
    ]),
  );
}

async function commandState(commandId: string): Promise<string> {
  const row = await under.db.selectFrom('commands').select('state').where('id', '=', commandId).executeTakeFirst();
  return row?.state ?? 'gone';
}

async function puts(since: number, { shop }: Planned) {
  return (await requestsSince(under, since, shop.seller)).filter(({ method, route }) => `${method} ${route}` === PUT);
}

async function plant(fault: FaultRule['fault'], { shop }: Planned, route = PUT, times = 1): Promise<void> {
  await under.allegro.admin.plantFault({ match: { route, sellerId: shop.seller, times }, fault });
}

describe('sending', () => {
  test('twelve offers of one value take one command and its report: five requests at most', async () => {
    const change = await planned(4);
    const start = await journalEnd(under);

    expect(await submit(change)).toEqual({ isSent: true });
    expect(await settled(change)).toEqual({ open: 0, retry: [] });

    expect(await statesOf(change)).toEqual({ confirmed: 12 });
    expect(await commandState(change.commandId)).toBe('complete');
    const [put] = await puts(start, change);
    expect(put).toMatchObject({ values: [4] });
    expect(put?.offerIds).toHaveLength(12);
  });

  test('id and content are stored before the command is sent', async () => {
    const change = await planned(4);
    const seen: string[] = [];
    const marketplace: Marketplace = {
      ...under.services.marketplace,
      submitQuantityCommand: async (call, command) => {
        seen.push(await commandState(command.commandId), JSON.stringify(await statesOf(change)));
        return under.services.marketplace.submitQuantityCommand(call, command);
      },
    };

    await submit(change, under.with({ marketplace }));

    expect(seen).toEqual(['sent', '{"sending":12}']);
  });

  test('offers whose stock has changed since leave the command; the rest goes out', async () => {
    const change = await planned(4);
    const [first = '', second = ''] = change.skus;
    await stock(under, { [first]: 5 });
    await under.db.deleteFrom('stockLevels').where('sku', '=', second).execute();
    const start = await journalEnd(under);

    expect(await submit(change)).toEqual({ isSent: true });

    expect((await puts(start, change))[0]?.offerIds).toHaveLength(10);
    expect(await statesOf(change)).toEqual({ planned: 1, superseded: 1, sending: 10 });
    expect((await under.act.planWrites({ runId: change.runId })).phases).toMatchObject([{ batches: [1] }]);
  });

  test('when no offer needs the value any more, nothing is sent', async () => {
    const change = await planned(4);
    await stock(under, Object.fromEntries(change.skus.map((sku) => [sku, 10])));
    const start = await journalEnd(under);

    expect(await submit(change)).toEqual({ isSent: false });

    expect(await puts(start, change)).toEqual([]);
    expect(await commandState(change.commandId)).toBe('superseded');
  });

  test('stock that fell to 0 since makes single endings that the guard weighs, never one command', async () => {
    const change = await planned(4);
    await stock(under, Object.fromEntries(change.skus.map((sku) => [sku, 0])));
    const start = await journalEnd(under);

    await submit(change);
    const { phases } = await under.act.planWrites({ runId: change.runId });

    expect(phases.flatMap((phase) => phase.commandIds)).toEqual([]);
    for (const batch of phases.flatMap((phase) => phase.batches)) {
      await under.act.updateOfferBatch({ runId: change.runId, batch, priority: 'scheduled' });
    }
    // Ten are always allowed, however many are asked for at the same time.
    expect(await statesOf(change)).toEqual({ confirmed: 10, held: 2 });
    const methods = (await requestsSince(under, start, change.shop.seller)).map(({ method }) => method);
    expect(methods).not.toContain('PUT');
  });

  test('a run that has been overtaken sends no command', async () => {
    const change = await planned(4);
    await change.shop.open();
    const start = await journalEnd(under);

    expect(await failureClass(submit(change))).toBe('Superseded');

    expect(await puts(start, change)).toEqual([]);
  });
});

describe('an answer that was lost', () => {
  test('the same id and content are sent again while the stock still asks for them', async () => {
    const change = await planned(4);
    await plant({ kind: 'cutAfter' }, change);
    const start = await journalEnd(under);

    expect(await failureClass(submit(change))).toBe('OutcomeUnknown');
    expect(await commandState(change.commandId)).toBe('sent');
    expect(await submit(change)).toEqual({ isSent: true });
    await settled(change);

    const sent = await puts(start, change);
    expect(sent).toHaveLength(2);
    expect(sent[1]?.offerIds).toEqual(sent[0]?.offerIds);
    expect(sent[1]?.path).toBe(sent[0]?.path);
    expect(await statesOf(change)).toEqual({ confirmed: 12 });
  });

  test('an id that is "already used" counts as ours when its report names our offers, 201 as accepted', async () => {
    for (const commandReplay of ['conflict', 'accept'] as const) {
      await under.allegro.admin.changeSettings({ commandReplay });
      const change = await planned(4);
      await plant({ kind: 'cutAfter' }, change);
      await failureClass(submit(change));

      expect(await submit(change)).toEqual({ isSent: true });
      expect(await settled(change)).toEqual({ open: 0, retry: [] });
      expect(await statesOf(change)).toEqual({ confirmed: 12 });
    }
  });

  test('an id in use with other offers is told as what it is, and the offers go out one by one', async () => {
    const change = await planned(4);
    const marketplace: Marketplace = {
      ...under.services.marketplace,
      submitQuantityCommand: () => Promise.resolve({ kind: 'already_used' }),
      readQuantityCommand: () =>
        Promise.resolve({
          isKnown: true,
          isComplete: true,
          tasks: [{ offerId: change.offerIds[0] ?? never(), state: 'success', code: null, message: null }],
        }),
    };

    expect(await submit(change, under.with({ marketplace }))).toEqual({ isSent: false });

    expect(await commandState(change.commandId)).toBe('failed');
    expect(await changeOf(under.db, change.runId, change.offerIds[1] ?? never())).toMatchObject({
      state: 'planned',
      route: 'patch',
      errorClass: 'InvalidAnswer',
    });
  });

  test('when the stock has changed meanwhile, what it asks for now goes out under an id of its own', async () => {
    const change = await planned(4);
    await plant({ kind: 'cutAfter' }, change);
    await failureClass(submit(change));
    const [first = ''] = change.skus;
    await stock(under, { [first]: 3 });
    const start = await journalEnd(under);

    expect(await submit(change)).toEqual({ isSent: false });

    expect(await puts(start, change)).toEqual([]);
    expect(await commandState(change.commandId)).toBe('sent');
    const { phases } = await under.act.planWrites({ runId: change.runId });
    const commandIds = phases.flatMap((phase) => phase.commandIds);
    expect(commandIds).toHaveLength(1);
    expect(commandIds).not.toContain(change.commandId);
    for (const commandId of commandIds) await submit({ ...change, commandId });
    for (const batch of phases.flatMap((phase) => phase.batches)) {
      await under.act.updateOfferBatch({ runId: change.runId, batch, priority: 'scheduled' });
    }
    await settled(change);
    // The first command may still land on the one that changed: it is read again by the next run.
    expect(await statesOf(change)).toEqual({ confirmed: 11, unknown: 1 });
    expect(await changeOf(under.db, change.runId, change.offerIds[0] ?? never())).toMatchObject({
      state: 'unknown',
      reason: 'overtakes',
      valueSent: 3,
    });
  });

  test('a command that is refused as such lets each offer be asked alone', async () => {
    const change = await planned(4);
    await plant(
      { kind: 'status', status: 422, body: { errors: [{ code: 'VALIDATION_ERROR', message: 'no' }] } },
      change,
    );

    expect(await submit(change)).toEqual({ isSent: false });

    const { phases } = await under.act.planWrites({ runId: change.runId });
    expect(phases.flatMap((phase) => phase.commandIds)).toEqual([]);
    expect(phases.flatMap((phase) => phase.batches)).toEqual([1]);
    expect(await commandState(change.commandId)).toBe('failed');
  });
});

describe('reports', () => {
  test('while all counts are zero nothing is settled', async () => {
    const change = await planned(4);
    await submit(change);
    const marketplace: Marketplace = {
      ...under.services.marketplace,
      readQuantityCommand: () => Promise.resolve({ isKnown: true, isComplete: false, tasks: [] }),
    };

    expect(await check(change, false, under.with({ marketplace }))).toEqual({ open: 1, retry: [] });

    expect(await statesOf(change)).toEqual({ sending: 12 });
  });

  test('each failed task is one offer: some are tried again, some are final, the others are confirmed', async () => {
    const change = await planned(4);
    await submit(change);
    const [gone = never(), busy = never(), ...others] = change.offerIds;
    const marketplace: Marketplace = {
      ...under.services.marketplace,
      readQuantityCommand: () =>
        Promise.resolve({
          isKnown: true,
          isComplete: true,
          tasks: [
            { offerId: gone, state: 'fail', code: 'OFFER_NOT_FOUND', message: null, errorType: 'OfferNotFound' },
            { offerId: busy, state: 'fail', code: 'OFFER_SERVICE_ERROR', message: 'x', errorType: 'OfferConflict' },
            ...others.map((offerId) => ({ offerId, state: 'success' as const, code: null, message: null })),
          ],
        }),
    };

    expect(await check(change, false, under.with({ marketplace }))).toEqual({ open: 0, retry: [busy] });

    expect(await changeOf(under.db, change.runId, gone)).toMatchObject({
      state: 'rejected',
      errorClass: 'OfferNotFound',
    });
    expect(await changeOf(under.db, change.runId, busy)).toMatchObject({
      state: 'sending',
      attempts: 1,
      errorClass: 'OfferConflict',
    });
    await under.act.updateOfferStock({ runId: change.runId, offerId: busy, priority: 'scheduled', maxAttempts: 4 });
    expect(await statesOf(change)).toEqual({ rejected: 1, confirmed: 11 });
  });

  test('an offer that its command could not do, and a PATCH neither, is not sent back and forth', async () => {
    const change = await planned(4);
    await submit(change);
    const [busy = never(), ...others] = change.offerIds;
    const marketplace: Marketplace = {
      ...under.services.marketplace,
      readQuantityCommand: () =>
        Promise.resolve({
          isKnown: true,
          isComplete: true,
          tasks: [
            { offerId: busy, state: 'fail', code: 'OFFER_SERVICE_ERROR', message: 'x', errorType: 'OfferConflict' },
            ...others.map((offerId) => ({ offerId, state: 'success' as const, code: null, message: null })),
          ],
        }),
      writeOffer: () => Promise.reject(new SyncError('OfferRejected', 'no', { status: 422 })),
      readOffer: async (call, offerId) => ({
        ...(await under.services.marketplace.readOffer(call, offerId)),
        available: 10,
      }),
    };
    const act = under.with({ marketplace });
    await check(change, false, act);

    await act.updateOfferStock({ runId: change.runId, offerId: busy, priority: 'scheduled', maxAttempts: 4 });

    expect(await changeOf(under.db, change.runId, busy)).toMatchObject({ state: 'rejected', attempts: 2 });
  });

  test('an offer that the report does not name is unknown, not done', async () => {
    const change = await planned(4);
    await submit(change);
    const [, ...named] = change.offerIds;
    const marketplace: Marketplace = {
      ...under.services.marketplace,
      readQuantityCommand: () =>
        Promise.resolve({
          isKnown: true,
          isComplete: true,
          tasks: named.map((offerId) => ({ offerId, state: 'success' as const, code: null, message: null })),
        }),
    };

    await check(change, false, under.with({ marketplace }));

    expect(await statesOf(change)).toEqual({ unknown: 1, confirmed: 11 });
  });

  test('beyond patience its offers are pending, the next run settles them first', async () => {
    const change = await planned(4);
    await plant({ kind: 'stall' }, change);
    await submit(change);

    expect(await check(change, true)).toEqual({ open: 1, retry: [] });
    expect(await statesOf(change)).toEqual({ unknown: 12 });

    const marketplace: Marketplace = {
      ...under.services.marketplace,
      readQuantityCommand: () =>
        Promise.resolve({
          isKnown: true,
          isComplete: true,
          tasks: change.offerIds.map((offerId) => ({ offerId, state: 'success' as const, code: null, message: null })),
        }),
    };
    const next = await change.shop.open();
    const settling = { runId: next, of: 'earlier_runs', priority: 'scheduled', isLastCheck: true } as const;
    expect(await under.with({ marketplace }).checkCommands(settling)).toEqual({ open: 0, retry: [] });
    expect(await statesOf(change)).toEqual({ confirmed: 12 });
  });

  test('a zero overtakes a pending command and stays pending; a raise waits for it', async () => {
    const change = await planned(4);
    await plant({ kind: 'stall' }, change);
    await submit(change);
    await check(change, true);
    const [zero = '', raised = ''] = change.skus;
    await stock(under, { [zero]: 0, [raised]: 20 });

    const next = await change.shop.scanned();
    const { phases } = await under.act.planWrites({ runId: next });
    expect(phases.map((phase) => phase.kind)).toContain('end');
    for (const { batches } of phases) {
      for (const batch of batches) await under.act.updateOfferBatch({ runId: next, batch, priority: 'scheduled' });
    }

    const [first = never(), second = never()] = change.offerIds;
    expect(await changeOf(under.db, next, first)).toMatchObject({ kind: 'end', state: 'unknown', reason: 'overtakes' });
    expect(await under.allegro.admin.offer(first)).toMatchObject({ available: 0 });
    const waiting = await under.db
      .selectFrom('offers')
      .select(['bucket', 'reason'])
      .where('offerId', '=', second)
      .executeTakeFirst();
    expect(waiting).toEqual({ bucket: 'pending', reason: 'command_pending' });
    expect(await changeOf(under.db, next, second)).toMatchObject({
      kind: 'raise',
      target: 20,
      state: 'superseded',
      reason: 'command_pending',
    });
  });

  test('a command that never arrived is given up after five minutes', async () => {
    const change = await planned(4);
    await submitInVain(change);
    await sentAgo(change, 4);
    expect(await check(change)).toEqual({ open: 1, retry: [] });
    await sentAgo(change, 6);

    expect(await check(change)).toEqual({ open: 0, retry: [] });

    expect(await commandState(change.commandId)).toBe('superseded');
    expect(await statesOf(change)).toEqual({ unknown: 12 });
  });

  test('what has left a command that never arrived goes on by its own way', async () => {
    const change = await planned(4);
    await submitInVain(change);
    await under.act.giveUpCommand({ runId: change.runId, commandId: change.commandId, message: 'no answer' });
    await sentAgo(change, 6);

    await check(change, true);

    expect(await statesOf(change)).toEqual({ planned: 12 });
  });

  test('a command that was accepted is asked for ten minutes, though it is not known', async () => {
    const change = await planned(4);
    await submit(change);
    const unknowing: Marketplace = {
      ...under.services.marketplace,
      readQuantityCommand: () => Promise.resolve({ isKnown: false, isComplete: false, tasks: [] }),
    };
    await sentAgo(change, 9);
    expect(await check(change, false, under.with({ marketplace: unknowing }))).toEqual({ open: 1, retry: [] });
    await sentAgo(change, 11);

    expect(await check(change, false, under.with({ marketplace: unknowing }))).toEqual({ open: 0, retry: [] });

    expect(await commandState(change.commandId)).toBe('superseded');
  });

  test('a command that is never carried out holds back its offers for a day', async () => {
    const change = await planned(4);
    await submit(change);
    const endless: Marketplace = {
      ...under.services.marketplace,
      readQuantityCommand: () => Promise.resolve({ isKnown: true, isComplete: false, tasks: [] }),
    };
    await sentAgo(change, 23 * 60);
    expect(await check(change, false, under.with({ marketplace: endless }))).toEqual({ open: 1, retry: [] });
    await sentAgo(change, 25 * 60);

    expect(await check(change, false, under.with({ marketplace: endless }))).toEqual({ open: 0, retry: [] });

    expect(await commandState(change.commandId)).toBe('superseded');
  });

  test('a report that cannot be understood leaves its command open and does not stop the run', async () => {
    const change = await planned(4);
    await submit(change);
    await plant(
      { kind: 'wrongTypes', path: 'taskCount' },
      change,
      'GET /sale/offer-quantity-change-commands/{commandId}',
      99,
    );

    expect(await check(change)).toEqual({ open: 1, retry: [] });
    await under.allegro.admin.removeFaults();
    await settled(change);
    expect(await statesOf(change)).toEqual({ confirmed: 12 });
  });

  test('a late report of an earlier run does not undo what was learnt since', async () => {
    const change = await planned(4, 10);
    await submit(change);
    await check(change, true);
    const [offerId = never()] = change.offerIds;
    const since = new Date(Date.now() + 1_000);
    await under.db
      .updateTable('offers')
      .set({ knownAvailable: 2, knownAt: since })
      .where('offerId', '=', offerId)
      .execute();

    const next = await change.shop.open();
    await under.act.checkCommands({ runId: next, of: 'earlier_runs', priority: 'scheduled', isLastCheck: true });

    const memory = await under.db
      .selectFrom('offers')
      .select(['knownAvailable', 'knownAt'])
      .where('offerId', '=', offerId)
      .executeTakeFirst();
    expect(memory).toEqual({ knownAvailable: 2, knownAt: since });
  });

  test('what an earlier run’s command could not do is tried, and told, by this run', async () => {
    const change = await planned(4, 10);
    await plant({ kind: 'stall' }, change);
    await submit(change);
    await check(change, true);
    const marketplace: Marketplace = {
      ...under.services.marketplace,
      readQuantityCommand: () =>
        Promise.resolve({
          isKnown: true,
          isComplete: true,
          tasks: change.offerIds.map((offerId) => ({
            offerId,
            state: 'fail' as const,
            code: 'X',
            message: 'no',
            errorType: 'OfferRejected' as const,
          })),
        }),
    };
    const next = await change.shop.open();
    await under
      .with({ marketplace })
      .checkCommands({ runId: next, of: 'earlier_runs', priority: 'scheduled', isLastCheck: true });

    await under.act.scanOffers({ runId: next, cursor: { position: 0 }, priority: 'scheduled' });

    expect(await changeOf(under.db, next, change.offerIds[0] ?? never())).toMatchObject({ state: 'planned' });
  });
});

function never(): never {
  throw new Error('no such offer');
}
