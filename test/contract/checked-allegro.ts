import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { parse } from 'yaml';

import type { Allegro } from '../../src/allegro/marketplace.js';
import { setUpAllegro, type AllegroUnderTest } from '../integration/allegro/allegro-under-test.js';
import { mendDocument } from './document.js';
import { startPrism } from './prism.js';
import { startRelay, type Sent } from './relay.js';
import { exchangeName, violationsOf, type Violation } from './violations.js';

/** The adapter whose every request goes through Prism, which knows Allegro's document, to the simulator and back. */
export interface CheckedAllegro {
  readonly under: AllegroUnderTest;
  /** Talks to the API through Prism; to OAuth directly, which is outside the document. */
  readonly allegro: Allegro;
  /** Where the API is, behind Prism. */
  readonly url: string;
  /** What was asked and answered since the last call, such as `GET /me 200`, and what of it breaks the document. */
  take(): { exchanges: string[]; violations: Violation[] };
  /** From now on requests are changed on their way to Prism; undefined: as they come. */
  changeRequests(change: ((sent: Sent) => Sent) | undefined): void;
  close(): Promise<void>;
}

/** The first command of a limiter without a past waits 8 s for its permit, if no slow Prism has taken that time already. */
const WAITS_INLINE_MS = 20_000;
/** Prism compiles a schema when it first needs it, which takes a while on a busy machine. */
const PATIENCE = 10;

/** @param documentFile Allegro's OpenAPI document, as YAML or JSON */
export async function startCheckedAllegro(documentFile: string): Promise<CheckedAllegro> {
  const undo: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const directory = await mkdtemp(join(tmpdir(), 'allegro-contract-'));
    undo.push(() => rm(directory, { recursive: true, force: true }));
    const mended = join(directory, 'openapi.json');
    await writeFile(mended, JSON.stringify(mendDocument(parse(await readFile(documentFile, 'utf8')))));

    const under = await setUpAllegro({ deviceIntervalS: 0 });
    undo.push(() => under.close());
    let [prismUrl, frontUrl] = ['', ''];
    // Prism follows redirects, which would turn an operation's 303 into the offer: without a Location it cannot.
    const behind = await startRelay({
      upstream: () => under.simulator.url,
      // So that a Location points to where the adapter came from.
      host: () => new URL(frontUrl).host,
      changeAnswer: (headers, status) => (status === 303 ? renamed(headers, 'location', HIDDEN_LOCATION) : headers),
    });
    undo.push(() => behind.stop());
    const prism = await startPrism(mended, behind.url);
    prismUrl = prism.url;
    undo.push(() => prism.stop());

    let exchanges: string[] = [];
    let violations: Violation[] = [];
    let change: ((sent: Sent) => Sent) | undefined;
    const front = await startRelay({
      upstream: () => prismUrl,
      changeRequest: (sent) => change?.(sent) ?? sent,
      changeAnswer: (headers, status) => (status === 303 ? renamed(headers, HIDDEN_LOCATION, 'location') : headers),
      onPassage: (passage) => {
        exchanges.push(exchangeName(passage));
        violations.push(...violationsOf(passage));
      },
    });
    frontUrl = front.url;
    undo.push(() => front.stop());

    return {
      under,
      allegro: under.another({ apiUrl: front.url, timeoutFactor: PATIENCE, maxInlineWaitMs: WAITS_INLINE_MS }),
      url: front.url,
      take() {
        const taken = { exchanges, violations };
        [exchanges, violations] = [[], []];
        return taken;
      },
      changeRequests(wanted) {
        change = wanted;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const HIDDEN_LOCATION = 'x-hidden-location';

function renamed(headers: IncomingHttpHeaders, from: string, to: string): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name === from ? to : name, value]));
}
