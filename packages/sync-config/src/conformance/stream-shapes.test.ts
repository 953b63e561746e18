import { describe, expect, test } from 'vitest'
import { compileSyncConfig } from '../compile.ts'
import { planOf, streamsConfig } from '../testing/builders.ts'
import { checkExample, type ExampleTable, exampleTable, storageOf, toRequest } from '../testing/worked-example.ts'

const ANN = { sub: 'ann' }

type Shape = {
  readonly query?: string
  readonly queries?: readonly string[]
  readonly streamWith?: { readonly [name: string]: string }
  readonly fileWith?: { readonly [name: string]: string }
}

function config({ query, queries, streamWith, fileWith }: Shape): string {
  return JSON.stringify({
    config: { edition: 3 },
    ...(fileWith === undefined ? {} : { with: fileWith }),
    streams: {
      s: {
        auto_subscribe: true,
        ...(queries === undefined ? { query } : { queries }),
        ...(streamWith === undefined ? {} : { with: streamWith }),
      },
    },
  })
}

function isRefused(shape: Shape | string): boolean {
  return compileSyncConfig(config(typeof shape === 'string' ? { query: shape } : shape)).kind === 'refused'
}

function rowsOf(shape: Shape | string, ...tables: readonly ExampleTable[]): Promise<readonly string[]> {
  const text = config(typeof shape === 'string' ? { query: shape } : shape)
  return storageOf(text, tables).rowsFor(toRequest({ claims: ANN }))
}

describe('[115] a common table expression', () => {
  const T = exampleTable('t', 'id, k', '1 | a', '2 | b', '3 | c')
  const IN_C = 'SELECT id FROM t WHERE k IN c'

  test('[115] of the stream comes before one of the file, which comes before a table', async () => {
    const table = exampleTable('c', 'k', 'c')
    const streamWith = { c: "SELECT k FROM t WHERE k = 'a'" }
    const fileWith = { c: "SELECT k FROM t WHERE k = 'b'" }
    const inSubquery = 'SELECT id FROM t WHERE k IN (SELECT k FROM c)'
    for (const query of [IN_C, inSubquery]) {
      expect(await rowsOf({ query, streamWith, fileWith }, T, table)).toEqual(['t/1 {"id":"1"}'])
      expect(await rowsOf({ query, fileWith }, T, table)).toEqual(['t/2 {"id":"2"}'])
    }
    expect(await rowsOf(inSubquery, T, table)).toEqual(['t/3 {"id":"3"}'])
    const elsewhere = 'SELECT id FROM t WHERE k IN (SELECT k FROM public.c)'
    expect(await rowsOf({ query: elsewhere, fileWith }, T, table)).toEqual(['t/3 {"id":"3"}'])
  })

  test('[115] is a source of its own wherever it stands', async () => {
    const pairs = exampleTable('p', 'id, x, y', '1 | a | b', '2 | a | a', '3 | c | a')
    const streamWith = { c: "SELECT k FROM t WHERE k != 'c'" }
    const query = 'SELECT id FROM p WHERE x IN c AND y IN c'
    expect(await rowsOf({ query, streamWith }, pairs, T)).toEqual(['p/1 {"id":"1"}', 'p/2 {"id":"2"}'])
    const joined = 'SELECT p.id FROM p, c AS one, c AS two WHERE p.x = one.k AND p.y = two.k'
    expect(await rowsOf({ query: joined, streamWith }, pairs, T)).toEqual(['p/1 {"id":"1"}', 'p/2 {"id":"2"}'])
  })

  test('[115] cannot see others', () => {
    const streamWith = { c: 'SELECT k FROM d', d: 'SELECT x AS k FROM u WHERE y = auth.user_id()' }
    const plan = planOf(config({ query: IN_C, streamWith }))
    expect(plan.tables.map(({ name }) => name).toSorted()).toEqual(['d', 't'])
  })

  test('[115] of several columns cannot stand behind IN by its name', () => {
    const two = { c: 'SELECT k, id FROM u WHERE id = auth.user_id()' }
    expect(isRefused({ query: IN_C, streamWith: two })).toBe(true)
    expect(isRefused({ query: 'SELECT id FROM t WHERE k IN (SELECT k FROM c)', streamWith: two })).toBe(false)
  })

  test('[115] that nobody uses is a warning', () => {
    const result = compileSyncConfig(config({ query: 'SELECT id FROM t', streamWith: { c: 'SELECT k FROM t' } }))
    expect(result.diagnostics.map(({ severity }) => severity)).toEqual(['warning'])
  })
})

test.each([
  ['SELECT id FROM t WHERE k IN (SELECT * FROM u)', {}],
  ['SELECT t.id FROM t, (SELECT * FROM u) AS x WHERE x.k = t.k', {}],
  ['SELECT id FROM t WHERE k IN (SELECT a, b FROM u)', {}],
  ['SELECT t.id FROM t, (SELECT a, b FROM u) AS x(one) WHERE x.one = t.k', {}],
  ['SELECT t.id FROM t, (SELECT a FROM u) AS x(one, two) WHERE x.one = t.k', {}],
  ['SELECT t.id FROM t, (SELECT a, a FROM u) AS x WHERE x.a = t.k', {}],
  ['SELECT t.id FROM t, (SELECT a, b FROM u) AS x(one, one) WHERE x.one = t.k', {}],
  ['SELECT t.id FROM t, c WHERE c.k = t.k', { c: 'SELECT * FROM u' }],
  ['SELECT t.id FROM t, (SELECT a FROM u) AS x WHERE x.b = t.k', {}],
  ['SELECT t.id FROM t, (SELECT a FROM u WHERE u.b = t.b) AS x WHERE x.a = t.k', {}],
])('[116] %s is refused', (query, streamWith) => {
  expect(isRefused({ query, streamWith })).toBe(true)
})

test('[116] lists of columns that fit are accepted', () => {
  expect(isRefused('SELECT t.id FROM t, (SELECT a, b + 1 AS c FROM u) AS x WHERE x.c = t.k')).toBe(false)
  expect(isRefused('SELECT t.id FROM t, (SELECT a, b + 1 FROM u) AS x(a, c) WHERE x.c = t.k')).toBe(false)
})

test.each([
  'SELECT t.id, u.name FROM t JOIN u ON u.id = t.u',
  'SELECT t.*, u.* FROM t JOIN u ON u.id = t.u',
  'SELECT t.id, t.a || u.a AS x FROM t JOIN u ON u.id = t.u',
  'SELECT v.value AS id FROM t, json_each(t.tags) AS v',
  'SELECT t.id, v.key AS k FROM t, json_each(t.tags) AS v',
  'SELECT id, auth.user_id() AS me FROM t',
  "SELECT id, a || auth.parameter('x') AS x FROM t",
  'SELECT 1 AS id FROM t',
  "SELECT 'a' AS id FROM t WHERE a = auth.user_id()",
])('[117] %s is refused', (query) => {
  expect(isRefused(query)).toBe(true)
})

test.each([
  ['SELECT id FROM t JOIN u ON u.id = t.u', 'SELECT t.id FROM t JOIN u ON u.id = t.u'],
  ['SELECT t.id FROM t JOIN u ON id = t.u', 'SELECT t.id FROM t JOIN u ON t.u = u.id'],
  ['SELECT * FROM t JOIN u ON u.id = t.u', 'SELECT t.* FROM t JOIN u ON u.id = t.u'],
  ['SELECT t.id FROM t, u WHERE a = auth.user_id()', 'SELECT t.id FROM t, u WHERE u.a = auth.user_id()'],
  ['SELECT t.id FROM t WHERE t.k IN (SELECT k FROM u, v)', 'SELECT t.id FROM t WHERE t.k IN (SELECT u.k FROM u, v)'],
  [
    'SELECT t.id FROM t, json_each(tags) AS v WHERE v.value = 1',
    'SELECT t.id FROM t, json_each(t.tags) AS v WHERE v.value = 1',
  ],
  ['SELECT u.id FROM t', 'SELECT t.id FROM t'],
  ['SELECT t.id FROM t AS x', 'SELECT x.id FROM t AS x'],
])('[118] %s is refused, %s is not', (refused, accepted) => {
  expect(isRefused(refused)).toBe(true)
  expect(isRefused(accepted)).toBe(false)
})

test.each([
  "k < auth.parameter('x')",
  "k != auth.parameter('x')",
  "k >= subscription.parameter('x')",
  "k || auth.user_id() = 'x'",
  'upper(k || auth.user_id()) IS NULL',
  "NOT (k = auth.parameter('x'))",
  "k BETWEEN auth.parameter('x') AND 5",
  'CASE WHEN k = auth.user_id() THEN 1 END',
  "k NOT IN auth.parameter('x')",
  'auth.user_id() NOT IN k',
  "k IN ARRAY[auth.user_id(), 'x']",
  '(k = auth.user_id()) = 1',
  "NOT (k && auth.parameter('x'))",
])('[119] %s mixes row and request and is refused', (condition) => {
  expect(isRefused(`SELECT id FROM t WHERE ${condition}`)).toBe(true)
})

test.each([
  't.a < u.a',
  't.a != u.a',
  't.a || u.a = 1',
  't.a + u.a = 3',
  'NOT (t.a = u.a)',
  't.a NOT IN u.a',
  'ifnull(t.a, u.a) = 1',
])('[119] %s mixes two tables and is refused', (condition) => {
  expect(isRefused(`SELECT t.id FROM t, u WHERE u.k = t.k AND ${condition}`)).toBe(true)
})

test('[119] the same operators within one side are accepted', () => {
  expect(isRefused("SELECT id FROM t WHERE k < 5 AND k || 'a' = auth.user_id() || auth.parameter('x')")).toBe(false)
  expect(isRefused('SELECT t.id FROM t, u WHERE t.a + 1 = u.b * 2')).toBe(false)
})

test.each([
  'k NOT IN (SELECT k FROM u)',
  'NOT (k IN (SELECT k FROM u WHERE a = auth.user_id()))',
  'NOT (k = 1 OR k IN (SELECT k FROM u))',
  'NOT (tags && (SELECT k FROM u))',
  'auth.user_id() NOT IN (SELECT k FROM u)',
])('[120] %s is refused: there are no anti-joins', (condition) => {
  expect(isRefused(`SELECT id FROM t WHERE ${condition}`)).toBe(true)
})

test('[120] NOTs that cancel are accepted', () => {
  expect(isRefused('SELECT id FROM t WHERE NOT (k NOT IN (SELECT k FROM u WHERE a = auth.user_id()))')).toBe(false)
})

test('[121] later columns overwrite earlier ones, in the place of the first', async () => {
  const t = exampleTable('t', 'id, a, _x', '1 | a | x')
  expect(await rowsOf('SELECT * FROM t', t)).toEqual(['t/1 {"id":"1","a":"a","_x":"x"}'])
  expect(await rowsOf("SELECT *, 'z' AS a FROM t", t)).toEqual(['t/1 {"id":"1","a":"z","_x":"x"}'])
  expect(await rowsOf("SELECT 'z' AS a, * FROM t", t)).toEqual(['t/1 {"a":"a","id":"1","_x":"x"}'])
  expect(await rowsOf("SELECT id, 'y' AS a, 'z' AS a FROM t", t)).toEqual(['t/1 {"id":"1","a":"z"}'])
  expect(await rowsOf('SELECT id, a AS id FROM t', t)).toEqual(['t/a {"id":"a"}'])
})

describe('[122] objects have the name of', () => {
  const T = exampleTable('t', 'id, k', '1 | a')
  const U = exampleTable('u', 'id, k', '9 | a')
  test.each([
    ['their table', 'SELECT id FROM t', 't'],
    ['the alias', 'SELECT id FROM t AS things', 'things'],
    ['the quoted alias', 'SELECT "The Things".id FROM t AS "The Things"', 'The Things'],
    ['the alias in a join', 'SELECT x.id FROM t AS x JOIN u ON u.k = x.k', 'x'],
    ['the table in a subquery', 'SELECT y.id FROM (SELECT id FROM t) AS y', 't'],
    ['the alias in a subquery', 'SELECT y.id FROM (SELECT x.id FROM t AS x) AS y', 'x'],
  ])('[122] %s', async (_, query, name) => {
    expect(await rowsOf(query, T, U)).toEqual([`${name}/1 {"id":"1"}`])
  })

  test('[122] the table in a CTE, or the alias there', async () => {
    const query = 'SELECT y.* FROM c AS y'
    expect(await rowsOf({ query, streamWith: { c: 'SELECT id FROM t' } }, T)).toEqual(['t/1 {"id":"1"}'])
    expect(await rowsOf({ query, streamWith: { c: 'SELECT x.id FROM t AS x' } }, T)).toEqual(['x/1 {"id":"1"}'])
  })

  test('[122] an alias without quotes on the primary of a join is a warning', () => {
    const said = (query: string): readonly string[] =>
      compileSyncConfig(config({ query })).diagnostics.map(({ severity }) => severity)
    expect(said('SELECT x.id FROM t AS x JOIN u ON u.k = x.k')).toEqual(['warning'])
    expect(said('SELECT x.id FROM t AS "x" JOIN u ON u.k = x.k')).toEqual([])
    expect(said('SELECT x.id FROM t AS x')).toEqual([])
  })
})

describe('[123] sharing', () => {
  const TABLES = [
    exampleTable('a', 'id, owner', '1 | ann', '2 | bob'),
    exampleTable('b', 'id, owner', '3 | ann', '4 | bob'),
  ]

  test('[123] queries of one stream that are reached by the same values share a bucket per value', () =>
    checkExample({
      config: streamsConfig({
        s: ['SELECT id FROM a WHERE owner = auth.user_id()', 'SELECT id FROM b WHERE auth.user_id() = owner'],
      }),
      tables: TABLES,
      buckets: { ann: ['a/1 {"id":"1"}', 'b/3 {"id":"3"}'], bob: ['a/2 {"id":"2"}', 'b/4 {"id":"4"}'] },
      requests: [{ claims: ANN, gets: ['ann'] }],
    }))

  test('[123] queries that are reached in different ways do not', () =>
    checkExample({
      config: streamsConfig({
        s: ['SELECT id FROM a WHERE owner = auth.user_id()', "SELECT id FROM b WHERE owner = auth.parameter('x')"],
      }),
      tables: TABLES,
      buckets: {
        'a ann': ['a/1 {"id":"1"}'],
        'a bob': ['a/2 {"id":"2"}'],
        'b ann': ['b/3 {"id":"3"}'],
        'b bob': ['b/4 {"id":"4"}'],
      },
      requests: [{ claims: { sub: 'ann', x: 'bob' }, gets: ['a ann', 'b bob'] }],
    }))

  test('[123] equal evaluators of different streams share buckets, however they are reached', () =>
    checkExample({
      config: streamsConfig({
        one: 'SELECT id FROM a WHERE owner = auth.user_id()',
        two: "SELECT id FROM a WHERE owner = auth.parameter('o')",
        three: "SELECT id FROM a WHERE owner IN auth.parameter('list')",
      }),
      tables: TABLES,
      buckets: { ann: ['a/1 {"id":"1"}'], bob: ['a/2 {"id":"2"}'] },
      requests: [
        { claims: { sub: 'ann', o: 'ann', list: ['bob', 'ann'] }, gets: ['ann', 'bob'] },
        { claims: { sub: 'x', o: 'bob', list: [] }, gets: ['bob', 'x'] },
      ],
    }))

  test('[123] other columns, filters or output names make other buckets', () => {
    const queries = [
      'SELECT id FROM a WHERE owner = auth.user_id()',
      'SELECT id, owner FROM a WHERE owner = auth.user_id()',
      "SELECT id FROM a WHERE owner = auth.user_id() AND id = '1'",
      'SELECT id FROM a AS c WHERE owner = auth.user_id()',
    ]
    const streams = Object.fromEntries(queries.map((query, index) => [`s${index}`, query]))
    const { buckets } = planOf(streamsConfig(streams)).body
    expect(Array.isArray(buckets) && buckets.length).toBe(4)
  })
})

describe('[124] limits', () => {
  test('[124] a condition may expand to 100 conjunctions', () => {
    const side = (count: number, name: string): string =>
      `(${Array.from({ length: count }, (_, index) => `${name}${index} = auth.parameter('${name}${index}')`).join(' OR ')})`
    expect(isRefused(`SELECT id FROM t WHERE ${side(10, 'a')} AND ${side(10, 'b')}`)).toBe(false)
    expect(isRefused(`SELECT id FROM t WHERE ${side(10, 'a')} AND ${side(11, 'b')}`)).toBe(true)
  })

  test('[124] a stream may have 100 buckets', () => {
    const queries = (count: number): readonly string[] =>
      Array.from(
        { length: count },
        (_, index) => `SELECT id FROM t${index} WHERE k${index} = auth.parameter('p${index}')`,
      )
    expect(isRefused({ queries: queries(100) })).toBe(false)
    expect(isRefused({ queries: queries(101) })).toBe(true)
  })

  test('[124] queries that share a bucket count once', () => {
    const queries = Array.from({ length: 150 }, (_, index) => `SELECT id FROM t${index} WHERE owner = auth.user_id()`)
    expect(isRefused({ queries })).toBe(false)
  })
})

test('[125] a row is in a bucket once, however many ways lead there', () => {
  const tables = [exampleTable('t', 'id, list jsonb, a, b', '1 | ["x","x"] | u | u', '2 | ["x"] | u | v')]
  for (const query of [
    'SELECT id FROM t WHERE auth.user_id() IN list',
    "SELECT id FROM t WHERE a = auth.parameter('p') OR b = auth.parameter('p')",
    "SELECT id FROM t WHERE list && auth.parameter('p')",
    "SELECT t.id FROM t, json_each(t.list) AS e WHERE e.value IN auth.parameter('p') AND e.key IS NOT NULL",
  ]) {
    for (const { outcome } of storageOf(streamsConfig({ s: query }), tables).outcomes()) {
      const names = outcome.objects.map(({ bucket, id }) => `${bucket} ${id}`)
      expect(names).toEqual([...new Set(names)])
    }
  }
  const twice = storageOf(streamsConfig({ s: ['SELECT id FROM t', 'SELECT id FROM t'] }), tables)
  expect(twice.outcomes().map(({ outcome }) => outcome.objects.length)).toEqual([1, 1])
})
