import { expect, test } from 'vitest'

import { excerptLog, remedyFor } from './log-excerpt.ts'

const FULL = `2026-01-01 10:00:00.000 UTC [7] LOG:  starting PostgreSQL 18.0
2026-01-01 10:00:00.001 UTC [7] FATAL:  could not write lock file "postmaster.pid": No space left on device
2026-01-01 10:00:00.002 UTC [7] LOG:  database system is shut down
`

test('of a log the lines that say what failed are shown', () => {
  expect(excerptLog(FULL)).toBe(FULL.split('\n')[1])
  expect(excerptLog('one\ntwo\n')).toBe('one\ntwo')
})

test('a full disk has a remedy', () => {
  expect(remedyFor(FULL)).toContain('free some space')
  expect(remedyFor('FATAL: something else')).toBe('')
})
