import { describe, expect, test } from '@jest/globals';
import { createRequestBound } from '../../../src/observability/request-bound.js';

function allowedOf(count: number, ask: (index: number) => boolean): number {
  return Array.from({ length: count }, (_, index) => ask(index)).filter(Boolean).length;
}

describe('the bound on requests', () => {
  test('answers 30 of one address in a second, and again in the next one', () => {
    let now = 5_000;
    const bound = createRequestBound(() => now);

    expect(allowedOf(100, () => bound.allows('192.0.2.1'))).toBe(30);
    now = 6_000;
    expect(allowedOf(100, () => bound.allows('192.0.2.1'))).toBe(30);
  });

  test('does not let one address use up the share of another', () => {
    const bound = createRequestBound(() => 5_000);
    allowedOf(100, () => bound.allows('192.0.2.1'));

    expect(bound.allows('192.0.2.2')).toBe(true);
  });

  test('answers 200 of all addresses in a second', () => {
    const bound = createRequestBound(() => 5_000);

    expect(allowedOf(1000, (index) => bound.allows(`192.0.2.${index}`))).toBe(200);
  });
});
