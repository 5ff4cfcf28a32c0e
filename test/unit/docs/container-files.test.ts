import { describe, expect, test } from '@jest/globals';
import { accessSync, constants, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { VARIABLE_NAMES } from '../../../src/config-variables.js';
import { SEARCH_ATTRIBUTE_NAMES } from '../../../src/workflows/api.js';

/** That the Compose file, the image, the scripts and the program speak of the same things. */

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

const serviceSchema = z.object({
  image: z.string(),
  build: z.string().optional(),
  restart: z.string(),
  command: z.array(z.unknown()).optional(),
  environment: z.record(z.string(), z.unknown()).optional(),
  volumes: z.array(z.string()).optional(),
  ports: z.array(z.string()).optional(),
  healthcheck: z.looseObject({}).optional(),
  stop_grace_period: z.string().optional(),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).optional(),
});
const compose = z
  .object({ services: z.record(z.string(), serviceSchema) })
  .parse(parse(readText('docker-compose.yml'), { merge: true }));

function service(name: string): z.infer<typeof serviceSchema> {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}`);
  return found;
}

/** Temporal of the Compose file is reached in the clear, within the Compose network. */
const FOR_ANOTHER_TEMPORAL = [
  'TEMPORAL_API_KEY',
  'TEMPORAL_TLS',
  'TEMPORAL_TLS_CLIENT_CERT_PATH',
  'TEMPORAL_TLS_CLIENT_KEY_PATH',
  'TEMPORAL_TLS_SERVER_CA_CERT_PATH',
  'TEMPORAL_TLS_SERVER_NAME',
];

describe('docker-compose.yml', () => {
  test.each(['worker', 'migrate'])('hands every variable of the configuration to %s', (name) => {
    const given = Object.keys(service(name).environment ?? {}).filter((variable) => variable !== 'TZ');

    const wanted = VARIABLE_NAMES.filter((variable) => !FOR_ANOTHER_TEMPORAL.includes(variable));
    expect(given.sort()).toEqual(wanted.sort());
  });

  test('publishes ports to this machine only', () => {
    const ports = Object.values(compose.services).flatMap((one) => one.ports ?? []);

    expect(ports).toHaveLength(2);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  test('restarts what serves and asks whether it is well, and repeats what prepares only until it is done', () => {
    const servers = Object.values(compose.services).filter(({ restart }) => restart === 'unless-stopped');
    const oneShots = Object.entries(compose.services).filter(([, { restart }]) => restart !== 'unless-stopped');

    expect(oneShots.map(([name]) => name)).toEqual(['temporal-schema', 'temporal-namespace', 'migrate']);
    expect(oneShots.every(([, { restart }]) => /^on-failure:\d+$/.test(restart))).toBe(true);
    expect(servers).toHaveLength(5);
    // The worker's question is in the image.
    expect(servers.filter(({ healthcheck, build }) => healthcheck === undefined && build === undefined)).toEqual([]);
  });

  test('starts the worker only after what it needs', () => {
    const { depends_on: needs } = service('worker');

    expect(needs).toEqual({
      migrate: { condition: 'service_completed_successfully' },
      'temporal-namespace': { condition: 'service_completed_successfully' },
      temporal: { condition: 'service_healthy' },
      redis: { condition: 'service_healthy' },
    });
  });

  test('gives the worker longer to stop than the worker gives its requests', () => {
    const grace = /SHUTDOWN_GRACE = '(\d+) seconds'/.exec(readText('src/worker.ts'))?.[1];

    expect(Number(service('worker').stop_grace_period?.replace(/s$/, ''))).toBeGreaterThan(Number(grace));
  });

  test('mounts only files that are there', () => {
    const files = Object.values(compose.services)
      .flatMap((one) => one.volumes ?? [])
      .filter((volume) => volume.startsWith('./'))
      .map((volume) => volume.split(':')[0] ?? '');

    expect(files).toHaveLength(4);
    for (const file of files) accessSync(join(ROOT, file), constants.R_OK);
  });

  test('names a version for every image', () => {
    const loose = Object.values(compose.services).filter(({ image }) => !/:\d/.test(image));

    expect(loose).toEqual([]);
  });

  test('is of the version of the package', () => {
    const { version } = z.object({ version: z.string() }).parse(JSON.parse(readText('package.json')));

    expect(service('worker').image).toBe(`allegro-stock-sync:${version}`);
    expect(service('migrate').image).toBe(`allegro-stock-sync:${version}`);
  });

  test('keeps keys of the rate limiter in Redis, on disk', () => {
    expect(service('redis').command?.join(' ')).toMatch(/--appendonly yes.*--maxmemory-policy noeviction/);
    expect(service('redis').volumes).toEqual(['redis-data:/data']);
  });

  test('mounts the volume of PostgreSQL 18 where that version keeps its data', () => {
    expect(service('postgres').image).toBe('postgres:18');
    expect(service('postgres').volumes).toContain('postgres-data:/var/lib/postgresql');
  });
});

describe('the scripts of the containers', () => {
  test('register the search attributes that the program uses', () => {
    const registered = /for name in (.+); do/.exec(readText('docker/temporal-namespace.sh'))?.[1];

    expect(registered?.split(' ')).toEqual([...SEARCH_ATTRIBUTE_NAMES]);
  });

  test('make the databases that the services are told to use', () => {
    const script = readText('docker/create-databases.sh');

    const urlOf = (name: string): string => z.string().parse(service(name).environment?.['DATABASE_URL']);
    expect(urlOf('migrate')).toMatch(/^postgresql:\/\/allegro_stock_sync:.*@postgres:5432\/allegro_stock_sync$/);
    expect(urlOf('worker')).toMatch(/^postgresql:\/\/allegro_stock_sync_worker:.*@postgres:5432\/allegro_stock_sync$/);
    expect(script).toContain('create allegro_stock_sync "$SYNC_DATABASE_PASSWORD" allegro_stock_sync');
    // A role alone, with no database of its own.
    expect(script).toContain('create allegro_stock_sync_worker "$SYNC_WORKER_PASSWORD"\n');
    expect(service('migrate').command?.slice(-2)).toEqual(['--grant-to', 'allegro_stock_sync_worker']);
    const { POSTGRES_USER, DBNAME, VISIBILITY_DBNAME } = service('temporal').environment ?? {};
    expect(script).toContain(
      `create ${String(POSTGRES_USER)} "$TEMPORAL_DATABASE_PASSWORD" ${String(DBNAME)} ${String(VISIBILITY_DBNAME)}`,
    );
  });
});

describe('the Dockerfile', () => {
  const lines = readText('Dockerfile').split('\n');
  const command = 'CMD ["node", "--max-old-space-size=256", "dist/worker.js"]';

  test('runs Node itself, which hears SIGTERM', () => {
    expect(lines).toContain(command);
    expect(lines).toContain('STOPSIGNAL SIGTERM');
  });

  test('runs as a user without rights', () => {
    expect(lines).toContain('USER node');
    expect(lines.indexOf('USER node')).toBeLessThan(lines.indexOf(command));
  });

  test('copies only what .dockerignore lets through', () => {
    const allowed = readText('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = lines
      .filter((line) => /^COPY (?!--from)/.test(line))
      .flatMap((line) => line.split(' ').slice(1, -1));

    expect([...new Set(copied)].sort()).toEqual(allowed.sort());
  });
});
