import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';

import { findSecrets, textOf, type Output } from '../../test/e2e/secrets-search.js';
import type { OracleVerdict } from './verdict.js';

export interface SecretSources {
  readonly temporalAddress: string;
  readonly namespace: string;
  /** With the logs of everything that ran. */
  readonly logDirectories: readonly string[];
  /** By a name. */
  readonly secrets: ReadonlyMap<string, string>;
  readonly alerts: readonly string[];
}

/** No secret stands in any log, history or alert. */
export async function judgeSecrets(sources: SecretSources): Promise<OracleVerdict> {
  const logs = (await Promise.all(sources.logDirectories.map(readLogs))).flat();
  const histories = await readHistories(sources);
  const outputs = [...logs, ...histories, { name: 'alerts', text: sources.alerts.join('\n') }];
  return {
    name: 'no secret in any log or history',
    looked: `${sources.secrets.size} secrets, ${logs.length} logs, ${histories.length} histories`,
    findings: [
      ...(histories.length === 0 ? ['there was no history'] : []),
      ...(logs.length === 0 ? ['there was no log'] : []),
      ...findSecrets(outputs, sources.secrets),
    ],
  };
}

async function readLogs(directory: string): Promise<Output[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.log'));
  return Promise.all(names.map(async (name) => ({ name, text: await readFile(join(directory, name), 'utf8') })));
}

async function readHistories({ temporalAddress, namespace }: SecretSources): Promise<Output[]> {
  const connection = await Connection.connect({ address: temporalAddress });
  try {
    const { workflow } = new Client({ connection, namespace });
    const outputs: Output[] = [];
    for await (const { workflowId, runId } of workflow.list()) {
      const history = await workflow.getHandle(workflowId, runId).fetchHistory();
      outputs.push({ name: `history of ${workflowId}`, text: textOf(history) });
    }
    return outputs;
  } finally {
    await connection.close();
  }
}
