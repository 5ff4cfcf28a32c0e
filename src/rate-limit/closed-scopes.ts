import type { Quota } from './pace.js';

/** The application's quota first. */
export type Quotas = readonly [Quota, ...Quota[]];

interface Block {
  readonly quota: Quota;
  readonly untilMs: number;
}

/** What this process knows of scopes that cannot be had now, on its monotonic clock. */
export class ClosedScopes {
  /** Asking earlier is pointless. */
  private readonly pausedUntil = new Map<string, number>();
  /** Penalties: nothing is sent earlier. A scope may have several, the last one counts. */
  private readonly blocks = new Set<Block>();

  pause(scope: string, untilMs: number): void {
    this.pausedUntil.set(scope, untilMs);
  }

  resume(scope: string): void {
    this.pausedUntil.delete(scope);
  }

  /** The function returned takes the block back. */
  block(quota: Quota, untilMs: number): () => void {
    const block = { quota, untilMs };
    this.blocks.add(block);
    return () => this.blocks.delete(block);
  }

  isBlocked(quotas: readonly Quota[]): boolean {
    if (this.blocks.size === 0) return false;
    const now = performance.now();
    return quotas.some(({ scope }) => this.blockedUntil(scope) > now);
  }

  blocked(now: number): Block[] {
    return [...this.blocks].filter(({ untilMs }) => untilMs > now);
  }

  /** When it makes sense to ask for these quotas, and which of them says so. 0: now. */
  opensAt(quotas: Quotas): { atMs: number; quota: Quota } {
    let opens = { atMs: 0, quota: quotas[0] };
    if (this.pausedUntil.size + this.blocks.size === 0) return opens;
    for (const quota of quotas) {
      const atMs = Math.max(this.pausedUntil.get(quota.scope) ?? 0, this.blockedUntil(quota.scope));
      if (atMs > opens.atMs) opens = { atMs, quota };
    }
    return opens;
  }

  /** Drops what is over. */
  forget(now: number): void {
    for (const [scope, untilMs] of this.pausedUntil) if (untilMs <= now) this.pausedUntil.delete(scope);
    for (const block of this.blocks) if (block.untilMs <= now) this.blocks.delete(block);
  }

  private blockedUntil(scope: string): number {
    let latestMs = 0;
    for (const { quota, untilMs } of this.blocks) if (quota.scope === scope) latestMs = Math.max(latestMs, untilMs);
    return latestMs;
  }
}
