import { describe, expect, it } from '@jest/globals';
import { WaitingLine, type Priority } from '../../../src/rate-limit/waiting-line.js';

interface Entry {
  name: string;
  party: string;
  priority: Priority;
}

function anEntry(name: string, part: Partial<Entry> = {}): Entry {
  return { name, party: 'account', priority: 'scheduled', ...part };
}

function lineOf(...entries: Entry[]): WaitingLine<Entry> {
  const line = new WaitingLine<Entry>();
  entries.forEach((entry) => line.add(entry));
  return line;
}

function drain(line: WaitingLine<Entry>, nowMs = 0): string[] {
  const names: string[] = [];
  for (let next = line.next(nowMs, () => true); next !== undefined; next = line.next(nowMs, () => true)) {
    names.push(next.name);
  }
  return names;
}

describe('the waiting line', () => {
  it('serves the oldest first among equals', () => {
    expect(drain(lineOf(anEntry('a'), anEntry('b'), anEntry('c')))).toEqual(['a', 'b', 'c']);
  });

  it('serves danger before ad hoc before scheduled within an account', () => {
    const line = lineOf(
      anEntry('scheduled'),
      anEntry('adhoc', { priority: 'adhoc' }),
      anEntry('danger', { priority: 'danger' }),
    );
    expect(drain(line)).toEqual(['danger', 'adhoc', 'scheduled']);
  });

  it('serves an ad hoc sync before scheduled ones of other accounts', () => {
    const line = lineOf(anEntry('scheduled', { party: 'a' }), anEntry('adhoc', { party: 'b', priority: 'adhoc' }));
    expect(drain(line)[0]).toBe('adhoc');
  });

  it('serves every fourth by service alone, so that a long ad hoc sync does not starve the others', () => {
    const adhoc = Array.from({ length: 8 }, (_, n) => anEntry(`adhoc${n}`, { party: 'a', priority: 'adhoc' }));
    const names = drain(lineOf(anEntry('s1', { party: 'b' }), anEntry('s2', { party: 'b' }), ...adhoc));
    expect(names.indexOf('s1')).toBe(3);
    expect(names.indexOf('s2')).toBe(7);
  });

  it('serves the account first that was served least of late', () => {
    const line = lineOf(anEntry('big', { party: 'big' }), anEntry('small', { party: 'small' }));
    for (let n = 0; n < 10; n += 1) line.recordServed('big', 0);
    line.recordServed('small', 0);
    expect(drain(line)).toEqual(['small', 'big']);
  });

  it('forgets service with time', () => {
    const line = lineOf(anEntry('long ago', { party: 'a' }), anEntry('just now', { party: 'b' }));
    for (let n = 0; n < 50; n += 1) line.recordServed('a', 0);
    line.recordServed('b', 100_000);
    expect(drain(line, 100_000)).toEqual(['long ago', 'just now']);
  });

  it('treats accounts as equal once both have had a lot, so that a newcomer is not ahead for long', () => {
    const line = lineOf(anEntry('old', { party: 'old' }), anEntry('new', { party: 'new' }));
    for (let n = 0; n < 5000; n += 1) line.recordServed('old', 0);
    for (let n = 0; n < 250; n += 1) line.recordServed('new', 0);
    expect(drain(line)).toEqual(['old', 'new']);
  });

  it('takes turns while permits are still on their way', () => {
    const big = Array.from({ length: 5 }, (_, n) => anEntry(`big${n}`, { party: 'big' }));
    const line = lineOf(...big, anEntry('small0', { party: 'small' }), anEntry('small1', { party: 'small' }));
    expect(drain(line).slice(0, 4)).toEqual(['big0', 'small0', 'big1', 'small1']);
  });

  it('gives back the turn of an entry that got nothing', () => {
    const line = lineOf(anEntry('big', { party: 'big' }), anEntry('small', { party: 'small' }));
    const refused = line.next(0, ({ party }) => party === 'small');
    line.recordServed('small', 0, -1);
    if (refused !== undefined) line.add(refused);
    line.recordServed('big', 0);
    expect(drain(line)).toEqual(['small', 'big']);
  });

  it('knows how many accounts wait', () => {
    const line = lineOf(anEntry('a1', { party: 'a' }), anEntry('a2', { party: 'a' }), anEntry('b', { party: 'b' }));
    expect(line.parties).toBe(2);
    line.next(0, ({ party }) => party === 'b');
    expect(line.parties).toBe(1);
    drain(line);
    expect(line.parties).toBe(0);
  });

  it('passes over whoever may not go', () => {
    const line = lineOf(anEntry('closed'), anEntry('open'));
    expect(line.next(0, ({ name }) => name === 'open')?.name).toBe('open');
    expect([...line].map(({ name }) => name)).toEqual(['closed']);
  });
});
