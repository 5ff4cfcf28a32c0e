import { describe, expect, test } from '@jest/globals';
import {
  HIGHEST_STOCK,
  nameProblem,
  readHeader,
  readQuantity,
  StockRowCheck,
  type CheckedStock,
} from '../../../src/cli/stock-rows.js';

function check(header: string, ...rows: string[]): CheckedStock {
  const names = header.split(',');
  const columns = readHeader(names);
  if (!(columns instanceof Map)) throw new Error(columns.problem);
  const rowCheck = new StockRowCheck(columns, names.length, 'main');
  for (const [index, row] of rows.entries()) rowCheck.add(row.split(','), index + 2);
  return rowCheck.finish();
}

describe('the header of a stock file', () => {
  test('is taken in any order and any case', () => {
    expect(readHeader([' Quantity ', 'SKU'])).toEqual(
      new Map([
        ['quantity', 0],
        ['sku', 1],
      ]),
    );
  });

  test.each([
    [['sku'], 'missing: quantity'],
    [['sku', 'qty'], 'missing: quantity; unknown: "qty"'],
    [['sku', 'quantity', 'price', 'ean'], 'unknown: "price", "ean"'],
    [['sku', 'quantity', 'sku'], 'column "sku" is there twice'],
    [[''], 'missing: sku, quantity; unknown: ""'],
  ])('%j is refused by name', (names, problem) => {
    expect(readHeader(names)).toEqual({ problem });
  });
});

describe('a quantity', () => {
  test.each([
    ['0', 0],
    [' 12 ', 12],
    ['007', 7],
    [String(HIGHEST_STOCK), HIGHEST_STOCK],
  ])('%j is %d', (text, quantity) => {
    expect(readQuantity(text)).toBe(quantity);
  });

  test.each([
    ['', 'is empty'],
    ['   ', 'is empty'],
    ['-1', '"-1" is negative'],
    ['-1,5', '"-1,5" is negative'],
    ['1.5', '"1.5" is not a whole number'],
    ['1,0', '"1,0" is not a whole number'],
    ['1000000000', '"1000000000" is over the highest, 999999999'],
    ['99999999999999999999', '"99999999999999999999" is over the highest, 999999999'],
    ['1e3', '"1e3" is not a whole number, digits only'],
    ['+5', '"+5" is not a whole number, digits only'],
    ['1 000', '"1 000" is not a whole number, digits only'],
    ['0x10', '"0x10" is not a whole number, digits only'],
    ['٣', '"٣" is not a whole number, digits only'],
  ])('%j is refused: it %s', (text, problem) => {
    expect(readQuantity(text)).toEqual({ problem });
  });
});

describe('a SKU', () => {
  test.each(['A', 'ÄÖÜ-ł', '12" pipe', 'a/b c', '0012'])('%j is taken as it stands', (name) => {
    expect(nameProblem(name)).toBeNull();
  });

  test.each([
    ['', 'is empty'],
    ['a\nb', 'control character'],
    ['a\0b', 'control character'],
    ['za\uFFFD', 'not UTF-8'],
    ['x'.repeat(201), 'has 201 characters'],
  ])('%j is refused', (name, problem) => {
    expect(nameProblem(name)).toContain(problem);
  });
});

describe('the rows of a stock file', () => {
  test('become entries, with outer white space removed and the default warehouse', () => {
    expect(check('sku,quantity', ' A ,1', 'B, 2')).toEqual({
      rowCount: 2,
      entries: [
        { sku: 'A', warehouse: 'main', quantity: 1 },
        { sku: 'B', warehouse: 'main', quantity: 2 },
      ],
      badRows: [],
      unclear: [],
      namelessBadRows: 0,
    });
  });

  test('with everything that is wrong are listed by line and field', () => {
    const { badRows } = check('sku,quantity,warehouse', ',-1,', 'A,x,main', 'B,1');
    expect(badRows.map(({ line, field }) => [line, field])).toEqual([
      [2, 'sku'],
      [2, 'quantity'],
      [2, 'warehouse'],
      [3, 'quantity'],
      [4, 'row'],
    ]);
  });

  test('of one SKU in two warehouses are two entries', () => {
    const { entries, badRows } = check('sku,quantity,warehouse', 'A,1,north', 'A,2,south');
    expect(badRows).toEqual([]);
    expect(entries).toHaveLength(2);
  });

  test('twice with the same number are one entry', () => {
    const { entries, badRows } = check('sku,quantity', 'A,1', 'A,1');
    expect(badRows).toEqual([]);
    expect(entries).toEqual([{ sku: 'A', warehouse: 'main', quantity: 1 }]);
  });

  test('twice with different numbers are bad, and neither number is written', () => {
    const checked = check('sku,quantity', 'A,1', 'B,5', 'A,2', 'A,3', 'A,1');
    expect(checked.badRows).toEqual([
      { line: 4, field: 'quantity', message: 'SKU "A" has 2 here and 1 in line 2' },
      { line: 5, field: 'quantity', message: 'SKU "A" has 3 here and 1 in line 2' },
    ]);
    expect(checked.entries).toEqual([{ sku: 'B', warehouse: 'main', quantity: 5 }]);
    expect(checked.unclear).toEqual([{ sku: 'A', warehouse: 'main' }]);
  });

  test('with a bad quantity leave their SKU unclear, even where another row has a good one', () => {
    const checked = check('sku,quantity', 'A,1', 'A,many');
    expect(checked.entries).toEqual([]);
    expect(checked.unclear).toEqual([{ sku: 'A', warehouse: 'main' }]);
  });

  test('that do not tell their SKU are counted, since nobody knows what they leave open', () => {
    expect(check('sku,quantity', ',1', 'A').namelessBadRows).toBe(2);
  });
});
