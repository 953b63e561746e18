import { describe, expect, test } from 'vitest'
import { checkPlanAgainstTables } from '../check-tables.ts'
import { compileSyncConfig } from '../compile.ts'
import { loadPlan } from '../load.ts'
import { planOf, saidOf, sourceTable, streamsConfig } from '../testing/builders.ts'
import { valueOf } from '../testing/evaluate-expression.ts'
import { exampleTable, storageOf, toRequest } from '../testing/worked-example.ts'
import type { SourceTable } from '../types.ts'

const EVERYBODY = toRequest({ claims: { sub: 'x' } })

function isRefused(query: string): boolean {
  return compileSyncConfig(streamsConfig({ s: query })).kind === 'refused'
}

function definition(data: string, edition = 1): string {
  return JSON.stringify({ config: { edition }, bucket_definitions: { d: { data: [data] } } })
}

function rowsOf(query: string, ...tables: readonly ReturnType<typeof exampleTable>[]): Promise<readonly string[]> {
  return storageOf(streamsConfig({ s: query }), tables).rowsFor(EVERYBODY)
}

test('[45] unquoted names are folded to lower case, quoted ones are kept', async () => {
  const table = exampleTable('Users', 'id, Name, name', '1 | A | a')
  expect(await rowsOf('SELECT U.ID, U."Name", NAME AS Low FROM "Users" AS U', table)).toEqual([
    'U/1 {"id":"1","Name":"A","low":"a"}'.replace('U/', 'u/'),
  ])
  expect(await rowsOf('SELECT id FROM Users', table)).toEqual([])
  expect(await rowsOf('SELECT "a""b" AS v, ID FROM t', exampleTable('t', 'id, a"b', '1 | x'))).toEqual([
    't/1 {"v":"x","id":"1"}',
  ])
})

describe('[46] what sync configs do not have', () => {
  test.each([
    'SELECT id FROM t GROUP BY id',
    'SELECT id FROM t GROUP BY id HAVING true',
    'SELECT id FROM t ORDER BY id',
    'SELECT id FROM t LIMIT 1',
    'SELECT id FROM t OFFSET 1',
    'SELECT id FROM t FOR UPDATE',
    'SELECT id FROM t UNION SELECT id FROM u',
    'SELECT id FROM t EXCEPT SELECT id FROM u',
    'WITH c AS (SELECT id FROM u) SELECT id FROM t',
    'VALUES (1)',
    'SELECT count(*) AS id FROM t',
    'SELECT count(id) AS id FROM t',
    'SELECT max(id) AS id FROM t',
    'SELECT t.id FROM t LEFT JOIN u ON u.id = t.id',
    'SELECT t.id FROM t RIGHT JOIN u ON u.id = t.id',
    'SELECT t.id FROM t FULL OUTER JOIN u ON u.id = t.id',
    'SELECT t.id FROM t CROSS JOIN u',
    'SELECT t.id FROM t NATURAL JOIN u',
    'SELECT t.id FROM t JOIN u USING (id)',
    'SELECT id FROM t WHERE EXISTS (SELECT id FROM u)',
    'SELECT id, (SELECT a FROM u) AS a FROM t',
    'SELECT id FROM t WHERE a = (SELECT a FROM u)',
    'SELECT id FROM t WHERE a = ANY (SELECT a FROM u)',
    "SELECT id FROM t WHERE a LIKE 'x%'",
    "SELECT id FROM t WHERE a ILIKE 'x%'",
    "SELECT id FROM t WHERE a ~ 'x'",
    'SELECT id FROM t WHERE a IN (1, 2)',
    'SELECT id FROM t WHERE (a, b) IN (SELECT a, b FROM u)',
    'SELECT id FROM t WHERE a = $1',
    'SELECT id FROM t WHERE a IS DISTINCT FROM b',
    'SELECT id, a COLLATE "C" AS a FROM t',
    'SELECT id FROM t; SELECT id FROM u',
    'UPDATE t SET a = 1',
    'DELETE FROM t',
  ])('[46] %s is refused', (query) => {
    expect(isRefused(query)).toBe(true)
  })

  test.each([
    'SELECT id FROM t GROUP BY id',
    'SELECT DISTINCT id FROM t',
    'SELECT id FROM t LIMIT 1',
    'SELECT t.id FROM t JOIN u ON u.id = t.id',
    'SELECT id FROM t WHERE id IN (SELECT id FROM u)',
    'SELECT id FROM t, u',
    'SELECT max(id) AS id FROM t',
    "SELECT id FROM t WHERE a LIKE 'x'",
    "SELECT id FROM t WHERE a BETWEEN 'a' AND 'b'",
    'SELECT id, CASE WHEN a THEN 1 END AS v FROM t',
  ])('[46] in a data query of a bucket definition %s is refused', (query) => {
    expect(compileSyncConfig(definition(query)).kind).toBe('refused')
  })

  test('[46] what stands closest to it is accepted', () => {
    expect(
      saidOf(streamsConfig({ s: 'SELECT t.id FROM t JOIN u ON u.id = t.id WHERE u.a = auth.user_id();' })),
    ).toEqual([])
    expect(saidOf(streamsConfig({ s: "SELECT id FROM t WHERE a IN ARRAY['1', '2'] /* x */ -- y" }))).toEqual([])
    expect(saidOf(streamsConfig({ s: 'SELECT DISTINCT id FROM t' }))).toEqual([])
  })
})

test('[47] AND binds tighter than OR, and NOT stands between comparison and AND', async () => {
  const table = exampleTable('t', 'id, a bool, b bool, n int4', '1 | t | f | 1', '2 | f | t | 2', '3 | f | f | 3')
  const idsOf = async (where: string): Promise<string> =>
    (await rowsOf(`SELECT id FROM t WHERE ${where}`, table)).map((row) => row.slice(2, 3)).join('')
  expect(await idsOf('a OR b AND n = 3')).toBe('1')
  expect(await idsOf('(a OR b) AND n = 3')).toBe('')
  expect(await idsOf('n = 3 AND b OR a')).toBe('1')
  expect(await idsOf('NOT n = 1')).toBe('23')
  expect(await idsOf('NOT a AND n = 3')).toBe('3')
  expect(await idsOf('NOT (a AND n = 3)')).toBe('123')
  expect(await idsOf('NOT a = b')).toBe('12')
  expect(await idsOf('NOT NOT a')).toBe('1')
  expect(valueOf('1 + 2 * 3 = 7')).toBe('1')
  expect(valueOf("1 + 1 || '0'")).toBe('"20"')
  expect(valueOf("'2' || '0' = 20 || ''")).toBe('1')
  expect(valueOf('NOT 1 IS NULL')).toBe('1')
  expect(valueOf("'5'::integer + 1")).toBe('6')
  expect(valueOf('2 BETWEEN 1 AND 3 AND 0')).toBe('0')
  expect([valueOf('5-1'), valueOf('5 -1'), valueOf('5 - -1')]).toEqual(['4', '4', '6'])
})

test('[48] tables match by schema and name', async () => {
  const tables = ['public.t', 'shop.t', 'shop.T'].map((name) => exampleTable(name, 'id', name))
  expect(await rowsOf('SELECT id FROM t', ...tables)).toEqual(['t/public.t {"id":"public.t"}'])
  expect(await rowsOf('SELECT id FROM public.t', ...tables)).toEqual(['t/public.t {"id":"public.t"}'])
  expect(await rowsOf('SELECT id FROM shop.t', ...tables)).toEqual(['t/shop.t {"id":"shop.t"}'])
  expect(await rowsOf('SELECT id FROM Shop."T"', ...tables)).toEqual(['T/shop.T {"id":"shop.T"}'])
  expect(await rowsOf('SELECT id FROM "default.shop".t', ...tables)).toEqual(['t/shop.t {"id":"shop.t"}'])
  expect(isRefused('SELECT id FROM "a.b.c".t')).toBe(true)
})

test('[49] a wildcard stands for every table of the prefix; objects have the name of their table, or the alias', async () => {
  const tables = ['log_a', 'log_b', 'log', 'logs', 'other.log_c', 'LOG_d'].map((name) => exampleTable(name, 'id', '1'))
  expect(await rowsOf('SELECT * FROM "log_%"', ...tables)).toEqual(['log_a/1 {"id":"1"}', 'log_b/1 {"id":"1"}'])
  expect(await rowsOf('SELECT * FROM "log_%" AS logs', ...tables)).toEqual(['logs/1 {"id":"1"}'])
  expect((await rowsOf('SELECT * FROM "%"', ...tables)).length).toBe(5)
  expect(await rowsOf('SELECT * FROM "lo%g"', exampleTable('lo%g', 'id', '1'), ...tables)).toEqual([
    'lo%g/1 {"id":"1"}',
  ])
  expect(await rowsOf('SELECT * FROM "logx%"', ...tables)).toEqual([])
})

test('[50] the suffix is a column before edition 3, a function from then on', async () => {
  const table = exampleTable('log_2024', 'id, _table_suffix', '1 | own')
  const older = storageOf(definition('SELECT id, _table_suffix AS y FROM "log_%" WHERE _table_suffix = \'2024\''), [
    table,
  ])
  expect(await older.rowsFor(EVERYBODY)).toEqual(['log_2024/1 {"id":"1","y":"2024"}'])
  const query =
    'SELECT id, l.table_suffix() AS y, l.table_name() AS n, l.schema() AS s, _table_suffix AS own FROM "log_%" AS l'
  expect(await rowsOf(query, table)).toEqual(['l/1 {"id":"1","y":"2024","n":"log_2024","s":"public","own":"own"}'])
  expect(await rowsOf('SELECT id, log_2024.table_name() AS n FROM log_2024', table)).toEqual([
    'log_2024/1 {"id":"1","n":"log_2024"}',
  ])
  expect(saidOf(streamsConfig({ s: 'SELECT id, t.table_suffix() AS x FROM t' }), 'warning').length).toBe(1)
  expect(isRefused('SELECT id, u.table_suffix() AS x FROM "t%"')).toBe(true)
  expect(isRefused('SELECT id, "t%".table_suffix(1) AS x FROM "t%"')).toBe(true)
})

test('[51] a wildcard schema never stands for the schemas of Postgres', async () => {
  const tables = ['pg_catalog', 'pg_toast', 'information_schema', 'people'].map((schema) =>
    exampleTable(`${schema}.t`, 'id', schema),
  )
  for (const schema of ['%', 'p%', 'pg_%', 'i%']) {
    const rows = await rowsOf(`SELECT id FROM "${schema}".t`, ...tables)
    expect(rows).toEqual(schema === '%' || schema === 'p%' ? ['t/people {"id":"people"}'] : [])
  }
})

test('[52] a table that comes later and fits a pattern is read by the plan that is there', () => {
  const plan = loadPlan(planOf(streamsConfig({ s: 'SELECT * FROM "log_%"' })), { generation: 1, bucketsMax: 9 })
  expect(plan.forTable(sourceTable('log_2031', 'id, a'))?.evaluate(['1', 'x']).objects).toMatchObject([
    { type: 'log_2031', id: '1' },
  ])
  expect(plan.forTable(sourceTable('other', 'id'))).toBeUndefined()
  expect(plan.tables).toMatchObject([{ schema: 'public', name: 'log_%', isWildcard: true }])
})

test('[53] a column that is not there is NULL in expressions and absent where it is selected', async () => {
  const table = exampleTable('t', 'id', '1')
  expect(await rowsOf('SELECT id, gone FROM t', table)).toEqual(['t/1 {"id":"1"}'])
  expect(await rowsOf("SELECT id, gone IS NULL AS a, gone || 'x' AS b, ifnull(gone, 7) AS c FROM t", table)).toEqual([
    't/1 {"id":"1","a":1,"b":null,"c":7}',
  ])
  expect(await rowsOf('SELECT id FROM t WHERE gone', table)).toEqual([])
  expect(await rowsOf('SELECT id FROM t WHERE NOT gone', table)).toEqual(['t/1 {"id":"1"}'])
})

test('[54] a config may name tables and columns that do not exist; a known schema makes that a warning', () => {
  const plan = planOf(streamsConfig({ s: 'SELECT id, nmae FROM things WHERE a IN (SELECT b FROM nowhere)' }))
  const tables: readonly SourceTable[] = [sourceTable('things', 'id, name, a')]
  const said = checkPlanAgainstTables(plan, tables)
  expect(said.map(({ severity }) => severity)).toEqual(said.map(() => 'warning'))
  expect(said.map(({ message }) => message).join()).toMatch(/nmae.*nowhere/s)
  expect(checkPlanAgainstTables(plan, [sourceTable('things', 'id, nmae, a'), sourceTable('nowhere', 'b')])).toEqual([])
})
