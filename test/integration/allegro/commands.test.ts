import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { toOfferId, type CommandId, type OfferId } from '../../../src/domain/ids.js';
import type { Call, CommandAnswer, CommandReport, QuantityCommand } from '../../../src/domain/marketplace.js';
import {
  errorOf,
  eventually,
  newCommandId,
  patiently,
  SELLER,
  setUpAllegro,
  type AllegroUnderTest,
} from './allegro-under-test.js';

let under: AllegroUnderTest;
let call: Call;

beforeAll(async () => {
  under = await setUpAllegro();
  call = await under.logIn();
});
afterEach(async () => {
  await under.admin.removeFaults();
  await under.admin.changeSettings({ commandHiddenMs: 0, commandDelayMs: 20, commandReplay: 'conflict' });
});
afterAll(() => under.close());

async function offers(count: number): Promise<OfferId[]> {
  const added = await under.admin.addOffers(Array.from({ length: count }, () => ({ sellerId: SELLER, available: 5 })));
  return added.map(({ id }) => toOfferId(id));
}

/** Waits for its permit: the first one of a fresh limiter takes as long as a command of 1000 offers. */
function submit(command: QuantityCommand): Promise<CommandAnswer> {
  return patiently(() => under.allegro.marketplace.submitQuantityCommand(call, command));
}

async function complete(commandId: CommandId, caller = call): Promise<CommandReport> {
  let report: CommandReport = { isKnown: false, isComplete: false, tasks: [] };
  await eventually(async () => {
    report = await under.allegro.marketplace.readQuantityCommand(caller, commandId);
    return report.isComplete;
  }, 'the command is complete');
  return report;
}

describe('a quantity command', () => {
  test('sets one value for 1000 offers and reports each of them, in five requests', async () => {
    const seller = '44000220';
    const own = await under.logIn(seller);
    const added = await under.admin.addOffers(Array.from({ length: 1000 }, () => ({ sellerId: seller })));
    const offerIds = added.map(({ id }) => toOfferId(id));
    const commandId = newCommandId();
    await under.admin.changeSettings({ commandDelayMs: 0 });
    await under.allegro.marketplace.identify(own);
    await under.admin.resetReport();

    const answer = await patiently(() =>
      under.allegro.marketplace.submitQuantityCommand(own, { commandId, quantity: 9, offerIds }),
    );
    const report = await complete(commandId, own);

    expect(answer).toEqual({ kind: 'accepted' });
    expect(report.tasks.map(({ offerId }) => offerId).sort()).toEqual([...offerIds].sort());
    expect(report.tasks.every(({ state }) => state === 'success')).toBe(true);
    const { offers: now } = await under.admin.offers({ sellerId: seller, limit: 2000 });
    expect(now.filter(({ available }) => available === 9)).toHaveLength(1000);
    expect((await under.admin.report()).requests).toBeLessThanOrEqual(5);
  });

  test('is read over all pages of its tasks', async () => {
    const offerIds = await offers(30);
    const commandId = newCommandId();
    await submit({ commandId, quantity: 4, offerIds });
    await complete(commandId);
    const [first] = offerIds;
    // A page that is shorter than asked for: the next one starts where it ended.
    await under.admin.plantFault({
      match: { route: '/sale/offer-quantity-change-commands/{commandId}/tasks', times: 1 },
      fault: {
        kind: 'status',
        status: 200,
        body: { tasks: [{ offer: { id: first }, status: 'SUCCESS', errors: [] }] },
      },
    });

    const report = await under.allegro.marketplace.readQuantityCommand(call, commandId);

    expect(report.isComplete).toBe(true);
    expect(report.tasks).toHaveLength(30);
  });

  test('that names fewer offers than it counts is not complete', async () => {
    const offerIds = await offers(3);
    const commandId = newCommandId();
    await submit({ commandId, quantity: 4, offerIds });
    await complete(commandId);
    await under.admin.plantFault({
      match: { route: '/sale/offer-quantity-change-commands/{commandId}/tasks', times: 1 },
      fault: { kind: 'status', status: 200, body: { tasks: [] } },
    });

    expect(await under.allegro.marketplace.readQuantityCommand(call, commandId)).toMatchObject({
      isKnown: true,
      isComplete: false,
    });
  });

  test('is not there yet right after its creation, and not complete before it was processed', async () => {
    await under.admin.changeSettings({ commandHiddenMs: 100, commandDelayMs: 400 });
    const offerIds = await offers(2);
    const commandId = newCommandId();
    await submit({ commandId, quantity: 6, offerIds });

    expect(await under.allegro.marketplace.readQuantityCommand(call, commandId)).toEqual({
      isKnown: false,
      isComplete: false,
      tasks: [],
    });
    await eventually(
      async () => (await under.allegro.marketplace.readQuantityCommand(call, commandId)).isKnown,
      'the command is known',
    );
    expect((await complete(commandId)).tasks).toHaveLength(2);
  });

  test('tells for each offer that failed why, and what class that is', async () => {
    const [good = toOfferId('1')] = await offers(1);
    const foreign = await under.offer({ sellerId: '44000200' });
    const invalid = await under.offer({ rejection: { code: 'VALIDATION_FAILED', message: 'Marka', commands: true } });
    const commandId = newCommandId();
    await submit({
      commandId,
      quantity: 3,
      offerIds: [good, foreign, invalid],
    });

    const { tasks } = await complete(commandId);

    expect(tasks).toEqual([
      { offerId: good, state: 'success', code: null, message: 'Changes applied' },
      expect.objectContaining({ offerId: foreign, state: 'fail', code: 'OFFER_NOT_FOUND', errorType: 'OfferNotFound' }),
      expect.objectContaining({
        offerId: invalid,
        state: 'fail',
        code: 'VALIDATION_FAILED',
        errorType: 'OfferRejected',
      }),
    ]);
  });

  test('sent twice is accepted once: the second time its id is already used', async () => {
    const offerIds = await offers(2);
    const command = { commandId: newCommandId(), quantity: 3, offerIds };
    await submit(command);

    expect(await submit(command)).toEqual({ kind: 'already_used' });
    await under.admin.changeSettings({ commandReplay: 'accept' });
    expect(await submit(command)).toEqual({ kind: 'accepted' });
  });

  test('whose id was used with other content is an error that says so', async () => {
    const offerIds = await offers(2);
    const commandId = newCommandId();
    await submit({ commandId, quantity: 3, offerIds });

    const error = await errorOf(submit({ commandId, quantity: 4, offerIds }), 'OfferRejected');

    expect(error.facts.code).toBe('COMMAND_ALREADY_REGISTERED_WITH_DIFFERENT_CONTENT');
    expect(error.message).toContain('with other content');
  });

  test('whose answer is lost has an unknown outcome, and can be asked for by its id', async () => {
    const offerIds = await offers(2);
    const commandId = newCommandId();
    await under.admin.plantFault({ match: { method: 'PUT', times: 1 }, fault: { kind: 'cutAfter' } });

    await errorOf(submit({ commandId, quantity: 3, offerIds }), 'OutcomeUnknown');

    expect((await complete(commandId)).tasks).toHaveLength(2);
  });

  test('of 0 pieces, of no offer and of more than 1000 is never sent', async () => {
    const [offerId = toOfferId('1')] = await offers(1);
    const wrong = (quantity: number, count: number) =>
      submit({
        commandId: newCommandId(),
        quantity,
        offerIds: Array.from({ length: count }, () => offerId),
      });
    await under.admin.resetReport();

    await expect(wrong(0, 1)).rejects.toThrow(RangeError);
    await expect(wrong(1, 0)).rejects.toThrow(RangeError);
    await expect(wrong(1, 1001)).rejects.toThrow(RangeError);
    expect((await under.admin.report()).requests).toBe(0);
  });

  test('takes as many changes of the seller’s quota as it names offers', async () => {
    const seller = '44000210';
    const own = await under.logIn(seller);
    const added = await under.admin.addOffers(Array.from({ length: 1000 }, () => ({ sellerId: seller })));
    const offerIds = added.map(({ id }) => toOfferId(id));
    const send = () =>
      under.allegro.marketplace.submitQuantityCommand(own, { commandId: newCommandId(), quantity: 2, offerIds });
    await patiently(send);

    // 1000 of 9000 a minute: the next thousand has to wait longer than a request may.
    const error = await errorOf(send(), 'RateLimited');

    expect(error.facts.scope).toContain(`seller:${seller}:quantity-changes`);
    expect(error.facts.retryInMs).toBeGreaterThan(2000);
  });
});

describe('an end command', () => {
  test('ends offers and leaves their stock', async () => {
    const offerIds = await offers(2);
    const commandId = newCommandId();

    const answer = await patiently(() => under.allegro.marketplace.submitEndCommand(call, { commandId, offerIds }));
    expect(answer).toEqual({ kind: 'accepted' });
    await eventually(
      async () => (await under.allegro.marketplace.readEndCommand(call, commandId)).isComplete,
      'the command is complete',
    );

    for (const offerId of offerIds) {
      expect(await under.admin.offer(offerId)).toMatchObject({ status: 'ENDED', endedBy: 'USER', available: 5 });
    }
  });
});

test('nothing of all this was a mistake in the eyes of Allegro', async () => {
  const { clientMistakes } = await under.admin.report();
  expect(Object.keys(clientMistakes).filter((kind) => kind !== 'command_id_reused_with_other_content')).toEqual([]);
});
