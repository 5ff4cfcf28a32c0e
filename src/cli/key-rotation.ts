import type { Command } from 'commander';
import type { AccountId } from '../domain/ids.js';
import { createEncryption } from '../storage/encryption.js';
import { rotateTokenKey } from '../storage/key-rotation.js';
import { addCommand, type RunCommand } from './command.js';
import { nothing } from './inputs.js';

export function registerKeyRotation(accounts: Command, runCommand: RunCommand): void {
  addCommand(accounts, runCommand, {
    usage: 'rotate-key',
    summary: 'encrypt the stored logins of all accounts with the new TOKEN_ENCRYPTION_KEY',
    details:
      'Give every worker the new key as TOKEN_ENCRYPTION_KEY and the one before as TOKEN_ENCRYPTION_KEY_PREVIOUS, restart\n' +
      'them, then run this; it may be interrupted and run again, and workers may be at work.',
    examples: ['accounts rotate-key'],
    input: nothing,
    needs: ['database', 'encryption'],
    run: async (_input, { services, output }) => {
      const { key, previousKeys } = services.config('encryption');
      const encryption = createEncryption(key, previousKeys);
      const db = await services.database();
      const { rotated, unreadable } = await rotateTokenKey({
        db,
        databaseUrl: services.config('database').url,
        encryption,
      });
      const { keyId } = encryption;
      output.print(
        `${rotated.length} ${rotated.length === 1 ? 'login was' : 'logins were'} encrypted with key ${keyId}.`,
      );
      const previousIds = previousKeys.map((previous) => createEncryption(previous).keyId);
      for (const login of unreadable) output.print(explainUnreadable(login, previousIds));
      if (unreadable.length === 0) {
        output.print('All stored logins are encrypted with it: TOKEN_ENCRYPTION_KEY_PREVIOUS is not needed any more.');
      }
      output.json({ keyId, rotated, unreadable });
      return unreadable.length === 0 ? 0 : 1;
    },
  });
}

/** @param previousIds of the keys that were tried besides the current one */
function explainUnreadable(login: { accountId: AccountId; keyId: string }, previousIds: readonly string[]): string {
  const { accountId, keyId } = login;
  const logIn = `log in again: allegro-stock-sync accounts authorize ${accountId}`;
  if (previousIds.includes(keyId)) {
    return `${accountId}: what is stored was changed outside this program since it was encrypted with key ${keyId}; ${logIn}`;
  }
  const [previous] = previousIds;
  const tried = previous === undefined ? 'is not set' : `is key ${previous}`;
  return (
    `${accountId}: encrypted with key ${keyId}, but TOKEN_ENCRYPTION_KEY_PREVIOUS ${tried}. Set it to that key and ` +
    `run this again, or ${logIn}`
  );
}
