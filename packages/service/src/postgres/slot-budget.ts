import type { SlotState } from './slot.ts'

/** How much of the log that it may keep a slot keeps already: `half` from 50 %, `most` from 80 %. */
export type BudgetLevel = 'ample' | 'half' | 'most'

const HALF = 0.5
const MOST = 0.8

/** So much must come back before a level counts as left, so that one that swings is told once. */
const HYSTERESIS = 0.1

/** 0 … 1; undefined when Postgres keeps log for the slot without a limit, and when the slot is lost. */
export function budgetUsed({ budgetBytes, safeBytes }: SlotState): number | undefined {
  if (budgetBytes === undefined || safeBytes === undefined) return undefined
  return budgetBytes === 0 ? 1 : Math.min(Math.max(1 - safeBytes / budgetBytes, 0), 1)
}

/** The level of `used`, after `before`. */
export function levelOf(used: number | undefined, before: BudgetLevel): BudgetLevel {
  if (used === undefined) return 'ample'
  const isAbove = (limit: number, levels: readonly BudgetLevel[]): boolean =>
    used >= (levels.includes(before) ? limit - HYSTERESIS : limit)
  if (isAbove(MOST, ['most'])) return 'most'
  return isAbove(HALF, ['half', 'most']) ? 'half' : 'ample'
}
