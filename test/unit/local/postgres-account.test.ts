import { describe, expect, it } from '@jest/globals';

import { findPostgresAccount } from '../../../src/local/postgres-account.js';
import { aPrinter, aSystem, type PretendedSystem } from './a-system.js';

/** Root on a machine whose user `postgres` may be missing and whose `useradd` may fail. */
function aMachineOfRoot({ hasUser, canAdd }: { hasUser: boolean; canAdd: boolean }): PretendedSystem {
  let exists = hasUser;
  return aSystem({
    isRoot: true,
    run: (program, args) => {
      if (program === 'useradd') exists = canAdd;
      if (program === 'useradd' && !canAdd) return Promise.resolve({ exitCode: 1, output: 'read-only file system' });
      if (program !== 'id') return Promise.resolve({});
      return Promise.resolve(exists ? { output: args[0] === '-u' ? '101' : '104' } : { exitCode: 1 });
    },
  });
}

describe('the user that PostgreSQL runs as', () => {
  it('is our own when we are not root', async () => {
    const system = aSystem();
    await expect(findPostgresAccount(system, aPrinter().print)).resolves.toBeUndefined();
    expect(system.commands).toEqual([]);
  });

  it('is the system user postgres when we are root', async () => {
    const { print, lines } = aPrinter();
    const system = aMachineOfRoot({ hasUser: true, canAdd: true });
    await expect(findPostgresAccount(system, print)).resolves.toEqual({ uid: 101, gid: 104 });
    expect(lines).toEqual([]);
  });

  it('is made when we are root and it is missing', async () => {
    const { print, lines } = aPrinter();
    const system = aMachineOfRoot({ hasUser: false, canAdd: true });
    await expect(findPostgresAccount(system, print)).resolves.toEqual({ uid: 101, gid: 104 });
    expect(system.commands).toContain('useradd --system --gid postgres --no-create-home postgres');
    expect(lines).toEqual(['PostgreSQL: system user "postgres" made, because PostgreSQL does not run as root']);
  });

  it('is asked for when it cannot be made, with the reason and the ways out', async () => {
    const system = aMachineOfRoot({ hasUser: false, canAdd: false });
    const failure = await findPostgresAccount(system, aPrinter().print).then(String, String);
    expect(failure).toContain('read-only file system');
    expect(failure).toContain('useradd --system postgres');
    expect(failure).toContain('DATABASE_URL');
  });
});
