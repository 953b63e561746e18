import { expect, test } from 'vitest'
import { LSN_ZERO } from './lsn.ts'
import type { SlotState } from './slot.ts'
import { type BudgetLevel, budgetUsed, levelOf } from './slot-budget.ts'

test.each<[what: string, slot: Partial<SlotState>, used: number | undefined]>([
  ['nothing', { budgetBytes: 100, safeBytes: 100 }, 0],
  ['nothing, as Postgres counts whole segments,', { budgetBytes: 100, safeBytes: 116 }, 0],
  ['a part', { budgetBytes: 100, safeBytes: 25 }, 0.75],
  ['everything', { budgetBytes: 100, safeBytes: -5 }, 1],
  ['everything of a budget of nothing', { budgetBytes: 0, safeBytes: 0 }, 1],
  ['an unknown part, without a limit,', { budgetBytes: undefined, safeBytes: undefined }, undefined],
  ['an unknown part, when lost,', { budgetBytes: 100, safeBytes: undefined }, undefined],
])('%s of the budget of a slot is used', (_what, slot, used) => {
  expect(budgetUsed({ ...SLOT, ...slot })).toBe(used)
})

test('a level is reached at 50 % and 80 %, and left 10 % below', () => {
  const levels: BudgetLevel[] = []
  let level: BudgetLevel = 'ample'
  for (const used of [0, 0.49, 0.5, 0.45, 0.79, 0.8, 0.71, 0.69, 0.39, 0.9, 0.3, undefined]) {
    level = levelOf(used, level)
    levels.push(level)
  }
  expect(levels).toEqual([
    'ample',
    'ample',
    'half',
    'half',
    'half',
    'most',
    'most',
    'half',
    'ample',
    'most',
    'ample',
    'ample',
  ])
})

const SLOT: SlotState = {
  plugin: 'pgoutput',
  database: 'app',
  activePid: undefined,
  confirmed: LSN_ZERO,
  walStatus: 'reserved',
  budgetBytes: undefined,
  safeBytes: undefined,
  retainedBytes: 0,
  lagBytes: 0,
}
