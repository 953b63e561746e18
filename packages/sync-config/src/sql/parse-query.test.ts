import { describe, expect, test } from 'vitest'
import { parseQuery } from './parse-query.ts'
import type { InRight, Select, Source, SqlExpression } from './tree.ts'

/** The tree with every operator in parentheses. */
function show(sql: SqlExpression): string {
  switch (sql.kind) {
    case 'null':
      return 'NULL'
    case 'boolean':
      return String(sql.value)
    case 'integer':
      return sql.digits
    case 'real':
      return `${sql.value}r`
    case 'text':
      return JSON.stringify(sql.value)
    case 'column':
      return [sql.qualifier, sql.name].flatMap((name) => name?.text ?? []).join('.')
    case 'call':
      return `${sql.qualifier === undefined ? '' : `${sql.qualifier.text}.`}${sql.name.text}(${sql.args.map(show).join(', ')})`
    case 'unary':
      return `(${sql.operator} ${show(sql.operand)})`
    case 'binary':
      return `(${show(sql.left)} ${sql.operator} ${show(sql.right)})`
    case 'is':
      return `(${show(sql.operand)} is ${sql.negated ? 'not ' : ''}${sql.what})`
    case 'between':
      return `(${show(sql.operand)} ${sql.negated ? 'not ' : ''}between ${show(sql.low)}, ${show(sql.high)})`
    case 'in':
      return `(${show(sql.operand)} ${sql.negated ? 'not ' : ''}in ${showRight(sql.right)})`
    case 'like': {
      const escape = sql.escape === undefined ? '' : `, ${show(sql.escape)}`
      return `(${show(sql.operand)} ${sql.negated ? 'not ' : ''}like ${show(sql.pattern)}${escape})`
    }
    case 'overlap':
      return `(${showRight(sql.left)} && ${showRight(sql.right)})`
    case 'cast':
      return `(${show(sql.operand)} as ${sql.type.text})`
    case 'case': {
      const branches = sql.branches.map(({ when, result }) => `${show(when)}: ${show(result)}`).join(', ')
      return `case ${sql.operand === undefined ? '' : show(sql.operand)}{${branches}} ${show(sql.otherwise ?? { kind: 'null', start: 0, end: 0 })}`
    }
  }
}

function showRight(right: InRight): string {
  switch (right.kind) {
    case 'subquery':
      return `<${showSelect(right.select)}>`
    case 'values':
      return `values(${right.items.map(show).join(', ')})`
    case 'array':
      return `[${right.items.map(show).join(', ')}]`
    case 'expression':
      return show(right.expression)
  }
}

function showSelect({ distinct, items, from, where }: Select): string {
  const columns = items.map((item) =>
    item.kind === 'star'
      ? `${item.qualifier === undefined ? '' : `${item.qualifier.text}.`}*`
      : `${show(item.expression)}${item.alias === undefined ? '' : ` as ${item.alias.text}`}`,
  )
  const parts = [distinct === undefined ? '' : 'distinct', columns.join(', ')]
  if (from.length > 0) parts.push('from', from.map(showSource).join(' '))
  if (where !== undefined) parts.push('where', show(where))
  return parts.filter((part) => part !== '').join(' ')
}

function showSource(source: Source): string {
  const alias = source.alias === undefined ? '' : ` as ${source.alias.text}`
  const on = source.on === undefined ? '' : ` on ${show(source.on)}`
  return `${{ first: '', comma: ', ', join: 'join ', left: 'left join ' }[source.joined]}${showForm(source)}${alias}${on}`
}

function showForm(source: Source): string {
  switch (source.kind) {
    case 'table':
      return [source.schema, source.name].flatMap((name) => name?.text ?? []).join('.')
    case 'call':
      return `${source.name.text}(${source.args.map(show).join(', ')})`
    case 'subquery':
      return `<${showSelect(source.select)}>`
  }
}

/** What stands behind WHERE; throws where the query has a fault. */
function where(expression: string): string {
  const { select, faults } = parseQuery(`SELECT a FROM t WHERE ${expression}`)
  if (select?.where === undefined) throw new Error(faults.map(({ message }) => message).join('\n'))
  return show(select.where)
}

/** What is wrong with a query, each with the stretch it is about. */
function faultsOf(sql: string): readonly string[] {
  return parseQuery(sql).faults.map(({ span, message }) => `${sql.slice(span.start, span.end)} | ${message}`)
}

describe('operators', () => {
  test.each([
    ['a OR b AND c', '(a or (b and c))'],
    ['NOT a = b AND c', '((not (a = b)) and c)'],
    ['NOT a IS NULL', '(not (a is null))'],
    ['a = b IS NULL', '((a = b) is null)'],
    ['a = b IN c', '(a = (b in c))'],
    ['a < b = c', '((a < b) = c)'],
    ['a BETWEEN 1 AND 2 AND b', '((a between 1, 2) and b)'],
    ['a NOT BETWEEN b + 1 AND c', '(a not between (b + 1), c)'],
    ['a IN b && c', '(a in (b && c))'],
    ['a & b + c', '(a & (b + c))'],
    ['a << 1 | b >> 2 & c', '((((a << 1) | b) >> 2) & c)'],
    ['a + b || c - d', '(((a + b) || c) - d)'],
    ['a + b * c / d % e', '(a + (((b * c) / d) % e))'],
    ['+ a * b', '((+ a) * b)'],
    ["+ a ->> 'x'", '(+ (a ->> "x"))'],
    ["a -> 'x' ->> 'y' || b", '(((a -> "x") ->> "y") || b)'],
    ["a -> 'x'::text", '(a -> ("x" as text))'],
    ['a::text::integer + 1', '(((a as text) as integer) + 1)'],
    ['a ->> -1', '(a ->> -1)'],
    ['(a OR b) AND c', '((a or b) and c)'],
    ['CAST(a + 1 AS text) = b', '(((a + 1) as text) = b)'],
    ['a <> b', '(a != b)'],
    ['a IS NOT TRUE AND b IS FALSE', '((a is not true) and (b is false))'],
    ['CASE a WHEN 1 THEN b WHEN 2 THEN c ELSE d END', 'case a{1: b, 2: c} d'],
    ['CASE WHEN a AND b THEN c END = 1', '(case {(a and b): c} NULL = 1)'],
  ])('of %s bind as %s', (sql, tree) => {
    expect(where(sql)).toBe(tree)
  })

  test.each([
    ['a - 1', '(a - 1)'],
    ['a- 1', '(a - 1)'],
    ['a -1', '(a - 1)'],
    ['a-1', '(a - 1)'],
    ['a - -1', '(a - -1)'],
    ['a -1 -2', '((a - 1) - 2)'],
    ['(a)-1.5', '(a - 1.5r)'],
    ['1-1', '(1 - 1)'],
    ['- 5 = -5', '(-5 = -5)'],
    ['-5::text', '(-5 as text)'],
    ['a * -1', '(a * -1)'],
    ['-a', '(- a)'],
    ['-.5', '-0.5r'],
  ])('a minus in %s is read as %s', (sql, tree) => {
    expect(where(sql)).toBe(tree)
  })
})

describe('the right side of IN', () => {
  test.each([
    ["a IN ('x')", '(a in values("x"))'],
    ["a IN ('x', 'y')", '(a in values("x", "y"))'],
    ["a IN (b) -> 'x'", '(a in (b -> "x"))'],
    ["a IN (b -> 'x') AND c", '((a in values((b -> "x"))) and c)'],
    ["a IN b -> 'x'", '(a in (b -> "x"))'],
    ['a IN ARRAY[1, b]', '(a in [1, b])'],
    ['a NOT IN ROW(1, 2)', '(a not in [1, 2])'],
    ['a IN ARRAY[]', '(a in [])'],
    ['a IN row', '(a in row)'],
    ['a IN (SELECT b FROM c)', '(a in <b from c>)'],
    ["(SELECT b FROM c) && d -> 'x'", '(<b from c> && (d -> "x"))'],
    ['d && (SELECT b FROM c) OR e', '((d && <b from c>) or e)'],
  ])('of %s is read as %s', (sql, tree) => {
    expect(where(sql)).toBe(tree)
  })
})

describe('a query', () => {
  test.each([
    ['SELECT *, t.*, a AS b, c d, "E""x" FROM t', '*, t.*, a as b, c as d, E"x from t'],
    ['select A, T.B from Public.T as X;', 'a, t.b from public.t as x'],
    ['SELECT WHERE a', 'where a'],
    ['SELECT', ''],
    ['SELECT DISTINCT a FROM t', 'distinct a from t'],
    [
      'SELECT a FROM t, u x JOIN v ON t.a = v.a INNER JOIN w ON true',
      'a from t , u as x join v on (t.a = v.a) join w on true',
    ],
    ['SELECT a FROM t JOIN u', 'a from t join u'],
    ["SELECT v.value FROM json_each(auth.parameter('x')) AS v", 'v.value from json_each(auth.parameter("x")) as v'],
    ['SELECT x.a FROM (SELECT a FROM t WHERE b) AS x(c)', 'x.a from <a from t where b> as x'],
    ['SELECT a FROM (SELECT a FROM t) x', 'a from <a from t> as x'],
    [
      'SELECT "t%".schema(), x.table_name(), x.table_suffix() FROM "t%" AS x',
      't%.schema(), x.table_name(), x.table_suffix() from t% as x',
    ],
    ['SELECT a -- b FROM\n FROM /* c */ t -- d', 'a from t'],
  ])('%s is read as %s', (sql, text) => {
    const { select, faults } = parseQuery(sql)
    expect(faults).toEqual([])
    expect(select === undefined ? undefined : showSelect(select)).toBe(text)
  })

  test.each([
    ["'it''s'", '"it\'s"'],
    [String.raw`E'a\tb\n\\\'\x41\101\u00e9\U0001F600\q'`, JSON.stringify("a\tb\n\\'AAé😀q")],
    [String.raw`'a\tb'`, JSON.stringify(String.raw`a\tb`)],
    ["''", '""'],
    ['12', '12'],
    ['0012', '12'],
    ['1.5', '1.5r'],
    ['.5', '0.5r'],
    ['9223372036854775807', '9223372036854775807'],
    ['TRUE', 'true'],
  ])('the literal %s is %s', (sql, value) => {
    expect(where(sql)).toBe(value)
  })

  test('names keep what they were called, with and without quotes, and say where they stand', () => {
    const sql = 'SELECT Id, "Full Name" AS Title, UPPER(x) FROM Lists AS L WHERE L.Id = Auth.User_ID()'
    const { folded } = parseQuery(sql)
    expect(folded.map(({ start, end, text }) => `${sql.slice(start, end)} ${text}`)).toEqual([
      'Id id',
      'Title title',
      'Lists lists',
      'L l',
      'L l',
      'Id id',
    ])
  })
})

describe('what sync configs do not have', () => {
  test.each([
    ["SELECT a FROM t WHERE a LIKE 'x%'", /^LIKE \| LIKE does not exist in sync configs/],
    ["SELECT a FROM t WHERE a NOT ILIKE 'x%' ESCAPE '!'", /^ILIKE \| ILIKE does not exist/],
    ["SELECT a FROM t WHERE a SIMILAR TO 'x%'", /^similar \| SIMILAR TO does not exist/i],
    ["SELECT a FROM t WHERE a !~* 'x'", /^!~\* \| Regular expressions do not exist/],
    ['SELECT a FROM t WHERE a == 1', /^== \| The operator == does not exist in sync configs: write =/],
    ["SELECT a FROM t WHERE a @> '{}'", /^@> \| The operator @> .* write value IN array/],
    ["SELECT a FROM t WHERE a #>> '{b,c}' = 'x'", /^#>> \| .* write column -> 'a' ->> 'b'/],
    ['SELECT a FROM t WHERE a ISNULL', /write IS NULL/],
    ['SELECT a FROM t WHERE a NOTNULL', /write IS NOT NULL/],
    ['SELECT a FROM t WHERE a IS NOT DISTINCT FROM b', /^IS NOT DISTINCT \| IS DISTINCT FROM does not exist/],
    ['SELECT a FROM t WHERE a IS b', /After IS only NULL, TRUE and FALSE/],
    ['SELECT a FROM t WHERE a IS UNKNOWN', /write IS NULL/],
    ['SELECT a FROM t WHERE a COLLATE "C" = b', /^COLLATE \| /],
    ["SELECT a AT TIME ZONE 'UTC' AS b FROM t", /^AT \| AT TIME ZONE does not exist/],
    ['SELECT EXTRACT(year FROM a) AS y FROM t', /^EXTRACT \| EXTRACT\(…\) does not exist/],
    ['SELECT substring(a FROM 1 FOR 2) AS b FROM t', /^FROM 1 \| .* write substring\(x, start, length\)/],
    ["SELECT trim(both ' ' from a) AS b FROM t", /^trim \| TRIM\(…\) does not exist/],
    ['SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u)', /^EXISTS \| EXISTS does not exist/],
    ['SELECT a FROM t WHERE a = (SELECT b FROM u)', /^\(SELECT b FROM u\) \| A subquery can only stand behind IN/],
    ['SELECT a FROM t WHERE a = ANY(b)', /^ANY \| ANY \(…\) does not exist in sync configs: write value IN array/],
    ['SELECT a FROM t WHERE ARRAY[1] && b', /^ARRAY \| ARRAY\[…\] can only stand right behind IN/],
    ['SELECT a FROM t WHERE (a, b) = (1, 2)', /^\(a, b\) \| Rows of values .* compare the columns one by one/],
    ['SELECT a[1] FROM t', /^\[ \| Elements in brackets do not exist/],
    ['SELECT a FROM t WHERE a = $1', /^\$1 \| Placeholders do not exist/],
    ['SELECT a FROM t WHERE a = :owner AND b', /^:owner \| Placeholders do not exist/],
    ['SELECT a FROM t WHERE a = ?', /^\? \| Placeholders do not exist/],
    ["SELECT a FROM t WHERE a = x'00'", /^x'00' \| Blob literals do not exist in sync configs: compare hex\(column\)/],
    ["SELECT a FROM t WHERE a > date '2024-01-01'", /^date '2024-01-01' \| .* write the text alone/],
    ['SELECT a FROM t WHERE a > current_timestamp', /^current_timestamp \| .* never on the time/],
    ['SELECT a FROM t WHERE a > 1e3', /^1e3 \| Numbers have no exponents/],
    ['SELECT 1a FROM t', /^1a \| Cannot read 1a: a name begins with a letter/],
    ['SELECT a FROM t LEFT OUTER JOIN u ON u.a = t.a', /^LEFT \| LEFT JOIN does not exist in sync configs: write JOIN/],
    ['SELECT a FROM t NATURAL JOIN u', /^NATURAL \| NATURAL JOIN/],
    ['SELECT a FROM t CROSS JOIN u', /^CROSS \| CROSS JOIN/],
    ['SELECT a FROM t JOIN u USING (a)', /^USING \| USING does not exist/],
    [
      'SELECT a FROM t, LATERAL json_each(t.b) AS c',
      /^LATERAL \| LATERAL does not exist in sync configs: leave it out/,
    ],
    ['SELECT a FROM (SELECT a FROM t)', /expected a name for the subquery, as in \(SELECT …\) AS name, got the end/],
    ['SELECT a FROM (VALUES (1)) AS b', /^VALUES \| VALUES does not exist/],
    ['SELECT a FROM (t JOIN u ON true)', /Joins in parentheses do not exist/],
    ['SELECT a FROM json_each(b) AS c(d)', /^\( \| Only columns of a subquery can be named/],
    ['SELECT a FROM a.b.c', /there is one name too many/],
    ['SELECT s.t.a FROM t', /^s\.t\.a \| A column is written as table\.column/],
    ['SELECT a FROM t GROUP BY a', /^GROUP \| GROUP BY does not exist/],
    ['SELECT a FROM t FOR UPDATE', /^FOR \| FOR UPDATE/],
    [
      'SELECT a FROM t UNION ALL SELECT b FROM u',
      /^UNION \| UNION does not exist in sync configs: put each SELECT into its own/,
    ],
    [
      'WITH x AS (SELECT 1) SELECT a FROM x',
      /^WITH \| WITH does not exist inside a query: put its queries under the key "with"/,
    ],
    ['VALUES (1)', /^VALUES \| VALUES does not exist/],
    ['SELECT a FROM t; SELECT b FROM u', /^SELECT \| A query is one statement/],
    ['SELECT a FROM t;;', /^; \| .* expected the end of the query, got ";"/],
    ['UPDATE t SET a = 1', /^UPDATE \| .* expected SELECT, got "UPDATE"/],
    ['SELECT count(*) FROM t', /^count\(\* \| Aggregates like count\(\) do not exist/],
    ['SELECT count(DISTINCT a) FROM t', /Aggregates like count\(\) do not exist/],
    ["SELECT string_agg(a, ',' ORDER BY b) FROM t", /^ORDER \| Aggregates like string_agg\(… ORDER BY …\)/],
    ['SELECT rank() OVER (PARTITION BY a) FROM t', /^OVER \| rank\(\) OVER … does not exist/],
    ['SELECT sum(a) FILTER (WHERE b) OVER w AS c FROM t', /FILTER … does not exist/],
    ['SELECT DISTINCT ON (a) b FROM t', /^DISTINCT \| DISTINCT ON does not exist/],
  ])('%s is refused by name', (sql, fault) => {
    expect(faultsOf(sql).join('\n')).toMatch(fault)
  })

  test.each([
    ['SELECT id, user FROM t', 'user'],
    ['SELECT id, t.order FROM t', 'order'],
    ['SELECT id AS end FROM t', 'end'],
    ['SELECT id FROM t WHERE Group = 1', 'Group'],
    ['SELECT id FROM order', 'order'],
    ['SELECT id FROM t AS user', 'user'],
    ['SELECT id, limit, "from" FROM t', 'limit'],
    ['SELECT id, a::default FROM t', 'default'],
  ])('a reserved word as a name in %s is told to be quoted', (sql, word) => {
    expect(faultsOf(sql)).toEqual([
      expect.stringMatching(
        `^${word} \\| "${word}" is a reserved word of SQL: write it in quotes, "${word.toLowerCase()}"`,
      ),
    ])
  })

  test.each([
    ['x varchar(10)'],
    ['numeric(10, 2)'],
    ['double precision'],
    ['timestamp with time zone'],
    ['text[]'],
    ['pg_catalog.text'],
  ])('the type %s is read whole, to be refused by name', (type) => {
    const name = type.replace('x ', '')
    expect(where(`a::${name} = CAST(b AS ${name})`)).toBe(`((a as ${name}) = (b as ${name}))`)
  })
})

describe('several faults of one query', () => {
  test.each([
    [
      "SELECT id, user, a + FROM t WHERE b LIKE 'x' AND c == 1 AND d OR e IS b ORDER BY id LIMIT 5",
      ['user', 'FROM', 'LIKE', '==', 'IS b', 'ORDER', 'LIMIT'],
    ],
    ['SELECT id FROM t LEFT JOIN u USING (a) WHERE b = ) AND c', ['LEFT', 'USING', ')']],
    ['SELECT a b c, d FROM t u v JOIN w WHERE x y AND z', ['c', 'v', 'y']],
    ['SELECT id FROM t WHERE (a AND ) OR b IN (SELECT c FROM d ORDER BY e) AND (f', [')', 'ORDER', '']],
    ['SELECT id FORM t', ['t']],
    [`SELECT id FROM t WHERE ${'('.repeat(300)}`, ['(']],
    [`SELECT id FROM t WHERE ${'NOT '.repeat(300)}`, ['NOT']],
    ["SELECT id, 'x FROM t", ["'x FROM t"]],
    ['SELECT id, "x FROM t', ['"x FROM t']],
    ['SELECT id /* FROM t', ['/* FROM t']],
    ['', ['']],
    ['-- nothing', ['']],
  ])('of %s are found in one reading, each once', (sql, places) => {
    expect(parseQuery(sql).faults.map(({ span }) => sql.slice(span.start, span.end))).toEqual(places)
  })

  test('a chain of operators has a bound, a list of values has none', () => {
    const chain = (length: number): string => Array.from({ length }, (_, index) => `a = ${index}`).join(' OR ')
    expect(faultsOf(`SELECT id FROM t WHERE ${chain(400)}`)).toEqual([])
    expect(faultsOf(`SELECT id FROM t WHERE ${chain(20_000)}`)).toEqual([
      expect.stringMatching(/^OR \| The query has more than 1000 operators: write IN ARRAY\[…\]/),
    ])
    const values = Array.from({ length: 5_000 }, (_, index) => index).join(', ')
    expect(faultsOf(`SELECT id FROM t WHERE a IN ARRAY[${values}]`)).toEqual([])
  })

  test('what is only refused leaves a tree for the compiler, what cannot be read does not', () => {
    expect(parseQuery("SELECT id, user FROM t WHERE a LIKE 'x' LIMIT 1").select).toBeDefined()
    expect(parseQuery('SELECT id, FROM t').select).toBeUndefined()
  })

  test('any text is read without an exception and with places inside of it', () => {
    const pieces =
      'SELECT FROM WHERE a ( ) , . * = AND NOT IN CASE WHEN THEN END \'x\' "y" 1 :: -> ? [ ] ; JOIN ON AS - LIKE BETWEEN'.split(
        ' ',
      )
    let state = 12_345
    const random = (max: number): number => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
      return Math.floor((state / 2_147_483_648) * max)
    }
    for (let round = 0; round < 3_000; round++) {
      const sql = Array.from({ length: random(25) }, () => pieces[random(pieces.length)]).join(' ')
      const { select, faults } = parseQuery(sql)
      expect(select !== undefined || faults.length > 0, sql).toBe(true)
      for (const { span } of faults) {
        expect(0 <= span.start && span.start <= span.end && span.end <= sql.length, sql).toBe(true)
      }
    }
  })
})
