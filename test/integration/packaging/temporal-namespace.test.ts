import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Connection } from '@temporalio/client';

import { findMissingSearchAttributes } from '../../../src/schedule.js';
import { testTemporalAddress, testTemporalCli } from '../../servers.js';

const SCRIPT = fileURLToPath(new URL('../../../docker/temporal-namespace.sh', import.meta.url));
const NAMESPACE = `packaging-${randomUUID()}`;

let directory: string;
let connection: Connection;

function prepareNamespace(): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync('sh', [SCRIPT], {
    encoding: 'utf8',
    env: {
      PATH: `${directory}:${process.env['PATH'] ?? ''}`,
      HOME: directory,
      TEMPORAL_ADDRESS: testTemporalAddress(),
      TEMPORAL_NAMESPACE: NAMESPACE,
    },
  });
  return { status, stderr };
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'temporal-namespace-'));
  symlinkSync(testTemporalCli(), join(directory, 'temporal'));
  connection = await Connection.connect({ address: testTemporalAddress() });
});

afterAll(async () => {
  await connection.close();
  rmSync(directory, { recursive: true, force: true });
});

describe('docker/temporal-namespace.sh', () => {
  test('makes the namespace with the search attributes that runs need', async () => {
    const { status } = prepareNamespace();

    expect(status).toBe(0);
    expect(await findMissingSearchAttributes(connection, NAMESPACE)).toEqual([]);
  });

  test('leaves a namespace that is there as it is', async () => {
    const { status, stderr } = prepareNamespace();

    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(await findMissingSearchAttributes(connection, NAMESPACE)).toEqual([]);
  });
});
