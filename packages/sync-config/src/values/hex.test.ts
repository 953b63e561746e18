import { expect, test } from 'vitest'
import { decodeHex } from './hex.ts'
import { EvaluationError } from './value.ts'

test('two digits are a byte, in either case', () => {
  expect(decodeHex('')).toEqual(new Uint8Array())
  expect(decodeHex('00fFA0')).toEqual(Uint8Array.of(0, 255, 160))
  expect(decodeHex('\\x0a', 2)).toEqual(Uint8Array.of(10))
})

test.each(['0', '0g', 'g0', ' 0', '0x', '00:', '\u013100', 'é0'])('%j is refused', (text) => {
  expect(() => decodeHex(text)).toThrow(EvaluationError)
})

test('ten million digits are read at once', () => {
  expect(decodeHex('ab'.repeat(5_000_000)).length).toBe(5_000_000)
})
