import { expect, test } from '@jest/globals';
import { decideUnread, type OfferFacts } from '../../../src/domain/decision.js';
import { toSku } from '../../../src/domain/ids.js';
import { aMemory, anOffer, aStock, hoursAgo, theFacts } from './builders.js';

/** An offer that cannot be read, with a write of which nobody knows the outcome: 5 known, 8 sent. */
function unread(stock: number, change: Partial<OfferFacts> = {}): OfferFacts {
  const memory = aMemory({ hasUnsettledWrite: true, unsettled: { value: 8, sentAt: hoursAgo(1) } });
  return theFacts({ stock: aStock(stock), memory, ...change });
}

function decided(facts: OfferFacts): string | null {
  const unreadDecision = decideUnread(facts)?.decision;
  if (unreadDecision === undefined) return null;
  if (unreadDecision.kind !== 'change') throw new Error(`a ${unreadDecision.kind} cannot be written`);
  return `${unreadDecision.change} ${unreadDecision.target}`;
}

test.each([
  ['goes to 0 when there is no stock', unread(0), 'end 0'],
  ['goes below what it shows if the write has not arrived', unread(4), 'lower 4'],
  ['waits where the write may have brought it to what it should show', unread(8), null],
  ['waits where a lower number might be a higher one', unread(6), null],
  ['waits with more pieces', unread(20), null],
  ['waits where it may have sold pieces', unread(4, { offer: anOffer({ available: 2 }) }), null],
  ['waits while it is being ended', unread(4, { offer: anOffer({ available: 0 }) }), null],
  ['goes to 0 also where the listing shows it as ended: the write may have brought it back', endedButSent(), 'end 0'],
  ['stays ended where nothing was sent', unread(0, { offer: anOffer({ status: 'ENDED' }), memory: aMemory() }), null],
  ['is not touched under another SKU', unread(0, { offer: anOffer({ sku: toSku('SKU-2') }) }), null],
  ['is not touched when it was never seen', unread(0, { memory: null }), null],
  ['is not touched when it is excluded', unread(0, { isExcluded: true }), null],
])('an offer that cannot be read %s', (_, facts, expected) => {
  expect(decided(facts)).toBe(expected);
});

function endedButSent(): OfferFacts {
  return unread(0, { offer: anOffer({ status: 'ENDED', available: 0 }) });
}

test('what was confirmed after a write without an outcome is what counts', () => {
  const memory = aMemory({
    knownAvailable: 0,
    writtenAt: hoursAgo(0.5),
    beforeWrite: 5,
    beforeWriteStatus: 'ACTIVE',
    hasUnsettledWrite: true,
    unsettled: { value: 8, sentAt: hoursAgo(1) },
  });

  // The listing still shows what was there before.
  expect(decided(unread(0, { memory }))).toBeNull();
});
