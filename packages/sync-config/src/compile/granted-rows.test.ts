import { describe, expect, test } from 'vitest'
import { loadPlan } from '../load.ts'
import { planOf, requestOf, saidOf, sourceTable, streamsConfig } from '../testing/builders.ts'

/** Is a user with these claims granted the row of the table `t` (id, x, y, list)? */
async function isGranted(query: string, claims: { readonly [name: string]: string | readonly string[] }, row: Row) {
  const plan = loadPlan(planOf(streamsConfig({ s: query })), { generation: 1, bucketsMax: 100 })
  const { buckets } = await plan.resolve(requestOf(claims), (keys) => Promise.resolve(keys.map(() => [])))
  const granted = new Set(buckets.map(({ bucket }) => bucket))
  const { objects = [] } = plan.forTable(sourceTable('t', 'id, x, y, list'))?.evaluate(['1', ...row]) ?? {}
  return objects.some(({ bucket }) => granted.has(bucket))
}

type Row = readonly [x: string | null, y: string | null, list: string | null]

const ROW: Row = ['a', 'b', '["a"]']

test.each([
  ['SELECT id FROM t WHERE x NOT IN list', false],
  ['SELECT id FROM t WHERE y NOT IN list', true],
  ['SELECT id FROM t WHERE NOT (x IN list)', false],
  ['SELECT id FROM t WHERE NOT (y IN list)', true],
  ['SELECT id FROM t WHERE NOT (x NOT IN list)', true],
  ['SELECT id FROM t WHERE NOT (y NOT IN list)', false],
  ["SELECT id FROM t WHERE auth.parameter('many') NOT IN auth.parameter('list')", true],
  ["SELECT id FROM t WHERE auth.user_id() NOT IN auth.parameter('list')", false],
  ['SELECT t.id FROM t, json_each(\'["a", "z"]\') AS e WHERE NOT (e.value = t.x)', true],
  ['SELECT t.id FROM t, json_each(\'["a"]\') AS e WHERE NOT (e.value = t.x)', false],
  ['SELECT t.id FROM t, json_each(\'["a", "z"]\') AS e WHERE t.x != e.value AND e.value = \'a\'', false],
  ['SELECT t.id FROM t, json_each(\'["a", "z"]\') AS e WHERE t.x = e.value AND e.value = auth.user_id()', true],
  ['SELECT t.id FROM t, json_each(\'["z"]\') AS e WHERE t.x = e.value AND auth.user_id() = e.value', false],
])('%s grants it: %j', async (query, expected) => {
  expect(await isGranted(query, { sub: 'a', list: ['a'], many: 'z' }, ROW)).toBe(expected)
})

test('an array that is mixed both with a column and with the request is refused, whatever the order', () => {
  const query = (conditions: string): string =>
    streamsConfig({ s: `SELECT t.id FROM t, json_each('[1]') AS e WHERE ${conditions}` })
  const said = [expect.stringContaining('The elements of this array cannot be mixed both with columns and with values')]
  expect(saidOf(query("e.value + t.x = 3 AND e.value < auth.parameter('n')"))).toEqual(said)
  expect(saidOf(query("e.value < auth.parameter('n') AND e.value + t.x = 3"))).toEqual(said)
})

describe('a row that two tables decide', () => {
  const QUERY = `SELECT p.id FROM p, s WHERE p.x = s.y AND p.z = s.w AND p.COLUMN = auth.user_id()
    AND s.u = auth.user_id()`

  test.each(['a', 'owner', 'x', 'zz'])('must fulfil every equality with one row of the other: %s', async (column) => {
    const plan = loadPlan(planOf(streamsConfig({ s: QUERY.replace('COLUMN', column) })), {
      generation: 1,
      bucketsMax: 100,
    })
    const rows = (table: string, columns: string, texts: readonly (readonly string[])[]) =>
      texts.map((row) => plan.forTable(sourceTable(table, columns))?.evaluate(row))
    const columns = column === 'x' ? 'id, x, z' : `id, x, z, ${column}`
    const outcomes = [
      ...rows('p', columns, [
        ['both', 'ann', '1', 'ann'],
        ['first', 'ann', '2', 'ann'],
        ['second', 'eve', '1', 'ann'],
        ['foreign', 'ann', '1', 'eve'],
      ]),
      ...rows('s', 'id, y, w, u', [
        ['1', 'ann', '1', 'ann'],
        ['2', 'bob', '2', 'ann'],
        ['3', 'ann', '2', 'eve'],
      ]),
    ]
    const entries = Map.groupBy(
      outcomes.flatMap((outcome) => outcome?.lookups ?? []),
      ({ key }) => key,
    )
    const { buckets } = await plan.resolve(requestOf({ sub: 'ann' }), (keys) =>
      Promise.resolve(keys.map((key) => entries.get(key)?.map(({ outputs }) => outputs) ?? [])),
    )
    const granted = new Set(buckets.map(({ bucket }) => bucket))
    const ids = outcomes.flatMap((outcome) => outcome?.objects ?? []).filter(({ bucket }) => granted.has(bucket))
    expect(ids.map(({ id }) => id)).toEqual(column === 'x' ? ['both', 'foreign'] : ['both'])
  })
})

test('two queries with other wildcards see other parts of the name of one table', () => {
  const plan = loadPlan(
    planOf(
      streamsConfig({
        short: `SELECT t.id FROM "log_%" AS "t" WHERE t.table_suffix() = 'nl_1' AND t.table_suffix() = auth.user_id()`,
        long: `SELECT t.id FROM "log_nl_%" AS "t" WHERE t.table_suffix() = 'nl_1' AND t.table_suffix() = auth.user_id()`,
        also: `SELECT t.id, 1 AS n FROM "log_nl_%" AS "t" WHERE t.table_suffix() = auth.user_id()`,
      }),
    ),
    { generation: 1, bucketsMax: 100 },
  )
  const { objects = [] } = plan.forTable(sourceTable('log_nl_1', 'id'))?.evaluate(['1']) ?? {}
  expect(objects.map(({ bucket }) => bucket.slice(bucket.indexOf('['))).toSorted()).toEqual(['["1"]', '["nl_1"]'])
})
