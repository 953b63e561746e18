import { expect, test } from 'vitest'
import { createWriteLog, type LedgerView } from './write-log.ts'

test('a write that the source made once is no fault', () => {
  const log = createWriteLog()
  log.note({ writeId: 'a', kind: 'journal' })

  expect(log.findFaults(ledger({ a: 1 }))).toEqual([])
})

test('a lost write and a doubled one are found', () => {
  const log = createWriteLog()
  log.note({ writeId: 'a', kind: 'journal' })
  log.note({ writeId: 'b', kind: 'add todo' })

  expect(log.findFaults(ledger({ b: 2 }))).toEqual(['journal a was lost', 'add todo b was made 2 times'])
})

test('a refused write must not have been made', () => {
  const log = createWriteLog()
  log.note({ writeId: 'a', kind: 'add todo' })
  log.note({ writeId: 'b', kind: 'add todo' })
  log.reject('a', 'not yours')
  log.reject('b', 'not yours')

  expect(log.findFaults(ledger({ b: 1 }))).toEqual(['add todo b was made although it was refused: not yours'])
})

test('a change may come to nothing only when its row is gone', () => {
  const log = createWriteLog()
  log.note({ writeId: 'a', kind: 'change todo', id: 'gone' })
  log.note({ writeId: 'b', kind: 'change todo', id: 'here' })

  expect(log.findFaults(ledger({}, ['here']))).toEqual(['change todo b was lost'])
})

function ledger(times: Record<string, number>, todoIds: readonly string[] = []): LedgerView {
  return { times: new Map(Object.entries(times)), todoIds: new Set(todoIds) }
}
