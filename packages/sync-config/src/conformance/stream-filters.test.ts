import { describe, expect, test } from 'vitest'
import { compileSyncConfig } from '../compile.ts'
import { streamsConfig } from '../testing/builders.ts'
import { checkExample, type ExampleTable, exampleTable, storageOf, toRequest } from '../testing/worked-example.ts'
import type { Request } from '../types.ts'

const ANN = { sub: 'ann' }

function isRefused(query: string): boolean {
  return compileSyncConfig(streamsConfig({ s: query })).kind === 'refused'
}

/** Ids of the rows that the query gives, in one text. */
async function idsOf(query: string, tables: readonly ExampleTable[], request: Partial<Request> = {}): Promise<string> {
  const storage = storageOf(streamsConfig({ s: query }), tables)
  const rows = await storage.rowsFor({ ...toRequest({ claims: ANN }), ...request })
  return rows.map((row) => (JSON.parse(row.slice(row.indexOf(' '))) as { readonly id: string }).id).join('')
}

test('[99] a user has exactly their rows, each value its bucket', async () => {
  const table = exampleTable('t', 'id, owner', '1 | ann', '2 | bob', '3 | NULL', '4 | Ann', '5 | ann ')
  const query = 'SELECT * FROM t WHERE owner = auth.user_id()'
  expect(await idsOf(query, [table])).toBe('1')
  expect(await idsOf(query, [table], { claims: { sub: 'bob' } })).toBe('2')
  expect(await idsOf(query, [table], { claims: {} })).toBe('')
  expect(storageOf(streamsConfig({ s: query }), [table]).buckets().size).toBe(4)
})

test('[100] conditions on the row or on the request alone add no parameter', () =>
  checkExample({
    config: streamsConfig({
      s: "SELECT id FROM t WHERE open AND n > 1 AND auth.parameter('role') = 'boss' AND 1 = 1",
    }),
    tables: [exampleTable('t', 'id, open bool, n int4', '1 | t | 2', '2 | t | 1', '3 | f | 5', '4 | NULL | 5')],
    buckets: { all: ['t/1 {"id":"1"}'] },
    requests: [
      { claims: { role: 'boss' }, gets: ['all'] },
      { claims: { role: 'clerk' }, gets: [] },
    ],
  }))

test('[100] alternatives of one row are one filter, not two buckets', () => {
  const storage = storageOf(streamsConfig({ s: 'SELECT id FROM t WHERE a OR b OR (c AND d)' }), [
    exampleTable(
      't',
      'id, a bool, b bool, c bool, d bool',
      '1 | t | f | f | f',
      '2 | t | t | t | t',
      '3 | f | f | t | t',
    ),
  ])
  expect([...storage.buckets().values()].map((objects) => objects.size)).toEqual([3])
})

describe('NOT', () => {
  const TABLE = exampleTable('t', 'id, a bool, b bool, owner', '1 | t | t | ann', '2 | t | f | ann', '3 | f | f | bob')

  test.each([
    ['NOT (a AND b)', '23'],
    ['NOT (a OR b)', '3'],
    ['NOT NOT (a AND b)', '1'],
    ['NOT NOT NOT (a AND b)', '23'],
    ['NOT (NOT (a OR NOT b) OR b)', '23'],
    ['NOT (a AND NOT (b OR NOT a))', '13'],
  ])('[103] %s', async (condition, ids) => {
    expect(await idsOf(`SELECT id FROM t WHERE ${condition}`, [TABLE])).toBe(ids)
  })

  test.each([
    ['NOT NOT (owner = auth.user_id())', '12'],
    ['NOT (NOT (owner = auth.user_id()) OR b)', '2'],
    ['NOT NOT (a AND (owner = auth.user_id() OR NOT b))', '12'],
    ['NOT NOT (owner IN (SELECT owner FROM t WHERE b) AND NOT b)', '2'],
    ['NOT (NOT (owner = auth.user_id() OR a) AND NOT (NOT a))', '123'],
  ])('[103] %s: an even number of NOTs over an equality with the request cancels', async (condition, ids) => {
    expect(await idsOf(`SELECT id FROM t WHERE ${condition}`, [TABLE])).toBe(ids)
  })
})

describe('[104] one filter in many forms', () => {
  const TABLES = [
    exampleTable('notes', 'id, list', '1 | a', '2 | b', '3 | c', '4 | NULL'),
    exampleTable('lists', 'id, owner, open bool', 'a | ann | t', 'b | ann | f', 'c | bob | t'),
  ]
  const FORMS: readonly string[] = [
    'SELECT id FROM notes WHERE list IN (SELECT id FROM lists WHERE owner = auth.user_id() AND open)',
    'SELECT id FROM notes AS n WHERE n.list IN (SELECT l.id FROM lists l WHERE auth.user_id() = l.owner AND l.open)',
    'SELECT notes.id FROM notes JOIN lists ON lists.id = notes.list WHERE lists.owner = auth.user_id() AND lists.open',
    'SELECT notes.id FROM notes INNER JOIN lists ON lists.id = notes.list AND lists.open AND lists.owner = auth.user_id()',
    'SELECT notes.id FROM notes, lists WHERE lists.id = notes.list AND lists.owner = auth.user_id() AND lists.open',
    'SELECT notes.* FROM lists JOIN notes ON true WHERE lists.id = notes.list AND lists.owner = auth.user_id() AND lists.open',
    'SELECT notes.id FROM notes, (SELECT id AS i FROM lists WHERE owner = auth.user_id() AND open) AS mine WHERE mine.i = notes.list',
    'SELECT notes.id FROM notes JOIN (SELECT id, owner FROM lists WHERE open) AS mine(i, o) ON mine.i = notes.list AND mine.o = auth.user_id()',
    'SELECT n.id FROM (SELECT list, id FROM notes) AS n, lists WHERE lists.id = n.list AND lists.owner = auth.user_id() AND lists.open',
    'SELECT id FROM notes WHERE auth.user_id() IN (SELECT owner FROM lists WHERE lists.id = notes.list AND lists.open)',
  ]

  test.each(FORMS)('[104] %s', async (query) => {
    expect(await idsOf(query, TABLES)).toBe('1')
    expect(await idsOf(query, TABLES, { claims: { sub: 'bob' } })).toBe('3')
    expect(await idsOf(query, TABLES, { claims: { sub: 'eve' } })).toBe('')
  })

  test('[104] as a CTE of the stream or of the file', async () => {
    const cte = 'SELECT id FROM lists WHERE owner = auth.user_id() AND open'
    const uses = [
      'SELECT id FROM notes WHERE list IN mine',
      'SELECT id FROM notes WHERE list IN (SELECT id FROM mine)',
      'SELECT notes.id FROM notes JOIN mine ON mine.id = notes.list',
    ]
    for (const query of uses) {
      const inStream = { config: { edition: 3 }, streams: { s: { auto_subscribe: true, query, with: { mine: cte } } } }
      const inFile = { config: { edition: 3 }, with: { mine: cte }, streams: { s: { auto_subscribe: true, query } } }
      for (const config of [inStream, inFile]) {
        const storage = storageOf(JSON.stringify(config), TABLES)
        expect(await storage.rowsFor(toRequest({ claims: ANN }))).toEqual(['notes/1 {"id":"1"}'])
      }
    }
  })
})

test('[105] subqueries may be nested four deep and more', async () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  const tables = names.map((name) => exampleTable(name, 'id, up', '1 | 1', '2 | 2'))
  let inner = 'SELECT up FROM f WHERE id = auth.user_id()'
  for (const name of ['e', 'd', 'c', 'b']) inner = `SELECT up FROM ${name} WHERE id IN (${inner})`
  expect(await idsOf(`SELECT id FROM a WHERE up IN (${inner})`, tables, { claims: { sub: '2' } })).toBe('2')
  expect(await idsOf(`SELECT id FROM a WHERE up IN (${inner})`, tables, { claims: { sub: '3' } })).toBe('')
})

test('[106] values of one lookup row stay together through further lookups', async () => {
  const tables = [
    exampleTable('t', 'id, x, y', '1 | x1 | y1', '2 | x1 | y2', '3 | x2 | y2', '4 | x2 | y1'),
    exampleTable('pairs', 'id, person, a, b', 'p | ann | a1 | b1', 'q | ann | a2 | b2'),
    exampleTable('as_', 'id, a, x', '1 | a1 | x1', '2 | a2 | x2'),
    exampleTable('bs', 'id, b, y', '1 | b1 | y1', '2 | b2 | y2'),
  ]
  const query = `SELECT t.id FROM t, pairs, as_ AS k, bs WHERE pairs.person = auth.user_id()
    AND k.a = pairs.a AND bs.b = pairs.b AND t.x = k.x AND t.y = bs.y`
  expect(await idsOf(query, tables)).toBe('13')
})

test('[107] values of two lookups that do not depend on each other combine freely, also of one table', async () => {
  const tables = [
    exampleTable('t', 'id, x, y', '1 | a | a', '2 | a | b', '3 | b | a', '4 | c | a'),
    exampleTable('m', 'id, person, v', '1 | ann | a', '2 | ann | b', '3 | bob | c'),
  ]
  const mine = 'SELECT v FROM m WHERE person = auth.user_id()'
  expect(await idsOf(`SELECT id FROM t WHERE x IN (${mine}) AND y IN (${mine})`, tables)).toBe('123')
  expect(await idsOf(`SELECT t.id FROM t, m WHERE m.person = auth.user_id() AND t.x = m.v AND t.y = m.v`, tables)).toBe(
    '1',
  )
})

test('[108] several conditions on one column are an intersection', async () => {
  const tables = [exampleTable('t', 'id, k', '1 | a', '2 | b', '3 | c'), exampleTable('m', 'id, k', '1 | a', '2 | b')]
  const both = "k IN (SELECT k FROM m) AND k IN auth.parameter('list')"
  expect(await idsOf(`SELECT id FROM t WHERE ${both}`, tables, { claims: { list: ['b', 'c'] } })).toBe('2')
  expect(
    await idsOf(`SELECT id FROM t WHERE ${both} AND k = auth.parameter('one')`, tables, {
      claims: { list: ['b', 'c'], one: 'c' },
    }),
  ).toBe('')
  expect(
    await idsOf(`SELECT id FROM t WHERE ${both} AND k = auth.parameter('one')`, tables, {
      claims: { list: ['b', 'c'], one: 'b' },
    }),
  ).toBe('2')
  expect(
    await idsOf("SELECT id FROM t WHERE k = auth.parameter('a') AND k = auth.parameter('b')", tables, {
      claims: { a: 'a', b: 'b' },
    }),
  ).toBe('')
})

describe('[109] arrays', () => {
  const TABLES = [
    exampleTable(
      't',
      'id, list jsonb, k',
      '1 | ["a","b"] | a',
      '2 | [] | b',
      '3 | NULL | NULL',
      '4 | ["b","b",null] | c',
      '5 | [null] | null',
    ),
    exampleTable('m', 'id, person, v', '1 | ann | b', '2 | bob | z', '3 | ann | NULL'),
  ]
  test.each([
    ["auth.parameter('v') IN list", { v: 'b' }, '14'],
    ["auth.parameter('v') IN list", { v: null }, ''],
    ["k IN auth.parameter('v')", { v: ['a', 'b', 'b'] }, '12'],
    ["k IN auth.parameter('v')", { v: [] }, ''],
    ["k IN auth.parameter('v')", { v: [null, 'c'] }, '4'],
    ["k IN auth.parameter('v')", {}, ''],
    ["list && auth.parameter('v')", { v: ['b', 'q', 'b'] }, '14'],
    ["list && auth.parameter('v')", { v: [null] }, ''],
    ["auth.parameter('v') && list", { v: ['a'] }, '1'],
    ['list && (SELECT v FROM m WHERE person = auth.user_id())', { sub: 'ann' }, '14'],
    ['list && (SELECT v FROM m WHERE person = auth.user_id())', { sub: 'bob' }, ''],
    ['k IN list', {}, '1'],
    ["'b' IN list", {}, '14'],
    ["'b' IN list OR k = 'b'", {}, '124'],
    ["'b' IN list OR 'a' IN list", {}, '14'],
    ["NOT (NOT ('b' IN list) AND k != 'b')", {}, '124'],
    ["'b' IN auth.parameter('v')", { v: ['b'] }, '12345'],
    ["'b' IN auth.parameter('v')", { v: ['c'] }, ''],
    ["auth.parameter('a') IN auth.parameter('v')", { a: 'x', v: ['x'] }, '12345'],
    ["auth.parameter('a') IN auth.parameter('v')", { a: 'x', v: ['y'] }, ''],
    [`auth.user_id() IN '["ann"]'`, { sub: 'ann' }, '12345'],
    [`auth.user_id() IN '["ann"]'`, { sub: 'bob' }, ''],
    [`k IN '["a","c"]'`, {}, '14'],
  ])('[109] %s with %j', async (condition, claims, ids) => {
    expect(await idsOf(`SELECT id FROM t WHERE ${condition}`, TABLES, { claims })).toBe(ids)
  })
})

test('[110] two memberships in one column are conditions of their own', async () => {
  const tables = [
    exampleTable('t', 'id, readers jsonb', '1 | ["ann","bob"]', '2 | ["ann"]', '3 | ["bob"]', '4 | ["bob","cy","ann"]'),
  ]
  const query = "SELECT id FROM t WHERE auth.user_id() IN readers AND auth.parameter('friend') IN readers"
  expect(await idsOf(query, tables, { claims: { sub: 'ann', friend: 'bob' } })).toBe('14')
  expect(await idsOf(query, tables, { claims: { sub: 'ann', friend: 'ann' } })).toBe('124')
  expect(await idsOf(query, tables, { claims: { sub: 'cy', friend: 'eve' } })).toBe('')
})

test('[111] a stream is granted only while there is a row', async () => {
  const query = 'SELECT id FROM t WHERE auth.user_id() IN (SELECT person FROM staff WHERE active)'
  const table = exampleTable('t', 'id', '1', '2')
  expect(await idsOf(query, [table])).toBe('')
  expect(
    await idsOf(query, [table, exampleTable('staff', 'id, person, active bool', '1 | ann | t', '2 | ann | t')]),
  ).toBe('12')
  expect(
    await idsOf(query, [table, exampleTable('staff', 'id, person, active bool', '1 | ann | f', '2 | bob | t')]),
  ).toBe('')
})

test('[111] alternatives inside the condition of an existence test all count', async () => {
  const query = `SELECT id FROM t WHERE auth.user_id() IN
    (SELECT person FROM staff WHERE active OR boss = auth.parameter('boss') OR (old AND team = 'x'))`
  const staff = (row: string): ExampleTable =>
    exampleTable('staff', 'id, person, active bool, boss, old bool, team', row)
  const claims = { sub: 'ann', boss: 'cy' }
  const idsWith = (row: string): Promise<string> => idsOf(query, [exampleTable('t', 'id', '1'), staff(row)], { claims })
  expect(await idsWith('1 | ann | t | NULL | f | y')).toBe('1')
  expect(await idsWith('1 | ann | f | cy | f | y')).toBe('1')
  expect(await idsWith('1 | ann | f | NULL | t | x')).toBe('1')
  expect(await idsWith('1 | ann | f | bob | t | y')).toBe('')
  expect(await idsWith('1 | bob | t | cy | t | x')).toBe('')
})

test('[112] a source with a condition of its own must have a row; one without any changes nothing', async () => {
  const t = exampleTable('t', 'id', '1')
  const flag = (row: string): ExampleTable => exampleTable('flags', 'id, on_ bool, person', row)
  const conditioned = 'SELECT t.id FROM t, flags WHERE flags.on_'
  expect(await idsOf(conditioned, [t, flag('1 | t | x')])).toBe('1')
  expect(await idsOf(conditioned, [t, flag('1 | f | x')])).toBe('')
  expect(await idsOf(conditioned, [t])).toBe('')
  const byUser = 'SELECT t.id FROM t JOIN flags ON flags.person = auth.user_id()'
  expect(await idsOf(byUser, [t, flag('1 | f | ann')])).toBe('1')
  expect(await idsOf(byUser, [t, flag('1 | f | bob')])).toBe('')
  for (const query of [
    'SELECT t.id FROM t, flags',
    'SELECT t.id FROM t JOIN flags ON true',
    'SELECT t.id FROM t JOIN flags',
  ]) {
    expect(await idsOf(query, [t])).toBe('1')
  }
  expect(await idsOf('SELECT t.id FROM t, json_each(t.gone) AS e', [t])).toBe('1')
  expect(isRefused('SELECT t.id FROM t, a, b WHERE a.x = b.x')).toBe(true)
})

test('[113] a subquery sees the columns around it, its own first', async () => {
  const tables = [
    exampleTable('t', 'id, office, person', '1 | A | x', '2 | B | ann'),
    exampleTable('clerks', 'id, office, person', '1 | A | ann', '2 | B | bob'),
  ]
  const own = 'SELECT id FROM t WHERE auth.user_id() IN (SELECT person FROM clerks WHERE clerks.office = t.office)'
  expect(await idsOf(own, tables)).toBe('1')
  const nested = `SELECT id FROM t WHERE office IN (SELECT office FROM clerks WHERE clerks.person IN
    (SELECT m.person FROM clerks AS m WHERE m.office = t.office AND m.person = auth.user_id()))`
  expect(await idsOf(nested, tables)).toBe('1')
})

test('[114] a table may be primary and lookup at once, under several aliases', async () => {
  const people = exampleTable(
    'people',
    'id, boss, squad',
    'ann | bob | red',
    'bob | cy | red',
    'cy | NULL | blue',
    'di | bob | blue',
  )
  const peers = 'SELECT p.id FROM people AS p, people AS me WHERE me.id = auth.user_id() AND me.squad = p.squad'
  expect(await idsOf(peers, [people])).toBe('annbob')
  const siblings = 'SELECT id FROM people WHERE boss IN (SELECT boss FROM people WHERE id = auth.user_id())'
  expect(await idsOf(siblings, [people])).toBe('anndi')
  const grand = `SELECT p.id FROM people AS p JOIN people AS boss ON boss.id = p.boss
    JOIN people AS top ON top.id = boss.boss WHERE top.id = auth.user_id()`
  expect(await idsOf(grand, [people], { claims: { sub: 'cy' } })).toBe('anndi')
  expect(isRefused('SELECT people.id FROM people, people')).toBe(true)
})
