import { describe, expect, it } from '@jest/globals';

import { retype } from '../../../simulator/faults.js';

describe('retype', () => {
  const body = JSON.stringify({ id: '1', stock: { available: 3 }, rows: [{ ok: true }, { ok: false }] });

  it.each([
    ['a number', 'stock.available', { stock: { available: '3 szt.' } }],
    ['a text', 'id', { id: { text: '1' } }],
    ['a boolean in every element', 'rows.*.ok', { rows: [{ ok: 1 }, { ok: 0 }] }],
    ['an object', 'stock', { stock: 'unexpected' }],
  ])('changes the type of %s', (_, path, expected) => {
    expect(JSON.parse(retype(body, path, undefined))).toMatchObject(expected);
  });

  it('puts a value of choice', () => {
    expect(JSON.parse(retype(body, 'rows.1', null))).toMatchObject({ rows: [{ ok: true }, null] });
  });

  it('takes the first number where no path is given', () => {
    expect(JSON.parse(retype(body, undefined, undefined))).toMatchObject({ id: '1', stock: { available: '3 szt.' } });
  });

  it('changes nothing else, and nothing where the path leads nowhere', () => {
    expect(JSON.parse(retype(body, 'stock.sold.x', 5))).toEqual(JSON.parse(body));
    expect(retype('<html>', 'id', 5)).toBe('<html>');
  });
});
