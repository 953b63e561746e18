import { describe, expect, test } from 'vitest'
import { checkPlanAgainstTables } from './check-tables.ts'
import { compileSyncConfig } from './compile.ts'
import { planOf, saidOf, sourceTable, streamsConfig } from './testing/builders.ts'

/** A stream of edition 3 whose query stands from line 6, column 7 on. */
function stream(query: string): string {
  return `config:\n  edition: 3\nstreams:\n  s:\n    query: |\n      ${query}\n`
}

function definition(parameters: string, data: string): string {
  return `bucket_definitions:\n  d:\n    parameters: ${parameters}\n    data:\n      - ${data}\n`
}

describe('a query of a stream', () => {
  test.each([
    [
      "SELECT id FROM crew WHERE ship != auth.parameter('ship')",
      /6:33 A column and a value .* only be compared with =/,
    ],
    [
      "SELECT id FROM crew WHERE hired > connection.parameter('since')",
      /6:33 Columns and values of the request cannot be mixed/,
    ],
    ["SELECT id FROM crew WHERE NOT (ship = auth.parameter('ship'))", /without NOT/],
    ['SELECT id FROM crew WHERE ship NOT IN (SELECT id FROM ships)', /6:33 NOT IN \(SELECT …\) is not supported/],
    ['SELECT id FROM crew WHERE NOT ship IN (SELECT id FROM ships)', /6:37 NOT IN \(SELECT …\) is not supported/],
    ['SELECT id, auth.user_id() AS me FROM crew', /6:18 Only data of the table can be selected/],
    ['SELECT crew.id FROM crew JOIN ships ON ships.id = crew.ship', /6:37 Joins are not supported yet/],
    ['SELECT crew.* FROM crew LEFT JOIN ships ON ships.id = crew.ship', /LEFT JOIN does not exist/],
    ['SELECT id FROM crew WHERE ship IN (SELECT * FROM ships)', /6:49 A subquery must select exactly one column/],
    [
      'SELECT id FROM crew WHERE ship IN (SELECT id, name FROM ships)',
      /6:53 A subquery must select exactly one column/,
    ],
    ['SELECT id FROM crew WHERE ship IN (SELECT id)', /A subquery needs FROM/],
    ['SELECT id FROM crew WHERE id IN (1, 2)', /IN ARRAY\[…\]/],
    ["SELECT id FROM crew WHERE name LIKE 'A%'", /6:38 LIKE does not exist/],
    ["SELECT id, coalesce(name, '') AS n FROM crew", /6:18 Expressions in the SELECT list are not supported yet/],
    ['SELECT id, name::varchar AS n FROM crew', /Expressions in the SELECT list/],
    ['SELECT id, user FROM crew', /6:18 "user" is a reserved word of SQL: write it in quotes/],
    ['SELECT id, FROM crew', /expected a column, got "FROM"/],
    ['SELECT id FROM crew GROUP BY id', /GROUP BY does not exist/],
    ['SELECT id FROM crew LIMIT 1', /LIMIT does not exist/],
    ['SELECT id FROM crew UNION SELECT id FROM b', /UNION does not exist/],
    ['SELECT id FROM crew WHERE request.user_id() = id', /request.user_id\(\) does not exist in streams/],
    ['SELECT id FROM crew WHERE auth.userid() = id', /did you mean "auth.user_id\(\)"/],
    ['SELECT id FROM crew WHERE auth.parameter(x) = id', /takes the name of one parameter, in single quotes/],
    ['SELECT id FROM crew WHERE auth.user_id(1) = id', /takes no arguments/],
    ['SELECT id FROM crew WHERE crw.ship = 1', /Unknown table "crw" \(did you mean "crew"\?\)/],
    ['SELECT crw.* FROM crew', /Unknown table "crw"/],
    ["SELECT id FROM crew WHERE 'x' IN auth.parameter('roles')", /IN with an array is not supported yet/],
    ['SELECT id FROM "crew_%"', /Wildcards are not supported yet/],
    ['SELECT id FROM json_each(a)', /json_each\(\) in FROM is not supported yet/],
    ['SELECT id FROM (SELECT id FROM a) AS b', /A subquery in FROM is not supported yet/],
    ['SELECT id', /has no FROM/],
    ['UPDATE crew SET a = 1', /expected SELECT, got "UPDATE"/],
    ['SELECT id FROM crew; SELECT 1', /Only one statement/],
    ["SELECT id FROM crew WHERE a = 'x", /no closing quote/],
    ['SELECT id FROM crew WHERE EXISTS (SELECT 1 FROM t)', /EXISTS does not exist/],
    ['SELECT id FROM crew WHERE a = (SELECT b FROM t)', /can only stand after IN/],
    ['SELECT id FROM crew WHERE a = $1', /Placeholders do not exist/],
    ['SELECT id FROM crew WHERE a == 1', /Write = to compare/],
    ['SELECT id FROM crew WHERE a = b.c.d', /6:/],
    ['SELECT id FROM crew WHERE CAST(a AS text) = auth.user_id()', /Casts are not supported yet/],
    [`SELECT id FROM crew WHERE ${'('.repeat(300)}`, /nested deeper than 100 levels/],
    [
      `SELECT id FROM crew WHERE ${Array.from({ length: 7 }, (_, i) => `(a${i} = auth.user_id() OR b${i} = auth.user_id())`).join(' AND ')}`,
      /more than 100 alternatives/,
    ],
  ])('%s is refused', (query, message) => {
    expect(saidOf(stream(query)).join('\n')).toMatch(message)
  })

  test.each([
    ['SELECT name FROM crew', /6:14 The query selects no "id"/],
    ['SELECT DISTINCT id FROM crew', /6:14 DISTINCT has no effect/],
    ['SELECT name AS id, * FROM crew', /6:26 The star comes after a renamed column/],
    ["SELECT * FROM crew WHERE project = subscription.parameter('p')", /Every client can choose/],
    [
      "SELECT * FROM crew WHERE project = subscription.parameter('p') AND auth.parameter('role') = 'admin'",
      /Every client can choose/,
    ],
    [
      "SELECT * FROM crew WHERE project = subscription.parameter('p') AND auth.user_id() IN (SELECT id FROM ships)",
      /Every client can choose/,
    ],
  ])('%s is accepted with a warning', (query, message) => {
    expect(saidOf(stream(query))).toEqual([])
    expect(saidOf(stream(query), 'warning').join('\n')).toMatch(message)
  })

  test.each([
    ["SELECT * FROM crew WHERE project = subscription.parameter('p') AND ship = auth.parameter('ship')"],
    [
      "SELECT * FROM crew WHERE project = subscription.parameter('p') AND project IN (SELECT project FROM seats WHERE person = auth.user_id())",
    ],
    ['SELECT * FROM crew WHERE NOT (NOT (ship = auth.user_id()))'],
    ['SELECT * FROM crew WHERE NOT (ship NOT IN (SELECT id FROM ships WHERE owner = auth.user_id()))'],
    ['SELECT * FROM crew;'],
    ['SELECT * FROM crew WHERE a=-5 AND b BETWEEN 1 AND .5'],
  ])('%s is accepted without a word', (query) => {
    expect(compileSyncConfig(stream(query)).diagnostics).toEqual([])
  })

  test('accept_potentially_dangerous_queries silences the warning about parameters that clients choose', () => {
    const config = `${stream("SELECT * FROM crew WHERE p = subscription.parameter('p')")}    accept_potentially_dangerous_queries: true\n`
    expect(compileSyncConfig(config).diagnostics).toEqual([])
  })
})

describe('a bucket definition', () => {
  test.each([
    [
      'SELECT * FROM seats WHERE person = request.user_id()',
      'SELECT id FROM decks WHERE id = bucket.id',
      /cannot select \*/,
    ],
    [
      'SELECT s.deck FROM seats AS s WHERE person = request.user_id()',
      'SELECT id FROM decks WHERE id = bucket.deck',
      /cannot have an alias/,
    ],
    [
      'SELECT deck FROM seats WHERE since < request.user_id()',
      'SELECT id FROM decks WHERE id = bucket.deck',
      /cannot be mixed/,
    ],
    [
      'SELECT deck FROM seats WHERE NOT (person = request.user_id())',
      'SELECT id FROM decks WHERE id = bucket.deck',
      /without NOT/,
    ],
    [
      "SELECT deck FROM seats WHERE a = request.user_id() OR b = request.jwt() ->> 'b'",
      'SELECT id FROM decks WHERE id = bucket.deck',
      /two parameter queries/,
    ],
    ['SELECT request.user_id()', 'SELECT id FROM decks WHERE id = bucket.user_id', /needs a name/],
    ['SELECT request.user_id() AS u', 'SELECT id FROM decks', /bucket.u is missing/],
    [
      'SELECT request.user_id() AS user1',
      'SELECT id FROM decks WHERE owner = bucket.uesr1',
      /Unknown bucket parameter "uesr1" \(did you mean "user1"\?\)/,
    ],
    [
      'SELECT request.user_id() AS u',
      'SELECT id, bucket.u AS u FROM decks WHERE owner = bucket.u',
      /cannot be selected/,
    ],
    ['SELECT request.user_id() AS u', 'SELECT name FROM decks WHERE owner = bucket.u', /selects no "id"/],
    [
      'SELECT request.user_id() AS u',
      'SELECT id FROM decks WHERE owner = bucket.u OR public',
      /on every side of an OR/,
    ],
    [
      'SELECT request.user_id() AS u, 5 AS _priority',
      'SELECT id FROM decks WHERE owner = bucket.u',
      /"_priority" must be 0, 1, 2 or 3/,
    ],
    [
      'SELECT request.user_id() AS u',
      'SELECT id FROM decks WHERE owner = request.user_id()',
      /cannot be used in a data query/,
    ],
    [
      'SELECT request.user_id() AS u',
      "SELECT id FROM decks WHERE bucket.u = 'x'",
      /can only be compared with a column/,
    ],
    ['SELECT request.user_id() AS u', 'SELECT id FROM decks WHERE owner > bucket.u', /can only be compared with =/],
    [
      'SELECT request.user_id() AS u',
      'SELECT id FROM decks WHERE owner IN (SELECT id FROM x WHERE y = bucket.u)',
      /only be used in streams/,
    ],
    [
      'SELECT auth.user_id() AS u',
      'SELECT id FROM decks WHERE owner = bucket.u',
      /auth.user_id\(\) does not exist in bucket definitions/,
    ],
  ])('%s with %s is refused', (parameters, data, message) => {
    expect(saidOf(definition(parameters, data)).join('\n')).toMatch(message)
  })

  test('parameter queries of one definition must give the same parameters', () => {
    const config = `
bucket_definitions:
  d:
    parameters:
      - SELECT request.user_id() AS u
      - SELECT id AS v FROM t
    data: []
`
    expect(saidOf(config)).toEqual([
      '6:9 The parameter queries of "d" must give the same parameters: expected u, got v',
    ])
  })

  test('warns where clients choose their buckets', () => {
    const data = 'SELECT id FROM decks WHERE owner = bucket.p'
    const dangerous = definition("SELECT request.parameters() ->> 'p' AS p WHERE request.jwt() ->> 'role' = 'x'", data)
    const safe = definition(
      "SELECT id AS p FROM ships WHERE id = request.parameters() ->> 'p' AND captain = request.user_id()",
      data,
    )
    expect(saidOf(dangerous, 'warning').join()).toMatch(/Every client can choose/)
    expect(compileSyncConfig(safe).diagnostics).toEqual([])
  })
})

describe('a plan', () => {
  const OWN = 'SELECT * FROM todos WHERE owner = auth.user_id()'

  test('does not change with white space, aliases of subqueries, or places in the file', () => {
    const one = planOf(streamsConfig({ s: 'SELECT id FROM a WHERE b IN (SELECT c FROM d WHERE e = auth.user_id())' }))
    const two = planOf(
      stream('SELECT id\n      FROM a WHERE b IN (SELECT x.c FROM d AS x\n      WHERE auth.user_id() = x.e)').replace(
        'query:',
        'auto_subscribe: true\n    query:',
      ),
    )
    expect(two.hash).toBe(one.hash)
  })

  test('changes with what is granted, and with how values are written', () => {
    const hashes = [
      streamsConfig({ s: OWN }),
      streamsConfig({ t: OWN }),
      streamsConfig({ s: `${OWN} AND NOT done` }),
      streamsConfig({ s: OWN }).replace('"edition": 3', '"edition": 3, "timestamps_iso8601": false'),
    ].map((config) => planOf(config).hash)
    expect(new Set(hashes).size).toBe(hashes.length)
  })

  test('queries of one stream that are reached by the same values share a bucket; equal evaluators share across streams', () => {
    const { buckets, lookups, evaluators } = planOf(
      streamsConfig({
        care: [
          'SELECT * FROM patients WHERE id IN (SELECT patient FROM team WHERE person = auth.user_id())',
          'SELECT * FROM visits WHERE patient IN (SELECT patient FROM team WHERE person = auth.user_id())',
        ],
        mine: 'SELECT * FROM notes WHERE list IN (SELECT id FROM lists WHERE owner = auth.user_id())',
        one: "SELECT * FROM notes WHERE list = subscription.parameter('list') AND auth.user_id() IN (SELECT owner FROM lists)",
      }),
    ).body
    expect([buckets, evaluators, lookups].map((part) => Array.isArray(part) && part.length)).toEqual([2, 3, 3])
  })

  test('can be checked against the tables of the source, with the place of each fault', () => {
    const plan = planOf(
      stream('SELECT id, titel FROM todos WHERE list IN (SELECT id FROM lsits) AND todos.owner = auth.user_id()'),
    )
    const tables = [sourceTable('todos', 'id, title, list, owner int4'), sourceTable('lists', 'id')]
    expect(
      checkPlanAgainstTables(plan, tables).map(
        ({ severity, line, column, message }) => `${severity} ${line}:${column} ${message}`,
      ),
    ).toEqual([
      'error 6:18 Column "titel" is not in table public.todos (did you mean "title"?)',
      'warning 6:65 Table public.lsits does not exist (did you mean "lists"?): it is synced once it does',
      'warning 6:76 Column "owner" of public.todos is a number and never equals the user id, which is text',
    ])
  })
})
