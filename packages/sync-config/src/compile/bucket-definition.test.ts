import { describe, expect, test } from 'vitest'
import { loadPlan } from '../load.ts'
import { planOf, requestOf, saidOf, sourceTable } from '../testing/builders.ts'
import { MemoryStorage } from '../testing/memory-storage.ts'

const OWN = 'SELECT request.user_id() AS u'
const OWN_DECKS = 'SELECT id FROM decks WHERE owner = bucket.u'
const SEAT_DECKS = 'SELECT id FROM decks WHERE id = bucket.deck'

/** Parameters stand from line 4 column 7 on, data from line 6 column 7. */
function definition(parameters: string, data: string, more = ''): string {
  return `bucket_definitions:\n  d:${more}\n    parameters: |\n      ${parameters}\n    data:\n      - ${data}\n`
}

test.each([
  ['SELECT * FROM seats WHERE person = request.user_id()', /^4:14 A parameter query cannot select \*/],
  ['SELECT upper(deck) AS deck FROM seats', /4:14 .* not expressions over columns/],
  ['SELECT s.deck FROM seats AS s', /4:35 The table of a parameter query cannot have an alias/],
  ['SELECT deck FROM seats WHERE since < request.user_id()', /4:36 .* may only meet in column = value/],
  ['SELECT deck FROM seats WHERE since != request.user_id()', /4:36 .* may only meet in column = value/],
  ['SELECT deck FROM seats WHERE (person = request.user_id()) = 1', /4:36 .* may only meet/],
  ['SELECT deck || request.user_id() AS deck FROM seats', /4:14 .* may only meet/],
  ['SELECT deck FROM seats WHERE NOT (person = request.user_id())', /4:36 NOT cannot stand over/],
  ["SELECT deck FROM seats WHERE person NOT IN (request.jwt() -> 'all')", /4:36 NOT IN/],
  [
    "SELECT deck FROM seats WHERE person = request.user_id() OR boat = request.jwt() ->> 'boat'",
    /4:36 Both sides of OR must use the same values of the request: write two parameter queries/,
  ],
  ['SELECT deck FROM seats WHERE person = request.user_id() OR open', /4:36 Both sides of OR/],
  [
    "SELECT deck FROM seats WHERE a IN (request.jwt() -> 'a') AND b IN (request.jwt() -> 'b')",
    /4:36 Only one array of the request/,
  ],
  [
    "SELECT deck FROM seats WHERE request.user_id() IN a AND (request.jwt() ->> 'x') IN b",
    /4:36 Only one side of AND can have an array of the row/,
  ],
  ['SELECT request.user_id()', /4:14 This needs a name/],
  ['SELECT deck AS deck, boat AS deck FROM seats', /4:28 The parameter "deck" stands twice/],
  ['SELECT deck FROM seats, boats', /4:31 Joins do not exist in bucket definitions/],
  ['SELECT deck FROM (SELECT deck FROM seats) AS s', /4:24 A subquery in FROM does not exist in bucket definitions/],
  [
    'SELECT deck FROM seats WHERE deck IN (SELECT id FROM decks)',
    /IN \(SELECT …\) does not exist in bucket definitions/,
  ],
  ["SELECT deck FROM seats WHERE tags && (request.jwt() -> 'tags')", /4:36 && does not exist in bucket definitions/],
  ['SELECT DISTINCT deck FROM seats', /4:14 DISTINCT does not exist in bucket definitions/],
  ['SELECT deck', /4:14 Cannot read column "deck": this query has no FROM/],
  ['SELECT seat.deck FROM seats', /4:14 Unknown table "seat" \(did you mean "seats"\?\)/],
  ['SELECT bucket.deck FROM seats', /4:14 bucket.deck exists in data queries of bucket definitions only/],
  [
    'SELECT auth.user_id() AS deck',
    /4:14 auth.user_id\(\) does not exist in bucket definitions: use request.user_id\(\)/,
  ],
  ["SELECT subscription.parameter('x') AS deck", /subscription.parameter\(\) does not exist in bucket definitions/],
  [
    'SELECT request.userid() AS deck',
    /4:14 Unknown function request.userid\(\) \(did you mean "request.user_id\(\)"\?\)/,
  ],
  ['SELECT request.user_id AS deck', /4:14 request.user_id is a function: write request.user_id\(\)/],
  ['SELECT request.user_id(1) AS deck', /4:14 request.user_id\(\) takes no arguments/],
  ['SELECT request.parameter(1) AS deck', /4:32 request.parameter\(\) takes the name of one parameter/],
  ['SELECT request.jwt() ->> 1 AS deck', /4:32 A number behind ->> needs edition 3/],
  ['SELECT value AS deck FROM json_tree(request.jwt())', /Unknown function json_tree\(\) in FROM/],
  ["SELECT value AS deck FROM json_each(request.jwt(), '$.a')", /4:58 json_each\(\) takes one array/],
  [
    'SELECT atom AS deck FROM json_each(request.jwt())',
    /4:14 json_each\(\) has no column "atom": expected key or value/,
  ],
  ['SELECT x.value AS deck FROM json_each(request.jwt()) AS y', /4:14 Unknown table "x"/],
])('the parameter query %s is refused', (query, expected) => {
  expect(saidOf(definition(query, SEAT_DECKS), 'error')).toEqual([expect.stringMatching(expected)])
})

test.each([
  ['SELECT id FROM decks', /6:9 A data query must compare every bucket parameter with a column: bucket.u is missing/],
  [
    'SELECT id FROM decks WHERE owner = bucket.u AND x = bucket.y',
    /6:57 Unknown bucket parameter "y": expected bucket.u/,
  ],
  ['SELECT id FROM decks WHERE lower(bucket.u) = owner', /6:42 A bucket parameter cannot be used here/],
  ['SELECT id, bucket.u AS u FROM decks WHERE owner = bucket.u', /6:20 A bucket parameter cannot be selected/],
  ['SELECT id FROM decks WHERE owner IN bucket.u', /6:45 .* cannot stand right of IN/],
  ['SELECT id FROM decks WHERE bucket.u NOT IN readers', /6:36 NOT IN cannot be a condition/],
  ['SELECT id FROM decks WHERE bucket.u = bucket.u', /6:36 .* not with another one/],
  ['SELECT name FROM decks WHERE owner = bucket.u', /6:16 The query selects no "id"/],
  ['SELECT id, upper(name) FROM decks WHERE owner = bucket.u', /6:20 This column needs a name/],
  [
    'SELECT id FROM decks WHERE owner = bucket.u OR public',
    /6:36 Both sides of OR must compare the same bucket parameters: write two data queries/,
  ],
  [
    'SELECT decks.id FROM decks JOIN boats ON boats.id = decks.boat WHERE boats.owner = bucket.u',
    /6:41 Joins do not exist in bucket definitions/,
  ],
  ['SELECT id FROM decks WHERE owner = request.user_id()', /6:44 request.user_id\(\) cannot be used in a data query/],
  [
    'SELECT id FROM decks WHERE owner = token_parameters.user_id',
    /6:44 token_parameters.user_id cannot be used in a data query/,
  ],
  ['SELECT id FROM decks WHERE owner = auth.user_id()', /auth.user_id\(\) cannot be used in a data query/],
  ['SELECT id, auth.user_id() AS u FROM decks WHERE owner = bucket.u', /6:20 auth.user_id\(\) cannot be used/],
  ['SELECT id', /6:9 The query has no FROM/],
  ['SELECT FROM decks WHERE owner = bucket.u', /6:9 The query selects nothing/],
  ['SELECT other.* FROM decks WHERE owner = bucket.u', /6:16 Unknown table "other": expected decks/],
  ['SELECT decks.* FROM decks AS d WHERE owner = bucket.u', /6:16 Unknown table "decks": expected d/],
])('the data query %s is refused', (query, expected) => {
  const data = query.includes('"') ? `'${query}'` : query
  expect(saidOf(definition(OWN, data), 'error')).toEqual([expect.stringMatching(expected)])
})

test.each([
  ['a BETWEEN 1 AND 2', 'BETWEEN needs edition 3: write x >= low AND x <= high'],
  ['CASE WHEN a THEN 1 ELSE 0 END', 'CASE needs edition 3: write iif(condition, value, otherwise)'],
  ['a IS TRUE', 'IS TRUE needs edition 3: write x = 1'],
  ['a IS NOT FALSE', 'IS NOT FALSE needs edition 3: write x != 0'],
  ['+a', 'A plus before a value needs edition 3: leave it out'],
  ['a % 2', 'The operator % needs edition 3'],
  ['a & 2', 'The operator & needs edition 3'],
  ['a << 2', 'The operator << needs edition 3'],
  ['a IN ARRAY[1, 2]', 'IN with a list of values needs edition 3'],
  ['a IN (1, 2)', 'A list of values does not exist here'],
  ["a NOT IN '[1]'", 'NOT IN does not exist in bucket definitions: write NOT (x IN array)'],
  ['a -> 0', 'A number behind -> needs edition 3'],
  ['a ->> b', '->> takes the name of a member in single quotes'],
  ['CAST(a AS int)', 'Cannot cast to "int"'],
  ['coalesce(a, 1)', 'Unknown function coalesce()'],
  ['count(a)', 'Aggregates like count() do not exist in sync configs'],
  ['json_each(a)', 'json_each() gives rows, not a value'],
  ["uuid_blob('x')", 'This has no value for any row'],
])('the condition %s is refused', (condition, expected) => {
  const data = `"SELECT id FROM decks WHERE owner = bucket.u AND ${condition}"`
  expect(saidOf(definition(OWN, data), 'error')).toEqual([expect.stringContaining(expected)])
})

test('everything wrong with a definition is found in one run', () => {
  const config = definition('SELECT * FROM seats', 'SELECT name, upper(a) FROM decks WHERE b BETWEEN 1 AND 2')
  expect(saidOf(config, 'error').map((text) => text.split(' ', 1)[0])).toEqual(['4:14', '6:22', '6:48'])
})

describe('all queries that give parameters', () => {
  test('give the same ones', () => {
    const config = JSON.stringify({
      bucket_definitions: { d: { parameters: [OWN, 'SELECT request.user_id() AS v'], data: [OWN_DECKS] } },
    })
    expect(saidOf(config)).toEqual([
      expect.stringContaining('The parameter queries of "d" must give the same parameters: expected u, got v'),
    ])
  })

  test.each(['5', '-1', "'1'", '1.0', 'request.user_id()'])('cannot have %s as priority', (priority) => {
    expect(saidOf(definition(`${OWN}, ${priority} AS _priority`, OWN_DECKS))).toEqual([
      expect.stringContaining('"_priority" must be 0, 1, 2 or 3'),
    ])
  })

  test('say the priority once', () => {
    expect(saidOf(definition(`${OWN}, 1 AS _priority, 2 AS _priority`, OWN_DECKS))).toEqual([
      expect.stringContaining('"_priority" stands twice'),
    ])
    expect(saidOf(definition(`${OWN}, 1 AS _priority`, OWN_DECKS, '\n    priority: 1'))).toEqual([
      expect.stringContaining('both set the priority: keep one'),
    ])
  })
})

/** Of a config of edition 1, in which JSON null reads as the text null. */
function storageOf(config: string): MemoryStorage {
  return new MemoryStorage(loadPlan(planOf(config), { generation: 1, bucketsMax: 10 }))
}

describe('arrays', () => {
  test('with a null equal nothing there, also where JSON null reads as a text', async () => {
    const ofRow = storageOf(
      definition("SELECT request.jwt() ->> 'team' AS u", 'SELECT id FROM decks WHERE bucket.u IN teams'),
    )
    ofRow.put(sourceTable('decks', 'id, teams jsonb'), '0', ['d', '[null, "a"]'])
    expect(await ofRow.rowsFor(requestOf({ sub: 'x', team: null }))).toEqual([])
    expect(await ofRow.rowsFor(requestOf({ sub: 'x', team: 'a' }))).toEqual(['decks/d {"id":"d"}'])

    const teams = "SELECT id AS u FROM teams WHERE name IN (request.jwt() -> 'teams')"
    const ofRequest = storageOf(definition(teams, OWN_DECKS))
    ofRequest.put(sourceTable('teams', 'id, name'), '0', ['t', 'null'])
    ofRequest.put(sourceTable('decks', 'id, owner'), '0', ['d', 't'])
    expect(await ofRequest.rowsFor(requestOf({ sub: 'x', teams: [null] }))).toEqual([])
    expect(await ofRequest.rowsFor(requestOf({ sub: 'x', teams: ['null'] }))).toEqual(['decks/d {"id":"d"}'])
  })

  test('inside arrays are compared as text', async () => {
    const pairs = "SELECT request.jwt() -> 'pair' AS u"
    const storage = storageOf(definition(pairs, 'SELECT id FROM decks WHERE bucket.u IN pairs'))
    storage.put(sourceTable('decks', 'id, pairs jsonb'), '0', ['d', '[["a", true], "b"]'])
    expect(await storage.rowsFor(requestOf({ sub: 'x', pair: ['a', true] }))).toEqual(['decks/d {"id":"d"}'])
  })
})

test('the suffix of a wildcard table can be a parameter', async () => {
  const seats = 'SELECT _table_suffix AS u FROM "seats_%" WHERE person = request.user_id()'
  const storage = storageOf(definition(seats, OWN_DECKS))
  storage.put(sourceTable('seats_north', 'id, person'), '0', ['1', 'ann'])
  storage.put(sourceTable('decks', 'id, owner'), '0', ['d', 'north'])
  storage.put(sourceTable('decks', 'id, owner'), '1', ['e', 'south'])
  expect(await storage.rowsFor(requestOf({ sub: 'ann' }))).toEqual(['decks/d {"id":"d"}'])
})

test.each([
  ['WHERE owner = bucket.u AND b AND a', 'WHERE a AND b AND bucket.u = owner'],
  ['WHERE owner = bucket.u OR bucket.u IN readers', 'WHERE (bucket.u IN readers) OR owner = bucket.u'],
  ['WHERE owner = bucket.u AND captain = bucket.u', 'WHERE captain = bucket.u AND owner = bucket.u'],
  ['WHERE owner = bucket.u AND bucket.u IN readers', 'WHERE bucket.u IN readers AND owner = bucket.u'],
  ['WHERE owner = bucket.u AND a = 1 + 1', 'WHERE 2 = a AND owner = bucket.u'],
  ['AS decks WHERE owner = bucket.u', 'WHERE decks.owner = bucket.u'],
])('%s and %s are the same definition', (one, other) => {
  const hashOf = (where: string): string => planOf(definition(OWN, `SELECT id FROM decks ${where}`)).hash
  expect(hashOf(one)).toBe(hashOf(other))
})

test('parameter queries that say the same are the same', () => {
  const hashOf = (where: string): string => {
    return planOf(definition(`SELECT deck AS u FROM seats WHERE ${where}`, OWN_DECKS)).hash
  }
  const one =
    "a = request.user_id() AND b IN (request.jwt() -> 'list') AND open AND NOT closed AND request.jwt() ->> 'x'"
  const other =
    "request.jwt() ->> 'x' AND NOT closed AND b IN request.jwt() -> 'list' AND request.user_id() = a AND open"
  expect(hashOf(one)).toBe(hashOf(other))
})

test('a table may be called like a function of the request', () => {
  const data = 'SELECT id FROM auth WHERE auth.user_id = bucket.u'
  expect(saidOf(definition(OWN, data))).toEqual([])
})

describe('warned of', () => {
  const DANGEROUS = /Every client can choose its buckets here/

  test.each([
    ["SELECT request.parameters() ->> 'p' AS p WHERE request.jwt() ->> 'role' = 'x'", true],
    ["SELECT request.parameters() ->> 'p' AS p, request.user_id() AS u", false],
    ['SELECT user_parameters.p', true],
    ["SELECT request.user_id() AS p WHERE request.parameter('admin') = 1", false],
    ["SELECT value AS p FROM json_each(request.parameters() -> 'list')", true],
    ["SELECT value AS p FROM json_each(request.jwt() -> 'list')", false],
    ["SELECT id AS p FROM ships WHERE id = request.parameters() ->> 'p' AND captain = request.user_id()", false],
    ["SELECT id AS p FROM ships WHERE id = request.parameters() ->> 'p'", true],
    ["SELECT id AS p FROM ships WHERE id IN (request.parameters() -> 'p')", true],
    ["SELECT id AS p FROM ships WHERE id = request.parameters() ->> 'p' AND request.jwt() ->> 'admin'", false],
    ["SELECT id AS p FROM ships WHERE request.parameters() ->> 'p' OR request.jwt() ->> 'admin'", true],
    ['SELECT id AS p FROM ships WHERE captain = request.user_id()', false],
  ])('parameters that clients choose: %s is %s', (query, isDangerous) => {
    const names = /AS u/.test(query) ? ' AND b = bucket.u' : ''
    const data = `SELECT id FROM decks WHERE a = bucket.p${names}`
    const said = saidOf(definition(query, data), 'warning')
    expect(said.some((text) => DANGEROUS.test(text))).toBe(isDangerous)
    const accepted = definition(query, data, '\n    accept_potentially_dangerous_queries: true')
    expect(saidOf(accepted, 'warning')).toEqual([])
  })

  test('a text right of IN that is no array', () => {
    const said = saidOf(definition(OWN, "SELECT id FROM decks WHERE owner = bucket.u AND a IN ('x')"), 'warning')
    expect(said).toEqual([expect.stringMatching(/6:62 Right of IN stands an array as JSON text/)])
  })

  test('arguments that have no effect', () => {
    const said = saidOf(definition(OWN, 'SELECT id, upper(a, b) AS a FROM decks WHERE owner = bucket.u'), 'warning')
    expect(said).toEqual([expect.stringMatching(/6:20 upper\(\) takes 1 argument/)])
  })
})
