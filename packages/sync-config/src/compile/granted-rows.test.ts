import { expect, test } from 'vitest'
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
