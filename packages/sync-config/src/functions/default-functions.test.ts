import { describe, expect, test } from 'vitest'
import type { SqliteValue } from '../types.ts'
import { EvaluationError } from '../values/value.ts'
import { functionsOf } from './functions.ts'
import type { FunctionName } from './signatures.ts'

const call = functionsOf({
  times: { iso: true, fractionDigits: 6 },
  customTypes: true,
  fixedJsonExtract: true,
  engine: 'default',
})

type Case = readonly [name: FunctionName, args: readonly SqliteValue[], result: SqliteValue]

function testCases(cases: readonly Case[]): void {
  for (const [name, args, result] of cases) {
    test(`${name} of (${args.map(show).join(', ')}) is ${show(result)}`, () => {
      expect(call(name)(...args)).toEqual(result)
    })
  }
}

function show(value: SqliteValue): string {
  if (value instanceof Uint8Array) return `x'${value.toString()}'`
  return typeof value === 'number' ? `real ${value}` : typeof value === 'string' ? JSON.stringify(value) : String(value)
}

const blob = (...bytes: readonly number[]): Uint8Array => Uint8Array.from(bytes)

describe('arithmetic', () => {
  testCases([
    ['+', [9223372036854775807n, 1n], 9223372036854775808n],
    ['+', [1n, 1.5], 2.5],
    ['+', ['2x', '3.5y'], 5.5],
    ['+', ['x', blob(0x32)], 2n],
    ['+', [null, 1n], null],
    ['+', [1n, null], null],
    ['-', [1n, 2n], -1n],
    ['*', ['3', '4'], 12n],
    ['*', [4611686018427387904n, 4n], 18446744073709551616n],
    ['/', [-7n, 2n], -3n],
    ['/', [7n, 2.0], 3.5],
    ['/', ['7', '2.0'], 3.5],
    ['/', [1n, 0n], null],
    ['/', [1.0, 0n], null],
    ['/', [1n, 0.0], null],
    ['/', [1n, -0.0], null],
    ['/', [1n, 'x'], null],
    ['/', [null, 0n], null],
    ['%', [7n, 3n], 1n],
    ['%', [-7n, 3n], -1n],
    ['%', [7n, -3n], 1n],
    ['%', [7.9, 3n], 1.0],
    ['%', [-7.9, 3n], -1.0],
    ['%', ['7', '3'], 1n],
    ['%', [7n, 0n], null],
    ['%', [7n, 0.5], null],
    ['%', [null, 3n], null],
    ['%', [9223372036854775808n, 10n], 8n],
    ['%', [-9223372036854775808n, -1n], 0n],
    ['&', [6n, 3n], 2n],
    ['&', [-1n, 255n], 255n],
    ['&', ['6x', 3.9], 2n],
    ['&', [-1.9, 3n], 3n],
    ['&', [null, 1n], null],
    ['|', [6n, 3n], 7n],
    ['|', [1e300, 0n], 9223372036854775807n],
    ['|', [-Infinity, 0n], -9223372036854775808n],
    ['<<', [1n, 3n], 8n],
    ['<<', [1n, 63n], -9223372036854775808n],
    ['<<', [1n, 64n], 0n],
    ['<<', [8n, -2n], 2n],
    ['>>', [-8n, 1n], -4n],
    ['>>', [-8n, 64n], -1n],
    ['>>', [8n, 64n], 0n],
    ['>>', [1n, -3n], 8n],
    ['>>', [1n, -9223372036854775808n], 0n],
  ])
})

describe('texts and casts', () => {
  testCases([
    ['||', [1.0, 'a'], '1a'],
    ['||', [1e21, 2.5], '1e+212.5'],
    ['||', [-0, 1n], '01'],
    ['||', [blob(0x61, 0xff), ''], 'a\ufffd'],
    ['||', [null, 'a'], null],
    ['||', ['a', null], null],
    ['cast_integer', [' \t\n12ab'], 12n],
    ['cast_integer', ['-2.5'], -2n],
    ['cast_integer', ['+3'], 3n],
    ['cast_integer', ['- 3'], 0n],
    ['cast_integer', ['1e3'], 1n],
    ['cast_integer', [''], 0n],
    ['cast_integer', ['\u00a01'], 0n],
    ['cast_integer', ['99999999999999999999'], 99999999999999999999n],
    ['cast_integer', [-2.5], -3n],
    ['cast_integer', [2.9], 2n],
    ['cast_integer', [1e21], 1000000000000000000000n],
    ['cast_integer', [blob(0x34, 0x32)], 42n],
    ['cast_integer', [null], null],
    ['cast_real', ['-.5e1z'], -5],
    ['cast_real', ['abc'], 0],
    ['cast_real', [9007199254740993n], 9007199254740992],
    ['cast_real', ['  7'], 7],
    ['cast_numeric', ['.5'], 0.5],
    ['cast_numeric', ['12.0'], 12.0],
    ['cast_numeric', ['12'], 12n],
    ['cast_numeric', ['12.'], 12.0],
    ['cast_numeric', ['1e3'], 1000.0],
    ['cast_numeric', ['1e'], 1n],
    ['cast_numeric', ['1e+x'], 1n],
    ['cast_numeric', ['.'], 0n],
    ['cast_numeric', ['-'], 0n],
    ['cast_numeric', ['0x1f'], 0n],
    ['cast_numeric', ['Infinity'], 0n],
    ['cast_numeric', [2.5], 2.5],
    ['cast_numeric', [blob(0x31)], 1n],
    ['cast_numeric', [null], null],
    ['cast_text', [12n], '12'],
    ['cast_text', [1.0], '1'],
    ['cast_text', [blob(0xc3, 0xa9)], 'é'],
    ['cast_text', [null], null],
    ['cast_blob', ['é'], blob(0xc3, 0xa9)],
    ['cast_blob', [1.0], blob(0x31)],
    ['cast_blob', [blob(7)], blob(7)],
    ['cast_blob', [null], null],
    ['upper', ['straße'], 'STRASSE'],
    ['upper', [1.5e300], '1.5E+300'],
    ['upper', ['i'], 'I'],
    ['lower', ['ÅΣ'], 'åς'],
    ['lower', ['I'], 'i'],
    ['lower', [null], null],
    ['length', ['a😀'], 3n],
    ['length', [12.0], 2n],
    ['length', [blob(1, 2, 3)], 3n],
    ['length', [null], null],
    ['hex', [255n], '323535'],
    ['hex', [blob(0, 255, 16)], '00FF10'],
    ['hex', ['é'], 'C3A9'],
    ['hex', [null], ''],
    ['base64', [null], ''],
    ['base64', [''], ''],
    ['base64', ['a'], 'YQ=='],
    ['base64', ['ab'], 'YWI='],
    ['base64', ['abc'], 'YWJj'],
    ['base64', [blob(251, 239, 255, 62)], '++//Pg=='],
    ['typeof', [null], 'null'],
    ['typeof', [1n], 'integer'],
    ['typeof', [1.0], 'real'],
    ['typeof', ['1'], 'text'],
    ['typeof', [blob()], 'blob'],
  ])

  test('what is not finite has no integer', () => {
    for (const value of [Number.NaN, Infinity, -Infinity]) {
      expect(() => call('cast_integer')(value)).toThrow(EvaluationError)
    }
  })

  test('all 16 bytes of a UUID, in either case', () => {
    const bytes = Uint8Array.from({ length: 16 }, (_, index) => index * 16 + index)
    bytes[6] = 0x46
    bytes[8] = 0x88
    const text = '00112233-4455-4677-8899-aabbccddeeff'
    bytes[7] = 0x77
    expect(call('uuid_blob')(text.toUpperCase())).toEqual(bytes)
    expect(call('uuid_blob')(text)).toEqual(bytes)
    expect(call('uuid_blob')('00000000-0000-0000-0000-000000000000')).toEqual(new Uint8Array(16))
    expect(call('uuid_blob')(null)).toBeNull()
  })

  test.each([
    '',
    '00112233445546778899aabbccddeeff',
    '{00112233-4455-4677-8899-aabbccddeeff}',
    '00112233-4455-0677-8899-aabbccddeeff',
    '00112233-4455-9677-8899-aabbccddeeff',
    '00112233-4455-4677-7899-aabbccddeeff',
    '00112233-4455-4677-8899-aabbccddeef',
    '00112233-4455-4677-8899-aabbccddeeff\n',
    '00112233-4455-4677-8899-aabbccddeefg',
    '5',
  ])('%j is no UUID', (value) => {
    expect(() => call('uuid_blob')(value)).toThrow(EvaluationError)
  })
})

describe('cutting and searching', () => {
  testCases([
    ['substring', ['hello', 2n], 'ello'],
    ['substring', ['hello', 2n, 3n], 'ell'],
    ['substring', ['hello', -9n, 3n], 'hel'],
    ['substring', ['hello', -3n, 2n], 'll'],
    ['substring', ['hello', -3n], 'llo'],
    ['substring', ['hello', 0n], 'hello'],
    ['substring', ['hello', 0n, 2n], 'h'],
    ['substring', ['hello', 0n, 1n], ''],
    ['substring', ['hello', 0n, 0n], ''],
    ['substring', ['hello', 0n, -2n], ''],
    ['substring', ['hello', 3n, -2n], 'he'],
    ['substring', ['hello', 2n, -9n], 'h'],
    ['substring', ['hello', 8n, -4n], 'lo'],
    ['substring', ['hello', -1n, -2n], 'll'],
    ['substring', ['hello', 9n, 2n], ''],
    ['substring', ['hello', 9223372036854775807n, 9223372036854775807n], ''],
    ['substring', ['hello', -9223372036854775808n, 2n], 'he'],
    ['substring', ['hello', 1n, 10n ** 30n], 'hello'],
    ['substring', ['hello', 1.9, '2x'], 'he'],
    ['substring', ['hello', -1.5], 'lo'],
    ['substring', ['a😀b', 2n, 1n], '\ud83d'],
    ['substring', [12345n, 2n, 2n], '23'],
    ['substring', [blob(0x61, 0x62), 2n], 'b'],
    ['substring', [null, 1n], null],
    ['substring', ['a', null], null],
    ['substring', ['a', 1n, null], null],
    ['substring', ['a'], null],
    ['instr', ['hello', 'l'], 3n],
    ['instr', ['hello', 'x'], 0n],
    ['instr', ['hello', ''], 1n],
    ['instr', ['', ''], 1n],
    ['instr', ['a😀b', 'b'], 4n],
    ['instr', [12345n, 34n], 3n],
    ['instr', [blob(0xc3, 0xa9, 1), blob(0xa9, 1)], 2n],
    ['instr', [blob(1, 2), blob(2, 1)], 0n],
    ['instr', [blob(0x61, 0x62), 'b'], 2n],
    ['instr', [blob(1), blob()], 1n],
    ['instr', [null, 'a'], null],
    ['instr', ['a', null], null],
    ['instr', ['a'], null],
  ])
})

test('bytes are told apart in a search', () => {
  const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
  expect([...all].map((byte) => call('instr')(all, blob(byte)))).toEqual([...all].map((byte) => BigInt(byte + 1)))
})

describe('choices', () => {
  testCases([
    ['ifnull', [null, 2n], 2n],
    ['ifnull', [1n, 2n], 1n],
    ['ifnull', [null, 2n, 3n], 2n],
    ['ifnull', [null], null],
    ['iif', [0.1, 'y', 'n'], 'y'],
    ['iif', ['0.5', 'y', 'n'], 'n'],
    ['iif', [null, 'y', 'n'], 'n'],
    ['iif', [null, 'y'], null],
    ['between', [2n, 1n, 3n], 1n],
    ['between', [2n, 2.0, 2.0], 1n],
    ['between', [4n, 1n, 3n], 0n],
    ['between', ['b', 'a', 'c'], 1n],
    ['between', ['5', 1n, 9n], 0n],
    ['between', [4n, null, 3n], null],
    ['between', [0n, 1n, null], null],
    ['between', [null, 1n, 3n], null],
    ['in_list', [1n, 2n, 1.0], 1n],
    ['in_list', [1n, '1'], 0n],
    ['in_list', [1n, 2n, null], null],
    ['in_list', [1n, null, 1n], 1n],
    ['in_list', [null, null], null],
    ['in_list', [null], null],
    ['in_list', [1n], 0n],
    ['in_json', [1n, '[1.0]'], 1n],
    ['in_json', [1n, '["1"]'], 0n],
    ['in_json', [1n, '[true]'], 1n],
    ['in_json', ['{"a":1}', '[{"a": 1}]'], 1n],
    ['in_json', ['[1.0]', '[[1.0]]'], 1n],
    ['in_json', ['null', '[null]'], 0n],
    ['in_json', [9007199254740993n, '[9007199254740992, 9007199254740994]'], 0n],
    ['in_json', [9007199254740993n, '[9007199254740993]'], 1n],
    ['in_json', [blob(1), '["a"]'], 0n],
    ['in_json', [1n, '[]'], 0n],
    ['in_json', [null, '[1]'], null],
    ['in_json', [null, 'no array'], null],
    ['in_json', [1n, null], null],
  ])

  test('JSON null is never equal to the text null, whatever the flag says', () => {
    const older = functionsOf({
      times: { iso: false, fractionDigits: 6 },
      customTypes: false,
      fixedJsonExtract: false,
      engine: 'default',
    })
    expect(older('in_json')('null', '[null]')).toBe(0n)
  })

  test('what is no array as text cannot be searched', () => {
    for (const array of ['{"a":1}', '"a"', '5', 'a', '[1', 5n, blob(0x5b, 0x5d)]) {
      expect(() => call('in_json')(1n, array)).toThrow(EvaluationError)
    }
  })

  test('two blobs do not compare', () => {
    expect(() => call('in_list')(blob(1), blob(1))).toThrow(EvaluationError)
    expect(() => call('between')(blob(1), blob(1), 1n)).toThrow(EvaluationError)
  })
})
