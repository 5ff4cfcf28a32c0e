import { describe, expect, it } from '@jest/globals';

import { Journal, type JournalEntry } from '../../../simulator/journal.js';

const received = (journal: Journal, route: string, method = 'GET'): JournalEntry => {
  const entry = journal.open({ at: 0, method, route, path: route, userAgentOk: true });
  journal.mark(entry, 'received');
  return entry;
};

describe('Journal', () => {
  it('numbers requests and phases from 1, the first time of a phase counting', () => {
    const journal = new Journal();
    const first = received(journal, '/me');
    const second = received(journal, '/me');
    journal.mark(first, 'answered');
    journal.mark(first, 'answered');
    expect([first.n, second.n]).toEqual([1, 2]);
    expect([first.phases, second.phases]).toEqual([
      { received: 1, applied: 0, answered: 3 },
      { received: 2, applied: 0, answered: 0 },
    ]);
    expect(journal.lastPhase).toBe(3);
  });

  it('gives a waiter the earliest request that reached the phase after the point named', async () => {
    const journal = new Journal();
    received(journal, '/me');
    const second = received(journal, '/me');
    received(journal, '/me');
    expect(await journal.wait({ phase: 'received', after: 1, route: 'GET /me' }, 0)).toBe(second);
  });

  it('wakes a waiter by a later request that fits, not by others', async () => {
    const journal = new Journal();
    const waiting = journal.wait({ phase: 'answered', after: 0, route: '/me', method: 'GET' }, 60_000);
    journal.mark(received(journal, '/sale/offers'), 'answered');
    journal.mark(received(journal, '/me', 'PUT'), 'answered');
    const right = received(journal, '/me');
    journal.mark(right, 'answered');
    expect(await waiting).toBe(right);
  });

  it('keeps the newest 200,000 entries', () => {
    const journal = new Journal();
    for (let n = 0; n < 250_001; n += 1) received(journal, '/me');
    expect(journal.read(0, 1)[0]?.n).toBe(50_002);
    expect(journal.read(250_000, 5).map(({ n }) => n)).toEqual([250_001]);
  });
});
