import type { Db } from '../storage/database.js';
import { readLastingProblems, type LastingProblems } from '../storage/incidents.js';
import { enqueue, wasEnqueuedSince } from '../storage/outbox.js';
import type { AlertMessage } from './notifier.js';

const DAY_MS = 24 * 60 * 60_000;

/**
 * Once a day, one message per account about everything that has been open for more than a day. To be called often by
 * any number of processes: the message's key and the time of the last one keep it at one a day.
 * @returns how many reminders were added to the outbox
 */
export async function remindOfOpenProblems(db: Db, now = new Date()): Promise<number> {
  const dayAgo = new Date(now.getTime() - DAY_MS);
  let added = 0;
  for (const problems of await readLastingProblems(db, dayAgo)) {
    // No account id holds a capital letter, so the system cannot be taken for an account.
    const prefix = `reminder/${problems.accountId ?? 'SYSTEM'}/`;
    if (await wasEnqueuedSince(db, prefix, dayAgo)) continue;
    const days = Math.floor((now.getTime() - problems.oldestOpenedAt.getTime()) / DAY_MS);
    const dedupeKey = `${prefix}${problems.oldestId}/${days}`;
    if (await enqueue(db, { dedupeKey, message: reminderOf(problems), now })) added++;
  }
  return added;
}

function reminderOf({ accountId, accountName, count, oldestOpenedAt, titles }: LastingProblems): AlertMessage {
  const more = count > titles.length ? `; and ${count - titles.length} more` : '';
  const told = {
    class: 'Reminder',
    title: count === 1 ? 'a problem' : `${count} problems`,
    details: `${titles.join('; ')}${more}`,
    action: 'allegro-stock-sync incidents list',
    since: oldestOpenedAt.toISOString(),
    isReminder: true,
  };
  if (accountId === null) return { kind: 'system_problem', ...told };
  return { kind: 'account_problem', accountId, accountName: accountName ?? accountId, ...told };
}
