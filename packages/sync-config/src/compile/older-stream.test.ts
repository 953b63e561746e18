import { describe, expect, test } from 'vitest'
import { loadPlan } from '../load.ts'
import { planOf, requestOf, saidOf, sourceTable } from '../testing/builders.ts'
import { MemoryStorage } from '../testing/memory-storage.ts'
import type { TextRow } from '../types.ts'

/** A stream of edition 2 whose query stands from line 6, column 7 on. */
function stream(query: string, more = ''): string {
  return `config:\n  edition: 2\nstreams:\n  s:${more}\n    query: |\n      ${query}\n`
}

const CREW = sourceTable('crew', 'id, ship, name, tags jsonb, _rank int4')
const SHIPS = sourceTable('ships', 'id, boss, staff jsonb, big bool')

type Rows = { readonly crew: readonly TextRow[]; readonly ships?: readonly TextRow[] }

function storageOf(query: string, { crew, ships = [] }: Rows): MemoryStorage {
  const config = stream(query, '\n    auto_subscribe: true')
  const storage = new MemoryStorage(loadPlan(planOf(config), { generation: 1, bucketsMax: 100 }))
  for (const [index, row] of crew.entries()) storage.put(CREW, String(index), row)
  for (const [index, row] of ships.entries()) storage.put(SHIPS, String(index), row)
  return storage
}

async function idsOf(storage: MemoryStorage, ...request: Parameters<typeof requestOf>): Promise<readonly string[]> {
  const rows = await storage.rowsFor(requestOf(...request))
  return rows.map((text) => /^\w+\/(\S*)/.exec(text)?.[1] ?? '')
}

const ANN = { sub: 'ann' }
const SHIP_ROWS: readonly TextRow[] = [
  ['s1', 'ann', '["ann","bob"]', 't'],
  ['s2', 'bob', '["bob"]', 'f'],
  ['s3', null, null, null],
]
const CREW_ROWS: readonly TextRow[] = [
  ['c1', 's1', 'ann', '["x","s1"]', '1'],
  ['c2', 's2', 'bob', '["y"]', '2'],
  ['c3', null, null, null, null],
]
const ROWS = { crew: CREW_ROWS, ships: SHIP_ROWS }

describe('a condition grants', () => {
  test.each([
    ['name = auth.user_id()', ['c1']],
    ['ship IN (SELECT id FROM ships WHERE boss = auth.user_id())', ['c1']],
    ['ship IN (SELECT id FROM ships WHERE auth.user_id() IN staff)', ['c1']],
    ['ship IN (SELECT id FROM ships WHERE boss = auth.user_id() AND NOT big)', []],
    ["ship IN (SELECT id FROM ships WHERE auth.parameter('admin'))", ['c1', 'c2']],
    ["ship IN (SELECT id FROM ships WHERE auth.parameter('clerk'))", []],
    ['tags && (SELECT id FROM ships WHERE boss = auth.user_id())', ['c1']],
    ["tags && auth.parameter('list')", ['c1', 'c2']],
    ["auth.parameter('list') && tags", ['c1', 'c2']],
    ["name IN auth.parameter('list')", ['c2']],
    ["'x' IN tags AND auth.user_id() = name", ['c1']],
    ['auth.user_id() IN \'["ann"]\'', ['c1', 'c2', 'c3']],
    ["auth.user_id() IN auth.parameter('list')", []],
    ["'bob' IN auth.parameter('list')", ['c1', 'c2', 'c3']],
    ['auth.user_id() IN (SELECT boss FROM ships)', ['c1', 'c2', 'c3']],
    ["auth.parameter('list') = 'x' OR name = 'bob'", ['c2']],
    ['auth.user_id() IN (SELECT boss FROM ships WHERE NOT big)', []],
    ["NOT (name = 'ann' OR auth.parameter('clerk'))", ['c2', 'c3']],
    ["NOT (ship NOT IN auth.parameter('list'))", ['c1']],
    ['NOT NOT (name = auth.user_id())', ['c1']],
    ['name = auth.user_id() AND ship IN (SELECT id FROM ships WHERE boss = auth.user_id())', ['c1']],
    ["ship = 's1' OR name = 'bob'", ['c1', 'c2']],
    ['name NOT IN \'["ann"]\'', ['c2', 'c3']],
    ["name != 'ann'", ['c2']],
    ["name = connection.parameter('name')", ['c2']],
    ["name = connection.parameter('$.name')", []],
    ["name = auth.parameter('$.deep.name')", ['c2']],
    ["name = auth.parameter('deep.name')", []],
    ["name = subscription.parameter('name')", []],
    ["subscription.parameters() = '{}'", ['c1', 'c2', 'c3']],
    ['ship IS NULL', ['c3']],
    ['TRUE', ['c1', 'c2', 'c3']],
    ['FALSE', []],
  ])('%s: %j', async (condition, expected) => {
    const claims = { ...ANN, admin: true, list: ['bob', 'y', 's1'], deep: { name: 'bob' } }
    const storage = storageOf(`SELECT id FROM crew WHERE ${condition}`, ROWS)
    expect(storage.outcomes().flatMap(({ outcome }) => outcome.errors)).toEqual([])
    expect(await idsOf(storage, claims, { parameters: { name: 'bob' } })).toEqual(expected)
  })
})

test('a star skips columns that begin with _ and keeps what is set', async () => {
  const storage = storageOf("SELECT 'x' AS name, * FROM crew", { crew: [['c1', 's1', 'ann', null, '1']] })
  expect(await storage.rowsFor(requestOf(ANN))).toEqual(['crew/c1 {"name":"x","id":"c1","ship":"s1","tags":null}'])
})

test('a wildcard with a condition reads every table of the prefix', async () => {
  const config = stream(
    'SELECT id, _table_suffix AS year FROM "log_%" AS log WHERE _table_suffix = auth.parameter(\'year\')',
    '\n    auto_subscribe: true',
  )
  const storage = new MemoryStorage(loadPlan(planOf(config), { generation: 1, bucketsMax: 100 }))
  storage.put(sourceTable('log_2023', 'id'), '0', ['a'])
  storage.put(sourceTable('log_2024', 'id'), '0', ['b'])
  expect(await storage.rowsFor(requestOf({ sub: 'x', year: '2024' }))).toEqual(['log/b {"id":"b","year":"2024"}'])
})

test('a row that a subquery cannot read is an error of that row, and has no entry', async () => {
  const storage = storageOf('SELECT id FROM crew WHERE ship IN (SELECT id FROM ships WHERE auth.user_id() IN staff)', {
    crew: CREW_ROWS,
    ships: [
      ['s1', null, '{"not": "an array"}', null],
      ['s2', null, '["ann"]', null],
    ],
  })
  expect(storage.outcomes().flatMap(({ outcome }) => outcome.errors)).toEqual([
    { definition: 's', message: expect.stringContaining('expected a JSON array') },
  ])
  expect(await idsOf(storage, ANN)).toEqual(['c2'])
})

test.each([
  ['SELECT name FROM crew', /6:14 The query selects no "id"/],
  ['SELECT id, upper(name) FROM crew', /6:18 This column needs a name/],
  ['SELECT id, auth.user_id() AS me FROM crew', /6:18 Only data of the table can be selected/],
  [
    'SELECT id FROM crew WHERE ship IN (SELECT id FROM ships WHERE big)',
    /6:42 A subquery must have a condition that depends on the request/,
  ],
  ['SELECT id FROM crew WHERE tags && (SELECT id FROM ships)', /6:42 A subquery must have a condition/],
  [
    'SELECT id FROM crew WHERE ship IN (SELECT id FROM ships WHERE fleet IN (SELECT id FROM fleets WHERE boss = auth.user_id()))',
    /6:79 IN \(SELECT …\) cannot stand in another subquery before edition 3/,
  ],
  [
    'SELECT crew.id FROM crew JOIN ships ON ships.id = crew.ship',
    /6:37 Joins do not exist in streams of edition 2.* or use edition 3/,
  ],
  ['SELECT crew.id FROM crew, json_each(crew.tags) AS t', /6:33 Joins do not exist/],
  ['SELECT id FROM (SELECT id FROM crew) AS c', /6:22 A subquery in FROM does not exist in streams of edition 2/],
  [
    'SELECT id FROM crew WHERE ship IN (SELECT id FROM ships WHERE crew.name = boss)',
    /6:69 Unknown table "crew": expected ships; a subquery cannot name the table around it/,
  ],
  [
    "SELECT id FROM crew WHERE ship IN (SELECT id FROM ships WHERE boss IN auth.parameter('x'))",
    /6:69 An array of the request cannot be used in a subquery/,
  ],
  [
    'SELECT id FROM crew WHERE ship IN (SELECT id FROM ships WHERE boss = auth.user_id() OR id = auth.user_id())',
    /6:69 A subquery can only have OR between conditions on its own columns/,
  ],
  ["SELECT id FROM crew WHERE 's1' IN (SELECT id FROM ships WHERE boss = auth.user_id())", /6:33 A constant IN/],
  [
    'SELECT id FROM crew WHERE ship IN (SELECT id, boss FROM ships WHERE boss = auth.user_id())',
    /6:53 .* exactly one column/,
  ],
  ['SELECT id FROM crew WHERE ship IN (SELECT * FROM ships WHERE boss = auth.user_id())', /6:49 .* exactly one column/],
  [
    'SELECT id FROM crew WHERE ship NOT IN (SELECT id FROM ships WHERE boss = auth.user_id())',
    /6:33 NOT cannot stand over/,
  ],
  ['SELECT id FROM crew WHERE NOT (name = auth.user_id())', /6:37 NOT cannot stand over/],
  ["SELECT id FROM crew WHERE name NOT IN auth.parameter('list')", /6:33 NOT cannot stand over/],
  ['SELECT id FROM crew WHERE name != auth.user_id()', /6:33 .* may only meet/],
  ['SELECT id FROM crew WHERE tags && \'["x"]\'', /6:33 One side of && must be an array of the request/],
  [
    "SELECT id FROM crew WHERE auth.parameter('x') && auth.parameter('y')",
    /6:33 One side of && must be an array of the row/,
  ],
  [
    'SELECT id FROM crew WHERE id = request.user_id()',
    /6:38 request.user_id\(\) does not exist in streams: use auth.user_id\(\)/,
  ],
  [
    'SELECT id FROM crew WHERE id = token_parameters.user_id',
    /6:38 token_parameters.user_id does not exist in streams/,
  ],
  ['SELECT id FROM crew WHERE id = bucket.x', /6:38 bucket.x exists in data queries of bucket definitions only/],
  ['SELECT id FROM crew WHERE a BETWEEN 1 AND 2', /6:33 BETWEEN needs edition 3/],
  ['SELECT DISTINCT id FROM crew', /6:14 DISTINCT does not exist in streams of edition 2/],
])('%s is refused', (query, expected) => {
  expect(saidOf(stream(query), 'error')).toEqual([expect.stringMatching(expected)])
})

describe('warned of', () => {
  const warned = (query: string, more = ''): readonly string[] => {
    const said = saidOf(stream(query, more), 'warning')
    return said.filter((text) => !text.includes('edition'))
  }

  test('parameters that clients choose', () => {
    const query = "SELECT id FROM crew WHERE ship = subscription.parameter('ship')"
    expect(warned(query)).toEqual([expect.stringContaining('Every client can choose what it gets here')])
    expect(warned(query, '\n    accept_potentially_dangerous_queries: true')).toEqual([])
    expect(warned(`${query} AND name = auth.user_id()`)).toEqual([])
    const safe = 'IN (SELECT id FROM ships WHERE boss = auth.user_id())'
    expect(warned(`${query} AND ship ${safe}`)).toEqual([])
    expect(warned(`${query} AND auth.user_id() IN (SELECT boss FROM ships)`)).toHaveLength(1)
  })

  test('subscription parameters of a stream that clients get without subscribing', () => {
    const query = "SELECT id FROM crew WHERE ship = subscription.parameter('ship') AND name = auth.user_id()"
    expect(warned(query)).toEqual([])
    expect(warned(query, '\n    auto_subscribe: true')).toEqual([expect.stringContaining('which are all NULL then')])
  })
})
