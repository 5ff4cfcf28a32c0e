import type { Command } from 'commander';
import { BUCKETS } from '../domain/buckets.js';
import { addCommand, type RunCommand } from './command.js';
import { ALERTS_TO_LOG } from './alerts.js';
import { nothing } from './inputs.js';
import { isEverything } from '../pollers.js';
import type { UnreadableSales } from '../storage/sales.js';
import type { Output } from './output.js';
import { describeSchedule } from './schedule.js';
import { gatherStatus, isUnavailable, type AccountStatus, type StatusFacts } from './status-facts.js';
import { colorOutcome } from './sync-report.js';

/** The rest is counted; `incidents` lists them all. */
const INCIDENTS_LISTED = 10;

export function registerStatus(program: Command, runCommand: RunCommand): void {
  addCommand(program, runCommand, {
    usage: 'status',
    summary: 'show schedule, last runs by bucket, incidents, rate limit, stop switch, and what is wrong',
    details: 'Ends with status 1 when there is anything to look at.',
    examples: ['status', 'status --json'],
    input: nothing,
    needs: ['database', 'temporal', 'redis', 'allegro', 'sync', 'notifications'],
    run: async (_input, { services, output }) => {
      const facts = await gatherStatus(services);
      const problems = findProblems(facts);
      showStatus(facts, problems, output);
      output.json({ isWell: problems.length === 0, problems, ...facts });
      return problems.length === 0 ? 0 : 1;
    },
  });
}

/** What a person should look at, one sentence each. */
export function findProblems(facts: StatusFacts): string[] {
  const { schedule, stopSwitch, limiter, openIncidents, alerts } = facts;
  const problems: string[] = [];
  if (stopSwitch.isStopped) {
    const reason = stopSwitch.reason === null ? '' : `: ${stopSwitch.reason}`;
    problems.push(`all writes are stopped since ${stopSwitch.changedAt.toISOString()}${reason}`);
  }
  if (schedule === null) problems.push('there is no Schedule: allegro-stock-sync schedule apply');
  else if (isUnavailable(schedule)) problems.push(schedule.unavailable);
  else if (schedule.isPaused) {
    problems.push(`the Schedule is paused${schedule.note === null ? '' : `: ${schedule.note}`}`);
  }
  problems.push(...pollerProblems(facts));
  if (isUnavailable(limiter)) problems.push(limiter.unavailable);
  for (const account of facts.accounts) problems.push(...accountProblems(account));
  if (openIncidents.length > 0) problems.push(`${openIncidents.length} open incidents: allegro-stock-sync incidents`);
  if (alerts.waiting > 0) {
    problems.push(
      `${alerts.waiting} messages wait to be sent${alerts.lastError === null ? '' : `: ${alerts.lastError}`}`,
    );
  }
  return problems;
}

/** That Temporal is away is said of the Schedule already. */
function pollerProblems({ unpolledQueues }: StatusFacts): string[] {
  if (isUnavailable(unpolledQueues) || unpolledQueues.length === 0) return [];
  if (isEverything(unpolledQueues)) return ['no worker polls the task queues: npm run worker'];
  return [`no worker polls ${unpolledQueues.join(', ')}: restart the workers`];
}

function accountProblems(account: AccountStatus): string[] {
  const { accountId, pausedReason, health, lastRun, completeAgeSeconds } = account;
  if (pausedReason !== null) return [`${accountId} is paused: ${pausedReason}`];
  const problems: string[] = [];
  if (health === 'stale') {
    const last =
      completeAgeSeconds === null ? 'there was none yet' : `the last was ${describeAge(completeAgeSeconds)} ago`;
    problems.push(`${accountId}: no complete run within two intervals; ${last}`);
  }
  if (lastRun !== null && lastRun.outcome !== null && lastRun.outcome !== 'in_sync') {
    const failure = lastRun.failure === null ? '' : `: ${lastRun.failure.message}`;
    problems.push(`${accountId}: the last run ended as ${lastRun.outcome}${failure} (changes --run ${lastRun.runId})`);
  }
  return problems;
}

export function describeAge(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} days`;
}

function showStatus(facts: StatusFacts, problems: readonly string[], output: Output): void {
  const { schedule, stopSwitch, limiter, alerts, sharedSkus, accounts, openIncidents } = facts;
  const { colors } = output;
  if (schedule !== null && !isUnavailable(schedule)) {
    output.table(['schedule', ''], describeSchedule(schedule));
  }
  if (accounts.length === 0) output.print('No accounts yet. Add one with: allegro-stock-sync accounts add');
  else {
    output.table(
      ['account', 'mode', 'last run', 'outcome', 'seen', 'buckets', 'last complete'],
      accounts.map((account) => accountRow(account, output)),
    );
  }
  output.table(
    ['system', ''],
    [
      ['workers', describeWorkers(facts)],
      ['writes', stopSwitch.isStopped ? colors.red('stopped') : 'allowed'],
      ['rate limit', describeLimiter(limiter)],
      ['alerts', alerts.destination ?? ALERTS_TO_LOG],
      ['messages waiting', describeWaiting(facts)],
      [
        'SKUs with several running offers',
        `${sharedSkus.skus}, of them ${sharedSkus.withinOneAccount} within one account`,
      ],
      ['open incidents', String(openIncidents.length)],
    ],
  );
  for (const incident of openIncidents.slice(0, INCIDENTS_LISTED)) {
    output.print(`incident ${incident.id}: ${incident.accountId ?? 'system'}: ${incident.title}`);
  }
  if (sharedSkus.skus > 0) {
    output.print('Each offer of a SKU shows its full number: together they can sell more than there is.');
  }
  for (const sales of facts.unreadableSales) output.print(describeUnreadable(sales));
  if (problems.length === 0) output.print(colors.green('All is well.'));
  for (const problem of problems) output.print(`${colors.yellow('look at:')} ${problem}`);
}

function accountRow(account: AccountStatus, { colors }: Output): string[] {
  const { lastRun, completeAgeSeconds } = account;
  const buckets = BUCKETS.flatMap((bucket) => {
    const count = lastRun?.buckets?.[bucket] ?? 0;
    return count === 0 ? [] : [`${bucket} ${count}`];
  });
  return [
    account.accountId,
    account.mode,
    lastRun?.startedAt.toISOString() ?? 'never',
    lastRun === null ? '-' : colorOutcome(lastRun.outcome ?? 'at work', colors),
    String(lastRun?.seen ?? '-'),
    buckets.join(', ') || '-',
    completeAgeSeconds === null ? 'never' : `${describeAge(completeAgeSeconds)} ago`,
  ];
}

function describeWorkers({ unpolledQueues }: StatusFacts): string {
  if (isUnavailable(unpolledQueues)) return 'unknown';
  if (unpolledQueues.length === 0) return 'polling';
  return isEverything(unpolledQueues) ? 'none' : `not polled: ${unpolledQueues.join(', ')}`;
}

function describeLimiter(limiter: StatusFacts['limiter']): string {
  if (isUnavailable(limiter)) return 'unknown';
  return limiter
    .map(({ scope, usedInWindow, limit, assumedLimit, blockedForMs }) => {
      const assumed = assumedLimit < limit ? `, taken for ${assumedLimit} after a 429` : '';
      const blocked = blockedForMs > 0 ? `, blocked for ${Math.ceil(blockedForMs / 1000)} s` : '';
      return `${scope}: ${usedInWindow} of ${limit} requests in the last 60 s${assumed}${blocked}`;
    })
    .join('; ');
}

/** No problem of the sync, which goes on without them. */
export function describeUnreadable({ accountId, errorClass, askedAt }: UnreadableSales): string {
  const toDo = ['AccountRefused', 'AccessDenied'].includes(errorClass)
    ? `Log it in with all scopes: allegro-stock-sync accounts authorize ${accountId}`
    : 'It is tried again before the next raise.';
  return `The sales of ${accountId} could not be read (${errorClass}, ${askedAt.toISOString()}), so that they hold no raise. ${toDo}`;
}

function describeWaiting({ alerts }: StatusFacts): string {
  return alerts.oldestWaitingSince === null
    ? '0'
    : `${alerts.waiting}, the oldest since ${alerts.oldestWaitingSince.toISOString()}`;
}
