import { expect, test } from 'vitest'
import { FIRST_PACE, isBusy, stepReadPace } from './read-pace.ts'

function paceAfter(gapsMs: readonly number[]): boolean {
  let nowMs = 1_000
  let pace = stepReadPace(FIRST_PACE, nowMs)
  for (const gapMs of gapsMs) {
    nowMs += gapMs
    pace = stepReadPace(pace, nowMs)
  }
  return isBusy(pace)
}

test('reads far apart never wait', () => {
  expect(paceAfter([5, 5, 5, 5, 5, 5, 5])).toBe(false)
})

test('one transaction that comes in a few packets does not make the next one wait', () => {
  expect(paceAfter([0.1, 0.1])).toBe(false)
})

test('reads close together become fewer, and stay so while the server is busy', () => {
  expect(paceAfter([0.2, 0.2, 0.2, 0.2])).toBe(true)
  expect(paceAfter([0.2, 0.2, 0.2, 0.2, 1.6, 1.7, 1.5])).toBe(true)
  expect(paceAfter([0.2, 0.2, 0.2, 0.2, 1.6, 50])).toBe(false)
})
