import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { SlotState } from '../postgres/slot.ts'
import { type BudgetLevel, budgetUsed, levelOf } from '../postgres/slot-budget.ts'

export type SlotWatchParts = {
  readonly slot: string
  readonly log: Pick<Log, 'info' | 'warn'>
  readonly metrics: Pick<Metrics, 'set'>
}

/**
 * Warns before Postgres drops a slot that keeps too much log: then everything would have to be copied again. Takes what
 * was seen of the slot, if it exists.
 */
export function createSlotWatch({ slot, log, metrics }: SlotWatchParts): (state: SlotState | undefined) => void {
  let level: BudgetLevel = 'ample'
  return (state) => {
    if (state === undefined) return
    const used = budgetUsed(state)
    metrics.set('headwater_slot_retained_bytes', state.retainedBytes, { slot })
    metrics.set('headwater_slot_budget_left_bytes', used === undefined ? Infinity : (state.safeBytes ?? 0), { slot })
    const before = level
    level = levelOf(used, before)
    if (level === before) return
    const fields = {
      slot,
      usedPercent: used === undefined ? undefined : Math.round(used * 100),
      leftBytes: state.safeBytes,
      retainedBytes: state.retainedBytes,
      walStatus: state.walStatus,
    }
    if (before === 'most' || level === 'ample') log.info('slot-budget-regained', fields)
    else log.warn('slot-budget-low', fields)
  }
}
