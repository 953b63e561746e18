/** The longest pause between attempts. */
export const RETRY_DELAY_MAX_MS = 60_000

/** Pause before the next attempt after `failures` in a row: doubling, and spread by ±10 % so that devices do not march in step. */
export function backoffMs(failures: number, retryDelayMs: number, random: number): number {
  const doubled = retryDelayMs * 2 ** Math.min(Math.max(0, failures - 1), 30)
  return Math.min(doubled, Math.max(RETRY_DELAY_MAX_MS, retryDelayMs)) * (0.9 + 0.2 * random)
}
