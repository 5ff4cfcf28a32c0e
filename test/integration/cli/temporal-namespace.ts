import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { SEARCH_ATTRIBUTE_NAMES } from '../../../src/workflows/api.js';
import { testTemporalAddress, testTemporalCli } from '../../servers.js';

/** A namespace of the test file's own: Schedule and runs have the same ids in all of them. */
export interface TestNamespace {
  readonly address: string;
  readonly namespace: string;
  readonly client: Client;
  readonly env: { readonly TEMPORAL_ADDRESS: string; readonly TEMPORAL_NAMESPACE: string };
  /** Runs the `temporal` program, with these arguments after its name. */
  readonly temporal: (...args: string[]) => Promise<void>;
  close(): Promise<void>;
}

/** @param isReady false: without the search attributes, as a namespace is at first */
export async function createNamespace({ isReady = true } = {}): Promise<TestNamespace> {
  const address = testTemporalAddress();
  const namespace = `cli-${randomBytes(6).toString('hex')}`;
  const temporal = async (...args: string[]): Promise<void> => {
    await promisify(execFile)(testTemporalCli(), args);
  };
  await temporal('operator', 'namespace', 'create', '--address', address, '--namespace', namespace);
  if (isReady) {
    const names = SEARCH_ATTRIBUTE_NAMES.flatMap((name) => ['--name', name, '--type', 'Keyword']);
    const place = ['--address', address, '--namespace', namespace];
    await temporal('operator', 'search-attribute', 'create', ...place, ...names);
  }
  const connection = await Connection.connect({ address });
  return {
    address,
    namespace,
    client: new Client({ connection, namespace }),
    env: { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace },
    temporal,
    close: () => connection.close(),
  };
}

/** Waits for a condition; fails after the deadline with what it waited for. */
export async function until(what: string, isMet: () => Promise<boolean> | boolean, deadlineMs = 15_000): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!(await isMet())) {
    if (Date.now() > deadline) throw new Error(`waited ${deadlineMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
