import type { Command } from 'commander';
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
      for (const { accountId, keyId: unknownKey } of unreadable) {
        output.print(
          `${accountId}: encrypted with key ${unknownKey}, which is neither of the two. Name that key as ` +
            `TOKEN_ENCRYPTION_KEY_PREVIOUS, or log in again: allegro-stock-sync accounts authorize ${accountId}`,
        );
      }
      if (unreadable.length === 0) {
        output.print(`All stored logins are encrypted with it: TOKEN_ENCRYPTION_KEY_PREVIOUS is not needed any more.`);
      }
      output.json({ keyId, rotated, unreadable });
      return unreadable.length === 0 ? 0 : 1;
    },
  });
}
