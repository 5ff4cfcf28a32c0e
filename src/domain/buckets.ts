/** Every offer seen lands in exactly one of these; they add up to the offers seen. */
export const BUCKETS = [
  'skipped',
  'in_sync',
  'held',
  'would_end',
  'would_lower',
  'would_reactivate',
  'would_raise',
  'ended',
  'lowered',
  'reactivated',
  'raised',
  'failed',
  'pending',
] as const;
export type Bucket = (typeof BUCKETS)[number];
export type BucketCounts = Readonly<Record<Bucket, number>>;

export const CHANGE_STATES = [
  'planned',
  'sending',
  'confirmed',
  'rejected',
  'unknown',
  'superseded',
  'held',
  'in_sync',
] as const;
export type ChangeState = (typeof CHANGE_STATES)[number];

const DONE = { end: 'ended', lower: 'lowered', reactivate: 'reactivated', raise: 'raised' } as const;
const WOULD = { end: 'would_end', lower: 'would_lower', reactivate: 'would_reactivate', raise: 'would_raise' } as const;

/** The bucket of a differing offer at the end of its run. A change that was never sent is `pending`: the next run has it. */
export function bucketOfChange(change: {
  readonly kind: keyof typeof DONE;
  readonly state: ChangeState;
  readonly isPreview: boolean;
}): Bucket {
  switch (change.state) {
    case 'planned':
      return change.isPreview ? WOULD[change.kind] : 'pending';
    case 'confirmed':
      return DONE[change.kind];
    case 'rejected':
      return 'failed';
    case 'held':
      return 'held';
    case 'in_sync':
      return 'in_sync';
    case 'sending':
    case 'unknown':
    case 'superseded':
      return 'pending';
  }
}

export function noCounts(): Record<Bucket, number> {
  return {
    skipped: 0,
    in_sync: 0,
    held: 0,
    would_end: 0,
    would_lower: 0,
    would_reactivate: 0,
    would_raise: 0,
    ended: 0,
    lowered: 0,
    reactivated: 0,
    raised: 0,
    failed: 0,
    pending: 0,
  };
}
