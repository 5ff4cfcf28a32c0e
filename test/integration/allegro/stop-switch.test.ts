import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { SyncError } from '../../../src/domain/errors.js';
import type { Call } from '../../../src/domain/marketplace.js';
import { errorOf, eventually, newCommandId, setUpAllegro, type AllegroUnderTest } from './allegro-under-test.js';
import { openLimiter } from './client-parts.js';

let under: AllegroUnderTest;
let call: Call;

beforeAll(async () => {
  under = await setUpAllegro();
  call = await under.logIn();
});
afterEach(() => {
  under.stop.isOn = false;
});
afterAll(() => under.close());

describe('the stop switch', () => {
  test('lets nothing be written, by no route, and everything be read', async () => {
    const offerId = await under.offer({ available: 5 });
    under.stop.isOn = true;
    const { marketplace, bulk } = under.another();
    const command = { commandId: newCommandId(), quantity: 1, offerIds: [offerId] };
    const { lastRequest } = await under.admin.journal();

    await errorOf(marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 9 }), 'WritesStopped');
    await errorOf(marketplace.writeOffer(call, offerId, { kind: 'zero' }), 'WritesStopped');
    await errorOf(marketplace.submitQuantityCommand(call, command), 'WritesStopped');
    await errorOf(marketplace.submitEndCommand(call, command), 'WritesStopped');
    await errorOf(
      bulk.submit(call, { commandId: newCommandId(), changes: [{ offerId, quantity: 1 }] }),
      'WritesStopped',
    );
    expect(await marketplace.readAvailable(call, offerId)).toBe(5);

    const { entries } = await under.admin.journal({ since: lastRequest });
    expect(new Set(entries.map(({ method }) => method))).toEqual(new Set(['GET']));
  });

  test('is obeyed within 5 s of being thrown, also by a process that has just written', async () => {
    const offerId = await under.offer({ available: 5 });
    const { marketplace } = under.another();
    await marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 6 });

    under.stop.isOn = true;
    const thrownAt = Date.now();
    let quantity = 6;
    await eventually(async () => {
      quantity += 1;
      const answer = await marketplace
        .writeOffer(call, offerId, { kind: 'quantity', quantity })
        .catch((error: unknown) => error);
      return answer instanceof SyncError && answer.type === 'WritesStopped';
    }, 'writes stop');

    expect(Date.now() - thrownAt).toBeLessThan(5000);
  });

  test('lets a process write at once when it is taken back', async () => {
    const offerId = await under.offer({ available: 5 });
    const { marketplace } = under.another();
    under.stop.isOn = true;
    await errorOf(marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 6 }), 'WritesStopped');

    under.stop.isOn = false;

    await expect(marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 6 })).resolves.toMatchObject({
      kind: 'applied',
    });
  });

  test('is asked again after the permit was waited for', async () => {
    const offerId = await under.offer();
    const { limiter } = openLimiter({
      acquire: async () => {
        under.stop.isOn = true;
        await new Promise((resolve) => setTimeout(resolve, 2100));
        return { kind: 'granted', waitMs: 2100, probe: false, isFresh: () => true };
      },
    });
    const { marketplace } = under.another({ limiter });

    await errorOf(marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 9 }), 'WritesStopped');
  });

  test('that cannot be read lets nothing be written', async () => {
    const offerId = await under.offer();
    const { marketplace } = under.another({ stopSwitch: { isStopped: () => Promise.reject(new Error('gone')) } });

    await errorOf(marketplace.writeOffer(call, offerId, { kind: 'quantity', quantity: 9 }), 'DependencyUnavailable');
  });
});
