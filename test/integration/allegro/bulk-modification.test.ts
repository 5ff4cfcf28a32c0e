import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { toOfferId } from '../../../src/domain/ids.js';
import type { Call, CommandReport } from '../../../src/domain/marketplace.js';
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
afterEach(() => under.admin.changeSettings({ bulkModification: 'on' }));
afterAll(() => under.close());

async function changes(count: number) {
  const added = await under.admin.addOffers(Array.from({ length: count }, () => ({ sellerId: SELLER })));
  return added.map(({ id }, index) => ({ offerId: toOfferId(id), quantity: index + 20 }));
}

test('25 offers get a value each in one request, and report each', async () => {
  const wanted = await changes(25);
  const commandId = newCommandId();

  const answer = await patiently(() => under.allegro.bulk.submit(call, { commandId, changes: wanted }));
  let report: CommandReport = { isKnown: false, isComplete: false, tasks: [] };
  await eventually(async () => {
    report = await under.allegro.bulk.read(call, commandId);
    return report.isComplete;
  }, 'the command is complete');

  expect(answer).toEqual({ kind: 'accepted' });
  expect(report.tasks.map(({ offerId, state }) => ({ offerId, state }))).toEqual(
    wanted.map(({ offerId }) => ({ offerId, state: 'success' })),
  );
  for (const { offerId, quantity } of wanted) {
    expect((await under.admin.offer(offerId)).available).toBe(quantity);
  }
});

test.each(['not-found', 'not-acceptable'] as const)(
  'where it is %s, that is an answer and changes nothing',
  async (setting) => {
    await under.admin.changeSettings({ bulkModification: setting });
    const wanted = await changes(2);

    const answer = await patiently(() =>
      under.allegro.bulk.submit(call, { commandId: newCommandId(), changes: wanted }),
    );

    expect(answer).toEqual({ kind: 'not_available' });
    for (const { offerId } of wanted) expect((await under.admin.offer(offerId)).available).toBe(10);
  },
);

test('an id used before is told, other content is an error', async () => {
  const wanted = await changes(2);
  const command = { commandId: newCommandId(), changes: wanted };
  await patiently(() => under.allegro.bulk.submit(call, command));

  expect(await patiently(() => under.allegro.bulk.submit(call, command))).toEqual({ kind: 'already_used' });
  const other = { ...command, changes: wanted.slice(0, 1) };
  await errorOf(
    patiently(() => under.allegro.bulk.submit(call, other)),
    'OfferRejected',
  );
});

test('a 0, no offer or more than 25 are never sent', async () => {
  const [one = { offerId: toOfferId('1'), quantity: 1 }] = await changes(1);
  const submit = (wanted: readonly (typeof one)[]) =>
    under.allegro.bulk.submit(call, { commandId: newCommandId(), changes: wanted });

  await expect(submit([{ ...one, quantity: 0 }])).rejects.toThrow(RangeError);
  await expect(submit([])).rejects.toThrow(RangeError);
  await expect(submit(Array.from({ length: 26 }, () => one))).rejects.toThrow(RangeError);
});
