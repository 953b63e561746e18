import { expect, test } from 'vitest'
import { toLsn } from '../postgres/lsn.ts'
import { mayShow } from './checkpoint-rule.ts'

const rule = { openCopies: 0, notBefore: toLsn(10n), lastShown: toLsn(5n) }

test('nothing is shown while a first copy runs', () => {
  expect(mayShow({ ...rule, openCopies: 1 }, toLsn(20n))).toBe(false)
})

test('nothing is shown from before the place where the last copy ended', () => {
  expect(mayShow(rule, toLsn(9n))).toBe(false)
  expect(mayShow(rule, toLsn(10n))).toBe(true)
})

test('nothing older is shown than what clients have seen', () => {
  expect(mayShow({ ...rule, lastShown: toLsn(30n) }, toLsn(20n))).toBe(false)
})
