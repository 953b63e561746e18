import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { toRowKey } from './row-key.ts'

const one = { prefix: '16384:', positions: [1], isWholeRow: false }
const two = { prefix: '16384:', positions: [0, 2], isWholeRow: false }
const whole = { prefix: '16384:', positions: [0, 1, 2], isWholeRow: true }

test('a key of one column is its text behind the oid of the table', () => {
  expect(toRowKey(one, [null, 'a-b', 'x'])).toBe('16384:a-b')
})

test('a row that does not carry its key has none', () => {
  expect(toRowKey(one, ['x', undefined, 'x'])).toBeUndefined()
  expect(toRowKey(two, ['x', undefined, undefined])).toBeUndefined()
})

test('rows have equal keys exactly when their identities are equal', () => {
  const value = fc.oneof(fc.constant(null), fc.string(), fc.constantFrom('-', '1:a', '#', '', '\u0000'))
  fc.assert(
    fc.property(fc.tuple(value, value, value), fc.tuple(value, value, value), (a, b) => {
      const isEqual = JSON.stringify(a) === JSON.stringify(b)
      expect(toRowKey(whole, a) === toRowKey(whole, b)).toBe(isEqual)
    }),
  )
})

test('a long identity is a short key, and no text can pass for its hash', () => {
  const long = toRowKey(one, [null, 'x'.repeat(100_000)])
  expect(long?.length).toBeLessThan(60)
  expect(toRowKey(one, [null, long?.slice('16384:'.length)])).not.toBe(long)
})
