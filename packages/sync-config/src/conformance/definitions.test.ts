import { describe, expect, test } from 'vitest'
import { compileSyncConfig } from '../compile.ts'
import { saidOf } from '../testing/builders.ts'
import { checkExample, describeTable, exampleTable, rowOf, storageOf, toRequest } from '../testing/worked-example.ts'

const ANN = { sub: 'ann' }
const BOB = { sub: 'bob' }

function config(parameters: string | readonly string[], data: string | readonly string[], more = {}): string {
  return JSON.stringify({
    bucket_definitions: { d: { parameters, data: typeof data === 'string' ? [data] : data, ...more } },
  })
}

function isRefused(parameters: string | readonly string[], data: string | readonly string[]): boolean {
  return compileSyncConfig(config(parameters, data)).kind === 'refused'
}

const OWN = 'SELECT request.user_id() AS u'
const SEATS = 'SELECT deck FROM seats WHERE person = request.user_id()'
const OWN_DECKS = 'SELECT id FROM decks WHERE owner = bucket.u'
const SEAT_DECKS = 'SELECT id FROM decks WHERE id = bucket.deck'

test('what the refusals here vary is accepted', () => {
  expect(isRefused(OWN, OWN_DECKS)).toBe(false)
  expect(isRefused(SEATS, SEAT_DECKS)).toBe(false)
})

test('[83] a static query gives a bucket where its condition is true, also one that nobody can match', () =>
  checkExample({
    config: config("SELECT request.user_id() AS u, request.jwt() ->> 'x' AS x WHERE request.jwt() ->> 'on' = 1", [
      'SELECT id FROM t WHERE a = bucket.u AND b = bucket.x',
    ]),
    tables: [exampleTable('t', 'id, a, b', '1 | ann | NULL', '2 | ann | y')],
    buckets: { 'ann y': ['t/2 {"id":"2"}'] },
    requests: [
      { claims: { sub: 'ann', x: 'y', on: true }, gets: ['ann y'] },
      { claims: { sub: 'ann', x: 'y', on: false }, gets: [] },
      { claims: { sub: 'ann', x: 'y' }, gets: [] },
      { claims: { sub: 'ann', on: 1 }, gets: ['ann NULL'] },
    ],
  }))

test('[84] a query over a table gives a bucket per different output, and follows its rows', async () => {
  const text = config('SELECT list FROM members WHERE person = request.user_id()', [
    'SELECT id FROM items WHERE list = bucket.list',
  ])
  const members = exampleTable('members', 'id, person, list', '1 | ann | a', '2 | ann | a', '3 | ann | b')
  const storage = storageOf(text, [members, exampleTable('items', 'id, list', 'i1 | a', 'i2 | b')])
  const rows = (): Promise<readonly string[]> => storage.rowsFor(toRequest({ claims: ANN }))
  expect((await storage.resolve(toRequest({ claims: ANN }))).buckets.length).toBe(2)
  storage.remove(describeTable(members), '0')
  expect(await rows()).toEqual(['items/i1 {"id":"i1"}', 'items/i2 {"id":"i2"}'])
  storage.remove(describeTable(members), '1')
  expect(await rows()).toEqual(['items/i2 {"id":"i2"}'])
  storage.put(describeTable(members), '2', rowOf('3 | bob | b'))
  expect(await rows()).toEqual([])
  expect(await storage.rowsFor(toRequest({ claims: BOB }))).toEqual(['items/i2 {"id":"i2"}'])
})

test('[85] what is no array matches nothing, and no error comes of it', () =>
  checkExample({
    config: config("SELECT id AS p FROM rooms WHERE code IN request.jwt() -> 'codes'", [
      'SELECT id FROM t WHERE room = bucket.p',
    ]),
    tables: [
      exampleTable('rooms', 'id, code', 'r1 | a', 'r2 | NULL'),
      exampleTable('t', 'id, room', '1 | r1', '2 | r2'),
    ],
    buckets: { r1: ['t/1 {"id":"1"}'], r2: ['t/2 {"id":"2"}'] },
    requests: [
      { claims: { codes: ['a', 'b'] }, gets: ['r1'] },
      { claims: { codes: [null] }, gets: [] },
      { claims: { codes: 'a' }, gets: [] },
      { claims: { codes: '["a"]' }, gets: [] },
      { claims: { codes: '[bad' }, gets: [] },
      { claims: { codes: 5 }, gets: [] },
      { claims: {}, gets: [] },
    ],
  }))

test('[86] a value of the request in an array of the row, in parameter and data queries', () =>
  checkExample({
    config: config('SELECT id AS team FROM teams WHERE request.user_id() IN members', [
      'SELECT id FROM t WHERE bucket.team IN teams',
    ]),
    tables: [
      exampleTable('teams', 'id, members jsonb', 'a | ["ann","bob","ann"]', 'b | NULL', 'c | []', 'd | ["bob",null]'),
      exampleTable('t', 'id, teams text[]', '1 | {a,d}', '2 | NULL', '3 | {}', '4 | {a,a}'),
    ],
    buckets: { a: ['t/1 {"id":"1"}', 't/4 {"id":"4"}'], d: ['t/1 {"id":"1"}'] },
    lookups: { teams: ['["ann"] → ["a"]', '["bob"] → ["a"] ["d"]'] },
    requests: [
      { claims: ANN, gets: ['a'] },
      { claims: BOB, gets: ['a', 'd'] },
      { claims: {}, gets: [] },
    ],
  }))

test('[86] an array of the row that is none is an error of that row', () => {
  const storage = storageOf(
    config(OWN, ['SELECT id FROM t WHERE bucket.u IN list', 'SELECT id FROM t AS whole WHERE owner = bucket.u']),
    [exampleTable('t', 'id, list, owner', '1 | {"a":1} | ann', '2 | ["ann"] | ann')],
  )
  expect(storage.outcomes().map(({ outcome }) => outcome.errors.length)).toEqual([1, 0])
})

test('[87] a table-valued query takes key and value, and a request that holds no JSON fails', async () => {
  const text = config("SELECT value AS p FROM json_each(request.jwt() -> 'list') WHERE key != 'skip'", [
    'SELECT id FROM t WHERE p = bucket.p',
  ])
  await checkExample({
    config: text,
    tables: [exampleTable('t', 'id, p', '1 | x')],
    buckets: { x: ['t/1 {"id":"1"}'] },
    requests: [
      { claims: { list: { a: 'x', skip: 'y' } }, gets: ['x'] },
      { claims: { list: ['x', 'x'] }, gets: ['x'] },
      { claims: { list: [] }, gets: [] },
      { claims: {}, gets: [] },
    ],
  })
  const failing = storageOf(
    config('SELECT value AS p FROM json_each(request.user_id())', ['SELECT id FROM t WHERE p = bucket.p']),
    [],
  )
  await expect(failing.resolve(toRequest({ claims: { sub: 'no json' } }))).rejects.toThrow()
})

test('[88] queries of one definition are a union', () =>
  checkExample({
    config: config(
      [
        'SELECT request.user_id() AS p',
        "SELECT request.jwt() ->> 'boss' AS p",
        'SELECT a AS p FROM links WHERE b = request.user_id()',
      ],
      ['SELECT id FROM t WHERE p = bucket.p'],
    ),
    tables: [
      exampleTable('t', 'id, p', '1 | ann', '2 | bob', '3 | cy'),
      exampleTable('links', 'id, a, b', '1 | cy | ann', '2 | ann | ann'),
    ],
    buckets: { ann: ['t/1 {"id":"1"}'], bob: ['t/2 {"id":"2"}'], cy: ['t/3 {"id":"3"}'] },
    requests: [{ claims: { sub: 'ann', boss: 'bob' }, gets: ['ann', 'bob', 'cy'] }],
  }))

describe('[89] parameters', () => {
  test('[89] of the queries of a definition must have the same names', () => {
    const data = 'SELECT id FROM t WHERE a = bucket.a'
    expect(isRefused(['SELECT request.user_id() AS a', 'SELECT request.user_id() AS b'], data)).toBe(true)
    expect(isRefused(['SELECT request.user_id() AS a', 'SELECT request.user_id() AS a, 1 AS b'], data)).toBe(true)
    expect(isRefused(['SELECT request.user_id() AS a', 'SELECT x AS a FROM y WHERE z = request.user_id()'], data)).toBe(
      false,
    )
  })

  test('[89] are put together by name, whatever their order', () =>
    checkExample({
      config: config(
        ["SELECT request.user_id() AS a, request.jwt() ->> 'x' AS b", "SELECT 'k' AS b, request.user_id() AS a"],
        [
          'SELECT id FROM t WHERE v = bucket.b AND u = bucket.a',
          'SELECT id FROM w WHERE u = bucket.a AND v = bucket.b',
        ],
      ),
      tables: [
        exampleTable('t', 'id, u, v', '1 | ann | x', '2 | ann | k', '3 | k | ann'),
        exampleTable('w', 'id, u, v', '4 | ann | x'),
      ],
      buckets: {
        'ann x': ['t/1 {"id":"1"}', 'w/4 {"id":"4"}'],
        'ann k': ['t/2 {"id":"2"}'],
        'k ann': ['t/3 {"id":"3"}'],
      },
      requests: [{ claims: { sub: 'ann', x: 'x' }, gets: ['ann x', 'ann k'] }],
    }))
})

test.each([
  ['none of them', OWN, 'SELECT id FROM decks'],
  ['one of two', 'SELECT request.user_id() AS u, 1 AS v', 'SELECT id FROM decks WHERE owner = bucket.u'],
  ['one more', OWN, 'SELECT id FROM decks WHERE owner = bucket.u AND x = bucket.y'],
  ['one where there is none', 'SELECT', 'SELECT id FROM decks WHERE owner = bucket.u'],
])('[90] a data query that uses %s of the parameters is refused', (_, parameters, data) => {
  expect(isRefused(parameters, data)).toBe(true)
})

test.each([
  'SELECT id FROM decks WHERE lower(bucket.u) = owner',
  "SELECT id FROM decks WHERE owner = bucket.u || 'x'",
  'SELECT id, bucket.u AS u FROM decks WHERE owner = bucket.u',
  'SELECT id FROM decks WHERE owner IN bucket.u',
  'SELECT id FROM decks WHERE owner < bucket.u',
  'SELECT id FROM decks WHERE owner != bucket.u',
  'SELECT id FROM decks WHERE NOT (owner = bucket.u)',
  'SELECT id FROM decks WHERE bucket.u IS NULL',
])('[91] %s uses a parameter where it cannot stand', (data) => {
  expect(isRefused(OWN, data)).toBe(true)
})

test('[91] a parameter may stand alone: the row is in the bucket whose parameter is 1', () =>
  checkExample({
    config: config("SELECT request.jwt() ->> 'admin' AS admin", ['SELECT id FROM t WHERE bucket.admin AND open']),
    tables: [exampleTable('t', 'id, open bool', '1 | t', '2 | f')],
    buckets: { yes: ['t/1 {"id":"1"}'] },
    requests: [
      { claims: { admin: true }, gets: ['yes'] },
      { claims: { admin: 1 }, gets: ['yes'] },
      { claims: { admin: false }, gets: ['no'] },
    ],
  }))

test('[92] two columns that equal one parameter must both do so', () =>
  checkExample({
    config: config(OWN, [
      'SELECT id FROM t WHERE author = bucket.u AND editor = bucket.u',
      'SELECT id FROM w WHERE bucket.u IN list AND owner = bucket.u',
    ]),
    tables: [
      exampleTable('t', 'id, author, editor', '1 | ann | bob', '2 | ann | ann', '3 | bob | NULL'),
      exampleTable('w', 'id, owner, list jsonb', '1 | ann | ["bob"]', '2 | bob | ["ann","bob"]'),
    ],
    buckets: { ann: ['t/2 {"id":"2"}'], bob: ['w/2 {"id":"2"}'] },
    requests: [
      { claims: ANN, gets: ['ann'] },
      { claims: BOB, gets: ['bob'] },
    ],
  }))

test('[93] OR wants the same parameters on both sides', () => {
  expect(isRefused(OWN, 'SELECT id FROM decks WHERE owner = bucket.u OR crew = bucket.u')).toBe(false)
  expect(isRefused(OWN, 'SELECT id FROM decks WHERE owner = bucket.u OR public')).toBe(true)
  const two = 'SELECT request.user_id() AS u, 1 AS v'
  expect(isRefused(two, 'SELECT id FROM decks WHERE a = bucket.u OR b = bucket.v')).toBe(true)
  expect(
    isRefused(two, 'SELECT id FROM decks WHERE (a = bucket.u AND b = bucket.v) OR (b = bucket.v AND c = bucket.u)'),
  ).toBe(false)
  const byBoat = "request.jwt() ->> 'boat'"
  expect(isRefused(`SELECT deck FROM seats WHERE person = request.user_id() OR boat = ${byBoat}`, SEAT_DECKS)).toBe(
    true,
  )
  expect(
    isRefused('SELECT deck FROM seats WHERE person = request.user_id() OR boss = request.user_id()', SEAT_DECKS),
  ).toBe(false)
})

test('[94] a data query has an id', () => {
  expect(isRefused(OWN, 'SELECT name FROM decks WHERE owner = bucket.u')).toBe(true)
  for (const items of ['id', 'key AS id', '*', 'decks.*', 'upper(name) AS id, name']) {
    expect(isRefused(OWN, `SELECT ${items} FROM decks WHERE owner = bucket.u`)).toBe(false)
  }
})

test('[95] a star leaves columns with _ out and does not overwrite', () =>
  checkExample({
    config: JSON.stringify({
      bucket_definitions: { d: { data: ['SELECT label AS title, *, upper(label) AS label FROM goods'] } },
    }),
    tables: [exampleTable('goods', 'id, title, label, _x', '1 | a | b | c', '2 | a | NULL | c')],
    buckets: {
      all: ['goods/1 {"title":"b","id":"1","label":"B"}', 'goods/2 {"title":"a","id":"2","label":null}'],
    },
    requests: [{ claims: {}, gets: ['all'] }],
  }))

test('[96] the alias of a data query names the objects', () =>
  checkExample({
    config: config(OWN, [
      'SELECT id, d.name FROM decks AS d WHERE d.owner = bucket.u',
      'SELECT id FROM "Decks" WHERE owner = bucket.u',
    ]),
    tables: [exampleTable('decks', 'id, name, owner', '1 | A | ann'), exampleTable('Decks', 'id, owner', '2 | ann')],
    buckets: { ann: ['d/1 {"id":"1","name":"A"}', 'Decks/2 {"id":"2"}'] },
    requests: [{ claims: ANN, gets: ['ann'] }],
  }))

describe('[97] the priority of a query', () => {
  test('[97] is that of its buckets, and no parameter', () =>
    checkExample({
      config: config(
        [
          'SELECT request.user_id() AS u, 1 AS _priority',
          'SELECT friend AS u, 2 AS _priority FROM friends WHERE me = request.user_id()',
        ],
        ['SELECT id FROM t WHERE owner = bucket.u'],
      ),
      tables: [
        exampleTable('t', 'id, owner', '1 | ann', '2 | bob'),
        exampleTable('friends', 'id, me, friend', '1 | ann | bob', '2 | ann | ann'),
      ],
      buckets: { ann: ['t/1 {"id":"1"}'], bob: ['t/2 {"id":"2"}'] },
      requests: [{ claims: ANN, gets: ['ann (priority 1)', 'bob (priority 2)'] }],
    }))

  test.each(['5', '-1', '1.5', "'1'", 'request.user_id()', 'NULL'])('[97] is not %s', (priority) => {
    expect(isRefused(`SELECT request.user_id() AS u, ${priority} AS _priority`, OWN_DECKS)).toBe(true)
  })

  test('[97] is said once', () => {
    expect(isRefused('SELECT request.user_id() AS u, 1 AS _priority, 2 AS _priority', OWN_DECKS)).toBe(true)
    expect(saidOf(config('SELECT request.user_id() AS u, 1 AS _priority', OWN_DECKS, { priority: 1 })).length).toBe(1)
    expect(saidOf(config(OWN, OWN_DECKS, { priority: 1 }))).toEqual([])
  })
})

test.each([
  ['SELECT * FROM seats WHERE person = request.user_id()', 'SELECT id FROM decks WHERE id = bucket.id'],
  ['SELECT upper(deck) AS deck FROM seats WHERE person = request.user_id()', SEAT_DECKS],
  ['SELECT deck + 1 AS deck FROM seats WHERE person = request.user_id()', SEAT_DECKS],
  ['SELECT s.deck FROM seats AS s WHERE person = request.user_id()', SEAT_DECKS],
  ['SELECT deck || request.user_id() AS deck FROM seats', SEAT_DECKS],
  ['SELECT request.user_id()', 'SELECT id FROM decks WHERE id = bucket.user_id'],
  ['SELECT deck FROM seats, boats WHERE person = request.user_id()', SEAT_DECKS],
  ['SELECT deck FROM seats WHERE since < request.user_id()', SEAT_DECKS],
  ['SELECT deck FROM seats WHERE NOT (person = request.user_id())', SEAT_DECKS],
  ['SELECT deck FROM seats WHERE deck IN (SELECT deck FROM boats)', SEAT_DECKS],
])('[98] the parameter query %s is refused', (parameters, data) => {
  expect(isRefused(parameters, data)).toBe(true)
})
