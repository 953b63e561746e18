import { describe, expect, test } from 'vitest'
import { streamsConfig } from '../testing/builders.ts'
import { type ExpressionSetting, valueOf } from '../testing/evaluate-expression.ts'
import { exampleTable, storageOf, toRequest } from '../testing/worked-example.ts'

const EDITIONS = [1, 2, 3] as const
const ROW = {
  columns: 'n, one int4, real1 float8, half float8, big int8, blob bytea, txt, neg float8, j jsonb',
  row: 'NULL | 1 | 1 | 0.5 | 9223372036854775807 | \\x6162 | abc | -2.5 | {"a":1}',
}

function valuesOf(expression: string, setting: ExpressionSetting = ROW): readonly string[] {
  return EDITIONS.map((edition) => valueOf(expression, { ...setting, edition }))
}

function inAll(value: string): readonly string[] {
  return EDITIONS.map(() => value)
}

/** Does a row pass the filter? */
async function passes(condition: string): Promise<boolean> {
  const storage = storageOf(streamsConfig({ s: `SELECT id FROM t WHERE ${condition}` }), [
    exampleTable('t', `id, ${ROW.columns}`, `1 | ${ROW.row}`),
  ])
  return (await storage.rowsFor(toRequest({ claims: {} }))).length === 1
}

test.each([
  ['NOT n', '1'],
  ['n OR 0', '0'],
  ['n AND 0', '0'],
  ['n AND 1', '0'],
  ['n OR 1', '1'],
  ['NOT NOT n', '0'],
  ["1 AND '2x'", '1'],
  ['5 OR n', '1'],
  ['n IS NULL', '1'],
  ['one IS NOT NULL', '1'],
])('[55] %s is %s: logic knows no NULL', (expression, value) => {
  expect(valuesOf(expression)).toEqual(inAll(value))
})

test.each([
  ["'0.5'", '0'],
  ["'2x'", '1'],
  ["'abc'", '0'],
  ["''", '0'],
  ["' 3'", '1'],
  ["'-1'", '1'],
  ["'+0'", '0'],
  ['half', '1'],
  ['0.0', '0'],
  ['blob', '0'],
  ['n', '0'],
  ['TRUE', '1'],
  ['FALSE', '0'],
])('[56] %s is true: %s', async (operand, truth) => {
  expect(valuesOf(`NOT NOT ${operand}`)).toEqual(inAll(truth))
  expect(await passes(operand)).toBe(truth === '1')
})

test.each([
  ["1 = '1'", '0'],
  ['1 = 1.0', '1'],
  ["10 < '9'", '1'],
  ["'a' < 'B'", '0'],
  ['one = real1', '1'],
  ['9007199254740993 = 9007199254740992.0', '0'],
  ["'a' = 'a'", '1'],
  ["'10' < '9'", '1'],
  ['hex(blob) > 5', '1'],
  ['blob > txt', '1'],
  ['n = n', 'null'],
  ['1 < n', 'null'],
  ['2 >= 2', '1'],
  ['2 <= 1.5', '0'],
  ["'é' > 'z'", '1'],
])('[57] %s is %s: nothing is converted', (expression, value) => {
  expect(valuesOf(expression)).toEqual(inAll(value))
})

test('[57] text compares by UTF-16 code units, and two blobs do not compare', () => {
  expect(valueOf("'😀' < '\uffee'")).toBe('1')
  expect(valuesOf('blob = blob')).toEqual(inAll('error'))
  expect(valuesOf('blob < blob')).toEqual(inAll('error'))
})

test('[58] != with a NULL is NULL below edition 3 and true from then on', async () => {
  for (const expression of ['1 != n', 'n != 1', 'n <> n']) expect(valuesOf(expression)).toEqual(['null', 'null', '1'])
  for (const expression of ['NOT (n = 1)']) expect(valuesOf(expression)).toEqual(inAll('1'))
  expect(valuesOf('one != 1')).toEqual(inAll('0'))
  expect(valuesOf("one != '1'")).toEqual(inAll('1'))
  expect(await passes('n != 1')).toBe(true)
})

test.each([
  ['7 / 2', '3'],
  ['-7 / 2', '-3'],
  ['7 / 2.0', '3.5'],
  ['1.0 / 0', 'null'],
  ['1 / 0', 'null'],
  ['1 / n', 'null'],
  ["'3' * '4'", '12'],
  ["'2x' + 1", '3'],
  ["'x' + 1", '1'],
  ["'1.5' + 1", '2.5'],
  ['one + real1', '2.0'],
  ['9223372036854775807 + 1', '9223372036854775808'],
  ['big * 2', '18446744073709551614'],
  ['2 - 5', '-3'],
  ['n + 1', 'null'],
])('[59] %s is %s', (expression, value) => {
  expect(valuesOf(expression)).toEqual(inAll(value))
})

describe('[60] casts to integer', () => {
  test.each([
    ['neg', '-3'],
    ['2.9', '2'],
    ["' 12ab'", '12'],
    ["'1e3'", '1'],
    ["'-2.5'", '-2'],
    ["'+7'", '7'],
    ["'x'", '0'],
    ["''", '0'],
    ['n', 'null'],
    ['big', '9223372036854775807'],
    ["'9223372036854775808'", '9223372036854775808'],
  ])('[60] CAST(%s AS integer) is %s', (operand, value) => {
    expect(valuesOf(`CAST(${operand} AS integer)`)).toEqual(inAll(value))
    expect(valuesOf(`(${operand})::integer`)).toEqual(inAll(value))
  })
})

test.each([
  ["real1 || 'a'", '"1a"'],
  ["'a' || 2.5", '"a2.5"'],
  ['CAST(real1 AS text)', '"1"'],
  ['CAST(neg AS text)', '"-2.5"'],
  ["12.0 || ''", '"12"'],
  ["blob || 'c'", '"abc"'],
  ["n || 'a'", 'null'],
  ['one || one', '"11"'],
  ['CAST(1000000000000000000000.0 AS text)', '"1e+21"'],
  ['length(12.0)', '2'],
])('[61] %s is %s: text of 1.0 is 1', (expression, value) => {
  expect(valuesOf(expression)).toEqual(inAll(value))
})

describe('[62] cast types', () => {
  test('[62] are five, in both notations', () => {
    for (const type of ['text', 'numeric', 'integer', 'real']) {
      expect(valuesOf(`CAST('12.0' AS ${type})`)).toEqual(
        inAll({ text: '"12.0"', numeric: '12.0', integer: '12', real: '12.0' }[type] ?? ''),
      )
      expect(valuesOf(`'12.0'::${type}`)).toEqual(valuesOf(`CAST('12.0' AS ${type})`))
    }
    expect(valuesOf("hex(CAST('ab' AS blob))")).toEqual(inAll('"6162"'))
    expect(valuesOf("hex('ab'::blob)")).toEqual(inAll('"6162"'))
    expect(valuesOf("CAST('1e3' AS numeric)")).toEqual(inAll('1000.0'))
    expect(valuesOf("CAST('.5' AS numeric)")).toEqual(inAll('0.5'))
    expect(valuesOf("CAST('7' AS numeric)")).toEqual(inAll('7'))
    expect(valuesOf("CAST('x' AS numeric)")).toEqual(inAll('0'))
    expect(valuesOf('CAST(blob AS text)')).toEqual(inAll('"ab"'))
  })

  test.each(['int', 'bigint', 'boolean', 'date', 'varchar', 'double', 'json', 'uuid', 'timestamp'])(
    '[62] %s is none of them',
    (type) => {
      expect(valuesOf(`CAST(txt AS ${type})`)).toEqual(inAll('refused'))
      expect(valuesOf(`txt::${type}`)).toEqual(inAll('refused'))
    },
  )
})
