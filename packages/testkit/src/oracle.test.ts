import { expect, test } from 'vitest'
import { compareRows, formatDifference, indexRows } from './oracle.ts'

test('equal rows have no difference, whatever their order', () => {
  const expected = indexRows('t', [
    ['a', 1, null],
    ['b', 2.5, 'x'],
  ])
  const actual = indexRows('t', [
    ['b', 2.5, 'x'],
    ['a', 1, null],
  ])

  expect(compareRows('t', expected, actual)).toEqual([])
})

test('missing, extra and different rows are told apart', () => {
  const expected = indexRows('t', [
    ['a', 1],
    ['b', 2],
  ])
  const actual = indexRows('t', [
    ['b', 3],
    ['c', 4],
  ])

  expect(compareRows('t', expected, actual).map(formatDifference)).toEqual([
    't a is missing; Postgres has "a" | 1',
    't b differs:\n    Postgres "b" | 2\n    device   "b" | 3',
    't c should not be there: "c" | 4',
  ])
})

test('a number, its text and a bigint are three different values', () => {
  const one = indexRows('t', [['a', 1]])

  expect(compareRows('t', one, indexRows('t', [['a', '1']]))).toHaveLength(1)
  expect(compareRows('t', one, indexRows('t', [['a', 1n]]))).toHaveLength(1)
})

test('two rows with one id are refused', () => {
  expect(() => indexRows('t', [['a'], ['a']])).toThrow('two rows')
})
