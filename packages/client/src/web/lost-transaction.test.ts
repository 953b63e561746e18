import { expect, test } from 'vitest'
import { fateOfStatement } from './lost-transaction.ts'

test('statements run as long as no transaction was lost', () => {
  for (const sql of ['SELECT 1', 'ROLLBACK', 'COMMIT', 'BEGIN']) expect(fateOfStatement(false, sql)).toBe('run')
})

test('after a loss the rest of the transaction is refused, its commit above all', () => {
  for (const sql of ['INSERT INTO t VALUES (1)', 'SELECT 1', 'COMMIT', 'ROLLBACK TO inner']) {
    expect(fateOfStatement(true, sql)).toBe('refuse')
  }
})

test('rolling back a lost transaction has already happened, and a new one may begin', () => {
  expect(fateOfStatement(true, ' rollback')).toBe('already-rolled-back')
  expect(fateOfStatement(true, 'BEGIN IMMEDIATE')).toBe('run')
})
