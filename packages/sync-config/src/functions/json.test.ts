import { describe, expect, test } from 'vitest'
import { EvaluationError } from '../values/value.ts'
import { JSON_DEPTH_MAX, type JsonReading, parseJson, writeJson } from './json.ts'

function rewrite(text: string, reading?: JsonReading): string {
  return writeJson(parseJson(text, reading))
}

test.each([
  ['{"a": 1.50, "b": [1e2, 1.0, -0, 12345678901234567890]}', '{"a":1.5,"b":[100.0,1.0,0,12345678901234567890]}'],
  [' [ ] ', '[]'],
  ['{ }', '{}'],
  ['\t\r\n"x" ', '"x"'],
  ['[true,false,null]', '[true,false,null]'],
  ['-0.0', '0.0'],
  ['1e400', 'null'],
  ['1E-2', '0.01'],
  [String.raw`"\u0041\/\n\ud83d\ude00\ud800\"\\"`, String.raw`"A/\n😀\ud800\"\\"`],
  ['"\u007f\u2028é"', '"\u007f\u2028é"'],
  ['{"b":1,"10":2,"a":3,"9":4,"01":5}', '{"9":4,"10":2,"b":1,"a":3,"01":5}'],
  ['{"__proto__":1,"length":2}', '{"__proto__":1,"length":2}'],
])('%s is written %s', (text, written) => {
  expect(rewrite(text)).toBe(written)
})

test.each([
  ['1', '1.0'],
  ['9007199254740992', '9007199254740992.0'],
  ['9007199254740993', '9007199254740993'],
  ['-9007199254740993', '-9007199254740993'],
  ['[{"k": 1}]', '[{"k":1.0}]'],
])('with numbers as reals %s is written %s', (text, written) => {
  expect(rewrite(text, { numbers: 'real', repeatedKeys: 'same' })).toBe(written)
})

describe('refused as JSON', () => {
  test.each([
    '',
    ' ',
    'a',
    'nul',
    'nullx',
    'True',
    "'a'",
    '"a',
    '"a\\',
    '"a\\x"',
    '"\\u12g4"',
    '"a\nb"',
    '"\u0000"',
    '01',
    '-',
    '+1',
    '.5',
    '5.',
    '1e',
    '1e+',
    '0x10',
    'NaN',
    'Infinity',
    '[1,]',
    '[1 2]',
    '[,1]',
    '[',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{a:1}',
    '{"a":1 "b":2}',
    '1 2',
    '\u00a01',
    '\ufeff1',
    '// c\n1',
  ])('%j', (text) => {
    expect(() => parseJson(text)).toThrow(EvaluationError)
  })

  test('a message says what was expected, and where', () => {
    expect(() => parseJson('{"a": 1,}')).toThrow('Cannot read JSON: expected a key in double quotes at character 9')
  })

  test('a key that stands twice, unless its value is the same', () => {
    expect(rewrite('{"a":1,"b":2,"a":1}')).toBe('{"a":1,"b":2}')
    expect(rewrite('{"a":{"x":[1],"y":2},"a":{"y":2,"x":[1]}}')).toBe('{"a":{"x":[1],"y":2}}')
    expect(rewrite('{"a":null,"a":null}')).toBe('{"a":null}')
    for (const pair of [
      ['1', '2'],
      ['1', '1.0'],
      ['1', '"1"'],
      ['null', '0'],
      ['[1]', '[1,2]'],
      ['{}', '[]'],
      ['{"x":1}', '{"y":1}'],
    ]) {
      expect(() => parseJson(`{"a":${pair[0]},"a":${pair[1]}}`)).toThrow('a key that stands twice')
    }
  })
})

test('JSON may be nested as deep as SQLite reads it, and no deeper', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
  expect(rewrite(nested(JSON_DEPTH_MAX))).toBe(nested(JSON_DEPTH_MAX))
  expect(() => parseJson(nested(JSON_DEPTH_MAX + 1))).toThrow(EvaluationError)
  expect(() => parseJson('['.repeat(1_000_000))).toThrow(EvaluationError)
  expect(() => parseJson('{"a":'.repeat(1_000_000))).toThrow(EvaluationError)
})

test('an integer of absurd length is an error', () => {
  expect(rewrite('9'.repeat(1000))).toBe('9'.repeat(1000))
  expect(() => parseJson('9'.repeat(20_000))).toThrow('digits')
})
