import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { detectDelimiter, readStockFile, StockFileError } from '../../../src/cli/stock-file.js';

let directory: string;
let files = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stock-file-test-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function fileWith(content: string | Buffer): Promise<string> {
  files += 1;
  const path = join(directory, `stock-${files}.csv`);
  await writeFile(path, content);
  return path;
}

async function read(content: string | Buffer) {
  return readStockFile(await fileWith(content), 'main');
}

describe('a stock file', () => {
  test.each([
    ['comma and LF', 'sku,quantity\nA,1\nB,2\n'],
    ['semicolon, CRLF and BOM', '\uFEFFsku;quantity\r\nA;1\r\nB;2\r\n'],
    ['tab and no line break at the end', 'sku\tquantity\nA\t1\nB\t2'],
    ['CR alone', 'sku,quantity\rA,1\rB,2\r'],
    ['empty lines between', '\nsku,quantity\n\nA,1\n\n\nB,2\n\n'],
    ['quoted fields', '"sku","quantity"\n"A","1"\n"B",2\n'],
    ['columns the other way round', 'quantity;sku\n1;A\n2;B\n'],
  ])('with %s is read', async (_name, content) => {
    const { entries, badRows } = await read(content);
    expect(badRows).toEqual([]);
    expect(entries.map(({ sku, quantity }) => [sku, quantity])).toEqual([
      ['A', 1],
      ['B', 2],
    ]);
  });

  test('keeps delimiters and doubled quotes inside of quoted fields', async () => {
    const { entries } = await read('sku,quantity\n"A,1;x ""y""",3\n');
    expect(entries[0]?.sku).toBe('A,1;x "y"');
  });

  test('keeps a quote in the middle of a field that is not quoted', async () => {
    const { entries } = await read('sku,quantity\n12" pipe,3\n');
    expect(entries[0]?.sku).toBe('12" pipe');
  });

  test('tells the line of a bad row as an editor counts it, empty lines included', async () => {
    const { badRows } = await read('sku,quantity\r\nA,1\r\n\r\nB,x\r\n');
    expect(badRows).toEqual([{ line: 4, field: 'quantity', message: '"x" is not a whole number, digits only' }]);
  });

  test('tells whether it has a column for the warehouse', async () => {
    expect((await read('sku,quantity\nA,1')).hasWarehouses).toBe(false);
    const withWarehouse = await read('sku,quantity,warehouse\nA,1,north');
    expect(withWarehouse.hasWarehouses).toBe(true);
    expect(withWarehouse.entries).toEqual([{ sku: 'A', quantity: 1, warehouse: 'north' }]);
  });

  test.each([
    ['is empty', '', 'is empty'],
    ['has a wrong header', 'id,stock\nA,1', 'missing: sku, quantity; unknown: "id", "stock"'],
    ['has no header', 'A,1\nB,2', 'wrong header'],
    ['has an unknown column', 'sku,quantity,price\nA,1,2', 'unknown: "price"'],
    ['never closes a quote', 'sku,quantity\nA,1\nB,"2\nC,3\n', 'starts after line 2 is never closed'],
    ['is UTF-16', Buffer.from('\uFEFFsku,quantity\nA,1', 'utf16le'), 'UTF-16'],
  ])('that %s is refused as a whole', async (_name, content, message) => {
    await expect(read(content)).rejects.toThrow(StockFileError);
    await expect(read(content)).rejects.toThrow(message);
  });

  test('in another encoding than UTF-8 has bad rows where that shows', async () => {
    const { badRows } = await read(Buffer.from('sku,quantity\nza\xbf\xf3\xb3\xe6,1\nA,2\n', 'latin1'));
    expect(badRows).toHaveLength(1);
    expect(badRows[0]).toMatchObject({ line: 2, field: 'sku' });
  });

  test('that does not exist fails with the reason of the system', async () => {
    await expect(readStockFile(join(directory, 'nowhere.csv'), 'main')).rejects.toThrow('ENOENT');
  });
});

describe('the delimiter', () => {
  test.each([
    ['sku;quantity', ';'],
    ['sku,quantity', ','],
    ['sku\tquantity\twarehouse', '\t'],
    ['"sku";"quantity"', ';'],
    ['id;stock;a,b', ';'],
    ['sku', ';'],
  ])('of %j is %j', (header, delimiter) => {
    expect(detectDelimiter(header)).toBe(delimiter);
  });
});
