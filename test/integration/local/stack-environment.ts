import { testTemporalCli } from '../../servers.js';

const SERVER_VARIABLES = ['TEMPORAL_ADDRESS', 'TEMPORAL_NAMESPACE', 'DATABASE_URL', 'REDIS_URL'];

/** The real environment without the addresses of servers, so that new ones are started, with the CLI that is there. */
export function stackEnvironment(changes: Record<string, string> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !SERVER_VARIABLES.includes(name));
  return { ...Object.fromEntries(kept), TEMPORAL_CLI_PATH: testTemporalCli(), ...changes };
}

/** The port of an address, whatever its scheme. */
export function portOf(address: string): number {
  return Number(/:(\d+)(?:\/|$)/.exec(address)?.[1]);
}
