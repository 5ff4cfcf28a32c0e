import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Client, Connection } from '@temporalio/client';
import { canConnect, findFreePort } from '../../src/local/ports.js';
import { SEARCH_ATTRIBUTE_NAMES } from '../../src/workflows/api.js';
import { until, type TemporalPlace } from './workflow-bed.js';

/** A server of the test file's own, for settings that hold for a whole server.
 *
 * @param program path of the `temporal` CLI
 * @param settings dynamic configuration */
export async function startOwnTemporal(
  program: string,
  settings: Readonly<Record<string, string>>,
): Promise<TemporalPlace> {
  const port = await findFreePort();
  const address = `127.0.0.1:${port}`;
  const server = spawn(
    program,
    [
      ...['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'never'],
      ...SEARCH_ATTRIBUTE_NAMES.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
      ...Object.entries(settings).flatMap(([key, value]) => ['--dynamic-config-value', `${key}=${value}`]),
    ],
    { stdio: 'ignore' },
  );
  const ended = once(server, 'exit');
  const stop = async (): Promise<void> => {
    server.kill('SIGTERM');
    await ended;
  };
  try {
    await until('the server answers', () => canConnect('127.0.0.1', port));
    const connection = await Connection.connect({ address });
    const namespace = 'default';
    await until('the search attributes are registered', async () => {
      const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
      return SEARCH_ATTRIBUTE_NAMES.every((name) => name in customAttributes);
    });
    const close = async (): Promise<void> => {
      await connection.close();
      await stop();
    };
    return { address, namespace, client: new Client({ connection, namespace }), close };
  } catch (error) {
    await stop();
    throw error;
  }
}
