import { describe, expect, test } from 'vitest'
import { compileSyncConfig } from './compile.ts'
import { valueOf } from './testing/evaluate-expression.ts'

const ENGINES = [{ extensions: true }, { extensions: true, unstable_sqlite_expression_engine: true }]

function messagesOf(query: string, config: { readonly [key: string]: unknown }): readonly string[] {
  const text = JSON.stringify({ config: { edition: 3, ...config }, streams: { s: { auto_subscribe: true, query } } })
  return compileSyncConfig(text).diagnostics.map(({ message }) => message)
}

test.each([1, 2])('the key is refused in edition %i', (edition) => {
  const text = JSON.stringify({ config: { edition, extensions: true }, bucket_definitions: {} })
  const { diagnostics } = compileSyncConfig(text)
  expect(diagnostics.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^"extensions" does not exist in edition/),
  ])
})

describe('without the key, what it turns on is refused and the message names it', () => {
  test.each([
    "SELECT id FROM t WHERE a LIKE 'x%'",
    "SELECT id FROM t WHERE a NOT LIKE 'x%'",
    "SELECT id, coalesce(a, '') AS a FROM t",
    'SELECT id, round(a) AS a FROM t',
    "SELECT id, strftime('%Y', a) AS a FROM t",
    'SELECT id, replace(a, b, c) AS a FROM t',
  ])('%s', (query) => {
    for (const config of [{}, { extensions: false }]) {
      expect(messagesOf(query, config)).toEqual([expect.stringContaining('or set "extensions: true" in "config"')])
    }
    expect(messagesOf(query, { extensions: true })).toEqual([])
  })
})

describe('with the key, what it does not turn on is refused as ever', () => {
  test.each([
    ["SELECT id FROM t WHERE a ILIKE 'x%'", 'ILIKE does not exist'],
    ["SELECT id FROM t WHERE a SIMILAR TO 'x%'", 'SIMILAR TO does not exist'],
    ['SELECT id FROM t WHERE a LIKE b', 'Right of LIKE stands a pattern in single quotes'],
    ["SELECT id FROM t WHERE a LIKE 'x%' ESCAPE '!!'", 'ESCAPE takes one character'],
    ["SELECT id FROM t WHERE a LIKE 'x%' ESCAPE b", 'ESCAPE takes one character'],
    ["SELECT id FROM t WHERE a || auth.user_id() LIKE 'x%'", 'Columns and values of the request cannot be mixed'],
    ["SELECT id, date('now') AS d FROM t", "'now' does not exist in sync configs"],
    ["SELECT id, strftime('%Y', 'NOW') AS d FROM t", "'now' does not exist in sync configs"],
    ["SELECT id, date(a, '+1 day') AS d FROM t", "'+1 day' does not exist in sync configs: expected 'unixepoch'"],
    ['SELECT id, date() AS d FROM t', 'date() takes 1 to 3 arguments'],
    ['SELECT id, coalesce(a) AS a FROM t', 'coalesce() takes 2 to 100 arguments'],
    ['SELECT id, now() AS a FROM t', 'Unknown function now()'],
    ["SELECT id, trim(both 'x' from a) AS a FROM t", 'TRIM(…) does not exist'],
    ['SELECT id, printf(a) AS a FROM t', 'Unknown function printf()'],
  ])('%s', (query, message) => {
    expect(messagesOf(query, { extensions: true })).toEqual([expect.stringContaining(message)])
  })
})

describe.each(ENGINES)('expressions with %o', (flags) => {
  test.each([
    ["'Abc' LIKE 'a%'", '1'],
    ["'abc' LIKE 'a_c'", '1'],
    ["'abc' LIKE 'a_'", '0'],
    ["'Äbc' LIKE 'ä%'", '0'],
    ["'5%' LIKE '5!%' ESCAPE '!'", '1'],
    ["'55' LIKE '5!%' ESCAPE '!'", '0'],
    ["'abc' NOT LIKE 'a%'", '0'],
    ["NOT 'abc' LIKE 'b%' AND 1 LIKE 1 || ''", 'refused'],
    ["12 LIKE '1%'", '1'],
    ["NULL LIKE 'a%'", 'null'],
    ['coalesce(NULL, NULL, 3)', '3'],
    ["nullif('a', 'a')", 'null'],
    ["nullif('a', 'b')", '"a"'],
    ['abs(0 - 3)', '3'],
    ['round(2.5)', '3.0'],
    ['round(2.345, 1)', '2.3'],
    ["replace('a-b', '-', '+')", '"a+b"'],
    ["trim('  a ')", '"a"'],
    ["ltrim('xxa', 'x')", '"a"'],
    ["rtrim('axx', 'x')", '"a"'],
    ["substr('abcd', -3, 2)", '"bc"'],
    ["date('2024-03-01T10:00:00+02:00')", '"2024-03-01"'],
    ["time(1700000000, 'unixepoch')", '"22:13:20"'],
    ["strftime('%G week %V', '2024-12-30')", '"2025 week 01"'],
    ['abs(-9223372036854775808)', 'error'],
  ])('%s is %s', (expression, value) => {
    expect(valueOf(expression, { flags })).toBe(value)
  })
})

test('NOT LIKE of NULL is as true as NOT of NULL is in the engine', () => {
  expect(ENGINES.map((flags) => valueOf("NULL NOT LIKE 'a%'", { flags }))).toEqual(['1', 'null'])
})

test('what coalesce passes over is not evaluated', () => {
  for (const flags of ENGINES) expect(valueOf("coalesce(1, 'x' -> 'y')", { flags })).toBe('1')
})
