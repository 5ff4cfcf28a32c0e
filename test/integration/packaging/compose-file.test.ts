import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  buildComposeCheck,
  checkComposeFile,
  COMPOSE_FILE,
  isGoInstalled,
  SECRETS,
  type ComposeCheck,
} from './compose-project.js';

/** compose-go, which Docker Compose itself is made of, comes from the Go module proxy. */
const hasGo = isGoInstalled();
const testWithGo = hasGo ? test : test.skip;

let directory: string;
let program: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'compose-check-'));
  program = join(directory, 'compose-check');
  if (hasGo) buildComposeCheck(program);
}, 300_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** The Compose file after an edit. @throws Error when the edit changed nothing */
function checkEdited(from: string, to: string): ComposeCheck {
  const text = readFileSync(COMPOSE_FILE, 'utf8');
  const edited = text.replace(from, to);
  if (edited === text) throw new Error(`docker-compose.yml does not hold "${from}"`);
  const file = join(directory, 'docker-compose.yml');
  writeFileSync(file, edited);
  return checkComposeFile(program, file, SECRETS);
}

describe('docker-compose.yml', () => {
  testWithGo('holds to the Compose Specification', () => {
    const checked = checkComposeFile(program, COMPOSE_FILE, SECRETS);

    expect(checked).toMatchObject({ kind: 'accepted' });
  });

  testWithGo('is refused with a key that the specification does not know', () => {
    const checked = checkEdited('restart: unless-stopped', 'restarts: unless-stopped');

    expect(checked).toEqual({ kind: 'refused', reason: expect.stringContaining('restarts') });
  });

  testWithGo('is refused with a dependency on a service that is not there', () => {
    const checked = checkEdited('redis: { condition: service_healthy }', 'rediss: { condition: service_healthy }');

    expect(checked).toEqual({ kind: 'refused', reason: expect.stringContaining('rediss') });
  });

  testWithGo('names each secret that is missing', () => {
    const reasons = Object.keys(SECRETS).map((name) => {
      const { [name]: _missing, ...rest } = SECRETS;
      const checked = checkComposeFile(program, COMPOSE_FILE, rest);
      return checked.kind === 'refused' && checked.reason.includes(`required variable ${name} is missing`);
    });

    expect(reasons).toEqual(Object.keys(SECRETS).map(() => true));
  });

  testWithGo('hands an optional setting of .env to the worker', () => {
    const checked = checkComposeFile(program, COMPOSE_FILE, { ...SECRETS, ALLEGRO_ENVIRONMENT: 'sandbox' });

    const worker = checked.kind === 'accepted' ? checked.project.services['worker'] : undefined;
    expect(worker?.environment).toMatchObject({
      ALLEGRO_ENVIRONMENT: 'sandbox',
      DATABASE_URL: 'postgresql://allegro_stock_sync_worker:b3@postgres:5432/allegro_stock_sync',
    });
  });

  testWithGo("keeps the passwords of PostgreSQL, of the tables' owner and of Temporal from the worker", () => {
    const checked = checkComposeFile(program, COMPOSE_FILE, SECRETS);

    const worker = checked.kind === 'accepted' ? checked.project.services['worker'] : undefined;
    const values = Object.values(worker?.environment ?? {});
    expect(values).toContain(SECRETS['TOKEN_ENCRYPTION_KEY']);
    expect(values.filter((value) => value !== null && /\b(a1|b2|c3)\b/.test(value))).toEqual([]);
    const migrate = checked.kind === 'accepted' ? checked.project.services['migrate'] : undefined;
    expect(migrate?.environment?.['DATABASE_URL']).toContain(':b2@');
  });
});
