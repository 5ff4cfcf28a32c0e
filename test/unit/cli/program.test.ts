import { Readable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { runProgram } from '../../../src/cli/program.js';

async function run(...args: string[]) {
  let stdout = '';
  let stderr = '';
  const status = await runProgram(args, {
    stdin: Readable.from([]),
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env: {},
    onInterrupt: () => undefined,
    createServices: () => {
      throw new Error('nothing is to be connected');
    },
  });
  return { status, stdout, stderr };
}

/** As the design lists them. */
const COMMANDS = [
  'schedule apply',
  'schedule describe',
  'schedule pause',
  'schedule resume',
  'schedule trigger',
  'schedule delete',
  'sync',
  'stop',
  'start',
  'accounts add',
  'accounts authorize',
  'accounts list',
  'accounts show',
  'accounts remove',
  'accounts pause',
  'accounts resume',
  'accounts set',
  'accounts approve',
  'stock import',
  'stock set',
  'stock get',
  'stock list',
  'offers exclude',
  'offers include',
  'changes',
  'history',
  'incidents list',
  'incidents show',
  'incidents resolve',
  'alerts test',
  'status',
  'migrate',
];

describe.each(COMMANDS)('%s --help', (command) => {
  test('says what it does, with an example and --json, and ends with 0', async () => {
    const { status, stdout, stderr } = await run(...command.split(' '), '--help');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain(`Example:\n  $ allegro-stock-sync ${command.replace('incidents list', 'incidents')}`);
    expect(stdout).toContain('--json');
  });
});

test.each(['schedule', 'accounts', 'stock', 'offers', 'alerts'])(
  '%s alone shows its commands and is wrong usage',
  async (group) => {
    const { status, stderr } = await run(group);
    expect(status).toBe(2);
    expect(stderr).toContain('Commands:');
  },
);

test.each([[['frob']], [['sync', 'frob']], [['sync', '--frob']], [['stock', 'import']], [['accounts', 'show', '!']]])(
  '%j is wrong usage, and nothing is connected for it',
  async (args) => {
    const { status, stdout, stderr } = await run(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^error: /);
  },
);
