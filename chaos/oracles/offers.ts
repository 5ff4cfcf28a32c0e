import { judgeOffers, type JudgedAccount } from '../../src/local/oracle.js';
import type { Evidence } from '../evidence.js';
import type { OracleVerdict } from './verdict.js';

/** Every offer holds what it should, and what was booked is what is true. */
export function judgeEndState(evidence: Evidence, accounts: readonly JudgedAccount[]): OracleVerdict[] {
  const { before, after, stockCsv } = evidence;
  const verdict = judgeOffers({ before, after, stockCsv, accounts, toldAsFailed: [] });
  return [
    {
      name: 'every offer holds what it should',
      looked: `${verdict.checked} offers`,
      findings: verdict.wrong.map(({ offerId, sku, why }) => `offer ${offerId} (${sku ?? 'no SKU'}): ${why}`),
    },
  ];
}

const KINDS = ['end', 'lower', 'reactivate', 'raise'];

/** Without all four there would be nothing to hold against the oracles. */
export function judgeVariety({ changes }: Evidence): OracleVerdict {
  const confirmed = KINDS.map((kind) => ({
    kind,
    count: changes.filter((change) => change.kind === kind && change.state === 'confirmed').length,
  }));
  return {
    name: 'all kinds of change occurred',
    looked: confirmed.map(({ kind, count }) => `${kind} ${count}`).join(', '),
    findings: confirmed.filter(({ count }) => count === 0).map(({ kind }) => `no change of kind "${kind}"`),
  };
}
