import { expect, test } from 'vitest'
import { compileSyncConfig } from './compile.ts'
import { describePlan } from './describe-plan.ts'

test('a plan says which streams it has and what it reads which tables for', () => {
  const result = compileSyncConfig(`
config:
  edition: 3
streams:
  mine:
    auto_subscribe: true
    priority: 1
    query: SELECT id, name FROM lists WHERE id IN (SELECT list FROM members WHERE member = auth.user_id())
`)
  if (result.kind === 'refused') throw new Error('refused')
  const { streams, dataTables, lookupTables, outputs } = describePlan(result.plan)
  expect(streams).toEqual([{ name: 'mine', isDefault: true, priority: 1 }])
  expect(dataTables.map(({ name }) => name)).toEqual(['lists'])
  expect(lookupTables.map(({ name }) => name)).toEqual(['members'])
  expect(outputs).toEqual(['lists'])
})
