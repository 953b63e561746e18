import { describe, expect, test } from 'vitest'
import { compileSyncConfig } from '../compile.ts'
import { saidOf } from '../testing/builders.ts'

/** Queries stand from line 6, column 7 on; common table expressions before them, one a line. */
function stream(query: string, ctes: { readonly [name: string]: string } = {}): string {
  const lines = Object.entries(ctes).map(([name, cte]) => `\n      ${name}: ${cte}`)
  const ending = lines.length === 0 ? '' : `    with:${lines.join('')}\n`
  return `config:\n  edition: 3\nstreams:\n  s:\n    query: |\n      ${query}\n${ending}`
}

const MANY_OWNERS = Array.from({ length: 7 }, (_, i) => `(a${i} = auth.user_id() OR b${i} = auth.user_id())`)

describe('is refused, with the place of the fault:', () => {
  test.each([
    // Where a row and the request, or two tables, meet.
    ["SELECT id FROM crew WHERE ship != auth.parameter('ship')", '6:33 A column and a value of another table or of'],
    [
      "SELECT id FROM crew WHERE hired > connection.parameter('since')",
      '6:33 Columns and values of the request cannot',
    ],
    ["SELECT id FROM crew WHERE NOT (ship = auth.parameter('ship'))", '6:37 A column and a value of another'],
    ["SELECT id FROM crew WHERE name || auth.user_id() = 'x'", '6:33 Columns and values of the request cannot'],
    ['SELECT c.id FROM crew AS "c", ships WHERE c.ship < ships.id', '6:49 Columns of two tables ("c" and "ships")'],
    ['SELECT c.id FROM crew AS "c", ships WHERE c.x + ships.y = 3', '6:49 Columns of two tables'],
    ['SELECT id FROM crew WHERE iif(ship = auth.user_id(), 1, 0)', '6:37 Columns and values of the request'],
    ["SELECT id FROM crew WHERE x IN ARRAY[auth.parameter('a')]", '6:33 Columns and values of the request'],
    ["SELECT id FROM crew WHERE x NOT IN auth.parameter('a')", '6:33 Columns and values of the request'],
    ['SELECT id FROM crew WHERE ship NOT IN (SELECT id FROM ships)', '6:33 NOT IN (SELECT …) does not exist'],
    ['SELECT id FROM crew WHERE NOT ship IN (SELECT id FROM ships)', '6:37 NOT IN (SELECT …) does not exist'],
    ["SELECT id FROM crew WHERE NOT (tags && auth.parameter('a'))", '6:37 NOT over && does not exist'],
    // What is selected.
    ['SELECT id, auth.user_id() AS me FROM crew', '6:18 Only data of the table can be selected'],
    [
      'SELECT crew.id, ships.name FROM crew JOIN ships ON ships.id = crew.ship',
      '6:23 A query selects from one table, here from "crew" and from "ships"',
    ],
    ['SELECT v.value AS id FROM crew, json_each(crew.tags) AS v', '6:14 Elements of an array cannot be selected'],
    ['SELECT v.* FROM crew, json_each(crew.tags) AS v', '6:14 Elements of an array cannot be selected'],
    ["SELECT upper(v.value) AS id FROM crew, json_each(auth.parameter('x')) AS v", '6:14 Elements of an array'],
    ["SELECT 'x' AS id FROM crew", '6:14 The query selects no column of a table'],
    [
      'SELECT * FROM crew, ships WHERE crew.ship = ships.id',
      '6:14 With several tables a star needs one of their names',
    ],
    ['SELECT crw.* FROM crew', '6:14 Unknown table "crw" (did you mean "crew"?)'],
    ['SELECT id, name IN tags AS x FROM crew', '6:18 IN with an array can only stand by itself'],
    ['SELECT id, tags && others AS x FROM crew', '6:18 && can only stand by itself'],
    // Names.
    [
      'SELECT id FROM crew JOIN ships ON ships.id = crew.ship',
      '6:14 "id" could be of several tables: write crew.id or ships.id',
    ],
    ['SELECT crew.id FROM crew, ships WHERE owner = auth.user_id()', '6:45 "owner" could be of several tables'],
    ['SELECT crew.id FROM crew, crew WHERE crew.id = 1', '6:33 Two sources are called "crew"'],
    ['SELECT id FROM crew WHERE crw.ship = 1', '6:33 Unknown table "crw" (did you mean "crew"?)'],
    ['SELECT id FROM crew AS c WHERE crew.ship = 1', '6:38 Unknown table "crew": it is called "c" here'],
    ['SELECT id FROM crew WHERE bucket.u = id', '6:33 Unknown table "bucket": bucket parameters exist in'],
    ['SELECT id FROM "a.b.c".crew', '6:22 A schema is written "schema" or "tag.schema"'],
    [
      'SELECT id FROM "other.public".crew',
      '6:22 There is one source database here, with the tag "default": write "public"',
    ],
    // Data of the request, and of tables.
    ['SELECT id FROM crew WHERE request.user_id() = id', '6:33 request.user_id() does not exist in streams'],
    [
      'SELECT id FROM crew WHERE auth.userid() = id',
      '6:33 Unknown function auth.userid() (did you mean "auth.user_id()"?)',
    ],
    ['SELECT id FROM crew WHERE connection.user_id() = id', '6:33 Unknown function connection.user_id(): expected'],
    ['SELECT id FROM crew WHERE auth.parameter(ship) = id', '6:33 Columns and values of the request cannot'],
    ["SELECT id FROM crew WHERE auth.parameter('a', 'b') = id", '6:53 auth.parameter() takes the name of one'],
    ['SELECT id FROM crew WHERE auth.user_id(1) = id', '6:46 auth.user_id() takes no arguments'],
    [
      'SELECT id FROM crew WHERE crew.shema() = id',
      '6:33 Unknown function crew.shema() (did you mean "crew.schema()"?)',
    ],
    ['SELECT id FROM crew WHERE crew.schema(1) = id', '6:45 crew.schema() takes no arguments'],
    ['SELECT x.id FROM (SELECT id FROM crew) AS x WHERE x.schema() = 1', '6:57 x.schema() needs a table'],
    // Functions and values.
    ["SELECT id, coalesce(name, '') AS n FROM crew", '6:18 Unknown function coalesce(): write ifnull'],
    ['SELECT id, length(name, 1) AS n FROM crew', '6:18 length() takes 1 argument, got 2'],
    ['SELECT id, name::varchar AS n FROM crew', '6:24 Cannot cast to "varchar"'],
    ['SELECT id FROM crew WHERE a -> b = 1', '6:38 -> takes a name in single quotes, or a number'],
    [
      'SELECT id FROM crew WHERE id IN (1, 2)',
      '6:40 A list of values does not exist in sync configs: write IN ARRAY[1, 2]',
    ],
    ["SELECT id FROM crew WHERE ARRAY['a'] && tags", '6:33 '],
    // Sources.
    ['SELECT id', '6:7 The query has no FROM'],
    ['SELECT id FROM json_eech(a)', '6:22 Unknown function json_eech() in FROM (did you mean "json_each"?)'],
    ['SELECT crew.id FROM crew, json_each(crew.a, 1) AS v', '6:51 json_each() takes one argument'],
    ['SELECT crew.id FROM crew, json_each(crew.a) AS v, json_each(v.value) AS w', '6:67 An array cannot be taken out'],
    ['SELECT c.id FROM crew AS "c", ships, json_each(c.a || ships.b) AS v', '6:54 Columns of two tables'],
    [
      'SELECT crew.id FROM crew, ships, docks WHERE ships.dock = docks.id',
      '6:52 This condition connects tables with each other',
    ],
    ['SELECT x.id FROM (SELECT * FROM crew) AS x', '6:32 A subquery cannot select *'],
    ['SELECT x.id FROM (SELECT id, name FROM crew) AS x(id)', '6:57 The subquery selects 2 columns, but 1 are named'],
    ['SELECT x.id FROM (SELECT id, name AS id FROM crew) AS x', '6:36 Two columns are called "id"'],
    ['SELECT x.id FROM (SELECT id) AS x', '6:25 A subquery needs FROM'],
    ['SELECT x.name AS id FROM (SELECT id FROM crew) AS x', '6:16 "x" has no column "name": expected id'],
    ['SELECT name AS id FROM (SELECT id FROM crew) AS x', '6:14 Unknown column "name": expected id'],
    [
      'SELECT c.id FROM crew AS "c" JOIN (SELECT s.id FROM ships AS s WHERE s.x = c.y) AS x ON x.id = c.ship',
      '6:82 Unknown table "c"',
    ],
    // Subqueries behind IN.
    ['SELECT id FROM crew WHERE ship IN (SELECT * FROM ships)', '6:49 A subquery must select exactly one column'],
    [
      'SELECT id FROM crew WHERE ship IN (SELECT id, name FROM ships)',
      '6:53 A subquery must select exactly one column',
    ],
    ['SELECT id FROM crew WHERE ship IN (SELECT id)', '6:42 A subquery needs FROM'],
    ['SELECT id FROM crew WHERE (ship IN (SELECT id FROM ships)) = 1', '6:33 IN (SELECT …) can only stand by itself'],
    [`SELECT id FROM crew WHERE ${MANY_OWNERS.join(' AND ')}`, '6:33 The condition has more than 100 alternatives'],
  ])('%s', (query, fault) => {
    const said = saidOf(stream(query))
    expect(said).toHaveLength(1)
    expect(said[0]?.startsWith(fault), said[0]).toBe(true)
  })

  test('a common table expression of several columns behind IN', () => {
    const config = stream('SELECT id FROM crew WHERE ship IN seats', { seats: 'SELECT ship, person FROM seat' })
    expect(saidOf(config)).toEqual([
      '6:33 "seats" has several columns (ship, person): write IN (SELECT column FROM seats)',
    ])
  })

  test('a fault in a common table expression, once, where it stands, however often it is mentioned', () => {
    const ctes = { seats: 'SELECT ship FROM seat WHERE person = request.user_id()' }
    const config = stream('SELECT id FROM crew WHERE ship IN seats AND dock IN seats', ctes)
    expect(saidOf(config)).toEqual([expect.stringMatching(/^8:\d+ request.user_id\(\) does not exist in streams/)])
    expect(saidOf(stream('SELECT id FROM crew', ctes))).toHaveLength(1)
  })

  test('a constant array that two places would have to take apart', () => {
    const query = `SELECT c.id FROM crew AS "c", ships, json_each('[1]') AS v
      WHERE c.a < v.value AND ships.b < v.value AND ships.id = c.ship`
    expect(saidOf(stream(query))).toEqual([
      expect.stringMatching(/^6:44 The elements of this array cannot be mixed .* mention the array twice/),
    ])
  })

  test('a stream whose rows are spread over more than 100 definitions of buckets', () => {
    const queries = (count: number): string => {
      const list = Array.from({ length: count }, (_, i) => `"SELECT id FROM t${i} WHERE k = auth.parameter('p${i}')"`)
      return `config: { edition: 3 }\nstreams:\n  s:\n    queries: [${list.join(', ')}]\n`
    }
    expect(saidOf(queries(100))).toEqual([])
    expect(saidOf(queries(101))).toEqual([expect.stringMatching(/^3:3 Stream "s" is spread over 101 definitions/)])
  })

  test('every fault of a query at once', () => {
    const query = 'SELECT id, now() AS a, auth.user_id() AS b FROM crew WHERE crw.x = 1 AND y > auth.user_id()'
    expect(saidOf(stream(query)).map((line) => line.split(' ')[0])).toEqual(['6:18', '6:30', '6:66', '6:80'])
  })
})

describe('is accepted with a warning:', () => {
  test.each([
    ['SELECT name FROM crew', '6:14 The query selects no "id"'],
    ['SELECT DISTINCT id FROM crew', '6:14 DISTINCT has no effect'],
    ['SELECT id FROM crew WHERE ship IN (SELECT DISTINCT id FROM ships)', '6:49 DISTINCT has no effect'],
    ['SELECT name AS id, * FROM crew', '6:26 The star comes after a renamed column'],
    ['SELECT id, upper(name) FROM crew', '6:18 The column has no name, and will be called "upper(name)"'],
    ['SELECT x.id FROM (SELECT id, a + b FROM crew) AS x', '6:36 The column has no name, and will be called "a + b"'],
    ['SELECT c.id FROM crew c JOIN ships ON ships.id = c.ship', '6:29 Objects of this query will be called "c"'],
    ['SELECT x.id FROM (SELECT c.id FROM crew c, ships WHERE ships.id = c.ship) AS x', '6:47 Objects of this query'],
    ['SELECT id, crew.table_suffix() AS s FROM crew', '6:18 crew.table_suffix() is always empty'],
    ['SELECT id, index FROM crew', '6:18 "index" is a keyword of SQL, and taken for the name of a column here'],
    ['SELECT id, place AS update FROM crew', '6:27 "update" is a keyword of SQL'],
    ['SELECT crew.id FROM crew, ships', '6:33 Nothing is said about "ships"'],
    ['SELECT crew.id FROM crew, json_each(crew.tags) AS v', '6:33 Nothing is said about "v"'],
    ['SELECT crew.id FROM crew JOIN (SELECT id FROM ships) AS x ON true', '6:53 Nothing is said about "ships"'],
    ["SELECT id FROM crew WHERE ship IN 'x'", "6:41 Right of IN stands an array as JSON text, which 'x' is not"],
    ["SELECT id FROM crew WHERE ship NOT IN ('x')", "which 'x' is not: write IN ARRAY['x']"],
    ["SELECT * FROM crew WHERE project = subscription.parameter('p')", 'Every client can choose'],
    [
      "SELECT * FROM crew WHERE project = subscription.parameter('p') AND auth.parameter('role') = 'admin'",
      'Every client can choose',
    ],
    [
      "SELECT * FROM crew WHERE project = subscription.parameter('p') AND auth.user_id() IN (SELECT id FROM ships)",
      'Every client can choose',
    ],
    ["SELECT * FROM crew WHERE project IN subscription.parameter('p')", 'Every client can choose'],
    ["SELECT * FROM crew WHERE 'x' IN subscription.parameter('p')", 'Every client can choose'],
  ])('%s', (query, warning) => {
    expect(saidOf(stream(query))).toEqual([])
    const said = saidOf(stream(query), 'warning')
    expect(said).toHaveLength(1)
    expect(said[0]).toContain(warning)
  })

  test('a common table expression that nothing refers to, of a stream and of the file', () => {
    const config = `config: { edition: 3 }
with:
  a: SELECT id FROM ships
  b: SELECT id FROM docks
streams:
  s:
    with:
      a: SELECT id FROM boats
      c: SELECT id FROM piers
    query: SELECT id FROM crew WHERE ship IN a
  t:
    query: SELECT id FROM crew WHERE dock IN b
`
    expect(saidOf(config)).toEqual([])
    expect(saidOf(config, 'warning')).toEqual([
      expect.stringMatching(/^3:3 Nothing refers to the common table expression "a"/),
      expect.stringMatching(/^9:7 Nothing refers to the common table expression "c"/),
    ])
  })

  test('two queries that make different objects of one name', () => {
    const config = (second: string): string => `config: { edition: 3 }
streams:
  s: { query: "SELECT id, name FROM crew" }
  t:
    query: ${second}
`
    expect(saidOf(config('SELECT * FROM crew'), 'warning')).toEqual([
      expect.stringMatching(/^5:19 Another query selects other columns of the same table as "crew"/),
    ])
    expect(saidOf(config('SELECT id, name FROM crew WHERE active'), 'warning')).toEqual([])
    expect(saidOf(config('SELECT * FROM crew AS sailors'), 'warning')).toEqual([])
    expect(saidOf(config('SELECT * FROM ships'), 'warning')).toEqual([])
  })
})

describe('is accepted without a word:', () => {
  test.each([
    ["SELECT * FROM crew WHERE project = subscription.parameter('p') AND ship = auth.parameter('ship')"],
    [
      "SELECT * FROM crew WHERE project = subscription.parameter('p') AND project IN (SELECT project FROM seats WHERE person = auth.user_id())",
    ],
    ['SELECT * FROM crew WHERE NOT (NOT (ship = auth.user_id()))'],
    ['SELECT * FROM crew WHERE NOT (ship NOT IN (SELECT id FROM ships WHERE owner = auth.user_id()))'],
    ["SELECT * FROM crew WHERE NOT (NOT (tags && auth.parameter('tags')))"],
    ['SELECT * FROM crew WHERE NOT (a != auth.user_id())'],
    ['SELECT * FROM crew;'],
    ['SELECT id, "index", "order" AS "update", key, value, type FROM crew'],
    ['SELECT * FROM crew WHERE a=-5 AND b BETWEEN 1 AND .5'],
    ['SELECT c.id FROM crew AS "c" JOIN ships ON ships.id = c.ship'],
    ['SELECT crew.id FROM crew AS crew JOIN ships ON ships.id = crew.ship'],
    ['SELECT id, id = 1 AS isFirst, schema FROM "default.public".crew AS sailors'],
    [
      'SELECT id, name AS title FROM (SELECT id, name, owner FROM crew) AS x WHERE owner = auth.user_id()'.replace(
        ', *',
        '',
      ),
    ],
    ["SELECT id FROM crew WHERE 'x' IN (SELECT value FROM json_each(tags))"],
    ["SELECT id FROM crew WHERE auth.parameter('a') IN auth.parameter('list')"],
    ['SELECT id FROM crew WHERE auth.user_id() IN \'["ann"]\''],
    ["SELECT id FROM crew WHERE auth.parameter('a') && auth.parameter('b')"],
    ["SELECT id FROM crew WHERE ship = auth.parameter(auth.parameter('which'))"],
    ['SELECT id, log.table_name() AS name FROM "log_%" AS log'],
  ])('%s', (query) => {
    expect(compileSyncConfig(stream(query)).diagnostics).toEqual([])
  })

  test('parameters that clients choose, where the stream says that this is meant', () => {
    const config = `${stream("SELECT * FROM crew WHERE p = subscription.parameter('p')")}    accept_potentially_dangerous_queries: true\n`
    expect(compileSyncConfig(config).diagnostics).toEqual([])
  })
})
