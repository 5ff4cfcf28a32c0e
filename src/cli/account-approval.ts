import type { Command } from 'commander';
import { z } from 'zod';
import { toRunId } from '../domain/ids.js';
import { APPROVAL_VALID_HOURS, approveHeldChanges } from '../storage/approvals.js';
import { findRuns } from '../storage/reports.js';
import { requireAccount } from './account-lookup.js';
import { addCommand, type RunCommand } from './command.js';
import { CommandFailed, UsageError } from './failures.js';
import { accountId, runId } from './inputs.js';

export function registerAccountApproval(accounts: Command, runCommand: RunCommand): void {
  addCommand(accounts, runCommand, {
    usage: 'approve <id>',
    summary: 'let the changes through that the guards held in one run',
    details: `Only those whose target is still the same at the next run; once, and within ${APPROVAL_VALID_HOURS} hours.`,
    options: [{ flags: '--run <run>', description: 'the run that held them, or the run over all accounts (required)' }],
    examples: ['accounts approve shop-1 --run 0198c2f4-5f0e-4c55-9d5e-6a2f0f7f6f11'],
    input: z.object({ id: accountId, run: z.string('is required').pipe(runId) }),
    needs: ['database'],
    run: async ({ id, run }, { services, output }) => {
      const db = await services.database();
      await requireAccount(db, id);
      const [found] = await findRuns(db, run, id);
      if (found === undefined) throw new UsageError(`--run: account "${id}" has no run ${run}`);
      const approved = await approveHeldChanges(db, id, toRunId(found.runId));
      if (approved === 0) {
        throw new CommandFailed(
          `run ${found.runId} of "${id}" holds nothing that could be approved, or it was used already`,
        );
      }
      output.print(
        `${approved} held ${approved === 1 ? 'change is' : 'changes are'} approved for ${APPROVAL_VALID_HOURS} hours. They are written by the next run; to run now: allegro-stock-sync sync --account ${id}`,
      );
      output.json({ accountId: id, runId: found.runId, approved, validHours: APPROVAL_VALID_HOURS });
      return 0;
    },
  });
}
