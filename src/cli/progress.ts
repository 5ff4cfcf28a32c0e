import { MultiBar, type SingleBar } from 'cli-progress';
import type { AccountProgress } from '../workflows/api.js';
import type { Output } from './output.js';

/** Shows how far each account is, while the command waits. */
export interface ProgressView {
  show(progress: AccountProgress): void;
  /** A line between the bars. */
  say(line: string): void;
  stop(): void;
}

/** Often enough to see it move, rarely enough to keep a log short. */
const LINE_EVERY_MS = 5_000;

export function describeProgress(progress: AccountProgress): string {
  const { phase, seen, total, differing, settled, waitingUntil } = progress;
  const offers = total === null ? `${seen} offers` : `${seen}/${total} offers`;
  const waits = waitingUntil === null ? '' : `, waits for the rate limit until ${waitingUntil}`;
  return `${phase}, ${offers}, ${differing} differ, ${settled} settled${waits}`;
}

/** Bars on a terminal, else a line per account whenever something has changed. Both on stderr. */
export function createProgressView(output: Output): ProgressView {
  return output.isInteractive ? barView() : lineView(output);
}

function lineView(output: Output): ProgressView {
  const shown = new Map<string, { line: string; at: number }>();
  return {
    show: (progress) => {
      const line = `${progress.accountId}: ${describeProgress(progress)}`;
      const last = shown.get(progress.accountId);
      if (last !== undefined && (last.line === line || Date.now() - last.at < LINE_EVERY_MS)) return;
      shown.set(progress.accountId, { line, at: Date.now() });
      output.note(line);
    },
    say: output.note,
    stop: () => undefined,
  };
}

/** While offers are read, those seen; while they are written, those settled. */
export function barOf({ phase, seen, total, differing, settled }: AccountProgress): { done: number; total: number } {
  const isWriting = phase === 'writing' || phase === 'confirming';
  return isWriting && differing > 0
    ? { done: settled, total: differing }
    : { done: seen, total: total ?? Math.max(seen, 1) };
}

function barView(): ProgressView {
  const bars = new MultiBar({
    format: '{account} [{bar}] {text}',
    barsize: 20,
    hideCursor: true,
    stream: process.stderr,
    clearOnComplete: true,
  });
  const byAccount = new Map<string, SingleBar>();
  return {
    show: (progress) => {
      const { done, total } = barOf(progress);
      const payload = { account: progress.accountId, text: describeProgress(progress) };
      const bar = byAccount.get(progress.accountId) ?? bars.create(total, 0, payload);
      byAccount.set(progress.accountId, bar);
      bar.setTotal(total);
      bar.update(Math.min(done, total), payload);
    },
    say: (line) => bars.log(`${line}\n`),
    stop: () => bars.stop(),
  };
}
