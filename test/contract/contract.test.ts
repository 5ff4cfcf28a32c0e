import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import { BETA, PUBLIC, senderFor } from '../integration/simulator/scene.js';
import { startCheckedAllegro, type CheckedAllegro } from './checked-allegro.js';
import { EXCHANGES, KNOWN_DIFFERENCES } from './exchanges.js';
import { runFullFlow } from './flow.js';
import { wrongAnswers, wrongRequests } from './wrong-fields.js';

const DOCUMENT = process.env['ALLEGRO_OPENAPI'];
if (DOCUMENT === undefined) {
  console.warn(
    'The contract test is skipped: it needs Allegro’s OpenAPI document, which is not ours to publish.\n' +
      'Download it from https://developer.allegro.pl/swagger.yaml and run\n' +
      '  ALLEGRO_OPENAPI=/path/to/swagger.yaml npm test -- test/contract',
  );
}

/** Most of it is Prism's start, which takes a few seconds of one core. */
const STARTS_WITHIN_MS = 180_000;
const RUNS_WITHIN_MS = 300_000;

/** `GET /me 200 response body.id` is of route `GET /me`. */
function routeOf(place: string): string {
  return place.split(' ').slice(0, 2).join(' ');
}

let checked: CheckedAllegro;

(DOCUMENT === undefined ? describe.skip : describe)('by the OpenAPI document of Allegro,', () => {
  beforeAll(async () => {
    checked = await startCheckedAllegro(DOCUMENT ?? '');
  }, STARTS_WITHIN_MS);
  afterEach(() => {
    checked.changeRequests(undefined);
    checked.take();
  });
  afterAll(() => checked.close());

  test(
    'requests of the adapter and answers of the simulator are right, but for the known differences',
    async () => {
      await runFullFlow(checked);

      const { exchanges, violations } = checked.take();
      expect([...new Set(exchanges)].sort()).toEqual([...EXCHANGES].sort());
      const known = Object.values(KNOWN_DIFFERENCES).flat();
      expect(violations.filter(({ place }) => !known.includes(place))).toEqual([]);
      expect(known.filter((place) => !violations.some((violation) => violation.place === place))).toEqual([]);
    },
    RUNS_WITHIN_MS,
  );

  test(
    'a wrong field in a request is reported',
    async () => {
      const requests = await wrongRequests(checked);
      checked.take();
      const unreported: unknown[] = [];
      for (const { send, spoil, place } of requests) {
        await send();
        const { violations: before } = checked.take();
        checked.changeRequests(spoil);
        // The simulator refuses most of them.
        await send().catch(() => undefined);
        checked.changeRequests(undefined);
        const { violations } = checked.take();
        const isReported = violations.some((violation) => violation.place === place);
        if (before.length > 0 || !isReported) unreported.push({ place, before, violations });
      }
      expect(unreported).toEqual([]);
    },
    RUNS_WITHIN_MS,
  );

  test(
    'a wrong field in an answer is reported, at every route',
    async () => {
      const { under, url } = checked;
      const { call, answers } = await wrongAnswers(checked);
      const routes = new Set(answers.map(({ place }) => routeOf(place)));
      expect([...routes].sort()).toEqual([...new Set(EXCHANGES.map(routeOf))].sort());
      const send = senderFor(url, (await under.store.read(call.accountId))?.accessToken ?? '');
      checked.take();
      const unreported: unknown[] = [];
      for (const { method, path, body, isBeta, field, value, place } of answers) {
        const fault = await under.admin.plantFault({
          match: { route: routeOf(place) },
          fault: { kind: 'wrongTypes', path: field, value },
        });
        const media = isBeta === true ? BETA : PUBLIC;
        await send(method, path, { body, media, headers: { 'accept-language': 'en-US' } });
        await under.admin.removeFault(fault);
        const { violations } = checked.take();
        if (!violations.some((violation) => violation.place === place)) unreported.push({ place, violations });
      }
      expect(unreported).toEqual([]);
    },
    RUNS_WITHIN_MS,
  );
});
