import { expect, test } from 'vitest'
import { EvaluationError } from '../values/value.ts'
import { parseRequestJson } from './request-json.ts'

test('integers that a number cannot hold stay exact, everything else is as JSON.parse reads it', () => {
  expect(
    parseRequestJson('{"a":9007199254740993,"b":[-9007199254740993,9007199254740992,1.5e3],"c":{"d":null}}'),
  ).toEqual({
    a: 9007199254740993n,
    b: [-9007199254740993n, 9007199254740992, 1500],
    c: { d: null },
  })
  for (const text of ['{"a":1,"b":[true,"x",{}],"10":2}', '"a"', '5', 'null', '[]', '{"id":"1234567890123456"}']) {
    expect(parseRequestJson(text)).toEqual(JSON.parse(text))
  }
})

test('of a key that stands twice the last value counts, with long numbers in the text and without', () => {
  expect(parseRequestJson('{"a":1,"a":2}')).toEqual({ a: 2 })
  expect(parseRequestJson('{"a":1,"a":12345678901234567890}')).toEqual({ a: 12345678901234567890n })
})

test('no key reaches the prototype', () => {
  for (const text of ['{"__proto__":{"admin":1}}', '{"__proto__":{"admin":12345678901234567890}}']) {
    const value = parseRequestJson(text)
    expect(Object.getOwnPropertyNames(value)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  }
})

test('what is not JSON is an error that says where', () => {
  expect(() => parseRequestJson('{"a":}')).toThrow(EvaluationError)
  expect(() => parseRequestJson('{"a":12345678901234567890')).toThrow('expected "," or "}" at character 26')
  expect(() => parseRequestJson(`[12345678901234567890${',['.repeat(100_000)}`)).toThrow(EvaluationError)
})
