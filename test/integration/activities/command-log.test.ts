import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pino from 'pino';
import { setUpActivities, stock, type ActivitiesUnderTest } from './activities-under-test.js';

let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities({ commandDelayMs: 0, commandHiddenMs: 0 }, { isUnpaced: true });
});
afterAll(() => under.close());

test('an offer that a command could not carry out is logged with its SKU, attempt, class and code', async () => {
  const lines: unknown[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const act = under.with({ logger });
  const shop = await under.shop();
  const skus = Array.from({ length: 11 }, () => shop.sku());
  const offerIds = await shop.offers(
    skus.map((externalId, index) => ({
      externalId,
      status: 'ACTIVE',
      available: 9,
      ...(index === 4 ? { rejection: { message: 'no picture', commands: true } } : {}),
    })),
  );
  await stock(under, Object.fromEntries(skus.map((sku) => [sku, 3])));
  const runId = await shop.scanned();
  const { phases } = await act.planWrites({ runId });
  const [commandId] = phases.flatMap(({ commandIds }) => commandIds);
  if (commandId === undefined) throw new Error('no command was planned');

  await act.submitCommand({ runId, commandId, priority: 'scheduled' });
  const deadline = Date.now() + 10_000;
  const check = () => act.checkCommands({ runId, of: 'this_run', priority: 'scheduled', isLastCheck: false });
  for (let { open } = await check(); open > 0 && Date.now() < deadline;) ({ open } = await check());

  expect(lines).toEqual([
    expect.objectContaining({
      event: 'allegro_sync_error',
      operation: 'commandTask',
      accountId: shop.accountId,
      runId,
      offerId: offerIds[4],
      sku: skus[4],
      attempt: 1,
      errorClass: 'OfferRejected',
      errorCode: expect.any(String),
      msg: expect.stringContaining('no picture'),
    }),
  ]);
});
