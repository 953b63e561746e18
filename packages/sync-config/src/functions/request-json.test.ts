import { type Random, readSeed, seededRandom } from '@headwater/testkit'
import { expect, test } from 'vitest'
import { EvaluationError } from '../values/value.ts'
import { isArray, type Json, parseJson } from './json.ts'
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

test('is read as by the exact reader, whatever numbers it has and whatever its strings look like', () => {
  const seed = readSeed(process.env)
  const random = seededRandom(seed)
  for (let round = 0; round < 3_000; round++) {
    const text = randomJson(random, 4)
    const exact = toPlain(parseJson(text, { numbers: 'real', repeatedKeys: 'last' }))
    expect(parseRequestJson(text), `seed ${seed}: ${text}`).toEqual(exact)
  }
})

test('may have very long strings full of digits', () => {
  const name = 'a[1234567890123456,"\\'.repeat(500_000)
  expect(parseRequestJson(JSON.stringify({ name, near: 0.1234567890123456 }))).toEqual({
    name,
    near: 0.1234567890123456,
  })
})

test('has at most a thousand levels, with long numbers in the text and without', () => {
  const nested = (levels: number, inner: string): string => '['.repeat(levels) + inner + ']'.repeat(levels)
  for (const inner of ['', '1', '{}', '1234567890123456789']) {
    const levels = 1_000 - (inner === '{}' ? 1 : 0)
    expect(Array.isArray(parseRequestJson(nested(levels, inner)))).toBe(true)
    for (const tooMany of [levels + 1, 5_000, 1_000_000]) {
      expect(() => parseRequestJson(nested(tooMany, inner))).toThrow(
        'Cannot read JSON: expected at most 1000 levels of arrays and objects',
      )
    }
  }
})

function toPlain(json: Json): unknown {
  if (typeof json !== 'object' || json === null) return json
  if (isArray(json)) return json.map(toPlain)
  return Object.fromEntries(Array.from(json, ([key, value]) => [key, toPlain(value)]))
}

function randomJson(random: Random, levels: number): string {
  const space = (): string => random.pick(['', '', '', ' ', '\n', '\t '])
  const some = (make: () => string): string => Array.from({ length: random.integer(4) }, make).join(',')
  const value = (): string => space() + randomJson(random, levels - 1) + space()
  const key = (): string => space() + (random.chance(0.5) ? '"a"' : randomString(random)) + space()
  switch (random.integer(levels > 0 ? 6 : 3)) {
    case 0:
      return random.pick(['true', 'null', 'false', '0', '-0'])
    case 1:
      return randomString(random)
    case 2:
    case 3:
      return randomNumber(random)
    case 4:
      return `[${some(value) || space()}]`
    default:
      return `{${some(() => `${key()}:${value()}`) || space()}}`
  }
}

function randomNumber(random: Random): string {
  const digits = (length: number): string => Array.from({ length }, () => random.between(1, 9)).join('')
  const sign = random.pick(['', '-'])
  const fraction = random.chance(0.3) ? `.${digits(random.between(1, 20))}` : ''
  const exponent = random.chance(0.2) ? `${random.pick(['e', 'E+', 'e-'])}${random.integer(20)}` : ''
  return sign + digits(random.between(1, 22)) + fraction + exponent
}

function randomString(random: Random): string {
  const long = random.pick(['', '1234567890123456', ':1234567890123456', '[12345678901234567,', '"', '\\', '\\"'])
  return JSON.stringify(random.text(random.integer(4)) + long + random.text(random.integer(3)))
}
