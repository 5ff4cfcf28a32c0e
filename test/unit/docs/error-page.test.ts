import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { ERROR_PAGE, renderErrorPage } from './error-page.js';

test('docs/errors.md shows every row of the error table as it is', () => {
  expect(readFileSync(ERROR_PAGE, 'utf8')).toBe(renderErrorPage());
});
