import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';

const startedSchema = z.object({
  url: z.string(),
  offers: z.number(),
  accounts: z.array(z.object({ sellerId: z.string() })),
});

let child: ChildProcess;
let started: z.infer<typeof startedSchema>;

/** Runs the admin command; what it printed and how it ended. */
const steer = async (...args: string[]): Promise<{ out: string; error: string; status: number }> =>
  await new Promise((resolve) => {
    const argv = ['--import', 'tsx', 'simulator/cli.ts', ...args, '--url', started.url];
    const run = execFile(process.execPath, argv, (_, out, error) => {
      resolve({ out, error, status: run.exitCode ?? -1 });
    });
  });

beforeAll(async () => {
  const argv = ['simulator/main.ts', '--port', '0', '--json', '--accounts', '3', '--offers', '30', '--rate', '50'];
  child = spawn(process.execPath, ['--import', 'tsx', ...argv], { stdio: ['ignore', 'pipe', 'inherit'] });
  const { stdout } = child;
  if (!stdout) throw new Error('The simulator has no output');
  const line = await new Promise<string>((resolve) => createInterface(stdout).once('line', resolve));
  started = startedSchema.parse(JSON.parse(line));
});
afterAll(async () => {
  child.kill('SIGTERM');
  await once(child, 'exit');
});

describe('the command line', () => {
  it('starts a seeded simulator and tells in one line where it is', async () => {
    expect([started.offers, started.accounts.length]).toEqual([30, 3]);
    const settings = await steer('settings');
    expect(JSON.parse(settings.out)).toMatchObject({ applicationLimit: { requests: 50 } });
  });

  it('changes the truth, plants faults, reads journal and report', async () => {
    const [{ sellerId } = { sellerId: '' }] = started.accounts;
    const { out } = await steer('offers', '--seller', sellerId, '--limit', '10');
    const offers = z.object({ offers: z.array(z.object({ id: z.string() })) }).parse(JSON.parse(out)).offers;
    const id = offers[0]?.id ?? '';
    expect(JSON.parse((await steer('edit', id, '{"status":"ACTIVE","available":4}')).out)).toMatchObject({
      available: 4,
    });
    const sale = JSON.parse((await steer('sale', id, '--quantity', '3')).out) as { checkoutFormId: string };
    expect(sale).toMatchObject({ available: 1 });
    expect(await steer('order', sale.checkoutFormId, 'BUYER_CANCELLED')).toMatchObject({ status: 0 });
    expect(await steer('order', 'no-such-order', 'BUYER_CANCELLED')).toMatchObject({
      status: 1,
      error: expect.stringContaining('No order no-such-order'),
    });
    await steer('fault', '{"fault":{"kind":"html"}}');
    expect((await steer('faults')).out).toContain('"html"');
    await steer('heal');
    expect(JSON.parse((await steer('faults')).out)).toEqual({ rules: [] });
    expect(JSON.parse((await steer('report')).out)).toMatchObject({ effects: { sold: 1 } });
    expect((await steer('stock')).out).toMatch(/^sku,quantity\nSKU-000001,/);
  });

  it('ends with 2 for wrong usage and 1 for what the simulator refuses', async () => {
    expect(await steer('nonsense')).toMatchObject({ status: 2, error: expect.stringContaining('Unknown command') });
    expect(await steer('edit', '17000000001', 'no json')).toMatchObject({ status: 2 });
    expect(await steer('sale', '1')).toMatchObject({ status: 1, error: expect.stringContaining('No offer 1') });
  });
});
