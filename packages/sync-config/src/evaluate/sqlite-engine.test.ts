import { expect, test } from 'vitest'
import { requestOf } from '../testing/builders.ts'
import { valueOf } from '../testing/evaluate-expression.ts'
import { requestValues } from '../testing/request-value.ts'

const FLAGS = { unstable_sqlite_expression_engine: true }
const COLUMNS = 'j json, n text, r float8, i int8, b bytea, flag bool, nan float8'
const ROW = '{"a":1,"b":{"c":"x"},"d":[1,2],"a.b":"dot","n":null,"t":true,"f":1.0} | NULL | 1 | 5 | \\x3132 | t | NaN'

/** Of the same expression by SQLite's rules and by those of other configs. */
function both(expression: string): readonly [string, string] {
  const setting = { columns: COLUMNS, row: ROW }
  return [valueOf(expression, { ...setting, flags: FLAGS }), valueOf(expression, setting)]
}

test('NULL makes logic unknown, where others have true and false alone', () => {
  expect(both('NOT n')).toEqual(['null', '1'])
  expect(both('n != 1')).toEqual(['null', '1'])
  expect(both('n AND 0')).toEqual(['0', '0'])
  expect(both('n AND 1')).toEqual(['null', '0'])
  expect(both('n OR 0')).toEqual(['null', '0'])
  expect(both('n OR 1')).toEqual(['1', '1'])
  expect(both('1 NOT IN ARRAY[2, NULL]')).toEqual(['null', '1'])
  expect(both('n NOT BETWEEN 1 AND 2')).toEqual(['null', '1'])
  expect(both('1 BETWEEN 2 AND n')).toEqual(['0', 'null'])
})

test('text is true by the real that it begins with', () => {
  expect(both("NOT '0.5'")).toEqual(['0', '1'])
  expect(both("NOT '2x'")).toEqual(['0', '0'])
  expect(both("iif(b, 'y', 'n')")).toEqual(['"y"', '"n"'])
})

test('IS TRUE means being true, and knows NULL', () => {
  expect(both('i IS TRUE')).toEqual(['1', '0'])
  expect(both('flag IS TRUE')).toEqual(['1', '1'])
  expect(both('0.0 IS FALSE')).toEqual(['1', '1'])
  expect(both("'abc' IS FALSE")).toEqual(['1', '0'])
  expect(both('n IS TRUE')).toEqual(['0', '0'])
  expect(both('n IS NOT TRUE')).toEqual(['1', '1'])
  expect(both('i IS NOT FALSE')).toEqual(['1', '1'])
  expect(both('n IS NULL')).toEqual(['1', '1'])
})

test('a real shows in its text that it is one, and is cut toward zero', () => {
  expect(both("r || 'a'")).toEqual(['"1.0a"', '"1a"'])
  expect(both('CAST(r AS text)')).toEqual(['"1.0"', '"1"'])
  expect(both('CAST(-2.5 AS integer)')).toEqual(['-2', '-3'])
  expect(both('length(12.0)')).toEqual(['4', '2'])
  expect(both('hex(r)')).toEqual(['"312E30"', '"31"'])
  expect(both("CAST('12.0' AS numeric)")).toEqual(['12', '12.0'])
})

test('integers that leave 64 bits become reals, and those of a config do too', () => {
  expect(both('9223372036854775807 + 1')).toEqual(['9223372036854776000.0', '9223372036854775808'])
  expect(both('typeof(9223372036854775808)')).toEqual(['"real"', '"integer"'])
  expect(both("CAST('9223372036854775808' AS integer)")).toEqual(['9223372036854775807', '9223372036854775808'])
})

test('remainders, bits and shifts work', () => {
  expect(both('-7 % 3')).toEqual(['-1', '-1'])
  expect(both('6 & 3')).toEqual(['2', '2'])
  expect(both('6 | 3')).toEqual(['7', '7'])
  expect(both('1 << 63')).toEqual(['-9223372036854775808', '-9223372036854775808'])
  expect(both('-1 >> 70')).toEqual(['-1', '-1'])
})

test('text is measured in code points, and what a substring would take before the text is lost', () => {
  expect(both("length('a😀')")).toEqual(['2', '3'])
  expect(both("instr('😀b', 'b')")).toEqual(['2', '3'])
  expect(both("substring('hello', -9, 3)")).toEqual(['""', '"hel"'])
  expect(both("substring('hello', -9, 5)")).toEqual(['"h"', '"hello"'])
  expect(both("substring('a😀b', 2, 1)")).toEqual(['"😀"', '"\\ud83d"'])
})

test('paths are those of SQLite', () => {
  expect(both("json_extract(j, '$.d[1]')")).toEqual(['2', 'null'])
  expect(both("json_extract(j, '$.d.1')")).toEqual(['null', '2'])
  expect(both(`json_extract(j, '$."a.b"')`)).toEqual(['"dot"', 'null'])
  expect(both("j -> 'd' ->> -1")).toEqual(['2', 'null'])
  expect(both("j ->> 'a.b'")).toEqual(['"dot"', '"dot"'])
  expect(both("json_array_length(j, '$.a')")).toEqual(['0', '0'])
  expect(both("json_array_length(j, '$.z')")).toEqual(['null', 'null'])
  expect(both("json_extract(j, 'a')")).toEqual(['error', 'error'])
  expect(both("json_extract(j, '$.')")).toEqual(['error', 'null'])
  expect(both("json_extract('{', '$')")).toEqual(['error', 'error'])
})

test('CASTs say how to compare, and blobs compare by their bytes', () => {
  expect(both('CAST(i AS text) = 5')).toEqual(['1', '0'])
  expect(both("CAST('5' AS integer) = '5'")).toEqual(['1', '0'])
  expect(both("CAST('5' AS integer) IN ARRAY['5']")).toEqual(['1', '0'])
  expect(both('b = CAST(12 AS blob)')).toEqual(['1', 'error'])
  expect(both("'a' < CAST('A' AS blob)")).toEqual(['1', '1'])
  expect(both("1 = '1'")).toEqual(['0', '0'])
})

test('what SQLite does not have itself does what it does elsewhere', () => {
  expect(both("upper('straße')")).toEqual(['"STRASSE"', '"STRASSE"'])
  expect(both("lower('ÄB')")).toEqual(['"äb"', '"äb"'])
  expect(both("unixepoch('2024-01-02T03:04:05+02:00')")).toEqual(['1704157445', '1704157445'])
  expect(both("datetime('2024-01-02')")).toEqual(['"2024-01-02 00:00:00"', '"2024-01-02 00:00:00"'])
  expect(both('base64(b)')).toEqual(['"MTI="', '"MTI="'])
  expect(both('json_keys(j)')).toEqual(both('json_keys(j)').toReversed())
  expect(both("hex(uuid_blob('00000000-0000-0000-0000-000000000000'))")[0]).toBe(`"${'0'.repeat(32)}"`)
  expect(both("st_x('0101000000000000000000F03F0000000000000040')")).toEqual(['1.0', '1.0'])
})

test('NaN, which SQLite does not have, is NULL in an expression', () => {
  expect(both('typeof(nan)')).toEqual(['"null"', '"real"'])
  expect(both('nan IS NULL')).toEqual(['1', '0'])
})

test('only what is chosen is evaluated', () => {
  expect(both("iif(1, 'a', json_extract('{', '$'))")[0]).toBe('"a"')
  expect(both("ifnull('a', json_extract('{', '$'))")[0]).toBe('"a"')
  expect(both("CASE WHEN 1 THEN 'a' ELSE json_extract('{', '$') END")[0]).toBe('"a"')
  expect(both("1 OR json_extract('{', '$')")[0]).toBe('1')
  expect(both("n AND json_extract('{', '$')")[0]).toBe('error')
})

test('data of a request is read by paths of SQLite, too', async () => {
  const request = requestOf({ sub: 'ann', n: 5, roles: ['a', 'b'], org: { 'x.y': 1, id: 'o1' } })
  const values = (expression: string): Promise<readonly string[]> => requestValues(expression, request, 3, FLAGS)

  expect(await values("auth.parameter('n')")).toEqual(['5'])
  expect(await values("auth.parameter('n') || ''")).toEqual(['"5.0"'])
  expect(await values("auth.parameter('$.roles[#-1]')")).toEqual(['"b"'])
  expect(await values("auth.parameter('$.roles.0')")).toEqual([])
  expect(await values("auth.parameters() -> 'org' ->> 'x.y'")).toEqual(['1'])
  expect(await values("auth.parameters() ->> '$.org.id'")).toEqual(['"o1"'])
  expect(await values("auth.parameters() -> 'roles' ->> 0")).toEqual(['"a"'])
  expect(await values('subscription.parameters()')).toEqual([])
  expect(await values("auth.parameter('$.')")).toEqual(['error'])
})
