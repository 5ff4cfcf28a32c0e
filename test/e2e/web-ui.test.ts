import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chromium, type Browser, type Locator, type Page } from 'playwright-core';
import { realSystem } from '../../src/local/system.js';
import { syncAccountId } from '../../src/workflows/api.js';
import { testTemporalUiUrl } from '../servers.js';
import { runningOffers, startUnderTest, stockOf, type ApplicationUnderTest } from './application-under-test.js';

const system = realSystem(process.env);
const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome'].flatMap((name) => system.findProgram(name) ?? [])[0];
/** Where the browser must be there, as on the build server, its absence is a failure and no skip. */
const isSkipped = CHROMIUM === undefined && process.env['REQUIRE_CHROMIUM'] === undefined;
const PATIENCE_MS = 30_000;

let running: ApplicationUnderTest;
let browser: Browser | undefined;
let page: Page;
let runPath: string;

async function open(path: string): Promise<void> {
  await page.goto(`${testTemporalUiUrl()}/namespaces/${running.temporal.namespace}/${path}`);
}

async function see(text: Locator): Promise<void> {
  await text.first().waitFor({ state: 'visible', timeout: PATIENCE_MS });
}

(isSkipped ? describe.skip : describe)('the Temporal Web UI, of a finished sync of an account,', () => {
  beforeAll(async () => {
    if (CHROMIUM === undefined) throw new Error('Chromium is not installed, and REQUIRE_CHROMIUM is set');
    const starting = chromium.launch({
      executablePath: CHROMIUM,
      args: [
        ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
        ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
      ],
    });
    running = await startUnderTest({ simulator: { accounts: 1, offers: 0 } });
    browser = await starting;
    await running.application.admin.addOffers(runningOffers('TEA', [5, 6, 7]));
    await running.importStock(stockOf('TEA', [4, 6, 9]));
    await running.application.connectAccounts('live');
    await running.sync('--account', 'shop-1');
    const workflowId = syncAccountId('shop-1');
    const { runId } = await running.temporal.client.workflow.getHandle(workflowId).describe();
    runPath = `workflows/${encodeURIComponent(workflowId)}/${runId}`;
    page = await browser.newPage({ viewport: { width: 1600, height: 1400 } });
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await running.close();
  });

  test('says in its timeline what each activity was for', async () => {
    await open(`${runPath}/timeline`);

    for (const line of [
      'openRun • open shop-1',
      'scanOffers • offers from 0',
      'checkGuards • hold back mass endings',
      'updateOfferBatch • lower: batch 1',
      'updateOfferBatch • raise: batch 2',
      'closeRun • count and close: done',
    ]) {
      await see(page.getByText(line));
    }
  });

  test('shows account, trigger and outcome as search attributes', async () => {
    await open(`${runPath}/search-attributes`);

    for (const line of ['"AccountId": "shop-1"', '"SyncTrigger": "manual"', '"SyncOutcome": "in_sync"']) {
      await see(page.getByText(line));
    }
  });

  test('shows its summary, and its buckets as a table', async () => {
    await open(`${runPath}/user-metadata`);

    // Markdown is drawn in frames.
    const frames = page.locator('iframe');
    await see(frames.first().contentFrame().getByText('Sync of sklep_1, by hand'));
    const details = frames.last().contentFrame();
    await see(details.getByText('3 offers seen, 4 requests'));
    for (const bucket of ['in_sync', 'lowered', 'raised']) {
      await see(details.getByRole('row', { name: new RegExp(`^${bucket} 1`) }));
    }
  });

  test('is found by account and outcome, and not by another outcome', async () => {
    const found = page.getByRole('link', { name: syncAccountId('shop-1'), exact: true });

    await open(`workflows?query=${encodeURIComponent('AccountId="shop-1" AND SyncOutcome="in_sync"')}`);
    await see(found);
    await open(`workflows?query=${encodeURIComponent('AccountId="shop-1" AND SyncOutcome="failed"')}`);
    await see(page.getByText('No Workflows Found'));

    expect(await found.count()).toBe(0);
  });
});
