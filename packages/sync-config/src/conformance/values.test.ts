import { describe, expect, test } from 'vitest'
import { loadPlan } from '../load.ts'
import { planOf, sourceTable, streamsConfig } from '../testing/builders.ts'
import { columnValue, valueOf } from '../testing/evaluate-expression.ts'
import type { EvaluatedObject, TextRow } from '../types.ts'

const LEGACY = { flags: { timestamps_iso8601: false } }

/** What `query` makes of a row of `t`. */
function evaluate(query: string, columns: string, row: TextRow): readonly EvaluatedObject[] {
  const plan = loadPlan(planOf(streamsConfig({ s: query })), { generation: 1, bucketsMax: 9 })
  const outcome = plan.forTable(sourceTable('t', columns))?.evaluate(row)
  expect(outcome?.errors).toEqual([])
  return outcome?.objects ?? []
}

function first(objects: readonly EvaluatedObject[]): EvaluatedObject {
  const [object] = objects
  if (object === undefined) throw new Error('The row gave no object')
  return object
}

test('[20] integers are written exactly up to the limits of 64 bits', () => {
  for (const digits of ['0', '-9223372036854775808', '9223372036854775807', '9007199254740993']) {
    expect(columnValue('int8', digits)).toBe(digits)
  }
})

test.each([
  ['2', '2.0'],
  ['-0.5', '-0.5'],
  ['0.1', '0.1'],
  ['1e+21', '1e+21'],
  ['1e+20', '100000000000000000000.0'],
  ['1.5e-07', '1.5e-7'],
  ['-0', '0.0'],
  ['314', '314.0'],
])('[21] the real %s is written as %s', (text, json) => {
  expect(columnValue('float8', text)).toBe(json)
})

test('[22] booleans are 1 and 0, also inside arrays and composites', () => {
  expect([columnValue('bool', 't'), columnValue('bool', 'f')]).toEqual(['1', '0'])
  expect(columnValue('bool[]', '{t,NULL,f,{}}'.replace(',{}', ''))).toBe('"[1,null,0]"')
  expect(columnValue('bool[]', '{{t},{f}}')).toBe('"[[1],[0]]"')
})

test('[23] NULL is null; absent columns and blobs are left out', () => {
  const plan = loadPlan(planOf(streamsConfig({ s: 'SELECT * FROM t' })), { generation: 1, bucketsMax: 9 })
  const table = sourceTable('t', 'id, a, b bytea, c')
  const outcome = plan.forTable(table)?.evaluate(['1', null, '\\x00ff', undefined])
  expect(outcome?.objects.map(({ data }) => data)).toEqual(['{"id":"1","a":null}'])
})

test('[24, 25] every text survives JSON', () => {
  const texts = ['', '"', '\\', '\b\t\n\f\r', '\u2028\u2029\u0085', '😀 ünï', '{"a":1}', String.fromCharCode(0x7f)]
  const controls = Array.from({ length: 31 }, (_, index) => String.fromCharCode(index + 1)).join('')
  for (const text of [...texts, controls, 'lone \ud800 half', '\udc00']) {
    expect(JSON.parse(columnValue('text', text))).toBe(text)
    expect(JSON.parse(JSON.parse(columnValue('text[]', arrayText(text))) as string)).toEqual([text])
  }
})

function arrayText(text: string): string {
  return `{"${text.replaceAll(/["\\]/g, (char) => `\\${char}`)}"}`
}

test('[25] numbers that JSON does not have are null', () => {
  for (const text of ['NaN', 'Infinity', '-Infinity']) {
    expect(columnValue('float8', text)).toBe('null')
    expect(() => JSON.parse(JSON.parse(columnValue('float8[]', `{1,${text}}`)) as string) as unknown).not.toThrow()
  }
})

test('[26] the id of an object is the text of its column id, which stays in the data as it is', () => {
  const idOf = (query: string, type: string, text: string | null): readonly string[] => {
    const { id, data } = first(evaluate(query, `key, v ${type}`, ['k', text]))
    return [id, data]
  }
  expect(idOf('SELECT v AS id FROM t', 'int8', '7')).toEqual(['7', '{"id":7}'])
  expect(idOf('SELECT v AS id FROM t', 'float8', '2')).toEqual(['2', '{"id":2.0}'])
  expect(idOf('SELECT v AS id FROM t', 'float8', '2.5')).toEqual(['2.5', '{"id":2.5}'])
  expect(idOf('SELECT v AS id FROM t', 'text', 'x')).toEqual(['x', '{"id":"x"}'])
  expect(idOf('SELECT v AS id FROM t', 'text', null)).toEqual(['', '{"id":null}'])
  expect(idOf('SELECT v AS id FROM t', 'bytea', '\\x6162')).toEqual(['ab', '{}'])
  expect(idOf('SELECT v FROM t', 'text', 'x')).toEqual(['', '{"v":"x"}'])
})

test('[27] 1, 1.0 and the number 1 of a request are one bucket, the text 1 another', () => {
  const bucketOf = (type: string, text: string): string =>
    first(evaluate("SELECT id FROM t WHERE k = subscription.parameter('k')", `id, k ${type}`, ['1', text])).bucket
  expect(bucketOf('float8', '1')).toBe(bucketOf('int4', '1'))
  expect(bucketOf('float8', '-0')).toBe(bucketOf('int8', '0'))
  expect(bucketOf('float8', '1e15')).toBe(bucketOf('int8', '1000000000000000'))
  expect(bucketOf('text', '1')).not.toBe(bucketOf('int4', '1'))
  expect(bucketOf('float8', '1.5')).not.toBe(bucketOf('int4', '1'))
})

test('[28] a row with a NULL or a blob in its key is in no bucket of the definition', () => {
  const query = "SELECT id FROM t WHERE k = subscription.parameter('k')"
  expect(evaluate(query, 'id, k', ['1', null])).toEqual([])
  expect(evaluate(query, 'id, k bytea', ['1', '\\x00'])).toEqual([])
  expect(evaluate(query, 'id', ['1'])).toEqual([])
})

test('[29] buckets have other names when the definition changes, and the same when it does not', () => {
  const bucketOf = (query: string): string => first(evaluate(query, 'id, a, b', ['1', 'x', 'x'])).bucket
  const name = bucketOf('SELECT id, a FROM t WHERE b = auth.user_id()')
  expect(bucketOf('SELECT id, a FROM t WHERE b = auth.user_id()')).toBe(name)
  const others = [
    'SELECT id FROM t WHERE b = auth.user_id()',
    'SELECT id, a FROM t WHERE a = auth.user_id()',
    'SELECT id, a FROM t AS u WHERE b = auth.user_id()',
    "SELECT id, a FROM t WHERE b = auth.user_id() AND a = 'x'",
    'SELECT id, upper(a) AS a FROM t WHERE b = auth.user_id()',
  ].map(bucketOf)
  expect(new Set([name, ...others]).size).toBe(6)
})

test('[30] numbers and booleans', () => {
  expect(columnValue('int2', '-5')).toBe('-5')
  expect(columnValue('int4', '2147483647')).toBe('2147483647')
  expect(columnValue('oid', '4294967295')).toBe('4294967295')
  expect(columnValue('float4', '0.1')).toBe('0.1')
  expect(columnValue('float8', '3')).toBe('3.0')
  for (const text of ['10.50', '1e500', 'NaN', '-0.00', '123456789012345678901234567890']) {
    expect(columnValue('numeric', text)).toBe(JSON.stringify(text))
  }
  expect(columnValue('bool', 't')).toBe('1')
})

test('[31] json and jsonb are the text of the server', () => {
  const text = '{"b": 1.0, "a":  [1e2, "\\u00e9"], "b": 12345678901234567890123}'
  expect(JSON.parse(columnValue('json', text))).toBe(text)
  expect(JSON.parse(columnValue('jsonb', text))).toBe(text)
})

test('[32] bytea is a blob, which hex and base64 make text of', () => {
  const setting = { columns: 'c bytea', row: '\\x00ff41' }
  expect(valueOf('c', setting)).toBe('absent')
  expect(valueOf('hex(c)', setting)).toBe('"00FF41"')
  expect(valueOf('base64(c)', setting)).toBe('"AP9B"')
  expect(valueOf('typeof(c)', setting)).toBe('"blob"')
})

test.each([
  ['uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ['mood', 'very happy'],
  ['inet', '192.168.0.1/24'],
  ['interval', '1 year 2 mons -3 days 04:05:06.7'],
  ['money', '-$12.34'],
  ['bit', '101'],
  ['xml', '<a>1</a>'],
  ['timetz', '01:02:03+05:30'],
  ['point', '(1,2)'],
  ['tsvector', "'cat':2 'fat'"],
  ['char(5)', 'ab   '],
  ['citext', 'AbC'],
  ['no_such_type', '{1,2}'],
])('[33] %s is unchanged text', (type, text) => {
  expect(JSON.parse(columnValue(type, text))).toBe(text)
})

test.each([
  ['2024-03-01 10:00:00.5+02', '2024-03-01T08:00:00.500000Z', '2024-03-01 08:00:00.5Z'],
  ['2024-03-01 00:30:00-05:45', '2024-03-01T06:15:00.000000Z', '2024-03-01 06:15:00Z'],
  ['2024-03-01 10:00:00.123456+00', '2024-03-01T10:00:00.123456Z', '2024-03-01 10:00:00.123456Z'],
  ['1890-01-01 00:00:00+00:53:28', '1889-12-31T23:06:32.000000Z', '1889-12-31 23:06:32Z'],
])('[34, 35] timestamptz %s is UTC: %s, older %s', (text, iso, older) => {
  expect(JSON.parse(columnValue('timestamptz', text))).toBe(iso)
  expect(JSON.parse(columnValue('timestamptz', text, LEGACY))).toBe(older)
})

test.each([
  ['timestamp', '2024-02-29 08:09:10.5', '2024-02-29T08:09:10.500000', '2024-02-29 08:09:10.5'],
  ['timestamp', '2024-02-29 08:09:10', '2024-02-29T08:09:10.000000', '2024-02-29 08:09:10'],
  ['time', '08:09:10.5', '08:09:10.500000', '08:09:10.5'],
  ['time', '24:00:00', '24:00:00.000000', '24:00:00'],
  ['date', '2024-02-29', '2024-02-29', '2024-02-29'],
])('[35] %s %s is %s, older %s', (type, text, iso, older) => {
  expect(JSON.parse(columnValue(type, text))).toBe(iso)
  expect(JSON.parse(columnValue(type, text, LEGACY))).toBe(older)
})

describe('[36] precision', () => {
  const TEXT = '2024-01-02 03:04:05.999999'
  test.each([
    ['seconds', ''],
    ['milliseconds', '.999'],
    ['microseconds', '.999999'],
    ['nanoseconds', '.999999'],
  ])('[36] %s cuts and never rounds, in arrays too', (timestamp_max_precision, fraction) => {
    const setting = { flags: { timestamp_max_precision } }
    expect(JSON.parse(columnValue('timestamp', TEXT, setting))).toBe(`2024-01-02T03:04:05${fraction}`)
    expect(JSON.parse(columnValue('timestamptz', `${TEXT}+00`, setting))).toBe(`2024-01-02T03:04:05${fraction}Z`)
    expect(JSON.parse(columnValue('time', '03:04:05.999999', setting))).toBe(`03:04:05${fraction}`)
    const list = JSON.parse(columnValue('timestamp[]', `{"${TEXT}"}`, setting)) as string
    expect(JSON.parse(list)).toEqual([`2024-01-02T03:04:05${fraction}`])
    const range = JSON.parse(columnValue('tsrange', `["${TEXT}",)`, setting)) as string
    expect(JSON.parse(range)).toMatchObject({ lower: `2024-01-02T03:04:05${fraction}` })
  })
})

test.each([
  ['date', 'infinity', '"9999-12-31"', '"9999-12-31"'],
  ['date', '-infinity', '"0000-01-01"', '"0000-01-01"'],
  ['timestamp', 'infinity', '"9999-12-31T23:59:59.000000"', '"9999-12-31 23:59:59"'],
  ['timestamp', '-infinity', '"0000-01-01T00:00:00.000000"', '"0000-01-01 00:00:00"'],
  ['timestamptz', 'infinity', '"9999-12-31T23:59:59.000000Z"', '"9999-12-31 23:59:59Z"'],
  ['timestamptz', '-infinity', '"0000-01-01T00:00:00.000000Z"', '"0000-01-01 00:00:00Z"'],
  ['date', '0044-03-15 BC', '"0044-03-15 BC"', '"0044-03-15 BC"'],
  ['timestamp', '0044-03-15 00:00:00 BC', 'null', 'null'],
  ['timestamptz', '0044-03-15 00:00:00+00 BC', 'null', 'null'],
  ['timestamp', '10000-01-01 00:00:00', '"10000-01-01T00:00:00.000000"', '"10000-01-01 00:00:00"'],
  ['timestamptz', '10000-01-01 00:00:00+00', 'null', 'null'],
])('[37] %s %s is %s, older %s', (type, text, iso, older) => {
  expect(columnValue(type, text)).toBe(iso)
  expect(columnValue(type, text, LEGACY)).toBe(older)
})

test.each([
  ['int4[]', '{}', '[]'],
  ['int4[]', '{1,NULL,3}', '[1,null,3]'],
  ['int4[]', '{{1,2},{3,4}}', '[[1,2],[3,4]]'],
  ['int4[]', '[2:3]={1,2}', '[1,2]'],
  ['int4[]', '[0:0][1:2]={{1,2}}', '[[1,2]]'],
  ['int8[]', '{9223372036854775807}', '[9223372036854775807]'],
  ['float8[]', '{1,2.5}', '[1.0,2.5]'],
  ['numeric[]', '{1.50}', '["1.50"]'],
  ['bytea[]', '{"\\\\x00"}', '[null]'],
  ['uuid[]', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', '["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]'],
  ['date[]', '{2024-01-01,infinity}', '["2024-01-01","9999-12-31"]'],
])('[38] the array %s %s is %s in every edition', (type, text, json) => {
  for (const edition of [1, 2, 3] as const) expect(JSON.parse(columnValue(type, text, { edition }))).toBe(json)
})

test('[39] elements of arrays are told apart and unquoted', () => {
  expect(JSON.parse(columnValue('text[]', String.raw`{NULL,"NULL",null,"a\"b","c\\d","e,f","{g}",""," h "}`))).toBe(
    JSON.stringify([null, 'NULL', 'null', 'a"b', 'c\\d', 'e,f', '{g}', '', ' h ']),
  )
})

test('[40] json inside an array is embedded as JSON', () => {
  const text = String.raw`{"{\"a\": 1.0}","[1,2]",NULL,"\"x\""}`
  expect(JSON.parse(JSON.parse(columnValue('jsonb[]', text)) as string)).toEqual([{ a: 1 }, [1, 2], null, 'x'])
  expect(JSON.parse(columnValue('json[]', '{"{\\"k\\": 1.0}"}'))).toMatch(/^\[\{"k": ?1\.0\}\]$/)
})
