import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileSyncConfig } from '../compile.ts'
import { loadPlan } from '../load.ts'
import { requestOf, sourceTable } from '../testing/builders.ts'
import type { LoadedPlan, SqliteValue } from '../types.ts'
import { valueToJson } from '../values/value.ts'
import { PATIENT, SEED } from './expressions.test-parts.ts'
import { RealSqlite } from './real-sqlite.test-parts.ts'

/** SQL of a config, and what it is called in SQLite. Everything stands in parentheses: not all precedences agree. */
type Sql = { readonly ours: string; readonly theirs: string }

/** A column of `t` with its value, and the text of that in Postgres. */
type Cell = { readonly value: SqliteValue; readonly text: string | null }

const NULL_CELL: Cell = { value: null, text: null }
const COLUMNS = ['i', 'r', 's', 'n', 'flag', 'b', 'j']
const TABLE = sourceTable('t', 'key, i int8, r float8, s, n, flag bool, b bytea, j json')

const words = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'B',
    'é',
    '😀',
    '0',
    '1',
    '5',
    '0.5',
    '2x',
    ' 3',
    '-7',
    '1e1',
    "it's",
    '9223372036854775808',
  ),
  fc.string({ maxLength: 3 }).filter((text) => !text.includes('\0')),
)
const integers = fc.oneof(
  fc.constantFrom(0n, 1n, -1n, 5n, 2n ** 63n - 1n, -(2n ** 63n)),
  fc.bigInt({ min: -9n, max: 9n }),
)
const reals = fc.oneof(fc.constantFrom(0.5, 1, -2.5, 1e21, 49.47), fc.double({ noNaN: true, noDefaultInfinity: true }))

const cells: fc.Arbitrary<readonly Cell[]> = fc.tuple(
  fc.option(
    integers.map((value): Cell => ({ value, text: String(value) })),
    { nil: NULL_CELL },
  ),
  fc.option(
    reals.map((value): Cell => ({ value, text: String(value) })),
    { nil: NULL_CELL },
  ),
  fc.option(
    words.map((value): Cell => ({ value, text: value })),
    { nil: NULL_CELL },
  ),
  fc.constant(NULL_CELL),
  fc.boolean().map((is): Cell => ({ value: is ? 1n : 0n, text: is ? 't' : 'f' })),
  words.map((content): Cell => {
    const value = new TextEncoder().encode(content)
    return { value, text: `\\x${Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('')}` }
  }),
  fc
    .constantFrom('{"a":1,"b":{"c":"x"},"d":[1,2.50,"y"],"n":null,"t":true}', '[1, 2.0, "x", null]', '"text"', '12')
    .map((value): Cell => ({ value, text: value })),
)

function same(sql: string): Sql {
  return { ours: sql, theirs: sql }
}

type Print = (...parts: readonly string[]) => string

/** The same built of parts. */
function build(parts: readonly Sql[], print: Print): Sql {
  return { ours: print(...parts.map(({ ours }) => ours)), theirs: print(...parts.map(({ theirs }) => theirs)) }
}

const leaf: fc.Arbitrary<Sql> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...COLUMNS).map(same) },
  fc.constantFrom('NULL', 'TRUE', 'FALSE', '0', '1', '-5', '1.5', '0.0', '12').map(same),
  words.map((content) => same(`'${content.replaceAll("'", "''")}'`)),
)

function tree(depth: number): fc.Arbitrary<Sql> {
  if (depth === 0) return leaf
  const part = tree(depth - 1)
  const of = (count: number, ...prints: readonly Print[]): fc.Arbitrary<Sql> =>
    fc
      .tuple(fc.array(part, { minLength: count, maxLength: count }), fc.constantFrom(...prints))
      .map(([parts, print]) => build(parts, print))
  const infix =
    (operator: string): Print =>
    (...parts) =>
      `(${parts.join(` ${operator} `)})`
  const named =
    (name: string): Print =>
    (...parts) =>
      `${name}(${parts.join(', ')})`
  const casts = ['text', 'numeric', 'integer', 'real', 'blob']
  return fc.oneof(
    leaf,
    of(2, ...['+', '-', '*', '/', '%', '&', '|', '<<', '>>', '||'].map(infix)),
    { weight: 2, arbitrary: of(2, ...['=', '!=', '<>', '<', '<=', '>', '>='].map(infix)) },
    { weight: 2, arbitrary: of(2, ...['AND', 'OR'].map(infix)) },
    of(
      1,
      ...['NULL', 'NOT NULL', 'TRUE', 'NOT TRUE', 'FALSE', 'NOT FALSE'].map(
        (what) =>
          (a = '') =>
            `(${a} IS ${what})`,
      ),
    ),
    of(1, (a = '') => `(NOT ${a})`),
    of(
      1,
      ...casts.map(
        (type) =>
          (a = '') =>
            `CAST(${a} AS ${type})`,
      ),
    ),
    of(1, ...['length', 'typeof', 'hex'].map(named)),
    of(2, ...['instr', 'ifnull', 'substring'].map(named)),
    of(3, ...['iif', 'substring'].map(named)),
    of(
      3,
      ...['', 'NOT '].map(
        (not) =>
          (a = '', low = '', high = '') =>
            `(${a} ${not}BETWEEN ${low} AND ${high})`,
      ),
    ),
    of(3, (a = '', b = '', c = '') => `(CASE ${a} WHEN ${b} THEN ${c} END)`),
    of(3, (a = '', b = '', c = '') => `(CASE WHEN ${a} THEN ${b} ELSE ${c} END)`),
    fc.tuple(part, part, part, fc.constantFrom('IN', 'NOT IN')).map(([a, b, c, is]) => ({
      ours: `(${a.ours} ${is} ARRAY[${b.ours}, ${c.ours}])`,
      theirs: `(${a.theirs} ${is} (${b.theirs}, ${c.theirs}))`,
    })),
    fc.tuple(part, fc.constantFrom('j', "'[1, 2.0, null]'", 'NULL')).map(([a, array]) => ({
      ours: `(${a.ours} NOT IN ${array})`,
      theirs: `(${a.theirs} NOT IN (SELECT value FROM json_each(${array})))`,
    })),
    fc
      .constantFrom("(j ->> 'a')", "(j -> 'd' ->> 1)", "(j -> 'd')", '(j ->> -1)', "json_extract(j, '$.d[#-1]')")
      .map(same),
  )
}

const sqlite = new RealSqlite()

function inSqlite(sql: string, row: readonly Cell[]): SqliteValue {
  const names = COLUMNS.map((name, index) => `?${index + 1} AS ${name}`).join(', ')
  const outcome = sqlite.run(
    `(SELECT ${sql} FROM (SELECT ${names}))`,
    row.map(({ value }) => value),
  )
  if (outcome === 'fails') throw new Error('Invariant: nothing of these can fail')
  return outcome.value
}

/** Undefined for a config that is refused: its conditions multiply out to too much. */
function load(query: string): LoadedPlan | undefined {
  const result = compileSyncConfig(
    JSON.stringify({
      config: { edition: 3, unstable_sqlite_expression_engine: true },
      streams: { s: { auto_subscribe: true, query } },
    }),
  )
  if (result.kind === 'compiled') return loadPlan(result.plan, { generation: 1, bucketsMax: 100 })
  expect(result.diagnostics.map(({ message }) => message).join()).toContain('alternatives')
  return undefined
}

/** The data of the objects of a row that a request gets. */
async function visible(plan: LoadedPlan, row: readonly Cell[]): Promise<readonly string[]> {
  const outcome = plan.forTable(TABLE)?.evaluate(['k', ...row.map(({ text }) => text)])
  const resolution = await plan.resolve(requestOf({ sub: 'ann' }), () => Promise.resolve([]))
  expect([...(outcome?.errors ?? []), ...resolution.streams.flatMap(({ errors }) => errors)]).toEqual([])
  const granted = new Set(resolution.buckets.map(({ bucket }) => bucket))
  const objects = outcome?.objects.filter(({ bucket }) => granted.has(bucket)) ?? []
  return [...new Set(objects.map(({ data }) => data))]
}

test('SQL of a config gives what it gives in SQLite', PATIENT, async () => {
  await fc.assert(
    fc.asyncProperty(tree(3), cells, async ({ ours, theirs }, row) => {
      const plan = load(`SELECT key AS id, ${ours} AS v FROM t`)
      if (plan === undefined) return
      const json = valueToJson(inSqlite(theirs, row))
      expect(await visible(plan, row)).toEqual([json === undefined ? '{"id":"k"}' : `{"id":"k","v":${json}}`])
    }),
    { seed: SEED, numRuns: 400 },
  )
})

test('a row passes a condition of a config where it passes in SQLite', PATIENT, async () => {
  await fc.assert(
    fc.asyncProperty(tree(3), cells, async ({ ours, theirs }, row) => {
      const plan = load(`SELECT key AS id FROM t WHERE ${ours}`)
      if (plan === undefined) return
      const passes = inSqlite(`CASE WHEN ${theirs} THEN 1 ELSE 0 END`, row) === 1n
      expect((await visible(plan, row)).length > 0).toBe(passes)
    }),
    { seed: SEED, numRuns: 400 },
  )
})
