import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { deliverOutbox, type DeliveryServices } from '../../../src/notifications/deliver.js';
import { NotificationError, type AlertMessage, type Notifier } from '../../../src/notifications/notifier.js';
import { createTelegramNotifier } from '../../../src/notifications/telegram.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { claimDue, deleteSentBefore, enqueue, readOutboxState } from '../../../src/storage/outbox.js';
import { waitUntil } from '../../../src/local/wait-until.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';
import { sendJson, startTelegramStandIn } from './telegram-stand-in.js';

let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'outbox test' });
});

afterEach(async () => {
  await db.deleteFrom('outbox').execute();
});

afterAll(async () => {
  await db.destroy();
  await database.drop();
});

function aMessage(title: string): AlertMessage {
  return { kind: 'system_problem', class: 'Test', title, details: 'details', since: '2026-11-23T14:47:01Z' };
}

async function enqueueTitled(...titles: string[]): Promise<void> {
  for (const title of titles) await enqueue(db, { dedupeKey: title, message: aMessage(title) });
}

function later(ms: number): Date {
  return new Date(Date.now() + ms);
}

async function isClaimed(): Promise<boolean> {
  const rows = await db.selectFrom('outbox').select('attempts').execute();
  return rows.every(({ attempts }) => attempts > 0);
}

/** Notes what it is sent; `refuse` decides which messages fail. */
function aNotifier(refuse: (title: string) => Error | null = () => null): Notifier & { titles: string[] } {
  const titles: string[] = [];
  return {
    destination: 'test',
    titles,
    send(message) {
      const title = message.kind === 'system_problem' ? message.title : message.kind;
      const error = refuse(title);
      if (error !== null) return Promise.reject(error);
      titles.push(title);
      return Promise.resolve();
    },
  };
}

function deliver(notifier: Notifier, now = later(0), log: unknown[] = []) {
  const logger: DeliveryServices['logger'] = { warn: (fields, message) => void log.push({ ...fields, message }) };
  return deliverOutbox({ db, notifier, logger, now: () => now });
}

describe('the outbox', () => {
  test('takes a message once, whoever adds it again', async () => {
    expect(await enqueue(db, { dedupeKey: 'one', message: aMessage('one') })).toBe(true);
    expect(await enqueue(db, { dedupeKey: 'one', message: aMessage('again') })).toBe(false);

    const notifier = aNotifier();
    await deliver(notifier, later(1000));

    expect(notifier.titles).toEqual(['one']);
  });

  test('forgets a message of a transaction that failed', async () => {
    const failing = db.transaction().execute(async (trx) => {
      await enqueue(trx, { dedupeKey: 'one', message: aMessage('one') });
      throw new Error('rolled back');
    });

    await expect(failing).rejects.toThrow('rolled back');
    expect(await readOutboxState(db)).toMatchObject({ waiting: 0, oldestWaitingSince: null, lastError: null });
  });

  test('stores texts that PostgreSQL cannot hold as they are', async () => {
    await enqueue(db, { dedupeKey: 'nul', message: aMessage('a\u0000b\ud83dc') });

    const notifier = aNotifier();
    await deliver(notifier, later(1000));

    expect(notifier.titles).toEqual(['a\ufffdb\ufffdc']);
  });

  test('gives each message to one of several senders only', async () => {
    await enqueueTitled(...Array.from({ length: 50 }, (_, index) => `message-${index}`));
    const notifiers = [aNotifier(), aNotifier(), aNotifier()];

    await Promise.all(notifiers.map((notifier) => deliver(notifier, later(1000))));

    const titles = notifiers.flatMap((notifier) => notifier.titles);
    expect(titles).toHaveLength(50);
    expect(new Set(titles).size).toBe(50);
  });

  test('gives a message of a sender that was killed to the next one, once its lease is over', async () => {
    await enqueueTitled('one');
    const now = later(1000);
    await claimDue(db, { limit: 1, now, leaseMs: 60_000 });

    expect(await claimDue(db, { limit: 1, now: new Date(now.getTime() + 59_000), leaseMs: 60_000 })).toEqual([]);
    expect(await claimDue(db, { limit: 1, now: new Date(now.getTime() + 61_000), leaseMs: 60_000 })).toMatchObject([
      { attempts: 2 },
    ]);
  });

  test('forgets sent messages by age, never waiting ones', async () => {
    await enqueueTitled('sent', 'waiting');
    await deliver(
      aNotifier((title) => (title === 'waiting' ? new NotificationError('refused', 'no') : null)),
      later(1000),
    );

    expect(await deleteSentBefore(db, later(0))).toBe(0);
    expect(await deleteSentBefore(db, later(60_000))).toBe(1);
    expect(await readOutboxState(db)).toMatchObject({ waiting: 1 });
  });
});

describe('delivery', () => {
  test('sends in the order of the messages, each once', async () => {
    await enqueueTitled('first', 'second', 'third');
    const notifier = aNotifier();

    expect(await deliver(notifier, later(1000))).toEqual({ sent: 3, failed: 0 });
    expect(await deliver(notifier, later(3_600_000))).toEqual({ sent: 0, failed: 0 });

    expect(notifier.titles).toEqual(['first', 'second', 'third']);
    expect(await readOutboxState(db)).toMatchObject({ waiting: 0, lastSentAt: expect.any(Date) });
  });

  test('sends nothing, old or new, before the time that the notifier has named', async () => {
    await enqueueTitled(...Array.from({ length: 25 }, (_, index) => `message-${index}`));
    const now = later(1000);
    const after = (ms: number): Date => new Date(now.getTime() + ms);
    let tries = 0;
    const busy = aNotifier(() => {
      tries++;
      return new NotificationError('unavailable', 'Telegram: 429', 60_000);
    });
    await deliver(busy, now);
    await enqueue(db, { dedupeKey: 'new', message: aMessage('new'), now });

    const notifier = aNotifier();
    expect(await deliver(notifier, after(59_000))).toEqual({ sent: 0, failed: 0 });
    expect(await deliver(notifier, after(61_000))).toEqual({ sent: 26, failed: 0 });

    expect(tries).toBe(1);
    expect(notifier.titles.at(-1)).toBe('new');
  });

  test('stops at a notifier that is down, and sends all when it is back', async () => {
    await enqueueTitled('first', 'second', 'third');
    let tries = 0;
    const down = aNotifier(() => {
      tries++;
      return new NotificationError('unavailable', 'Telegram could not be reached (ECONNREFUSED)');
    });
    const log: unknown[] = [];
    const now = later(1000);

    expect(await deliver(down, now, log)).toEqual({ sent: 0, failed: 1 });

    expect(tries).toBe(1);
    expect(log).toMatchObject([
      { event: 'allegro_sync_alert_waiting', message: expect.stringContaining('ECONNREFUSED') },
    ]);
    expect(await readOutboxState(db)).toMatchObject({
      waiting: 3,
      lastError: 'Telegram could not be reached (ECONNREFUSED)',
    });
    const back = aNotifier();
    expect(await deliver(back, new Date(now.getTime() + 14_000))).toEqual({ sent: 0, failed: 0 });
    expect(await deliver(back, new Date(now.getTime() + 16_000))).toEqual({ sent: 3, failed: 0 });
    expect(back.titles).toEqual(['first', 'second', 'third']);
  });

  test('waits longer after each failure, at most a quarter of an hour', async () => {
    await enqueueTitled('one');
    const down = aNotifier(() => new NotificationError('unavailable', 'down'));
    const waits: number[] = [];
    let now = later(1000);

    for (let attempt = 0; attempt < 9; attempt++) {
      await deliver(down, now);
      const { retryAt } = await db.selectFrom('outbox').select('retryAt').executeTakeFirstOrThrow();
      waits.push((retryAt.getTime() - now.getTime()) / 1000);
      now = retryAt;
    }

    expect(waits).toEqual([15, 30, 60, 120, 240, 480, 900, 900, 900]);
  });

  test('goes on with the others when one message is refused', async () => {
    await enqueueTitled('good', 'bad', 'better');
    const notifier = aNotifier((title) => (title === 'bad' ? new NotificationError('refused', 'cannot parse') : null));

    expect(await deliver(notifier, later(1000))).toEqual({ sent: 2, failed: 1 });

    expect(notifier.titles).toEqual(['good', 'better']);
  });

  test('sends within 16 s what a sender that was killed had taken', async () => {
    await enqueueTitled('one', 'two', 'three');
    const start = later(1000);
    const killed: Notifier = { destination: 'test', send: () => new Promise(() => undefined) };
    void deliver(killed, start);
    await waitUntil(isClaimed, 10_000);

    const notifier = aNotifier();
    await deliver(notifier, new Date(start.getTime() + 14_000));
    expect(notifier.titles).toEqual([]);
    await deliver(notifier, new Date(start.getTime() + 16_000));

    expect(notifier.titles).toEqual(['one', 'two', 'three']);
  });

  test('sends no message again that another sender has taken over while it slept', async () => {
    await enqueueTitled('one', 'two', 'three');
    const start = later(1000);
    const other = aNotifier();
    const sleeper = aNotifier();
    const fallsAsleepAfterOne: Notifier = {
      destination: 'test',
      async send(message) {
        await sleeper.send(message);
        if (sleeper.titles.length === 1) await deliver(other, new Date(start.getTime() + 60_000));
      },
    };

    await deliver(fallsAsleepAfterOne, start);

    expect(sleeper.titles).toEqual(['one']);
    expect(other.titles).toEqual(['one', 'two', 'three']);
  });

  test('is not held up by a message that is not understood', async () => {
    await enqueue(db, { dedupeKey: 'odd', message: { kind: 'unheard of' } });
    await enqueueTitled('good');
    const notifier = aNotifier();

    expect(await deliver(notifier, later(1000))).toEqual({ sent: 1, failed: 1 });
  });

  test('keeps a foreign error of a notifier out of log and database', async () => {
    await enqueueTitled('one');
    const log: unknown[] = [];
    const notifier = aNotifier(() => new Error('POST https://api.telegram.org/bot123:planted-token'));

    await deliver(notifier, later(1000), log);

    expect(JSON.stringify([log, await readOutboxState(db)])).not.toContain('planted-token');
  });

  test('never throws, not even without a database', async () => {
    const gone = openDatabase('postgresql://nobody@127.0.0.1:1/none', { applicationName: 'test' });
    const log: unknown[] = [];

    const counts = await deliverOutbox({
      db: gone,
      notifier: aNotifier(),
      logger: { warn: (fields) => void log.push(fields) },
    });

    expect(counts).toEqual({ sent: 0, failed: 0 });
    expect(log).toHaveLength(1);
    await gone.destroy();
  });

  test('sends more messages than one claim takes', async () => {
    await enqueueTitled(...Array.from({ length: 45 }, (_, index) => `message-${index}`));

    expect(await deliver(aNotifier(), later(1000))).toEqual({ sent: 45, failed: 0 });
  });

  test('waits as long as Telegram asks after a 429, then everything arrives', async () => {
    const telegram = await startTelegramStandIn();
    telegram.answerWith((response) => sendJson(response, 429, { ok: false, parameters: { retry_after: 40 } }));
    const notifier = createTelegramNotifier({ apiUrl: telegram.url, botToken: '1:token', chatId: '-1' });
    await enqueueTitled('first', 'second');
    const now = later(1000);

    expect(await deliver(notifier, now)).toEqual({ sent: 0, failed: 1 });
    telegram.answerWith((response) => sendJson(response, 200, { ok: true }));
    expect(await deliver(notifier, new Date(now.getTime() + 39_000))).toEqual({ sent: 0, failed: 0 });
    expect(await deliver(notifier, new Date(now.getTime() + 41_000))).toEqual({ sent: 2, failed: 0 });

    expect(telegram.received).toHaveLength(3);
    await telegram.close();
  });
});
