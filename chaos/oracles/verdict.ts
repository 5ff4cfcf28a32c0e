/** What one oracle says. */
export interface OracleVerdict {
  readonly name: string;
  /** What was looked at: "812 offers". */
  readonly looked: string;
  /** Empty: it holds. */
  readonly findings: readonly string[];
}
