import { describe, expect, test } from 'vitest'
import type { SqliteValue } from '../types.ts'
import { EvaluationError } from '../values/value.ts'
import { eachElement } from './each-element.ts'
import { functionsOf, type ScalarFunction } from './functions.ts'
import type { FunctionName } from './signatures.ts'

const FIXED = functionOf(true)
const OLDER = functionOf(false)
const J = '{"a":1,"b":{"c":"x"},"d":[1,2],"a.b":"dot","n":null,"t":true,"f":1.0,"s":"str","":"empty","-1":9}'

function functionOf(fixedJsonExtract: boolean): (name: FunctionName) => ScalarFunction {
  return functionsOf({
    times: { iso: true, fractionDigits: 6 },
    customTypes: true,
    fixedJsonExtract,
    engine: 'default',
  })
}

type Extraction = readonly [path: SqliteValue, fixed: SqliteValue, older: SqliteValue]

function testExtractions(name: '->' | '->>' | 'json_extract', json: SqliteValue, cases: readonly Extraction[]): void {
  for (const [path, fixed, older] of cases) {
    test(`${name} at ${String(path)} gives ${String(fixed)}, and ${String(older)} without the fix`, () => {
      expect(FIXED(name)(json, path)).toEqual(fixed)
      expect(OLDER(name)(json, path)).toEqual(older)
    })
  }
}

describe('walking into an object', () => {
  testExtractions('->>', J, [
    ['a', 1n, 1n],
    ['f', 1.0, 1.0],
    ['s', 'str', 'str'],
    ['t', 1n, 1n],
    ['b', '{"c":"x"}', '{"c":"x"}'],
    ['d', '[1,2]', '[1,2]'],
    ['n', null, 'null'],
    ['zz', null, null],
    ['a.b', 'dot', null],
    ['b.c', null, 'x'],
    ['d.1', null, 2n],
    ['', 'empty', 'empty'],
    ['$.b.c', 'x', 'x'],
    ['$.d.1', 2n, 2n],
    ['$.d.2', null, null],
    ['$.d.01', null, null],
    ['$.d.-1', null, null],
    ['$.d.length', null, null],
    ['$.s.length', null, null],
    ['$.s.0', null, null],
    ['$.a.b', null, null],
    ['$.', 'empty', 'empty'],
    ['$.d[1]', null, null],
    ['$."a.b"', null, null],
    ['$x.a', 1n, 1n],
    ['$.__proto__', null, null],
    ['constructor', null, null],
    [-1n, 9n, 9n],
    [null, null, null],
  ])
  testExtractions('->', J, [
    ['a', '1', '1'],
    ['f', '1.0', '1.0'],
    ['s', '"str"', '"str"'],
    ['t', 'true', 'true'],
    ['b', '{"c":"x"}', '{"c":"x"}'],
    ['n', 'null', null],
    ['zz', null, null],
    ['a.b', '"dot"', null],
    ['b.c', null, '"x"'],
    ['$.b', '{"c":"x"}', '{"c":"x"}'],
  ])
  testExtractions('json_extract', J, [
    ['$.d.1', 2n, 2n],
    ['$.d[1]', null, null],
    ['$.n', null, 'null'],
    ['$.a.b', null, null],
    [null, null, null],
  ])
})

describe('walking into other values', () => {
  testExtractions('->>', '[{"a":1.50},"x",[],12345678901234567890]', [
    [0n, '{"a":1.5}', '{"a":1.5}'],
    [1n, 'x', 'x'],
    [3n, 12345678901234567890n, 12345678901234567890n],
    ['1', 'x', 'x'],
    [-1n, null, null],
    ['$.0.a', 1.5, 1.5],
    ['$', '[{"a":1.5},"x",[],12345678901234567890]', '[{"a":1.5},"x",[],12345678901234567890]'],
    ['length', null, null],
  ])
  testExtractions('->>', 'null', [
    ['$', null, 'null'],
    ['a', null, null],
  ])
  testExtractions('->', 'null', [['$', 'null', null]])
  testExtractions('->>', 5n, [['$', 5n, 5n]])
  testExtractions('->>', 1.0, [['$', 1n, 1n]])
  testExtractions('->>', new TextEncoder().encode('{"a":"é"}'), [['a', 'é', 'é']])
  testExtractions('->>', null, [['a', null, null]])
})

describe('errors', () => {
  test('of text that is not JSON, whatever is looked for', () => {
    for (const name of ['->', '->>', 'json_extract', 'json_array_length', 'json_keys'] as const) {
      expect(() => FIXED(name)('{bad', '$.a')).toThrow(EvaluationError)
      expect(() => FIXED(name)('', '$.a')).toThrow(EvaluationError)
    }
  })

  test('of json_extract with a path that does not begin with $', () => {
    for (const path of ['a', '', '.a', ' $.a', 0n]) {
      expect(() => FIXED('json_extract')(J, path)).toThrow('expected a path that starts with "$"')
    }
  })
})

test('different paths and texts in turn do not disturb each other', () => {
  const arrow = FIXED('->>')
  const texts = Array.from({ length: 20 }, (_, index) => `{"a":${index},"b":"${index}"}`)
  for (const _ of [1, 2]) {
    expect(texts.map((text) => arrow(text, 'a'))).toEqual(texts.map((_, index) => BigInt(index)))
    expect(texts.map((text, index) => arrow(text, index % 2 === 0 ? 'b' : '$.b'))).toEqual(
      texts.map((_, i) => String(i)),
    )
  }
})

test.each([
  ['[1,2,3]', undefined, 3n],
  ['[]', undefined, 0n],
  ['{"a":1}', undefined, 0n],
  ['"abc"', undefined, 0n],
  ['{"a":[1,2]}', '$.a', 2n],
  ['{"a":{"b":[1]}}', '$.a.b', 1n],
  ['{"a":"[1,2,3]"}', '$.a', 3n],
  ['{"a":5}', '$.a', 0n],
  ['{"a":1.0}', '$.a', 0n],
  ['{"a":true}', '$.a', 0n],
  ['{"a":null}', '$.a', null],
  ['{}', '$.a', null],
  ['[1]', null, null],
  [null, undefined, null],
  [null, '$', null],
])('the array length of %j at %s is %s', (json, path, length) => {
  const call = FIXED('json_array_length')
  expect(path === undefined ? call(json) : call(json, path)).toBe(length)
})

test('the array length of a text found by path that is no JSON is an error', () => {
  expect(() => FIXED('json_array_length')('{"a":"x"}', '$.a')).toThrow(EvaluationError)
  expect(() => FIXED('json_array_length')('[1]', 'a')).toThrow(EvaluationError)
})

test('keys come in the order of JavaScript objects', () => {
  expect(FIXED('json_keys')('{"b":1,"10":2,"a":{"x":1},"9":4}')).toBe('["9","10","b","a"]')
  expect(FIXED('json_keys')('{"say \\"hi\\"":1}')).toBe(String.raw`["say \"hi\""]`)
  expect(FIXED('json_keys')('{}')).toBe('[]')
  expect(FIXED('json_keys')(null)).toBeNull()
  for (const json of ['[1]', '5', 'null', '"a"', 5n]) {
    expect(() => FIXED('json_keys')(json)).toThrow(EvaluationError)
  }
})

test('json_valid is 1 or 0, for NULL too', () => {
  const valid = FIXED('json_valid')
  expect(['{}', '5', '"a"', ' [1] ', 5n, 1.5].map((json) => valid(json))).toEqual([1n, 1n, 1n, 1n, 1n, 1n])
  expect(['', 'a', '{', "{'a':1}", Number.NaN, null, '['.repeat(5000)].map((json) => valid(json))).toEqual(
    Array.from({ length: 7 }, () => 0n),
  )
})

describe('json_each', () => {
  const each = (json: SqliteValue, fixedJsonExtract = true): readonly (readonly SqliteValue[])[] =>
    eachElement(json, { fixedJsonExtract, engine: 'default' }).map(({ key, value }) => [key, value])

  test('gives the elements of an array with their index', () => {
    expect(each('["a",1,1.5,true,null,{"k":1},[2]]')).toEqual([
      [0n, 'a'],
      [1n, 1],
      [2n, 1.5],
      [3n, 1n],
      [4n, null],
      [5n, '{"k":1.0}'],
      [6n, '[2.0]'],
    ])
  })

  test('gives the members of an object, and a scalar alone', () => {
    expect(each('{"a":1,"b":{"c":null}}')).toEqual([
      ['a', 1],
      ['b', '{"c":null}'],
    ])
    expect(each('"x"')).toEqual([[null, 'x']])
    expect(each('5')).toEqual([[null, 5]])
    expect(each('null')).toEqual([[null, null]])
  })

  test('keeps integers that a real could not hold', () => {
    expect(each('[9007199254740992,9007199254740993,{"n":-9007199254740993}]')).toEqual([
      [0n, 9007199254740992],
      [1n, 9007199254740993n],
      [2n, '{"n":-9007199254740993}'],
    ])
  })

  test('gives JSON null as text without the fix', () => {
    expect(each('[null,{"a":null}]', false)).toEqual([
      [0n, 'null'],
      [1n, '{"a":null}'],
    ])
  })

  test('gives nothing for NULL and empty ones, and takes JSON text only', () => {
    expect([each(null), each('[]'), each('{}')]).toEqual([[], [], []])
    for (const json of ['', '{bad', 5n, 1.5, new TextEncoder().encode('[]')]) {
      expect(() => each(json)).toThrow(EvaluationError)
    }
  })
})
