import { expect, test } from 'vitest'
import { RequestRates } from './request-rates.ts'

test('a user may send twenty seconds’ worth at once, and then as many a second as are allowed', () => {
  let nowMs = 0
  const rates = new RequestRates(5, () => nowMs)
  for (let request = 0; request < 100; request++) expect(rates.spend('ann')).toBe(true)
  expect(rates.spend('ann')).toBe(false)
  expect(rates.spend('bob')).toBe(true)
  nowMs += 200
  expect([rates.spend('ann'), rates.spend('ann')]).toEqual([true, false])
})

test('a request that costs more than is left is answered, and paid for by those that follow', () => {
  let nowMs = 0
  const rates = new RequestRates(1, () => nowMs)
  expect(rates.spend('ann', 100)).toBe(true)
  nowMs += 79_000
  expect(rates.spend('ann')).toBe(false)
  nowMs += 2_000
  expect(rates.spend('ann')).toBe(true)
})
