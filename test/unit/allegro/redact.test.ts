import { describe, expect, test } from '@jest/globals';
import { redact, toTraceId } from '../../../src/allegro/redact.js';

describe('redacting', () => {
  test('takes out the secrets of the request, also encoded', () => {
    expect(redact('you sent s3cret/+ and s3cret%2F%2B', ['s3cret/+'])).toBe('you sent [redacted] and [redacted]');
  });

  test.each([
    'Authorization: Bearer abc.def-ghi',
    '{"authorization":"Basic YWJjOmRlZg=="}',
    'token eyJhbGciOiJSUzI1NiJ9.eyJ1c2VyIjoxfQ.c2ln was refused',
    'cut off: eyJhbGciOiJSUzI1N',
    'refresh_token=abcdef123456&x=1',
    '{"client_secret":"abcdef123456"}',
  ])('takes out what looks like one: %s', (text) => {
    const clean = redact(text, []);

    expect(clean).toContain('[redacted]');
    expect(clean).not.toMatch(/abc|YWJj|eyJ/);
  });

  test('leaves other words alone', () => {
    expect(redact('Missing required parameters: 248811 (Marka)', ['x9'])).toBe(
      'Missing required parameters: 248811 (Marka)',
    );
  });

  test('makes one line of at most 300 characters', () => {
    expect(redact('two\nlines\u0007', [])).toBe('two lines');
    expect(redact('x'.repeat(1000), [])).toHaveLength(300);
  });
});

test('a trace id is kept only when it is one', () => {
  expect(toTraceId('00f1a2-b3')).toBe('00f1a2-b3');
  expect(toTraceId('eyJhbGciOiJSUzI1NiJ9')).toBeNull();
  expect(toTraceId('two words')).toBeNull();
  expect(toTraceId(undefined)).toBeNull();
});
