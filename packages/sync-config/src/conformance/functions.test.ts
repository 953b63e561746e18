import { describe, expect, test } from 'vitest'
import { compileSyncConfig } from '../compile.ts'
import { streamsConfig } from '../testing/builders.ts'
import { type ExpressionSetting, valueOf } from '../testing/evaluate-expression.ts'
import { exampleTable, storageOf, toRequest } from '../testing/worked-example.ts'

const EDITIONS = [1, 2, 3] as const
const J = '{"a":1,"b":{"c":"x"},"d":[1,2],"a.b":"dot","n":null,"t":true,"f":1.0}'
const ROW = { columns: 'n, j jsonb, bad, blob bytea, txt', row: `NULL | ${J} | {bad | \\x6162 | abc` }

function valuesOf(expression: string, setting: ExpressionSetting = ROW): readonly string[] {
  return EDITIONS.map((edition) => valueOf(expression, { ...setting, edition }))
}

function inAll(value: string): readonly string[] {
  return EDITIONS.map(() => value)
}

test.each([
  ["length('a😀')", '3'],
  ["length('')", '0'],
  ['length(blob)', '2'],
  ['length(n)', 'null'],
  ['length(123)', '3'],
  ["instr('hello', 'l')", '3'],
  ["instr('hello', 'z')", '0'],
  ["instr('hello', '')", '1'],
  ["instr('😀x', 'x')", '3'],
  ['instr(n, 1)', 'null'],
  ['instr(123, 2)', '2'],
  ["substring('hello', 2)", '"ello"'],
  ["substring('hello', 2, 3)", '"ell"'],
  ["substring('hello', -3)", '"llo"'],
  ["substring('hello', -3, 2)", '"ll"'],
  ["substring('hello', -9, 3)", '"hel"'],
  ["substring('hello', 0, 2)", '"h"'],
  ["substring('hello', 0)", '"hello"'],
  ["substring('hello', 3, -2)", '"he"'],
  ["substring('hello', 2, -5)", '"h"'],
  ["substring('hello', 9)", '""'],
  ["substring('hello', 4, 9)", '"lo"'],
  ["substring('hello', '2x', 1.9)", '"e"'],
  ['substring(n, 1)', 'null'],
  ["substring('a', n)", 'null'],
  ["substring('a', 1, n)", 'null'],
  ['substring(12345, 2, 2)', '"23"'],
])('[63] %s is %s', (expression, value) => {
  expect(valuesOf(expression)).toEqual(inAll(value))
})

test('[64] upper and lower know all letters', () => {
  expect(valuesOf("upper('straße ünï')")).toEqual(inAll('"STRASSE ÜNÏ"'))
  expect(valuesOf("lower('ÀÉÎ Σ')")).toEqual(inAll('"àéî σ"'))
  expect(valuesOf("lower('I')")).toEqual(inAll('"i"'))
  expect(valuesOf('upper(n)')).toEqual(inAll('null'))
})

test('[65] hex and base64 of NULL are empty', () => {
  for (const call of ['hex(n)', 'base64(n)']) expect(valuesOf(call)).toEqual(inAll('""'))
  expect(valuesOf('hex(255)')).toEqual(inAll('"323535"'))
  expect(valuesOf("hex('é')")).toEqual(inAll('"C3A9"'))
  expect(valuesOf('base64(blob)')).toEqual(inAll('"YWI="'))
})

test('[66] uuid_blob takes UUIDs only', () => {
  const setting = { ...ROW, row: ROW.row.replace(' | abc', ' | A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11') }
  expect(valuesOf('hex(uuid_blob(txt))', setting)).toEqual(inAll('"A0EEBC999C0B4EF8BB6D6BB9BD380A11"'))
  const nil = { ...ROW, row: ROW.row.replace(' | abc', ' | 00000000-0000-0000-0000-000000000000') }
  expect(valuesOf('length(uuid_blob(txt))', nil)).toEqual(inAll('16'))
  expect(valuesOf('uuid_blob(txt) IS NULL')).toEqual(inAll('error'))
  const variant = { ...ROW, row: ROW.row.replace(' | abc', ' | a0eebc99-9c0b-4ef8-1b6d-6bb9bd380a11') }
  expect(valuesOf('hex(uuid_blob(txt))', variant)).toEqual(inAll('error'))
  expect(valuesOf('uuid_blob(n) IS NULL')).toEqual(inAll('1'))
})

test.each([
  ["j ->> 'a'", '1'],
  ["j ->> 'f'", '1.0'],
  ["j ->> 't'", '1'],
  ["j ->> 'b'", String.raw`"{\"c\":\"x\"}"`],
  ["j ->> 'd'", '"[1,2]"'],
  ["j ->> 'zz'", 'null'],
  ["j -> 'a'", '"1"'],
  ["j -> 'f'", '"1.0"'],
  ["j -> 't'", '"true"'],
  ["j -> 'd'", '"[1,2]"'],
  ["j -> 'zz'", 'null'],
  ["j -> 'b' ->> 'c'", '"x"'],
  ["n ->> 'a'", 'null'],
  ['\'{"x":1.50,"y":1e2}\' ->> \'x\'', '1.5'],
  ['\'{"x":{"k": 1.50, "y": 1e2}}\' ->> \'x\'', String.raw`"{\"k\":1.5,\"y\":100.0}"`],
  ["'{\"big\":12345678901234567890123}' ->> 'big'", '12345678901234567890123'],
])('[67] %s is %s', (expression, value) => {
  expect(valuesOf(expression)).toEqual(inAll(value))
})

describe('[68] fixed_json_extract', () => {
  test.each([
    ["j ->> 'a.b'", 'null', '"dot"'],
    ["j ->> 'b.c'", '"x"', 'null'],
    ["j ->> 'n'", '"null"', 'null'],
    ["j -> 'n'", 'null', '"null"'],
    ["j ->> '$.b.c'", '"x"', '"x"'],
    ["j ->> '$.n'", '"null"', 'null'],
    ["json_extract(j, '$.n')", '"null"', 'null'],
    ['\'{"s":"t"}\' -> \'s\'', String.raw`"\"t\""`, String.raw`"\"t\""`],
  ])('[68] %s is %s without it and %s with it', (expression, off, on) => {
    for (const edition of EDITIONS) {
      expect(valueOf(expression, { ...ROW, edition, flags: { fixed_json_extract: false } })).toBe(off)
      expect(valueOf(expression, { ...ROW, edition, flags: { fixed_json_extract: true } })).toBe(on)
    }
  })
})

test('[69] json_extract wants a path that begins with $', () => {
  expect(valuesOf("json_extract(j, '$.d.1')")).toEqual(inAll('2'))
  expect(valuesOf("json_extract(j, '$.d[1]')")).toEqual(inAll('null'))
  expect(valuesOf("json_extract(j, '$.b.c')")).toEqual(inAll('"x"'))
  expect(valuesOf("json_extract(j, '$.d.length')")).toEqual(inAll('null'))
  expect(valuesOf('json_extract(j, txt)')).toEqual(inAll('error'))
  expect(valuesOf("json_extract(n, '$.a')")).toEqual(inAll('null'))
})

test.each(["bad ->> 'a'", "bad -> 'a'", "json_extract(bad, '$.a')", 'json_array_length(bad)', 'json_keys(bad)'])(
  '[70] %s of text that is no JSON is an error of the row',
  (expression) => {
    expect(valuesOf(expression)).toEqual(inAll('error'))
  },
)

test('[70] strict JSON only: a key that comes twice must have one value', () => {
  const read = (text: string): string => valueOf("txt ->> 'a'", { columns: 'txt', row: text })
  expect(['{"a":1,"a":1}', '{"a":1,"a":2}', "{'a':1}", '{"a":1,}', '[1', '{"a":01}'].map(read)).toEqual([
    '1',
    'error',
    'error',
    'error',
    'error',
    'error',
  ])
})

describe('[71] json_each', () => {
  /** Key and value of each row that json_each gives for a JSON text, as objects of a lookup would be found. */
  function eachOf(json: string, fixed = true): readonly string[] {
    const config = JSON.stringify({
      config: { edition: 3, fixed_json_extract: fixed },
      streams: {
        s: {
          auto_subscribe: true,
          queries: [
            "SELECT t.id FROM t, json_each(t.j) AS e WHERE e.value = auth.parameter('v') AND typeof(e.key) = auth.parameter('k')",
          ],
        },
      },
    })
    const storage = storageOf(config, [exampleTable('t', 'id, j', `1 | ${json}`)])
    if (storage.outcomes().some(({ outcome }) => outcome.errors.length > 0)) return ['error']
    return [...storage.buckets().keys()].map((name) => JSON.stringify(keysOf(name))).toSorted()
  }
  const keysOf = (name: string): readonly string[] =>
    (JSON.parse(name.slice(name.indexOf('['))) as readonly unknown[]).map((value) => JSON.stringify(value)).toSorted()

  test('[71] of an array gives its elements with their index', () => {
    expect(eachOf('[1,"a",1.5]')).toEqual(
      [
        ['"integer"', '1'],
        ['"a"', '"integer"'],
        ['"integer"', '1.5'],
      ]
        .map((keys) => JSON.stringify(keys.toSorted()))
        .toSorted(),
    )
  })

  test('[71] of an object gives its members with their names', () => {
    expect(eachOf('{"a":true,"b":{"k":1}}')).toEqual(
      [
        ['"text"', '1'],
        ['"text"', JSON.stringify('{"k":1.0}')],
      ]
        .map((keys) => JSON.stringify(keys.toSorted()))
        .toSorted(),
    )
  })

  test('[71] of a scalar gives one row without a key', () => {
    expect(eachOf('"x"')).toEqual([JSON.stringify(['"null"', '"x"'])])
  })

  test('[71] of NULL gives no row, of text that is no JSON an error', () => {
    expect(eachOf('NULL')).toEqual([])
    expect(eachOf('[]')).toEqual([])
    expect(eachOf('{bad')).toEqual(['error'])
  })

  test('[71] JSON null is NULL, or the text null without fixed_json_extract', () => {
    expect(eachOf('[null]')).toEqual([])
    expect(eachOf('[null]', false)).toEqual([JSON.stringify(['"integer"', '"null"'])])
  })

  test('[71] integers stay exact', () => {
    expect(eachOf('[9007199254740993]').join()).toContain('9007199254740993'.slice(0, 15))
  })
})

test('[72] json_array_length of what is no array is 0; json_keys wants an object', () => {
  expect(valuesOf('json_array_length(j)')).toEqual(inAll('0'))
  expect(valuesOf("json_array_length('[1,[2,3]]')")).toEqual(inAll('2'))
  expect(valuesOf("json_array_length(j, '$.d')")).toEqual(inAll('2'))
  expect(valuesOf("json_array_length(j, '$.zz')")).toEqual(inAll('null'))
  expect(valuesOf('json_array_length(n)')).toEqual(inAll('null'))
  const keys = (row: string): readonly string[] => valuesOf('json_keys(txt)', { columns: 'txt', row })
  expect(keys('{"b":1,"10":2,"a":3,"9":4}')).toEqual(inAll(JSON.stringify('["9","10","b","a"]')))
  expect(keys('[1]')).toEqual(inAll('error'))
  expect(keys('5')).toEqual(inAll('error'))
  expect(keys('NULL')).toEqual(inAll('null'))
})

test.each([
  ["unixepoch('2024-01-02T03:04:05+02:00')", '1704157445'],
  ['unixepoch(2460000.5)', '1677283200'],
  ["unixepoch('2460000.5')", '1677283200'],
  ["unixepoch('2024-01-02')", '1704153600'],
  ["unixepoch('2024-01-02 03:04')", '1704164640'],
  ["unixepoch('2024-01-02 03:04:05.250', 'subsec')", '1704164645.25'],
  ["unixepoch('2024-01-02T03:04:05Z')", '1704164645'],
  ["unixepoch(1700000000, 'unixepoch')", '1700000000'],
  ["unixepoch('1700000000', 'unixepoch')", 'null'],
  ["unixepoch('now')", 'null'],
  ["unixepoch('x')", 'null'],
  ["unixepoch('2024-13-01')", 'null'],
  ["unixepoch('2024-01-02', '+1 day')", 'null'],
  ["unixepoch('2024-01-02', 'localtime')", 'null'],
  ['unixepoch(n)', 'null'],
  ["unixepoch('1969-12-31 23:59:59.5')", '-1'],
  ["datetime(1700000000.25, 'unixepoch', 'subsec')", '"2023-11-14 22:13:20.250"'],
  ["datetime(1700000000.25, 'unixepoch', 'subsecond')", '"2023-11-14 22:13:20.250"'],
  ["datetime(1700000000.25, 'unixepoch')", '"2023-11-14 22:13:20"'],
  ["datetime('2024-01-02')", '"2024-01-02 00:00:00"'],
  ["datetime('2024-01-02T03:04:05.678+01:00', 'subsec')", '"2024-01-02 02:04:05.678"'],
  ["datetime('now')", 'null'],
])('[73] %s is %s', (expression, value) => {
  expect(valuesOf(expression)).toEqual(inAll(value))
})

describe('[74] geometry', () => {
  const POINT = '0101000000000000000000F03F0000000000000040'
  const POINT_SRID = '0101000020E6100000000000000000F03F0000000000000440'
  const LINE = '010200000002000000000000000000000000000000000000000000000000000040000000000000F03F'
  const of = (expression: string, hex: string): string => valueOf(expression, { columns: 'g', row: hex })
  const ofBlob = (expression: string, hex: string): string =>
    valueOf(expression, { columns: 'g bytea', row: `\\x${hex}` })

  test('[74] is read as hexadecimal text and as a blob, with and without a reference system', () => {
    for (const read of [of, ofBlob]) {
      expect(read('st_x(g)', POINT)).toBe('1.0')
      expect(read('st_y(g)', POINT)).toBe('2.0')
      expect(read('st_y(g)', POINT_SRID)).toBe('2.5')
      expect(read('st_astext(g)', POINT_SRID)).toBe('"POINT(1 2.5)"')
      expect(read('st_asgeojson(g)', POINT_SRID)).toBe(JSON.stringify('{"type":"Point","coordinates":[1.0,2.5]}'))
    }
  })

  test('[74] st_x and st_y of what is no point are NULL', () => {
    expect(of('st_x(g)', LINE)).toBe('null')
    expect(of('st_y(g)', LINE)).toBe('null')
    expect(of('st_astext(g)', LINE)).toBe('"LINESTRING(0 0,2 1)"')
  })

  test('[74] NULL and numbers are NULL, anything else an error', () => {
    expect(of('st_x(g)', 'NULL')).toBe('null')
    expect(valueOf('st_x(5)')).toBe('null')
    expect(of('st_x(g)', 'zz')).toBe('error')
    expect(of('st_astext(g)', POINT.slice(0, 20))).toBe('error')
  })
})

test.each([
  'coalesce(n, 1)',
  'nullif(n, 1)',
  'substr(txt, 1)',
  'strftime(txt)',
  'now()',
  'random()',
  'json_object(txt)',
  'nonsense(1)',
  'max(n)',
])('[75] %s is refused below edition 3', (expression) => {
  expect([1, 2].map((edition) => valueOf(expression, { ...ROW, edition: edition === 1 ? 1 : 2 }))).toEqual([
    'refused',
    'refused',
  ])
})

test('[75] edition 3 refuses unknown functions, and counts arguments', () => {
  for (const call of ['now()', 'random()', 'nonsense(1)', 'max(n)', 'length()', 'length(txt, 1)', 'upper()']) {
    expect(valueOf(call, ROW)).toBe('refused')
  }
  for (const call of ['iif(1, 2)', 'iif(1, 2, 3, 4)', 'substring(txt)', 'substring(txt, 1, 2, 3)', 'typeof()']) {
    expect(valueOf(call, ROW)).toBe('refused')
  }
  for (const call of ['unixepoch()', "unixepoch(txt, 'a', 'b', 'c')", 'hex(1, 2)', 'json_keys()', 'instr(txt)']) {
    expect(valueOf(call, ROW)).toBe('refused')
  }
})

test('[75] older editions pass over arguments that are too many, and take missing ones for absent', () => {
  for (const edition of [1, 2] as const) {
    expect(valueOf('upper(txt, 1)', { ...ROW, edition })).toBe('"ABC"')
    expect(valueOf("iif(0, 'a')", { ...ROW, edition })).toBe('null')
    expect(valueOf('ifnull(n, 1, 2)', { ...ROW, edition })).toBe('1')
  }
})

test('[75, 76] conditional functions and types', () => {
  expect(valuesOf('ifnull(n, 1)')).toEqual(inAll('1'))
  expect(valuesOf("iif(0.1, 'y', 'n')")).toEqual(inAll('"y"'))
  expect(valuesOf("iif(n, 'y', 'n')")).toEqual(inAll('"n"'))
  expect(valuesOf('typeof(n)')).toEqual(inAll('"null"'))
  expect(valuesOf('typeof(1.0)')).toEqual(inAll('"real"'))
  expect(valuesOf('typeof(blob)')).toEqual(inAll('"blob"'))
  expect(valuesOf('typeof(1)')).toEqual(inAll('"integer"'))
  expect(valuesOf('typeof(txt)')).toEqual(inAll('"text"'))
  expect(valuesOf('json_valid(bad)')).toEqual(inAll('0'))
  expect(valuesOf('json_valid(j)')).toEqual(inAll('1'))
  expect(valuesOf('json_valid(n)')).toEqual(inAll('0'))
})

test('[76] evaluating a row again gives the same bytes, whatever came between', () => {
  const expressions = [
    'upper(txt)',
    "datetime('2024-01-02')",
    'base64(blob)',
    "j ->> 'b'",
    'json_keys(j)',
    'hex(blob)',
    'half / 3',
  ]
  const query = `SELECT id, ${expressions.map((expression, index) => `${expression} AS c${index}`).join(', ')} FROM t`
  const table = exampleTable('t', `id, ${ROW.columns}, half float8`, `1 | ${ROW.row} | 0.5`, `2 | ${ROW.row} | 7`)
  const config = streamsConfig({ s: query })
  expect(compileSyncConfig(config).kind).toBe('compiled')
  const once = storageOf(config, [table])
  const again = storageOf(config, [{ ...table, rows: table.rows.toReversed() }])
  expect([...again.outcomes()].toReversed().map(({ outcome }) => outcome)).toEqual(
    once.outcomes().map(({ outcome }) => outcome),
  )
  expect(toRequest({ claims: {} }).includeDefaults).toBe(true)
})

test.each([
  ['1 BETWEEN 0 AND 2', '1'],
  ['n BETWEEN 0 AND 2', 'null'],
  ['1 NOT BETWEEN n AND 2', '1'],
  ['1 IN ARRAY[2, 1]', '1'],
  ['1 IN ARRAY[2, n]', 'null'],
  ['n IN ARRAY[1]', 'null'],
  ['1 NOT IN ARRAY[2, n]', '1'],
  ["'a' IN ROW('a')", '1'],
  ["1 NOT IN '[2,null]'", '1'],
  ['5 IS TRUE', '0'],
  ['1 IS TRUE', '1'],
  ['n IS TRUE', '0'],
  ['n IS NOT FALSE', '1'],
  ['0 IS FALSE', '1'],
  ["CASE txt WHEN 'x' THEN 1 WHEN 'abc' THEN 2 END", '2'],
  ["CASE WHEN n THEN 1 WHEN '0.5' THEN 2 ELSE 3 END", '3'],
  ['CASE WHEN 0 THEN 1 END', 'null'],
  ['CASE n WHEN n THEN 1 ELSE 2 END', '2'],
  ['7 % 4', '3'],
  ['6 & 3', '2'],
  ['6 | 3', '7'],
  ['1 << 3', '8'],
  ['8 >> 2', '2'],
  ['+5', '5'],
  ["j -> 'd' ->> 0", '1'],
  ['j -> 0', 'null'],
])('[55, 62] in edition 3 %s is %s', (expression, value) => {
  expect(valueOf(expression, ROW)).toBe(value)
})
