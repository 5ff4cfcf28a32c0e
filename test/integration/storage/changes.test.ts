import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { toCommandId, type OfferId } from '../../../src/domain/ids.js';
import {
  forgetAttempts,
  recordFailedAttempt,
  rejectChange,
  type FailedAttempt,
} from '../../../src/storage/attempts.js';
import {
  closeUnsent,
  holdForUnbookedSale,
  confirmChanges,
  markSending,
  readBatch,
  readChange,
  recordOperation,
  unmarkSending,
  type Mark,
  type Marking,
  type Sending,
} from '../../../src/storage/changes.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import type { ChangeStateColumn } from '../../../src/storage/schema.js';
import { planWrites } from '../../../src/storage/write-plan.js';
import { returnToPlan } from '../../../src/storage/commands.js';
import { readBackground } from '../../../src/storage/offers.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';
import { anAccountWithRun, aRunOf, plannedChanges, type ARun } from './a-run.js';

let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'test' });
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

interface OneChange {
  readonly run: ARun;
  readonly offerId: OfferId;
}

async function aChange(state: ChangeStateColumn = 'planned'): Promise<OneChange> {
  const run = await anAccountWithRun(db);
  const [offerId] = await plannedChanges(db, run, [{ kind: 'lower', target: 3 }]);
  if (offerId === undefined) throw new Error('no change');
  await db.updateTable('offerChanges').set({ state }).where('runId', '=', run.runId).execute();
  return { run, offerId };
}

async function stateOf({ run, offerId }: OneChange): Promise<string | undefined> {
  return (await readChange(db, run, offerId))?.state;
}

async function readMark({ run, offerId }: OneChange): Promise<Mark | null> {
  return (await readChange(db, run, offerId))?.mark ?? null;
}

async function confirm(change: OneChange, available = 3): Promise<void> {
  const { run, offerId } = change;
  const mark = await readMark(change);
  await confirmChanges(db, run, [{ offerId, mark, available, isEndedByStatus: false, traceId: null }]);
}

function sending(offerIds: readonly OfferId[], target: number, mark: Mark | null = null): Sending {
  const changes = offerIds.map((offerId) => ({ offerId, target, mark }));
  return { changes, commandId: null, kind: null, endsByStatus: false };
}

function markOf(marking: Marking): Mark {
  if (marking.kind !== 'marked') throw new Error(`not marked: ${marking.kind}`);
  return marking.mark;
}

function aFailure(offerId: OfferId, changes: Partial<FailedAttempt> = {}): FailedAttempt {
  return {
    offerId,
    mark: null,
    errorClass: 'OfferRejected',
    code: 'X',
    message: 'no',
    traceId: null,
    whatToDo: null,
    next: 'rejected',
    isQuarantined: true,
    ...changes,
  };
}

const FINAL = ['confirmed', 'rejected', 'superseded', 'held', 'in_sync'] as const;

describe('a change that has its final state keeps it', () => {
  test.each(FINAL)('%s', async (state) => {
    const change = await aChange(state);
    const { run, offerId } = change;

    expect(await markSending(db, run, sending([offerId], 9))).toEqual({ kind: 'taken' });
    await confirm(change);
    const { mark = null } = (await readChange(db, run, offerId)) ?? {};
    await closeUnsent(db, run, [{ offerId, mark }], { state: 'unknown', reason: 'x' });
    await recordFailedAttempt(db, run, aFailure(offerId));
    await rejectChange(db, run, offerId, { errorClass: 'X', message: 'x' });
    await recordOperation(db, run, { offerId, mark: null }, '/sale/x');

    expect(await readChange(db, run, offerId)).toMatchObject({ state, attempts: 0, valueSent: null, operation: null });
    expect(
      await db.selectFrom('quarantinedOffers').where('accountId', '=', run.accountId).selectAll().execute(),
    ).toEqual([]);
  });
});

describe('marking as sending', () => {
  test('records what is sent, and when', async () => {
    const change = await aChange();

    expect(
      await markSending(db, change.run, { ...sending([change.offerId], 0), kind: 'end', endsByStatus: true }),
    ).toEqual({ kind: 'marked', mark: expect.any(String) });

    const row = await readChange(db, change.run, change.offerId);
    expect(row).toMatchObject({
      state: 'sending',
      kind: 'end',
      target: 0,
      valueSent: 0,
      reason: null,
      endsByStatus: true,
    });
    expect(row?.sentAt).toBeInstanceOf(Date);
  });

  test('another number after one that may have arrived overtakes it; the same number does not', async () => {
    const change = await aChange();
    const send = async (target: number) => {
      const mark = (await readChange(db, change.run, change.offerId))?.mark ?? null;
      return markSending(db, change.run, sending([change.offerId], target, mark));
    };
    await send(3);
    await send(3);
    expect((await readChange(db, change.run, change.offerId))?.reason).toBeNull();

    await send(2);
    await confirm(change, 2);

    expect(await readChange(db, change.run, change.offerId)).toMatchObject({ state: 'unknown', reason: 'overtakes' });
  });

  test('an overtaken run marks nothing, at whatever moment the newer one opens', async () => {
    const change = await aChange();
    const marks: string[] = [];
    // The newer run opens in one transaction with another connection waiting for the account's row.
    const older = markSending(db, change.run, sending([change.offerId], 3));
    const newer = aRunOf(db, change.run.accountId);
    marks.push((await older).kind);
    await newer;
    marks.push((await markSending(db, change.run, sending([change.offerId], 3))).kind);

    expect(marks[1]).toBe('superseded');
    // Either it was marked before the newer run opened, or never.
    expect(await stateOf(change)).toBe(marks[0] === 'marked' ? 'sending' : 'superseded');
  });
});

describe('taking the mark back', () => {
  test('a change that did not leave is as if it had never been sent; one that has ended stays', async () => {
    const change = await aChange();
    const ending = { ...sending([change.offerId], 0), kind: 'end', endsByStatus: true } as const;
    const mark = markOf(await markSending(db, change.run, ending));
    expect(await unmarkSending(db, change.run, [change.offerId], mark)).toBe(true);
    expect(await readChange(db, change.run, change.offerId)).toMatchObject({
      state: 'planned',
      valueSent: null,
      sentAt: null,
      endsByStatus: false,
    });

    const ended = await aChange();
    const marked = markOf(await markSending(db, ended.run, sending([ended.offerId], 3)));
    await confirm(ended);
    expect(await unmarkSending(db, ended.run, [ended.offerId], marked)).toBe(false);
    expect(await stateOf(ended)).toBe('confirmed');
  });

  test('what another worker has marked since is left as it is, and so is what a newer run may have read', async () => {
    const change = await aChange();
    const own = markOf(await markSending(db, change.run, sending([change.offerId], 3)));
    const other = markOf(await markSending(db, change.run, sending([change.offerId], 3, own)));

    expect(await unmarkSending(db, change.run, [change.offerId], own)).toBe(false);
    expect(await readChange(db, change.run, change.offerId)).toMatchObject({ state: 'sending', mark: other });

    await aRunOf(db, change.run.accountId);
    expect(await unmarkSending(db, change.run, [change.offerId], other)).toBe(false);
    expect(await readChange(db, change.run, change.offerId)).toMatchObject({ state: 'sending', valueSent: 3 });
  });

  test('nobody marks what was marked since it was read, or has left the command', async () => {
    const change = await aChange();
    const own = markOf(await markSending(db, change.run, sending([change.offerId], 3)));

    expect(await markSending(db, change.run, sending([change.offerId], 5))).toEqual({ kind: 'taken' });
    const byCommand = { ...sending([change.offerId], 5, own), commandId: toCommandId(randomUUID()) };
    expect(await markSending(db, change.run, byCommand)).toEqual({ kind: 'taken' });

    expect(await readChange(db, change.run, change.offerId)).toMatchObject({ valueSent: 3, mark: own });
  });

  test('of several changes all are marked or none', async () => {
    const run = await anAccountWithRun(db);
    const [first, second] = await plannedChanges(db, run, [
      { kind: 'lower', target: 3 },
      { kind: 'lower', target: 4 },
    ]);
    if (first === undefined || second === undefined) throw new Error('no changes');
    await closeUnsent(db, run, [{ offerId: second, mark: null }], { state: 'in_sync', reason: 'x' });

    expect(await markSending(db, run, sending([first, second], 3))).toEqual({ kind: 'taken' });

    expect(await stateOf({ run, offerId: first })).toBe('planned');
  });
});

describe('closing', () => {
  test('ends nothing, and remembers nothing of it, that another worker has marked since it was read', async () => {
    const change = await aChange();
    const { run, offerId } = change;
    markOf(await markSending(db, run, sending([offerId], 3)));
    const asItWas = { offerId, mark: null };

    expect(await closeUnsent(db, run, [asItWas], { state: 'in_sync', reason: 'x' })).toBe(0);
    await holdForUnbookedSale(db, run, asItWas, { available: 1, stockAt: new Date() });

    expect(await stateOf(change)).toBe('sending');
    const memory = await db
      .selectFrom('offers')
      .select(['knownAvailable', 'unbookedSince'])
      .where('accountId', '=', run.accountId)
      .executeTakeFirst();
    expect(memory).toEqual({ knownAvailable: 10, unbookedSince: null });
  });
});

describe('what may have arrived', () => {
  async function readUnsettled({ run, offerId }: OneChange) {
    const next = await aRunOf(db, run.accountId);
    const offer = { offerId, status: 'ACTIVE', available: 10 } as const;
    return (await readBackground(db, next, [offer]))(offerId).memory?.unsettled?.value;
  }

  test('is known to the next run though it was given up without a known outcome', async () => {
    const change = await aChange();
    const { run, offerId } = change;
    await markSending(db, run, sending([offerId], 3));
    await rejectChange(db, run, offerId, { errorClass: 'OutcomeUnknown', message: 'x' });

    expect(await readUnsettled(change)).toBe(3);
  });

  test('is known to the next run though it was to be planned anew', async () => {
    const change = await aChange();
    const { run, offerId } = change;
    const mark = markOf(await markSending(db, run, sending([offerId], 3)));
    await returnToPlan(db, run.runId, [{ offerId, mark, target: 2, route: 'patch' }]);

    expect(await readUnsettled(change)).toBe(3);
    expect(await stateOf(change)).toBe('unknown');
  });

  test('is not what was refused, nor what was never sent', async () => {
    const refused = await aChange();
    const mark = markOf(await markSending(db, refused.run, sending([refused.offerId], 3)));
    await recordFailedAttempt(db, refused.run, aFailure(refused.offerId, { mark }));
    const unsent = await aChange();

    expect(await readUnsettled(refused)).toBeUndefined();
    expect(await readUnsettled(unsent)).toBeUndefined();
    expect(await stateOf(unsent)).toBe('superseded');
  });
});

describe('an ending by status that settles late', () => {
  const ended = { available: 10, isEndedByStatus: true, traceId: null };
  const endedByUs = async ({ run }: OneChange) =>
    (await db.selectFrom('offers').select('endedByUsAt').where('accountId', '=', run.accountId).executeTakeFirst())
      ?.endedByUsAt ?? null;

  test('is remembered as ours, though the offer was seen since', async () => {
    const change = await aChange();
    const { run, offerId } = change;
    await markSending(db, run, { ...sending([offerId], 0), endsByStatus: true });
    await db
      .updateTable('offers')
      .set({ knownAt: new Date(Date.now() + 60_000) })
      .execute();

    await confirmChanges(db, run, [{ offerId, mark: await readMark(change), ...ended }]);

    expect(await endedByUs(change)).not.toBeNull();
  });

  test('is not, when something was written since', async () => {
    const change = await aChange();
    const { run, offerId } = change;
    await markSending(db, run, { ...sending([offerId], 0), endsByStatus: true });
    const later = new Date(Date.now() + 60_000);
    await db.updateTable('offers').set({ knownAt: later, writtenAt: later }).execute();

    await confirmChanges(db, run, [{ offerId, mark: await readMark(change), ...ended }]);

    expect(await endedByUs(change)).toBeNull();
  });
});

describe('attempts', () => {
  test('a late answer says nothing of what another worker has sent since', async () => {
    const { run, offerId } = await aChange();
    const late = markOf(await markSending(db, run, sending([offerId], 3)));
    const mark = markOf(await markSending(db, run, sending([offerId], 2, late)));
    const sent = await readChange(db, run, offerId);

    await recordFailedAttempt(db, run, aFailure(offerId, { mark: late }));
    await recordOperation(db, run, { offerId, mark: late }, '/sale/x');

    expect(await readChange(db, run, offerId)).toEqual(sent);
    await recordFailedAttempt(db, run, aFailure(offerId, { mark }));
    expect(await readChange(db, run, offerId)).toMatchObject({ state: 'rejected', attempts: 1 });
  });

  test('a refusal to be tried again is counted and stays sending', async () => {
    const change = await aChange('sending');

    await recordFailedAttempt(db, change.run, aFailure(change.offerId, { next: 'again', errorClass: 'OfferConflict' }));

    expect(await readChange(db, change.run, change.offerId)).toMatchObject({
      state: 'sending',
      attempts: 1,
      errorClass: 'OfferConflict',
    });
  });

  test('texts that PostgreSQL cannot hold are stored all the same', async () => {
    const change = await aChange('sending');

    await recordFailedAttempt(
      db,
      change.run,
      aFailure(change.offerId, { code: 'A\0B', message: `\0 ${'x'.repeat(100_000)}`, traceId: 't' }),
    );

    expect(await stateOf(change)).toBe('rejected');
  });

  test('an outage takes back the attempts of its batch, and of no change that has ended', async () => {
    const run = await anAccountWithRun(db);
    const [first, second] = await plannedChanges(db, run, [
      { kind: 'lower', target: 3 },
      { kind: 'lower', target: 4 },
    ]);
    if (first === undefined || second === undefined) throw new Error('no changes');
    const [phase] = await planWrites(db, run);
    const batch = phase?.batches[0] ?? 0;
    const mark = markOf(await markSending(db, run, sending([first, second], 3)));
    await recordFailedAttempt(db, run, aFailure(first, { mark, next: 'again', errorClass: 'OutcomeUnknown' }));
    await recordFailedAttempt(db, run, aFailure(second, { mark }));

    await forgetAttempts(db, run, batch);

    expect(await readChange(db, run, first)).toMatchObject({ attempts: 0, state: 'sending' });
    expect(await readChange(db, run, second)).toMatchObject({ attempts: 1, state: 'rejected' });
    expect((await readBatch(db, run, batch)).map((row) => row.offerId)).toEqual([first]);
  });

  test('a rejection read twice lengthens the quarantine once', async () => {
    const change = await aChange('sending');

    await recordFailedAttempt(db, change.run, aFailure(change.offerId));
    await recordFailedAttempt(db, change.run, aFailure(change.offerId));

    const { rejections } = await db
      .selectFrom('quarantinedOffers')
      .select('rejections')
      .where('accountId', '=', change.run.accountId)
      .executeTakeFirstOrThrow();
    expect(rejections).toBe(1);
  });

  test('a confirmation ends the quarantine', async () => {
    const change = await aChange('sending');
    await recordFailedAttempt(db, change.run, aFailure(change.offerId));
    const next = await aRunOf(db, change.run.accountId);
    await plannedChanges(db, next, [{ kind: 'lower', target: 3 }]);
    await markSending(db, next, sending([change.offerId], 3));

    await confirm({ run: next, offerId: change.offerId });

    expect(
      await db.selectFrom('quarantinedOffers').where('accountId', '=', next.accountId).selectAll().execute(),
    ).toEqual([]);
  });
});
