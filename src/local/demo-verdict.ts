import type { SimulatorReport } from '../../simulator/report.js';
import type { Colors } from '../cli/output.js';
import type { SentMessage } from './telegram-stand-in.js';
import type { Verdict } from './oracle.js';

/** A message as its reader sees it: without Telegram's tags. */
export function readAlert({ html }: SentMessage): string {
  return html
    .replace(/<[^>]+>/g, '')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}

export function frameText(text: string): string {
  return text
    .split('\n')
    .map((line) => `  │ ${line}`.trimEnd())
    .join('\n');
}

const MOST_SHOWN = 20;

/** What the oracle and the simulator's own judgement say, as lines. */
export function describeVerdict(verdict: Verdict, report: SimulatorReport, colors: Colors): string[] {
  const { checked, toChange, toTell, wrong } = verdict;
  const isWell = isFlawless(verdict, report);
  const mark = isWell ? colors.green('✔') : colors.red('✘');
  return [
    `${mark} Oracle: ${checked} offers checked; ${toChange} had to change, ${toTell} could not and were told; ${wrong.length} wrong`,
    ...wrong.slice(0, MOST_SHOWN).map(({ offerId, sku, why }) => `    offer ${offerId} (${sku ?? 'no SKU'}): ${why}`),
    ...(wrong.length > MOST_SHOWN ? [`    … and ${wrong.length - MOST_SHOWN} more`] : []),
    `${mark} Simulator: ${report.requests} requests, ${report.harmfulWrites.total} harmful writes, ${report.redundantWrites.count} redundant ones`,
    ...report.harmfulWrites.samples
      .slice(0, MOST_SHOWN)
      .map(({ offerId, route, kinds }) => `    ${route} offer ${offerId}: ${kinds.join(', ')}`),
  ];
}

export function isFlawless(verdict: Verdict, report: SimulatorReport): boolean {
  return verdict.wrong.length === 0 && report.harmfulWrites.total === 0;
}
