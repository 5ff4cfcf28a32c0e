import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { AlertMessage, OfferFailure, OfferFailuresMessage } from '../../../src/notifications/notifier.js';
import { LONGEST_TELEGRAM_MESSAGE, renderTelegramHtml, renderText } from '../../../src/notifications/render.js';

const WARSAW = { timeZone: 'Europe/Warsaw' };
const RUN = '0b3c9a3e-4f11-4b8e-9a51-0d8f6f5a1c11';

function aFailure(changes: Partial<OfferFailure> = {}): OfferFailure {
  return {
    offerId: '7781001',
    sku: 'MUG-RED',
    current: 7,
    target: 3,
    errorClass: 'OfferRejected',
    error: 'The category requires a parameter',
    attempts: 1,
    at: '2026-11-23T14:47:01Z',
    ...changes,
  };
}

function failures(list: readonly OfferFailure[], changes: Partial<OfferFailuresMessage> = {}): OfferFailuresMessage {
  return {
    kind: 'offer_failures',
    accountId: 'main',
    accountName: 'Main shop',
    runId: RUN,
    failures: [...list],
    countsByClass: { OfferRejected: list.length },
    ...changes,
  };
}

describe('the message about an offer that could not be corrected', () => {
  test('says account, SKU, offer, stock, error, attempts, time with zone, and that a person must look', () => {
    const html = renderTelegramHtml(failures([aFailure({ attempts: 4 })]), WARSAW);

    expect(html).toBe(
      [
        '❗ <b>An offer could not be corrected</b>',
        'Account: <b>Main shop</b> (main)',
        '',
        'SKU <code>MUG-RED</code>, offer <code>7781001</code>',
        'Stock: 7 → 3',
        'Error: OfferRejected: The category requires a parameter',
        'Attempts: 4, 2026-11-23 15:47:01 GMT+01:00',
        '',
        '<b>Manual check required.</b>',
        `All of them: <code>allegro-stock-sync changes --run ${RUN} --bucket failed</code>`,
      ].join('\n'),
    );
  });

  test('leads to all of them where one is contested, which is skipped and not failed', () => {
    const countsByClass = { OfferRejected: 1, OfferContested: 1 };
    const html = renderTelegramHtml(failures([aFailure(), aFailure()], { countsByClass }), WARSAW);

    expect(html).toContain(`<code>allegro-stock-sync changes --run ${RUN}</code>`);
  });

  test('says "unknown" for a stock that was never read', () => {
    expect(renderTelegramHtml(failures([aFailure({ current: null })]), WARSAW)).toContain('Stock: unknown → 3');
  });

  test('shows a stock of 0 as 0', () => {
    expect(renderTelegramHtml(failures([aFailure({ current: 0, target: 0 })]), WARSAW)).toContain('Stock: 0 → 0');
  });

  test('marks the risk of selling more than there is', () => {
    const html = renderTelegramHtml(failures([aFailure({ piecesAtRisk: 4 })]), WARSAW);

    expect(html).toContain('<b>Oversell risk: 4 pieces</b>');
  });

  test('lists up to 5 one by one, without a summary', () => {
    const html = renderTelegramHtml(
      failures(Array.from({ length: 5 }, (_, n) => aFailure({ offerId: `100${n}` }))),
      WARSAW,
    );

    expect(html.match(/<code>100\d<\/code>/g)).toHaveLength(5);
    expect(html).not.toContain('×');
  });

  test('beyond 5 is the count by class and the first 10', () => {
    const list = Array.from({ length: 10 }, (_, n) => aFailure({ offerId: `100${n}` }));

    const html = renderTelegramHtml(
      failures(list, { countsByClass: { OfferConflict: 12, OfferRejected: 4711 } }),
      WARSAW,
    );

    expect(html).toContain('4723 offers could not be corrected');
    expect(html).toContain('4711 × OfferRejected\n12 × OfferConflict');
    expect(html.match(/<code>100\d<\/code>/g)).toHaveLength(10);
  });

  test('beyond 5 leaves out what is more than 10', () => {
    const list = Array.from({ length: 12 }, (_, n) => aFailure({ offerId: `offer-${n}` }));

    const html = renderTelegramHtml(failures(list), WARSAW);

    expect(html).toContain('First 10:');
    expect(html).not.toContain('offer-10<');
  });
});

describe('other messages', () => {
  test('a held run carries the exact command that lets it through', () => {
    const html = renderTelegramHtml(
      {
        kind: 'held',
        accountId: 'main',
        accountName: 'Main shop',
        runId: RUN,
        details: 'Would end 120 of 400 active offers; 80 are allowed.',
        heldCount: 120,
        at: '2026-07-01T10:00:00Z',
      },
      WARSAW,
    );

    expect(html).toContain('120 changes are held back');
    expect(html).toContain(`<code>allegro-stock-sync accounts approve main --run ${RUN}</code>`);
    expect(html).toContain('2026-07-01 12:00:00 GMT+02:00');
  });

  test('an account problem says what to do', () => {
    const html = renderTelegramHtml(
      {
        kind: 'account_problem',
        accountId: 'main',
        accountName: 'Main shop',
        class: 'TokenRevoked',
        title: 'Allegro refused the login',
        details: 'The account is paused.',
        action: 'allegro-stock-sync accounts authorize main',
        since: '2026-11-23T14:47:01Z',
      },
      WARSAW,
    );

    expect(html).toBe(
      [
        '❗ <b>Allegro refused the login</b>',
        'Account: <b>Main shop</b> (main)',
        'Error: TokenRevoked: The account is paused.',
        'Since 2026-11-23 15:47:01 GMT+01:00',
        'To do: allegro-stock-sync accounts authorize main',
      ].join('\n'),
    );
  });

  test('a reminder says that it is one', () => {
    const html = renderTelegramHtml(
      {
        kind: 'system_problem',
        class: 'NoWorker',
        title: 'No worker',
        details: 'x',
        since: '2026-11-23T14:47:01Z',
        isReminder: true,
      },
      WARSAW,
    );

    expect(html).toContain('<b>Still open: No worker</b>');
  });

  test('what is over is told with its titles and times; more than 10 are counted', () => {
    const html = renderTelegramHtml(
      {
        kind: 'resolved',
        accountId: 'main',
        accountName: 'Main shop',
        titles: Array.from({ length: 13 }, (_, n) => `Problem ${n}`),
        since: '2026-11-23T14:00:00Z',
        at: '2026-11-23T15:00:00Z',
      },
      WARSAW,
    );

    expect(html).toContain('Problem 9');
    expect(html).not.toContain('Problem 10');
    expect(html).toContain('… and 3 more');
    expect(html).toContain('Over 2026-11-23 16:00:00 GMT+01:00');
  });

  test('plain text has the same words without tags', () => {
    const text = renderText(failures([aFailure({ sku: 'A<B>&C' })]), WARSAW);

    expect(text).toContain('SKU A<B>&C, offer 7781001');
    expect(text).not.toMatch(/<\/?(b|code)>|&amp;/);
  });
});

describe('whatever the texts hold', () => {
  const nasty = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 600 }),
    fc
      .constantFrom('<', '>', '&', '"', '&lt;', '<b>', '</code>', '👩‍👩‍👧‍👦', 'ż', '\n', '\u0000', '\ud83d')
      .chain((text) => fc.integer({ min: 1, max: 5000 }).map((times) => text.repeat(times))),
  );
  const time = fc
    .date({ min: new Date('2020-01-01'), max: new Date('2040-01-01'), noInvalidDate: true })
    .map((date) => date.toISOString());
  const failure: fc.Arbitrary<OfferFailure> = fc.record(
    {
      offerId: nasty,
      sku: nasty,
      current: fc.option(fc.nat()),
      target: fc.nat(),
      errorClass: nasty,
      error: nasty,
      attempts: fc.nat(),
      at: time,
      piecesAtRisk: fc.integer({ min: 1 }),
    },
    { requiredKeys: ['offerId', 'sku', 'current', 'target', 'errorClass', 'error', 'attempts', 'at'] },
  );
  const account = { accountId: nasty, accountName: nasty, runId: nasty };
  const problem = { class: nasty, title: nasty, details: nasty, action: nasty, since: time, isReminder: fc.boolean() };
  const message: fc.Arbitrary<AlertMessage> = fc.oneof(
    fc.record({
      kind: fc.constant('offer_failures' as const),
      ...account,
      failures: fc.array(failure, { minLength: 1, maxLength: 12 }),
      countsByClass: fc.dictionary(nasty, fc.integer({ min: 1 })),
    }),
    fc.record({ kind: fc.constant('account_problem' as const), ...account, ...problem }),
    fc.record({ kind: fc.constant('system_problem' as const), ...problem }),
    fc.record({
      kind: fc.constant('held' as const),
      ...account,
      details: nasty,
      heldCount: fc.integer({ min: 1 }),
      at: time,
    }),
    fc.record({
      kind: fc.constant('resolved' as const),
      accountId: nasty,
      accountName: nasty,
      titles: fc.array(nasty, { minLength: 1, maxLength: 40 }),
      since: time,
      at: time,
    }),
  );

  test('the HTML is at most 4096 characters, with whole tags and whole entities', () => {
    fc.assert(
      fc.property(message, (one) => {
        const html = renderTelegramHtml(one, WARSAW);

        expect(html.length).toBeLessThanOrEqual(LONGEST_TELEGRAM_MESSAGE);
        // Without its whole, balanced tags and its whole entities nothing special is left.
        const bare = html.replace(/<(b|code)>[^<>]*<\/\1>/g, '').replace(/&(amp|lt|gt);/g, '');
        expect(bare).not.toMatch(/[<>&]/);
        expect(html).not.toMatch(/\p{Cs}/u);
      }),
      { numRuns: 300 },
    );
  });

  test('the foot with its command survives the cutting', () => {
    const list = Array.from({ length: 10 }, () => aFailure({ error: '<'.repeat(500), sku: '&'.repeat(500) }));

    const html = renderTelegramHtml(failures(list, { accountName: '<'.repeat(999) }), WARSAW);

    expect(html).toContain('Manual check required.');
    expect(html).toContain(`changes --run ${RUN} --bucket failed`);
  });

  test('no half of a surrogate pair remains at a cut', () => {
    const html = renderTelegramHtml(failures([aFailure({ error: '😀'.repeat(300) })]), WARSAW);

    expect(html).not.toMatch(/\p{Cs}/u);
  });
});
