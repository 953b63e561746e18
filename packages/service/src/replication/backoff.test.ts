import { expect, test } from 'vitest'
import { backoffMs } from './backoff.ts'

test('the wait doubles, up to half a minute, and is never twice the same for all', () => {
  expect([1, 2, 3, 20].map((attempt) => backoffMs(attempt, 'source-unreachable', 1))).toEqual([250, 500, 1_000, 30_000])
  expect(backoffMs(1, 'source-unreachable', 0)).toBe(125)
})

test('a wrong password is not tried again soon, for hosts ban those who guess', () => {
  expect(backoffMs(1, 'source-auth-failed', 0)).toBe(60_000)
})
