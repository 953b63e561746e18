import { describe, expect, test } from 'vitest'
import { compareValues, isTrue, realToJson, valueToKey, valueToText } from './value.ts'

test.each([
  [314, '314.0'],
  [-0.5, '-0.5'],
  [1e21, '1e+21'],
  [1.5e-7, '1.5e-7'],
  [-0, '0.0'],
  [Number.NaN, 'null'],
  [Infinity, 'null'],
])('the real %d is written %s', (value, json) => {
  expect(realToJson(value)).toBe(json)
})

test.each([
  [1n, '1'],
  [1, '1'],
  [-0, '0'],
  [1.5, '1.5'],
  [1e21, '1000000000000000000000'],
  ['1', '"1"'],
  ['a"b', '"a\\"b"'],
  [null, undefined],
  [Number.NaN, undefined],
  [new Uint8Array(), undefined],
])('%o as part of a key is %j', (value, key) => {
  expect(valueToKey(value)).toBe(key)
})

test.each([
  [2, '2'],
  [2.5, '2.5'],
  [1n, '1'],
  ['x', 'x'],
  [null, ''],
  [new TextEncoder().encode('\ufeffé'), '\ufeffé'],
  [Uint8Array.of(0x61, 0xff), 'a\ufffd'],
])('%o as text is %j', (value, text) => {
  expect(valueToText(value)).toBe(text)
})

test.each([
  [null, false],
  [0n, false],
  [2n, true],
  [0, false],
  [0.5, true],
  ['1', true],
  ['2x', true],
  [' 3', true],
  ['-1', true],
  ['0.5', false],
  ['abc', false],
  ['', false],
  ['000', false],
  [new Uint8Array([1]), false],
])('%o counts as %s', (value, truth) => {
  expect(isTrue(value)).toBe(truth)
})

describe('comparing', () => {
  test.each([
    [1n, 1, 0],
    [9007199254740993n, 9007199254740992, 1],
    [10n, '9', -1],
    ['a', 'B', 1],
    [1, '1', -1],
    [Number.NaN, Number.NaN, 0],
    [Number.NaN, 1e300, 1],
    [1n, Number.NaN, -1],
    ['a', new Uint8Array(), -1],
  ])('%o and %o gives %d', (a, b, order) => {
    expect(Math.sign(compareValues(a, b) ?? 9)).toBe(order)
  })

  test('NULL with anything is NULL, and two blobs cannot be compared', () => {
    expect(compareValues(null, null)).toBeUndefined()
    expect(compareValues(1n, null)).toBeUndefined()
    expect(() => compareValues(new Uint8Array(), new Uint8Array())).toThrow(/binary/)
  })
})
