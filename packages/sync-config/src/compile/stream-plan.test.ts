import { describe, expect, test } from 'vitest'
import { planOf } from '../testing/builders.ts'
import { planText } from '../testing/plan-text.ts'

const USER = '(auth.sub)'

describe('one table:', () => {
  test('what the row and the request must equal is a key', () => {
    expect(planText("SELECT id FROM t WHERE a = auth.user_id() AND auth.parameter('b') = upper(b) AND NOT c")).toEqual([
      'rows of t as t by upper(b), a where not c',
      'route (auth.b, auth.sub)',
    ])
  })

  test('two values for one key must be the same', () => {
    expect(planText("SELECT id FROM t WHERE a = auth.user_id() AND a = auth.parameter('a')")).toEqual([
      'rows of t as t by a',
      'route (auth.a & auth.sub)',
    ])
  })

  test('conditions on the request are filters of the route, those on the row filters of rows', () => {
    expect(planText("SELECT id FROM t WHERE auth.parameter('role') = 'x' AND (b OR c) AND 1 = 1")).toEqual([
      'rows of t as t where (b or c)',
      "route () where (1 = 1) and (auth.role = 'x')",
    ])
  })

  test('alternatives of one kind are one filter, others are routes of their own', () => {
    expect(planText('SELECT id FROM t WHERE a OR b = auth.user_id() OR c')).toEqual([
      'rows of t as t where (a or c)',
      'rows of t as t by b',
      'route ()',
      `route ${USER}`,
    ])
  })

  test('a condition beside an OR is kept on every side of it', () => {
    expect(planText("SELECT id FROM t WHERE (a OR b = auth.user_id()) AND c = auth.parameter('c') AND d")).toEqual([
      'rows of t as t by c where a and d',
      'rows of t as t by b, c where d',
      'route (auth.c)',
      'route (auth.sub, auth.c)',
    ])
  })

  test('NOT is pushed down to where it says something about one thing', () => {
    expect(planText('SELECT id FROM t WHERE NOT (a AND (b != auth.user_id() OR NOT c))')).toEqual([
      'rows of t as t where not a',
      'rows of t as t by b where c',
      'route ()',
      `route ${USER}`,
    ])
  })
})

describe('arrays:', () => {
  test('of the row are expanded, and their elements are keys or tested', () => {
    expect(planText("SELECT id FROM t WHERE auth.user_id() IN readers AND 'x' IN tags")).toEqual([
      "rows of t as t by readers[].value where (tags[].value = 'x')",
      `route ${USER}`,
    ])
  })

  test('of the request are read as a step, and give one bucket an element', () => {
    expect(planText("SELECT id FROM t WHERE a IN auth.parameter('list')")).toEqual([
      'rows of t as t by a',
      'route (1.value)',
      '  1: each of auth.list gives value',
    ])
  })

  test('two memberships in one array are two keys', () => {
    expect(planText("SELECT id FROM t WHERE auth.user_id() IN a AND auth.parameter('b') IN a")).toEqual([
      'rows of t as t by a[].value, a[2].value',
      'route (auth.b, auth.sub)',
    ])
  })

  test('that one alternative needs do not keep rows out of another', () => {
    expect(planText("SELECT id FROM t WHERE 'x' IN tags OR open OR 'y' IN tags")).toEqual([
      'rows of t as t where open',
      "rows of t as t where (tags[].value = 'x')",
      "rows of t as t where (tags[].value = 'y')",
      'route ()',
    ])
  })

  test('one mention of an array is one element, whatever is said about it', () => {
    const query = "SELECT t.id FROM t, json_each(t.tags) AS v WHERE v.value > 'a' AND (v.key = 0 OR v.key = 2)"
    expect(planText(query)).toEqual([
      "rows of t as t where ('a' < tags[].value) and ((tags[].key = 0) or (tags[].key = 2))",
      'route ()',
    ])
  })

  test('of row and request may share an element', () => {
    expect(planText("SELECT id FROM t WHERE tags && auth.parameter('likes')")).toEqual([
      'rows of t as t by tags[].value',
      'route (1.value)',
      '  1: each of auth.likes gives value',
    ])
  })

  test('of the request alone are conditions on the request', () => {
    expect(planText("SELECT id FROM t WHERE auth.parameter('a') IN auth.parameter('list')")).toEqual([
      'rows of t as t',
      'route ()',
      '  1: each of auth.list where (value = auth.a)',
    ])
    expect(planText("SELECT id FROM t WHERE auth.parameter('a') && auth.parameter('b')")).toEqual([
      'rows of t as t',
      'route ()',
      '  1: each of auth.b gives value',
      '  2: each of auth.a by value (1.value)',
    ])
  })

  test('that are constant belong to the table they are compared with, else to the request', () => {
    expect(planText(`SELECT id FROM t WHERE a IN '["x"]' AND auth.user_id() IN '["y"]'`)).toEqual([
      `rows of t as t where (a = '["x"]'[].value)`,
      'route ()',
      `  1: each of '["y"]' where (value = auth.sub)`,
    ])
  })

  test('of the request can lead from one to the other', () => {
    const query = `SELECT t.id FROM t, json_each(auth.parameter('a')) AS a, json_each(auth.parameter('b')) AS b
      WHERE a.value = b.key AND t.x = b.value`
    expect(planText(query)).toEqual([
      'rows of t as t by x',
      'route (2.value)',
      '  1: each of auth.a gives value',
      '  2: each of auth.b by key (1.value) gives value',
    ])
  })
})

describe('several tables:', () => {
  test('are looked up one after the other, from the request to the rows', () => {
    const query = `SELECT pieces.* FROM pieces, rooms, guards WHERE guards.badge = auth.user_id()
      AND rooms.wing = guards.wing AND pieces.room = rooms.number AND rooms.open`
    expect(planText(query)).toEqual([
      'rows of pieces as pieces by room',
      'route (2.number)',
      '  1: guards by badge (auth.sub) gives wing',
      '  2: rooms by wing (1.wing) where open gives number',
    ])
  })

  test('values of one row are outputs of one step', () => {
    const query = `SELECT s.id FROM stock AS "s" JOIN grants AS g ON g.country = s.country AND g.brand = s.brand
      WHERE g.person = auth.user_id()`
    expect(planText(query)).toEqual([
      'rows of stock as s by brand, country',
      'route (1.brand, 1.country)',
      '  1: grants by person (auth.sub) gives brand, country',
    ])
  })

  test('a table that only has to have a row is looked up without giving anything', () => {
    expect(planText('SELECT id FROM t WHERE auth.user_id() IN (SELECT person FROM staff WHERE NOT gone)')).toEqual([
      'rows of t as t',
      'route ()',
      '  1: staff by person (auth.sub) where not gone',
    ])
  })

  test('what narrows a looked-up table, and is not found from the request, is looked up after it and not read whole', () => {
    const query = `SELECT id FROM t WHERE k IN (SELECT k FROM members WHERE person = auth.user_id()
      AND team IN (SELECT id FROM teams WHERE active))`
    expect(planText(query)).toEqual([
      'rows of t as t by k',
      'route (1.k)',
      '  1: members by person (auth.sub) gives k, team',
      '  2: teams by id (1.team) where active',
    ])
  })

  test('a subquery that sees the rows around it joins them', () => {
    const query = `SELECT id FROM t WHERE auth.user_id() IN (SELECT person FROM clerks
      WHERE clerks.office = t.office AND clerks.rank > 2 AND clerks.desk IN t.desks)`
    expect(planText(query)).toEqual([
      'rows of t as t by office, desks[].value',
      'route (1.office, 1.desk)',
      '  1: clerks by person (auth.sub) where (2 < rank) gives desk, office',
    ])
  })

  test('an OR in a subquery is an alternative of the query', () => {
    const query = 'SELECT id FROM t WHERE a IN (SELECT b FROM u WHERE u.open OR u.person = auth.user_id())'
    expect(planText(query)).toEqual([
      'rows of t as t by a',
      'route (1.b)',
      '  1: u where open gives b',
      'route (1.b)',
      '  1: u by person (auth.sub) gives b',
    ])
  })

  test('a ring of tables keeps every condition', () => {
    const query = `SELECT t.id FROM t, a, b WHERE t.x = a.x AND a.y = b.y AND b.z = t.z AND b.who = auth.user_id()`
    expect(planText(query)).toEqual([
      'rows of t as t by x, z',
      'route (2.x, 1.z)',
      '  1: b by who (auth.sub) gives y, z',
      '  2: a by y (1.y) gives x',
    ])
  })

  test('the table of the objects can be inside a subquery, with its own alias', () => {
    const query = `SELECT x.name AS title, x.* FROM (SELECT id, name, owner FROM crew AS sailors WHERE NOT gone) AS x
      WHERE x.owner = auth.user_id()`
    expect(planText(query)).toEqual(['rows of crew as sailors by owner where not gone', `route ${USER}`])
  })

  test('a wildcard gives objects the name of their table, or the alias', () => {
    expect(planText('SELECT id FROM "log_%"')).toEqual(['rows of log_% as themselves', 'route ()'])
    expect(planText('SELECT id FROM "x_%"."log_%" AS log WHERE log.schema() = auth.user_id()')).toEqual([
      'rows of log_% as log by table.schema',
      `route ${USER}`,
    ])
  })
})

test('parameters are read by any expression over the request', () => {
  expect(planText("SELECT id FROM t WHERE a = auth.parameter(auth.parameter('which'))")).toEqual([
    'rows of t as t by a',
    'route (->>(auth, auth.which))',
  ])
})

describe('is the same, however it is written:', () => {
  test.each([
    ['a path to a parameter', "id = auth.parameter('a')", "auth.parameters() ->> 'a' = id"],
    ['a longer path', "id = auth.parameter('$.a.b')", "id = auth.parameters() -> 'a' ->> 'b'"],
    ['order of conditions', 'a AND id = auth.user_id() AND (b OR c)', '(c OR b) AND a AND auth.user_id() = id'],
    ['a condition written twice', 'a AND b', 'a AND b AND a'],
    ['NOT inside and outside', 'NOT (a OR b)', 'NOT a AND NOT b'],
    [
      'two memberships',
      "auth.user_id() IN a AND auth.parameter('b') IN a",
      "auth.parameter('b') IN a AND auth.user_id() IN a",
    ],
    [
      'two mentions of one table',
      'a IN (SELECT x FROM u WHERE y = auth.user_id()) AND b IN (SELECT x FROM u WHERE y = auth.user_id())',
      'b IN (SELECT v.x FROM u AS v WHERE v.y = auth.user_id()) AND a IN (SELECT x FROM u WHERE auth.user_id() = y)',
    ],
    [
      'a chain through one table',
      'a IN (SELECT x FROM u WHERE y IN (SELECT x FROM u WHERE y = auth.user_id()))',
      'a IN (SELECT u2.x FROM u AS u1, u AS u2 WHERE u1.y = auth.user_id() AND u2.y = u1.x)',
    ],
    [
      'a subquery and a join',
      'a IN (SELECT x FROM u WHERE y = auth.user_id())',
      'auth.user_id() IN (SELECT u.y FROM u JOIN u AS v ON true WHERE u.x = t.a)',
    ],
    [
      'elements of two arrays of one row',
      'auth.user_id() IN (SELECT e.value FROM u, json_each(u.l) AS e, json_each(u.l) AS f WHERE f.value = t.a AND e.key = 0)',
      'a IN (SELECT f.value FROM u, json_each(u.l) AS f, json_each(u.l) AS e WHERE 0 = e.key AND e.value = auth.user_id())',
    ],
  ])('%s', (_, one, other) => {
    expect(planText(`SELECT id FROM t WHERE ${other}`)).toEqual(planText(`SELECT id FROM t WHERE ${one}`))
  })

  test('a common table expression behind IN, with parentheses and without', () => {
    const config = (condition: string): string => `config: { edition: 3 }
streams:
  s:
    auto_subscribe: true
    with: { mine: SELECT x FROM u WHERE y = auth.user_id() }
    query: SELECT id FROM t WHERE ${condition}
`
    const hashes = ['a IN mine', 'a IN (mine)', 'a IN (SELECT x FROM mine)', 'a IN (SELECT m.x FROM mine AS m)'].map(
      (condition) => planOf(config(condition)).hash,
    )
    expect(new Set(hashes).size).toBe(1)
  })

  test('a join, a comma, a subquery in FROM and one behind IN', () => {
    const expected = planText('SELECT id FROM t WHERE a IN (SELECT x FROM u WHERE y = auth.user_id())')
    for (const query of [
      'SELECT t.id FROM t JOIN u ON u.x = t.a WHERE u.y = auth.user_id()',
      'SELECT t.id FROM t JOIN u ON true WHERE u.x = t.a AND u.y = auth.user_id()',
      'SELECT t.id FROM u, t WHERE t.a = u.x AND u.y = auth.user_id()',
      'SELECT t.id FROM t JOIN (SELECT x FROM u WHERE y = auth.user_id()) AS v ON v.x = t.a',
      'SELECT t.id FROM t, (SELECT x, y FROM u) AS v(m, n) WHERE v.m = t.a AND v.n = auth.user_id()',
      'SELECT v.id FROM (SELECT t.id, u.y FROM t, u WHERE t.a = u.x) AS v WHERE v.y = auth.user_id()',
    ]) {
      expect(planText(query)).toEqual(expected)
    }
  })
})
