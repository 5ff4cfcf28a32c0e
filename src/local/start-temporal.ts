import { join } from 'node:path';
import { Connection } from '@temporalio/client';

import { canConnect, startOnFreePorts } from './ports.js';
import type { ProcessRecord } from './process-record.js';
import type { RunningServer, ServerPlace } from './running-server.js';
import { startServerProcess } from './server-process.js';
import { readVariable, SetUpError, type Print, type System } from './system.js';
import { waitUntil } from './wait-until.js';
import { findInstalledTemporalCli, findTemporalCli } from './temporal-cli.js';

const USUAL_PORT = 7233;
const USUAL_UI_PORT = 8233;

const SEARCH_ATTRIBUTES = ['AccountId', 'SyncTrigger', 'SyncOutcome'];

/**
 * The development server looks at its queues 20 times a second and fires timers no sooner than after a second; with
 * these values a workflow task and an activity take 7 ms instead of 100 (docs/decisions, measured). Eager execution
 * saves a third of the server's CPU time per activity.
 */
const DYNAMIC_CONFIG = [
  'history.transferProcessorMaxPollRPS=2000',
  'history.timerProcessorMaxPollRPS=2000',
  'history.visibilityProcessorMaxPollRPS=2000',
  'history.timerProcessorMaxTimeShift="20ms"',
  'system.enableActivityEagerExecution=true',
];

/** A file with a write-ahead log is as fast as memory; SQLite's default journal is 2 to 4 times slower. */
const SQLITE_PRAGMAS = ['journal_mode=WAL', 'synchronous=NORMAL'];

export type RunningTemporal = RunningServer<{
  temporalAddress: string;
  temporalNamespace: string;
  temporalUiUrl: string;
  temporalCliPath: string;
}>;

/** Ready means: the namespace exists and knows our search attributes, not only that the port is open. */
async function isNamespaceReady(address: string, namespace: string, attributes: readonly string[]): Promise<boolean> {
  let connection: Connection | undefined;
  try {
    connection = await Connection.connect({ address, connectTimeout: 2000 });
    await connection.workflowService.describeNamespace({ namespace });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return attributes.every((name) => name in customAttributes);
  } catch {
    return false;
  } finally {
    await connection?.close();
  }
}

/** A server under load, or one that is just starting, may need more than one try. */
const ANSWERS_WITHIN_MS = 5_000;

async function useTemporalOf(system: System, address: string, print: Print): Promise<RunningTemporal> {
  const [host, port] = [
    address.slice(0, address.lastIndexOf(':')),
    Number(address.slice(address.lastIndexOf(':') + 1)),
  ];
  if (host === '' || !Number.isSafeInteger(port)) {
    throw new SetUpError('TEMPORAL_ADDRESS is not a host and a port, such as 127.0.0.1:7233.');
  }
  if (!(await waitUntil(() => canConnect(host, port), ANSWERS_WITHIN_MS, 250))) {
    throw new SetUpError(
      `TEMPORAL_ADDRESS names ${address}, where nothing answers. Start that Temporal, or unset TEMPORAL_ADDRESS to have one started here.`,
    );
  }
  print(`Temporal: ${address} (TEMPORAL_ADDRESS; used as it is, not stopped)`);
  return {
    addresses: {
      temporalAddress: address,
      temporalNamespace: readVariable(system, 'TEMPORAL_NAMESPACE') ?? 'default',
      temporalUiUrl: readVariable(system, 'TEMPORAL_UI_URL') ?? `http://${host}:${USUAL_UI_PORT}`,
      temporalCliPath: (await findInstalledTemporalCli(system)) ?? 'temporal',
    },
    stop: () => Promise.resolve(),
  };
}

/** A real Temporal server with its Web UI and our search attributes. */
export async function startTemporal(
  system: System,
  place: ServerPlace,
  { record, print }: { record: ProcessRecord; print: Print },
): Promise<RunningTemporal> {
  const external = readVariable(system, 'TEMPORAL_ADDRESS');
  if (external !== undefined) return useTemporalOf(system, external, print);

  const program = await findTemporalCli(system, print);
  const namespace = readVariable(system, 'TEMPORAL_NAMESPACE') ?? 'default';
  const usualPorts = place.prefersUsualPorts ? [USUAL_PORT, USUAL_UI_PORT] : [undefined, undefined];
  const repeat = (flag: string, values: readonly string[]): string[] => values.flatMap((value) => [flag, value]);
  const settings = [
    ...['--namespace', namespace, '--ui-disable-news-fetch', '--log-level', 'error'],
    ...repeat(
      '--search-attribute',
      SEARCH_ATTRIBUTES.map((name) => `${name}=Keyword`),
    ),
    ...repeat('--dynamic-config-value', DYNAMIC_CONFIG),
    ...(place.isKept
      ? ['--db-filename', join(place.directory, 'temporal.db'), ...repeat('--sqlite-pragma', SQLITE_PRAGMAS)]
      : []),
  ];
  return startOnFreePorts(usualPorts, async ([port = USUAL_PORT, uiPort = USUAL_UI_PORT]) => {
    const server = await startServerProcess({
      system,
      record,
      print,
      name: 'Temporal',
      program,
      args: [
        ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--ui-port', String(uiPort)],
        ...settings,
      ],
      logFile: join(place.directory, 'temporal.log'),
      stopSignal: 'SIGTERM',
    });
    const address = `127.0.0.1:${port}`;
    await server.waitUntilReady(
      async () =>
        (await canConnect('127.0.0.1', port)) &&
        (await canConnect('127.0.0.1', uiPort)) &&
        (await isNamespaceReady(address, namespace, SEARCH_ATTRIBUTES)),
    );
    const temporalUiUrl = `http://127.0.0.1:${uiPort}`;
    print(`Temporal: ready on ${address}, Web UI ${temporalUiUrl}`);
    return {
      addresses: { temporalAddress: address, temporalNamespace: namespace, temporalUiUrl, temporalCliPath: program },
      stop: () => server.stop(),
    };
  });
}
