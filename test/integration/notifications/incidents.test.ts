import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { alertMessageSchema, type AlertMessage, type OfferFailure } from '../../../src/notifications/notifier.js';
import { remindOfOpenProblems } from '../../../src/notifications/remind.js';
import { tellHeld, tellOfferFailures, tellOver, tellProblem } from '../../../src/notifications/tell.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import {
  countOpenIncidents,
  listIncidents,
  openIncident,
  openIncidents,
  readIncident,
  resolveIncident,
  resolveIncidents,
} from '../../../src/storage/incidents.js';
import { claimDue } from '../../../src/storage/outbox.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';

const MAIN = { accountId: 'main', accountName: 'Main shop' };

let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'incidents test' });
  await db
    .insertInto('accounts')
    .values([
      { id: 'main', name: 'Main shop' },
      { id: 'second', name: 'Second shop' },
    ])
    .execute();
});

afterEach(async () => {
  await db.deleteFrom('outbox').execute();
  await db.deleteFrom('incidents').execute();
});

afterAll(async () => {
  await db.destroy();
  await database.drop();
});

async function messages(): Promise<AlertMessage[]> {
  const claimed = await claimDue(db, { limit: 100, now: new Date(Date.now() + 60_000), leaseMs: 3_600_000 });
  return claimed.map(({ message }) => alertMessageSchema.parse(message));
}

function aFailure(changes: Partial<OfferFailure> = {}): OfferFailure {
  return {
    offerId: '1001',
    sku: 'MUG',
    current: 3,
    target: 5,
    errorClass: 'OfferRejected',
    error: 'refused',
    attempts: 1,
    at: '2026-11-23T14:47:01Z',
    ...changes,
  };
}

describe('an incident', () => {
  const report = { accountId: 'main', class: 'TokenRevoked', title: 'Login refused', details: { code: 'x' } };

  test('is new once; repetitions are counted', async () => {
    const first = await openIncident(db, report);
    const second = await openIncident(db, { ...report, title: 'Login refused again' });

    expect([first.isNew, second.isNew]).toEqual([true, false]);
    expect(second.id).toBe(first.id);
    expect(await readIncident(db, first.id)).toMatchObject({
      occurrences: 2,
      title: 'Login refused again',
      details: { code: 'x' },
      state: 'open',
    });
  });

  test('counts a run once, however often its step is tried again', async () => {
    const runId = randomUUID();
    const { id } = await openIncident(db, { ...report, runId });
    await openIncident(db, { ...report, runId });
    await openIncident(db, { ...report, runId: randomUUID() });

    expect(await readIncident(db, id)).toMatchObject({ occurrences: 2 });
  });

  test('is one per account, offer and class, or per class of the whole system', async () => {
    const opened = await openIncidents(db, [
      { class: 'NoWorker', title: 'a', details: {} },
      { accountId: 'main', class: 'NoWorker', title: 'b', details: {} },
      { accountId: 'second', class: 'NoWorker', title: 'c', details: {} },
      { accountId: 'main', offerId: '1', class: 'NoWorker', title: 'd', details: {} },
      { accountId: 'main', offerId: '2', class: 'NoWorker', title: 'e', details: {} },
      { accountId: 'main', class: 'Other', title: 'f', details: {} },
    ]);

    expect(opened.map(({ isNew }) => isNew)).toEqual([true, true, true, true, true, true]);
    expect(await countOpenIncidents(db)).toEqual({ NoWorker: 5, Other: 1 });
  });

  test('is new again after it was resolved', async () => {
    const first = await openIncident(db, report);
    await resolveIncidents(db, { accountId: 'main' });

    const second = await openIncident(db, report);

    expect(second.isNew).toBe(true);
    expect(second.id).not.toBe(first.id);
  });

  test('is opened once by two at the same time', async () => {
    const opened = await Promise.all(Array.from({ length: 8 }, () => openIncident(db, report)));

    expect(opened.filter(({ isNew }) => isNew)).toHaveLength(1);
  });

  test('can be opened for thousands of offers at once', async () => {
    const many = Array.from({ length: 2500 }, (_, index) => ({ ...report, offerId: String(index) }));

    expect(await openIncidents(db, many)).toHaveLength(2500);
    expect(await countOpenIncidents(db)).toEqual({ TokenRevoked: 2500 });
  });
});

describe('resolving', () => {
  async function titlesAfter(resolve: () => Promise<unknown>): Promise<string[]> {
    await openIncidents(db, [
      { class: 'A', title: 'system', details: {} },
      { accountId: 'main', class: 'A', title: 'main A', details: {} },
      { accountId: 'main', class: 'B', title: 'main B', details: {} },
      { accountId: 'main', offerId: '1', class: 'A', title: 'offer 1', details: {} },
      { accountId: 'main', offerId: '2', class: 'B', title: 'offer 2', details: {} },
      { accountId: 'second', class: 'A', title: 'second', details: {} },
    ]);
    await resolve();
    return (await listIncidents(db, { state: 'open', limit: 100 })).map(({ title }) => title).sort();
  }

  test.each([
    ['the whole system', { accountId: null }, ['main A', 'main B', 'offer 1', 'offer 2', 'second']],
    ['an account with its offers', { accountId: 'main' }, ['second', 'system']],
    ['one class', { accountId: 'main', classes: ['A'] }, ['main B', 'offer 2', 'second', 'system']],
    [
      'the account without its offers',
      { accountId: 'main', offerIds: null },
      ['offer 1', 'offer 2', 'second', 'system'],
    ],
    ['some offers', { accountId: 'main', offerIds: ['2', '9'] }, ['main A', 'main B', 'offer 1', 'second', 'system']],
    ['no offers', { accountId: 'main', offerIds: [] }, ['main A', 'main B', 'offer 1', 'offer 2', 'second', 'system']],
  ])('takes %s', async (_what, filter, left) => {
    expect(await titlesAfter(() => resolveIncidents(db, filter))).toEqual(left);
  });

  test('by hand works once', async () => {
    const { id } = await openIncident(db, { class: 'A', title: 'a', details: {} });

    expect(await resolveIncident(db, id)).toMatchObject({ state: 'resolved', resolvedAt: expect.any(Date) });
    expect(await resolveIncident(db, id)).toBeNull();
    expect(await readIncident(db, '999999')).toBeNull();
  });

  test('leaves the newest first in the list', async () => {
    await openIncident(db, { class: 'A', title: 'first', details: {} });
    await openIncident(db, { accountId: 'main', class: 'B', title: 'second', details: {} });

    expect((await listIncidents(db, { limit: 10 })).map(({ title }) => title)).toEqual(['second', 'first']);
    expect(await listIncidents(db, { accountId: 'main', limit: 10 })).toHaveLength(1);
  });
});

describe('telling', () => {
  const problem = { account: MAIN, class: 'TokenRevoked', title: 'Login refused', details: 'Log in again.' };

  test('a problem is told once while it lasts, and again when it comes back', async () => {
    await tellProblem(db, problem);
    await tellProblem(db, problem);
    expect(await messages()).toMatchObject([
      { kind: 'account_problem', accountName: 'Main shop', title: 'Login refused' },
    ]);

    await tellOver(db, { account: MAIN, filter: { classes: ['TokenRevoked'] } });
    await tellOver(db, { account: MAIN, filter: { classes: ['TokenRevoked'] } });
    expect(await messages()).toMatchObject([{ kind: 'resolved', titles: ['Login refused'] }]);

    await tellProblem(db, problem);
    expect(await messages()).toMatchObject([{ kind: 'account_problem' }]);
  });

  test('a problem of the whole system names no account', async () => {
    await tellProblem(db, { ...problem, account: null, action: 'start a worker' });

    expect(await messages()).toEqual([
      expect.objectContaining({ kind: 'system_problem', action: 'start a worker', details: 'Log in again.' }),
    ]);
  });

  test('the failed offers of a run are one message, those at risk of overselling first', async () => {
    const failures = [
      aFailure({ offerId: '1' }),
      aFailure({ offerId: '2', piecesAtRisk: 4 }),
      aFailure({ offerId: '3' }),
    ];

    expect(await tellOfferFailures(db, { account: MAIN, runId: randomUUID(), failures })).toBe(3);

    expect(await messages()).toMatchObject([
      {
        kind: 'offer_failures',
        countsByClass: { OfferRejected: 3 },
        failures: [{ offerId: '2', piecesAtRisk: 4 }, { offerId: '1' }, { offerId: '3' }],
      },
    ]);
  });

  test('an offer that goes on failing is not told again; a new one is', async () => {
    await tellOfferFailures(db, { account: MAIN, runId: randomUUID(), failures: [aFailure({ offerId: '1' })] });
    await messages();

    const told = await tellOfferFailures(db, {
      account: MAIN,
      runId: randomUUID(),
      failures: [aFailure({ offerId: '1' }), aFailure({ offerId: '2' })],
    });

    expect(told).toBe(1);
    expect(await messages()).toMatchObject([{ failures: [{ offerId: '2' }] }]);
  });

  test('an offer that goes on failing is told again when it comes to be at risk of overselling, and that once', async () => {
    const tell = (changes: Partial<OfferFailure>) =>
      tellOfferFailures(db, { account: MAIN, runId: randomUUID(), failures: [aFailure({ offerId: '1', ...changes })] });
    await tell({});
    await messages();

    expect(await tell({ current: 8, target: 2, piecesAtRisk: 6 })).toBe(1);
    expect(await tell({ current: 8, target: 1, piecesAtRisk: 7 })).toBe(0);

    expect(await messages()).toMatchObject([{ failures: [{ offerId: '1', piecesAtRisk: 6 }] }]);
  });

  test('a run that goes on after a reset tells what has come to be at risk since, and that once', async () => {
    const runId = randomUUID();
    const tell = (...failures: OfferFailure[]) => tellOfferFailures(db, { account: MAIN, runId, failures });
    const atRisk = aFailure({ offerId: '1', current: 8, target: 2, piecesAtRisk: 6 });

    expect(await tell(aFailure({ offerId: '1' }))).toBe(1);
    expect(await tell(atRisk)).toBe(1);
    expect(await tell(atRisk)).toBe(0);
    expect(await tell(atRisk, aFailure({ offerId: '2' }))).toBe(1);

    const told = await messages();
    expect(told.map((message) => message.kind === 'offer_failures' && message.failures)).toMatchObject([
      [{ offerId: '1' }],
      [{ offerId: '1', piecesAtRisk: 6 }],
      [{ offerId: '2' }],
    ]);
  });

  test('thousands of failed offers are one message with the counts and the first ten', async () => {
    const failures = Array.from({ length: 3000 }, (_, index) =>
      aFailure({ offerId: String(index), errorClass: index < 100 ? 'OfferConflict' : 'OfferRejected' }),
    );

    await tellOfferFailures(db, { account: MAIN, runId: randomUUID(), failures });

    const [message] = await messages();
    expect(message).toMatchObject({ countsByClass: { OfferConflict: 100, OfferRejected: 2900 } });
    expect(message?.kind === 'offer_failures' ? message.failures : []).toHaveLength(10);
  });

  test('nothing is told for a run without failures', async () => {
    expect(await tellOfferFailures(db, { account: MAIN, runId: randomUUID(), failures: [] })).toBe(0);
    expect(await messages()).toEqual([]);
  });

  test('many offers that are right again are one line', async () => {
    const failures = Array.from({ length: 30 }, (_, index) => aFailure({ offerId: String(index) }));
    await tellOfferFailures(db, { account: MAIN, runId: randomUUID(), failures });
    await messages();

    await tellOver(db, { account: MAIN, filter: { offerIds: failures.map(({ offerId }) => offerId) } });

    expect(await messages()).toMatchObject([{ kind: 'resolved', titles: ['30 offers that could not be corrected'] }]);
  });

  test('held changes are told once with the run to approve', async () => {
    const held = {
      ...MAIN,
      runId: randomUUID(),
      details: 'Would end 120 of 400.',
      heldCount: 120,
      reasons: [],
      at: new Date(),
    };

    await tellHeld(db, held);
    await tellHeld(db, { ...held, runId: randomUUID() });

    expect(await messages()).toMatchObject([{ kind: 'held', runId: held.runId, heldCount: 120 }]);
  });

  test('a problem of a transaction that failed is told when it is tried again', async () => {
    const failing = db.transaction().execute(async (trx) => {
      await tellProblem(trx, problem);
      throw new Error('rolled back');
    });
    await expect(failing).rejects.toThrow('rolled back');

    await db.transaction().execute((trx) => tellProblem(trx, problem));

    expect(await messages()).toHaveLength(1);
  });
});

describe('reminding', () => {
  const HOUR_MS = 3_600_000;
  const opened = new Date('2026-11-20T12:00:00Z');

  function after(hours: number): Date {
    return new Date(opened.getTime() + hours * HOUR_MS);
  }

  async function openProblems(...titles: string[]): Promise<void> {
    for (const title of titles) {
      await tellProblem(db, { account: MAIN, class: title, title, details: 'details' });
    }
    await db.updateTable('incidents').set({ openedAt: opened }).execute();
    await messages();
  }

  test('happens once a day while a problem lasts, in one message per account', async () => {
    await openProblems('first problem', 'second problem');

    const counts: number[] = [];
    for (const hours of [1, 23, 25, 30, 48, 50, 72, 74, 76]) counts.push(await remindOfOpenProblems(db, after(hours)));

    expect(counts).toEqual([0, 0, 1, 0, 0, 1, 0, 1, 0]);
    expect(await messages()).toMatchObject([
      {
        kind: 'account_problem',
        accountName: 'Main shop',
        title: '2 problems',
        details: 'first problem; second problem',
        isReminder: true,
        since: opened.toISOString(),
      },
      { isReminder: true },
      { isReminder: true },
    ]);
  });

  test('happens for the whole system too', async () => {
    await tellProblem(db, { account: null, class: 'NoWorker', title: 'no worker', details: 'x' });
    await db.updateTable('incidents').set({ openedAt: opened }).execute();
    await messages();

    await remindOfOpenProblems(db, after(25));

    expect(await messages()).toMatchObject([{ kind: 'system_problem', details: 'no worker' }]);
  });

  test('ends when the problem is over', async () => {
    await openProblems('problem');
    await resolveIncidents(db, { accountId: 'main' });

    expect(await remindOfOpenProblems(db, after(25))).toBe(0);
  });

  test('by several processes at once is one message', async () => {
    await openProblems('problem');

    const added = await Promise.all(Array.from({ length: 6 }, () => remindOfOpenProblems(db, after(25))));

    expect(added.reduce((sum, count) => sum + count, 0)).toBe(1);
  });

  test('names ten problems and counts the others', async () => {
    await openProblems(...Array.from({ length: 12 }, (_, index) => `problem ${index}`));

    await remindOfOpenProblems(db, after(25));

    expect(await messages()).toMatchObject([
      { title: '12 problems', details: expect.stringMatching(/problem 9; and 2 more$/) },
    ]);
  });
});
