import { describe, expect, test } from 'vitest'
import { compileSyncConfig } from '../compile.ts'
import { loadPlan } from '../load.ts'
import { planOf, requestOf, saidOf, sourceTable } from '../testing/builders.ts'
import { columnValue, valueOf } from '../testing/evaluate-expression.ts'

const STREAM = 'config: {edition: 3}\nstreams: {s: {query: SELECT id FROM t}}'
const DEFINITION = 'bucket_definitions: {d: {data: [SELECT id FROM t]}}'

function isRefused(config: string): boolean {
  return compileSyncConfig(config).kind === 'refused'
}

/** A config of one stream with more keys in it, in `config`, or at the root. */
function withKeys({ stream = '', config = '', root = '', edition = '3' }): string {
  return `config: {edition: ${edition}${config}}\nstreams:\n  s: {query: SELECT id FROM t${stream}}\n${root}`
}

test('what the other tests here vary is accepted as it is', () => {
  for (const config of [STREAM, DEFINITION, withKeys({})]) {
    expect(compileSyncConfig(config)).toMatchObject({ kind: 'compiled', diagnostics: [] })
  }
})

test.each([
  ['a syntax error', 'bucket_definitions: ['],
  ['a second document', `${DEFINITION}\n---\n${DEFINITION}`],
  ['a duplicate key', `${STREAM}\nstreams: {}`],
  ['a duplicate name', 'config: {edition: 3}\nstreams: {s: {query: SELECT id FROM t}, s: {query: SELECT id FROM t}}'],
  ['a list as root', '- a'],
  ['a scalar as root', 'text'],
  ['nothing', ''],
])('[1] a file with %s is refused', (_, config) => {
  expect(isRefused(config)).toBe(true)
})

test.each([
  ['the root', `${STREAM}\nstream: {}`],
  ['config', withKeys({ config: ', timestamp_iso8601: true' })],
  ['a bucket definition', 'bucket_definitions: {d: {data: [SELECT id FROM t], parameter: SELECT 1 AS a}}'],
  ['a stream', withKeys({ stream: ', autosubscribe: true' })],
])('[2] an unknown key in %s is refused by its name', (_, config) => {
  expect(saidOf(config).join()).toMatch(/stream|timestamp_iso8601|parameter|autosubscribe/)
})

test('[3] a config needs bucket definitions or streams, which may be empty', () => {
  expect(isRefused('config: {edition: 3}')).toBe(true)
  expect(isRefused('event_definitions: {}')).toBe(true)
  expect(compileSyncConfig('bucket_definitions: {}').kind).toBe('compiled')
  expect(compileSyncConfig('config: {edition: 3}\nstreams: {}').kind).toBe('compiled')
})

test.each([
  'config:\nbucket_definitions: {}',
  'bucket_definitions:',
  'config: {edition: 3}\nstreams:',
  'bucket_definitions: {d: }',
  'config: {edition: 3}\nstreams: {s: }',
  `${STREAM}\nwith:`,
  withKeys({ stream: ', with: ' }),
])('[4] null is refused where a map is needed: %j', (config) => {
  expect(isRefused(config)).toBe(true)
})

test('[5] without config everything is as in edition 1, with every flag off', () => {
  const flags = {
    timestamps_iso8601: false,
    versioned_bucket_ids: false,
    fixed_json_extract: false,
    custom_postgres_types: false,
  }
  const written = JSON.stringify({
    config: { edition: 1, ...flags },
    bucket_definitions: { d: { data: ['SELECT id FROM t'] } },
  })
  expect(planOf(DEFINITION).hash).toBe(planOf(written).hash)
})

test.each(['0', '4', '1.5', '"3"', 'true', 'latest'])('[6] edition %s is refused', (edition) => {
  expect(isRefused(withKeys({ edition }))).toBe(true)
})

describe('[7] flags', () => {
  const SEEN = {
    timestamps_iso8601: (setting: object) => columnValue('timestamp', '2024-01-02 03:04:05', setting).includes('T'),
    fixed_json_extract: (setting: object) => valueOf(`'{"n":null}' ->> 'n'`, setting) === 'null',
    custom_postgres_types: (setting: object) => columnValue('int4range', '[1,5)', setting).includes('lower'),
  }
  for (const [flag, isOn] of Object.entries(SEEN)) {
    test(`[7] ${flag} is on from edition 2 and can be turned both ways in any edition`, () => {
      expect(([1, 2, 3] as const).map((edition) => isOn({ edition }))).toEqual([false, true, true])
      for (const edition of [1, 2, 3]) {
        expect(isOn({ edition, flags: { [flag]: true } })).toBe(true)
        expect(isOn({ edition, flags: { [flag]: false } })).toBe(false)
      }
    })
  }

  test('[7] versioned_bucket_ids can be written in any edition', () => {
    for (const edition of [1, 2, 3] as const) {
      for (const on of [true, false]) expect(valueOf('1', { edition, flags: { versioned_bucket_ids: on } })).toBe('1')
    }
  })
})

test.each(['yes', '1', '"true"', 'on', 'null'])('[8] %s is not a boolean', (value) => {
  expect(isRefused(withKeys({ stream: `, auto_subscribe: ${value}` }))).toBe(true)
  expect(isRefused(withKeys({ config: `, timestamps_iso8601: ${value}` }))).toBe(true)
  expect(isRefused(withKeys({ stream: `, accept_potentially_dangerous_queries: ${value}` }))).toBe(true)
})

test('[8] true is written in the three ways of YAML', () => {
  for (const value of ['true', 'True', 'TRUE', 'false', 'False', 'FALSE']) {
    expect(isRefused(withKeys({ stream: `, auto_subscribe: ${value}` }))).toBe(false)
  }
})

test('[9] the precision of times needs ISO times, and is one of four words', () => {
  for (const word of ['seconds', 'milliseconds', 'microseconds', 'nanoseconds']) {
    expect(isRefused(withKeys({ config: `, timestamp_max_precision: ${word}` }))).toBe(false)
    expect(isRefused(withKeys({ config: `, timestamps_iso8601: false, timestamp_max_precision: ${word}` }))).toBe(true)
    expect(isRefused(`config: {timestamp_max_precision: ${word}}\n${DEFINITION}`)).toBe(true)
  }
  for (const word of ['minutes', 'Seconds', '3', 'true']) {
    expect(isRefused(withKeys({ config: `, timestamp_max_precision: ${word}` }))).toBe(true)
  }
})

test('[10] the SQLite engine needs edition 3 and fixed_json_extract', () => {
  const on = 'unstable_sqlite_expression_engine: true'
  expect(isRefused(withKeys({ config: `, ${on}` }))).toBe(false)
  expect(isRefused(withKeys({ config: `, ${on}, fixed_json_extract: false` }))).toBe(true)
  expect(isRefused(withKeys({ config: `, ${on}`, edition: '2' }))).toBe(true)
  expect(isRefused(`config: {${on}, fixed_json_extract: true}\n${DEFINITION}`)).toBe(true)
})

test('[11] storage_version 2 is accepted, 3 with a warning, others are refused', () => {
  expect(compileSyncConfig(withKeys({ config: ', storage_version: 2' }))).toMatchObject({
    kind: 'compiled',
    diagnostics: [],
  })
  expect(compileSyncConfig(withKeys({ config: ', storage_version: 3' }))).toMatchObject({
    kind: 'compiled',
    diagnostics: [{ severity: 'warning' }],
  })
  for (const version of ['1', '4', '2.5', '"2"']) {
    expect(isRefused(withKeys({ config: `, storage_version: ${version}` }))).toBe(true)
  }
})

test('[12] streams need edition 2, bucket definitions end with it; edition 2 has both', () => {
  expect(isRefused('streams: {s: {query: SELECT id FROM t}}')).toBe(true)
  expect(isRefused('config: {edition: 1}\nstreams: {}')).toBe(true)
  expect(isRefused(`config: {edition: 3}\n${DEFINITION}`)).toBe(true)
  expect(isRefused('config: {edition: 3}\nstreams: {}\nbucket_definitions: {}')).toBe(true)
  expect(isRefused(`config: {edition: 2}\nstreams: {s: {query: SELECT id FROM t}}\n${DEFINITION}`)).toBe(false)
})

test('[13] common table expressions and lists of queries need edition 3', () => {
  const cte = 'with: {c: SELECT id FROM t WHERE a = auth.user_id()}'
  expect(isRefused(withKeys({ root: cte }))).toBe(false)
  expect(isRefused(withKeys({ stream: `, ${cte}` }))).toBe(false)
  expect(isRefused('config: {edition: 3}\nstreams: {s: {queries: [SELECT id FROM t]}}')).toBe(false)
  expect(isRefused(withKeys({ root: cte, edition: '2' }))).toBe(true)
  expect(isRefused(withKeys({ stream: `, ${cte}`, edition: '2' }))).toBe(true)
  expect(isRefused('config: {edition: 2}\nstreams: {s: {queries: [SELECT id FROM t]}}')).toBe(true)
  expect(isRefused(`${DEFINITION}\n${cte}`)).toBe(true)
})

test('[14] a stream has exactly one of query and queries', () => {
  expect(isRefused('config: {edition: 3}\nstreams: {s: {auto_subscribe: true}}')).toBe(true)
  expect(isRefused(withKeys({ stream: ', queries: [SELECT id FROM u]' }))).toBe(true)
  expect(isRefused('config: {edition: 3}\nstreams: {s: {queries: []}}')).toBe(false)
})

test('[15] a bucket definition and a stream cannot have one name', () => {
  const streams = (name: string): string => `streams: {${name}: {query: SELECT id FROM t}}`
  expect(isRefused(`config: {edition: 2}\n${DEFINITION}\n${streams('d')}`)).toBe(true)
  expect(isRefused(`config: {edition: 2}\n${DEFINITION}\n${streams('e')}`)).toBe(false)
})

test.each(['-1', '4', '1.5', '"1"', 'high', 'null'])('[16] priority %s is refused', (priority) => {
  expect(isRefused(withKeys({ stream: `, priority: ${priority}` }))).toBe(true)
  expect(isRefused(withKeys({ stream: `, priority: ${priority}`, edition: '2' }))).toBe(true)
  expect(isRefused(`bucket_definitions: {d: {data: [], priority: ${priority}}}`)).toBe(true)
})

test('[16] priorities 0 to 3 are accepted', () => {
  for (const priority of [0, 1, 2, 3]) expect(isRefused(withKeys({ stream: `, priority: ${priority}` }))).toBe(false)
})

test('[17] parameters are a text, a list, or absent for one bucket for everybody', async () => {
  const config = (parameters: string, where = ''): string =>
    `bucket_definitions:\n  d:\n${parameters}    data: [SELECT id FROM t${where}]\n`
  const own = ' WHERE a = bucket.a'
  const one = planOf(config('    parameters: SELECT request.user_id() AS a\n', own))
  const list = planOf(config('    parameters: [SELECT request.user_id() AS a]\n', own))
  expect(list.hash).toBe(one.hash)
  const all = loadPlan(planOf(config('')), { generation: 1, bucketsMax: 9 })
  const { buckets } = await all.resolve(requestOf({ sub: 'anyone' }), () => Promise.resolve([]))
  const [object] = all.forTable(sourceTable('t', 'id, a'))?.evaluate(['1', null]).objects ?? []
  expect(buckets.map(({ bucket }) => bucket)).toEqual([object?.bucket])
  expect(isRefused(config('    parameters: []\n'))).toBe(true)
  expect(isRefused(config('    parameters: 5\n'))).toBe(true)
})

describe('[18] a query', () => {
  const QUERIES: readonly (readonly [style: string, file: string])[] = [
    ['plain', 'query: SELECT id, upperr(a) AS n FROM t'],
    ['plain over lines', 'query: SELECT id,\n      upperr(a) AS n\n      FROM t'],
    ['in double quotes', String.raw`query: "SELECT \"Id\" AS id, 'a\tb' AS x, upperr(a) AS n FROM t"`],
    ['in double quotes over lines', 'query: "SELECT id,\n\n      upperr(a)\\\n      AS n FROM t"'],
    ['in single quotes', `query: 'SELECT id, ''it''''s'' AS x, upperr(a) AS n FROM t'`],
    ['folded', 'query: >-\n      SELECT id,\n      upperr(a) AS n\n\n      FROM t'],
    ['literal', 'query: |\n        SELECT id,\n          upperr(a) AS n\n        FROM t'],
    ['literal with a comment', 'query: |\n      -- 😀\n      SELECT id, /* upper */ upperr(a) AS n FROM t'],
  ]

  test.each(QUERIES)('[18] that is %s is read as its text, and its faults are shown where they are', (_, text) => {
    const config = `config: {edition: 3}\nstreams:\n  s:\n    auto_subscribe: true\n    ${text}\n`
    const before = config.slice(0, config.indexOf('upperr')).split('\n')
    const place = { line: before.length, column: (before.at(-1) ?? '').length + 1 }
    const { kind, diagnostics } = compileSyncConfig(config)
    expect(kind).toBe('refused')
    expect(diagnostics.map(({ line, column }) => ({ line, column }))).toEqual([place])
    const plan = loadPlan(planOf(config.replace('upperr', 'upper')), { generation: 1, bucketsMax: 1 })
    const [object] = plan.forTable(sourceTable('t', 'id, a, Id'))?.evaluate(['1', 'x', '1']).objects ?? []
    expect(JSON.parse(object?.data ?? '')).toMatchObject({ id: '1', n: 'X' })
  })
})

test('[19] every independent error is reported in one run', () => {
  const config = `
config: { edition: 3, timestamps_iso8601: maybe }
streams:
  one:
    priority: 9
    query: SELECT id, foo(a) AS b FROM t
  two:
    auto_subscribe: 5
    queries:
      - SELECT id FROM t WHERE a < auth.user_id()
      - SELECT id FROM t ORDER BY id
      - SELECT id, a::varchar AS b FROM t WHERE b LIKE 'x' AND lower(c, 1) = 'a'
`
  expect(new Set(saidOf(config).map((text) => text.split(':')[0]))).toEqual(
    new Set(['2', '5', '6', '8', '10', '11', '12']),
  )
})
