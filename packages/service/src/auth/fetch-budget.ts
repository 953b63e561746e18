/** Fetches that may follow one another before the pause is a whole minute. */
const BURST = 10
const REFILL_MS = 60_000

/** How often a key set may be fetched. Begins with `FETCH_BUDGET_FULL`. */
export type FetchBudget = { readonly left: number; readonly countedAtMs: number; readonly lastFetchAtMs: number }

export const FETCH_BUDGET_FULL: FetchBudget = {
  left: BURST,
  countedAtMs: Number.NEGATIVE_INFINITY,
  lastFetchAtMs: Number.NEGATIVE_INFINITY,
}

/**
 * The budget after one more fetch, or undefined when it is too early for one. Anybody can send tokens with unknown key
 * ids, so the pause between two fetches grows with their number: 0.6 s after the first, 15 s after the fifth.
 */
export function spendFetch(budget: FetchBudget, nowMs: number): FetchBudget | undefined {
  const left = Math.min(BURST, budget.left + (nowMs - budget.countedAtMs) / REFILL_MS)
  const pauseMs = ((BURST - left) ** 2 / 100) * 60_000
  if (left < 1 || nowMs < budget.lastFetchAtMs + pauseMs) return undefined
  return { left: left - 1, countedAtMs: nowMs, lastFetchAtMs: nowMs }
}
