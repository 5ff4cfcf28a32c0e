import { describe, expect, test } from '@jest/globals';
import { decide } from '../../../src/domain/decision.js';
import { isOurEnding, judgeEnding } from '../../../src/domain/ending.js';
import { aMemory, anOffer, aStock, hoursAgo, NOW, theFacts } from './builders.js';

const endedAt = hoursAgo(0.2);
const ended = anOffer({ status: 'ENDED', available: 0, sold: 7, endedAt: endedAt.toISOString() });
/** Running with pieces at the last sight, 7 sold. */
const running = aMemory({ knownAvailable: 0, sold: 7 });

/** What the offer needs when there are 5 pieces and the marketplace says that it ran out. */
function decided(offer = ended, memory = running) {
  const { kind } = decide(theFacts({ offer, memory, stock: aStock(5, NOW), isRead: true, endedBy: 'EMPTY_STOCK' }));
  return kind;
}

describe('an offer that stands at nothing', () => {
  test('is left alone when nothing was sold and the zero was not ours', () => {
    expect(judgeEnding(ended, running, NOW)).toEqual({ endedAt, soldBefore: 7, isExplained: false });
    expect(decided()).toBe('skipped');
  });

  test('comes back when pieces were sold since it was last seen with some', () => {
    expect(decided({ ...ended, sold: 8 })).toBe('change');
  });

  test('is not explained by pieces that have left the 30 days', () => {
    expect(decided({ ...ended, sold: 5 })).toBe('skipped');
  });

  test('comes back when it is seen for the first time', () => {
    expect(judgeEnding(ended, null, NOW)).toMatchObject({ isExplained: true, soldBefore: 7 });
  });

  test.each(['zeroSentAt', 'endedByUsAt'] as const)(
    'comes back when it ended soon after our own ending (%s)',
    (ours) => {
      expect(decided(ended, aMemory({ ...running, [ours]: hoursAgo(0.3) }))).toBe('change');
      expect(decided(ended, aMemory({ ...running, [ours]: hoursAgo(2) }))).toBe('skipped');
    },
  );

  test('is treated alike while it runs with no pieces', () => {
    const dry = anOffer({ status: 'ACTIVE', available: 0, sold: 7 });
    expect(decided(dry)).toBe('skipped');
    expect(decided({ ...dry, sold: 8 })).toBe('change');
    expect(decided(dry, aMemory({ ...running, zeroSentAt: hoursAgo(0.1) }))).toBe('change');
  });

  test('is skipped without a question once it is known that it ran out', () => {
    const memory = aMemory({ ...running, endedBy: 'EMPTY_STOCK', endedByFor: endedAt });
    expect(decide(theFacts({ offer: ended, memory }))).toEqual({ kind: 'skipped', reason: 'ended_by_other' });
  });

  test('is in sync while there is no stock, whoever set the zero', () => {
    expect(decide(theFacts({ offer: ended, memory: running, stock: aStock(0) }))).toEqual({ kind: 'in_sync' });
  });
});

describe('an offer that we have brought back', () => {
  const before = { endedAt: hoursAgo(0.9), soldBefore: 6, isExplained: true };
  /** Answered as done half an hour ago, and not seen running since. */
  const returned = aMemory({ ...running, ending: before, beforeWriteStatus: 'ENDED', writtenAt: hoursAgo(0.5) });
  const stillEnded = { ...ended, endedAt: hoursAgo(0.9).toISOString() };

  test('and that never ran is brought back again', () => {
    expect(decided(stillEnded, returned)).toBe('change');
  });

  test('and that somebody else has ended since stays so, though we had ended it before', () => {
    expect(decided(ended, returned)).toBe('skipped');
    expect(decided(ended, aMemory({ ...returned, zeroSentAt: hoursAgo(0.8), endedByUsAt: hoursAgo(0.8) }))).toBe(
      'skipped',
    );
  });

  test('and that we have ended since comes back, also while nobody knows the outcome', () => {
    expect(decided(ended, aMemory({ ...returned, endedByUsAt: hoursAgo(0.3) }))).toBe('change');
    expect(isOurEnding(ended, aMemory({ ...returned, endedByUsAt: hoursAgo(0.3) }))).toBe(true);
    expect(isOurEnding(ended, aMemory({ ...returned, endedByUsAt: hoursAgo(0.8) }))).toBe(false);
  });

  describe('before it had ended', () => {
    const begun = { endedAt: null, soldBefore: 6, isExplained: true };
    const overtaken = aMemory({
      ...{ knownAvailable: 5, sold: 7, ending: begun },
      ...{ beforeWrite: 0, beforeWriteStatus: 'ACTIVE', writtenAt: hoursAgo(0.5) },
    });
    const soonAfter = anOffer({ ...ended, endedAt: new Date(hoursAgo(0.5).getTime() + 30_000).toISOString() });

    test('and that ended all the same at once comes back again', () => {
      expect(decided(soonAfter, overtaken)).toBe('change');
    });

    test('and that ends long afterwards, or is about to, is left alone', () => {
      expect(decided(ended, overtaken)).toBe('skipped');
      expect(decided(anOffer({ available: 0, sold: 7 }), overtaken)).toBe('skipped');
    });

    test('and that was seen without pieces since is judged by what was seen', () => {
      expect(decided(ended, aMemory({ ...overtaken, knownAvailable: 0 }))).toBe('change');
    });

    test('which our own zero had begun, is ours only while that may still come to its end', () => {
      const ours = aMemory({ ...overtaken, ending: null, zeroSentAt: hoursAgo(0.51) });
      expect(decided(soonAfter, ours)).toBe('change');
      expect(decided(ended, ours)).toBe('skipped');
    });

    test('is told from one that we have ended by its status, and that keeps its number', () => {
      const byUs = aMemory({ ...overtaken, ending: null, endedByUsAt: hoursAgo(0.5) });
      expect(isOurEnding(ended, byUs)).toBe(true);
    });
  });

  test('and that was sold out since stays explained', () => {
    const seen = judgeEnding({ ...ended, sold: 8 }, returned, NOW);
    expect(seen).toMatchObject({ isExplained: true });
    expect(judgeEnding({ ...ended, sold: 8 }, aMemory({ ...returned, sold: 8, ending: seen }), NOW)).toEqual(seen);
  });
});

describe('what was judged of an ending', () => {
  const explained = { endedAt, soldBefore: 5, isExplained: true };

  test('stays explained when the count of sold pieces falls later', () => {
    const memory = aMemory({ ...running, ending: explained });
    expect(judgeEnding({ ...ended, sold: 2 }, memory, NOW)).toEqual(explained);
  });

  test('holds from the moment at which it ran with no pieces', () => {
    const memory = aMemory({ ...running, ending: { ...explained, endedAt: null } });
    expect(judgeEnding(ended, memory, NOW)).toMatchObject({ isExplained: true });
  });

  test('becomes explained when the sold pieces are counted late', () => {
    const memory = aMemory({ ...running, ending: { endedAt, soldBefore: 7, isExplained: false } });
    expect(judgeEnding(ended, memory, NOW)).toMatchObject({ isExplained: false });
    expect(judgeEnding({ ...ended, sold: 8 }, memory, NOW)).toMatchObject({ isExplained: true });
  });

  test('says nothing of another ending', () => {
    const memory = aMemory({ ...running, ending: { ...explained, endedAt: hoursAgo(3) } });
    expect(judgeEnding(ended, memory, NOW)).toMatchObject({ isExplained: false, soldBefore: 7 });
  });

  test('is forgotten once pieces are shown', () => {
    expect(judgeEnding(anOffer(), aMemory({ ending: explained }), NOW)).toBeNull();
  });
});
