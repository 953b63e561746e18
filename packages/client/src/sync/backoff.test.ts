import { expect, test } from 'vitest'
import { backoffMs } from './backoff.ts'

test('[protocol 102] pauses double from the first, up to a minute', () => {
  const pauses = [1, 2, 3, 4, 5, 100].map((failures) => backoffMs(failures, 5000, 0.5))
  expect(pauses.map(Math.round)).toEqual([5000, 10_000, 20_000, 40_000, 60_000, 60_000])
})

test('[protocol 102] pauses are spread by a tenth either way', () => {
  expect(backoffMs(1, 1000, 0)).toBeCloseTo(900)
  expect(backoffMs(1, 1000, 1)).toBeCloseTo(1100)
})

test('an app that asks for more than a minute gets it', () => {
  expect(backoffMs(3, 120_000, 0.5)).toBe(120_000)
})
