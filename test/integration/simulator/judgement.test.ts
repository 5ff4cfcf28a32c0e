import { randomUUID } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import type { NewOffer } from '../../../simulator/admin-requests.js';
import type { SimulatorReport } from '../../../simulator/report.js';
import { command, publication, startScene, until, type Scene } from './scene.js';

let scene: Scene;

beforeEach(async () => {
  scene = await startScene({ asyncEdits: 'status' });
  await scene.admin.setTruth({ skus: { 'MUG-1': 5, 'MUG-0': 0 } });
});
afterEach(() => scene.stop());

const harms = async (): Promise<SimulatorReport['harmfulWrites']['byKind']> =>
  (await scene.admin.report()).harmfulWrites.byKind;
const stock = (available: number): object => ({ stock: { available } });
const ACTIVATE = { stock: { available: 5 }, publication: { status: 'ACTIVE' } };

describe('harmless', () => {
  it.each<[string, Partial<NewOffer>, object]>([
    ['the true number', { available: 9 }, stock(5)],
    ['a number below the truth', { available: 9 }, stock(2)],
    ['a zero for an empty SKU', { externalId: 'MUG-0' }, stock(0)],
    ['an ending by status for an empty SKU', { externalId: 'MUG-0' }, { publication: { status: 'ENDED' } }],
    ['putting up what was sold out', { status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 }, ACTIVATE],
    ['putting up what the API itself ended', { status: 'ENDED', endedBy: 'USER', endedByApi: true }, ACTIVATE],
    ['a SKU with outer white space', { externalId: ' MUG-1 ' }, stock(5)],
  ])('%s', async (_, offer, body) => {
    const { id } = await scene.offer(offer);
    await scene.patch(id, body);
    expect((await scene.admin.report()).harmfulWrites).toMatchObject({ total: 0, byKind: {} });
  });
});

describe('harmful', () => {
  it.each<[string, Partial<NewOffer>, object, object]>([
    ['a number above the truth', {}, stock(6), { above_truth: 1 }],
    ['a number for a SKU nobody knows', { externalId: 'CUP' }, stock(1), { guess: 1 }],
    ['a number for an offer without SKU', { externalId: null }, stock(1), { guess: 1 }],
    ['a zero while there is stock', {}, stock(0), { ended_with_stock: 1 }],
    ['an ending while there is stock', {}, { publication: { status: 'ENDED' } }, { ended_with_stock: 1 }],
    ['an auction', { format: 'AUCTION' }, stock(5), { never_touch: 1 }],
    ['an advertisement', { format: 'ADVERTISEMENT' }, stock(5), { never_touch: 1 }],
    ['an offer of the fulfilment service', { isFulfillment: true }, stock(5), { never_touch: 1 }],
    ['a draft', { status: 'INACTIVE' }, stock(5), { never_touch: 1 }],
    ['what an admin ended', { status: 'ENDED', endedBy: 'ADMIN' }, stock(5), { never_touch: 1 }],
    [
      'putting up what the seller ended',
      { status: 'ENDED', endedBy: 'USER' },
      ACTIVATE,
      { never_touch: 1, reactivated_without_reason: 1 },
    ],
    [
      'putting up what expired',
      { status: 'ENDED', endedBy: 'EXPIRATION' },
      ACTIVATE,
      { never_touch: 1, reactivated_without_reason: 1 },
    ],
    [
      'putting up with more than there is',
      { status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 8 },
      { publication: { status: 'ACTIVE' } },
      { above_truth: 1 },
    ],
  ])('%s', async (_, offer, body, kinds) => {
    const { id } = await scene.offer(offer);
    await scene.patch(id, body);
    expect(await harms()).toEqual(kinds);
    expect((await scene.admin.report()).harmfulWrites).toMatchObject({ total: 1, samples: [{ offerId: id }] });
  });

  it('each offer of a command counts, zeros and endings included', async () => {
    const [a, b] = [await scene.offer(), await scene.offer({ externalId: 'MUG-0' })];
    const put = (path: string, body: object) => scene.send('PUT', `${path}/${randomUUID()}`, { body });
    await put('/sale/offer-quantity-change-commands', command([a.id, b.id], 6));
    expect(await harms()).toEqual({ above_truth: 2 });
    await put('/sale/offer-quantity-change-commands', command([b.id], 0));
    await put('/sale/offer-publication-commands', publication([a.id], 'END'));
    expect(await harms()).toEqual({ above_truth: 2, zero_by_command: 1, ended_with_stock: 1 });
  });

  it('the buffer is taken off the truth, per seller where given', async () => {
    await scene.admin.changeSettings({ buffer: 2 });
    const { id } = await scene.offer();
    await scene.patch(id, stock(3));
    expect(await harms()).toEqual({});
    await scene.patch(id, stock(4));
    expect(await harms()).toEqual({ above_truth: 1 });
    await scene.admin.changeSettings({ buffers: { '44000001': 5 } });
    await scene.admin.resetReport();
    await scene.patch(id, stock(0));
    expect(await harms()).toEqual({});
  });

  it('a write that was on its way when the truth fell is forgiven within the grace time', async () => {
    await scene.admin.changeSettings({ judgeGraceMs: 10_000 });
    const { id } = await scene.offer();
    await scene.admin.setTruth({ skus: { 'MUG-1': 2 } });
    await scene.patch(id, stock(5));
    expect(await harms()).toEqual({});
    await scene.admin.advanceClock(10_001);
    await scene.patch(id, stock(5));
    expect(await harms()).toEqual({ above_truth: 1 });
  });

  it('a number that was on its way when somebody ended the offer is forgiven within the grace time, putting it up is not', async () => {
    await scene.admin.changeSettings({ judgeGraceMs: 10_000 });
    const { id } = await scene.offer();
    await scene.admin.editOffer(id, { status: 'ENDED' });
    await scene.patch(id, stock(4));
    expect(await harms()).toEqual({});
    await scene.admin.advanceClock(10_001);
    await scene.patch(id, stock(3));
    expect(await harms()).toEqual({ never_touch: 1 });
    const other = await scene.offer();
    await scene.admin.editOffer(other.id, { status: 'ENDED' });
    await scene.patch(other.id, ACTIVATE);
    expect(await harms()).toEqual({ never_touch: 2, reactivated_without_reason: 1 });
  });

  it('an ending of our own may be undone, somebody else’s ending after it may not', async () => {
    const { id } = await scene.offer();
    await scene.admin.setTruth({ skus: { 'MUG-1': 0 } });
    await scene.patch(id, { publication: { status: 'ENDED' } });
    await until(async () => (await scene.admin.offer(id)).status === 'ENDED');
    await scene.admin.setTruth({ skus: { 'MUG-1': 5 } });
    await scene.patch(id, ACTIVATE);
    await until(async () => (await scene.admin.offer(id)).status === 'ACTIVE');
    expect(await harms()).toEqual({});
    await scene.admin.editOffer(id, { status: 'ENDED' });
    await scene.patch(id, ACTIVATE);
    expect(await harms()).toEqual({ never_touch: 1, reactivated_without_reason: 1 });
  });

  it('without any truth, stock numbers are not judged, but what must not be touched still is', async () => {
    await scene.admin.clear();
    const plain = await scene.offer();
    const auction = await scene.offer({ format: 'AUCTION' });
    await scene.patch(plain.id, stock(99));
    await scene.patch(auction.id, stock(99));
    expect(await harms()).toEqual({ never_touch: 1 });
  });

  it('a write that a fault kept from arriving is not judged, one whose answer was lost is', async () => {
    const { id } = await scene.offer();
    await scene.admin.plantFault({ match: { times: 1 }, fault: { kind: 'cutBefore' } });
    await expect(scene.patch(id, stock(6))).rejects.toThrow();
    expect(await harms()).toEqual({});
    await scene.admin.plantFault({ match: { times: 1 }, fault: { kind: 'cutAfter' } });
    await expect(scene.patch(id, stock(6))).rejects.toThrow();
    expect(await harms()).toEqual({ above_truth: 1 });
  });
});

describe('redundant', () => {
  it('are writes of what is there already', async () => {
    const { id } = await scene.offer({ available: 5 });
    const ended = await scene.offer({ externalId: 'MUG-0', status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 });
    await scene.patch(id, stock(5));
    await scene.patch(ended.id, stock(0));
    await scene.patch(id, { stock: { available: 5 }, publication: { status: 'ACTIVE' } });
    await scene.patch(id, stock(4));
    expect((await scene.admin.report()).redundantWrites.count).toBe(3);
  });
});
