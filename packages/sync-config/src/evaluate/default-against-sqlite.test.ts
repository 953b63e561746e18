import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { FunctionName } from '../functions/signatures.ts'
import type { Expression } from '../plan.ts'
import type { SqliteValue } from '../types.ts'
import { valueToText } from '../values/value.ts'
import {
  call,
  calls,
  column,
  connectives,
  evaluate,
  literal,
  PATIENT,
  rowLeaves,
  SEED,
  withoutSign,
} from './expressions.test-parts.ts'
import { type Outcome, RealSqlite, type Row } from './real-sqlite.test-parts.ts'

/**
 * The rules that sync configs have always had, written in SQL: where they differ from SQLite's, the SQL says how, and
 * everything else is left to SQLite. Left out is what SQL cannot say: integers beyond 64 bits, what is not finite,
 * characters beyond U+FFFF (which are two units here), JSON that has to be written anew, and what fails.
 */
function toSql(expression: Expression): Sql {
  switch (expression.kind) {
    case 'null':
      return 'NULL'
    case 'integer':
      return expression.digits
    case 'real':
      return String(Number.isInteger(expression.value) ? `${expression.value}.0` : expression.value)
    case 'text':
      return `'${expression.value.replaceAll("'", "''")}'`
    case 'column':
      return expression.name
    case 'compare':
      return `(+${toSql(expression.left)} ${expression.operator} +${toSql(expression.right)})`
    case 'is-null':
      return `(${toSql(expression.operand)} IS NULL)`
    case 'not':
      return `(NOT ${truth(expression.operand)})`
    case 'and':
    case 'or':
      return `(${expression.operands.map(truth).join(` ${expression.kind} `)})`
    case 'case': {
      const branches = expression.branches.map(({ when, result }) => `WHEN ${truth(when)} THEN ${toSql(result)}`)
      return `(CASE ${branches.join(' ')} ELSE ${toSql(expression.otherwise)} END)`
    }
    case 'call':
      return callToSql(expression)
    case 'element':
    case 'table':
    case 'request':
      throw new Error(`Invariant: SQLite has no ${expression.kind}`)
  }
}

type Sql = string

/** Two-valued; of text the leading integer counts, and a blob is false. */
function truth(expression: Expression): Sql {
  return `(SELECT CASE typeof(v) WHEN 'null' THEN 0 WHEN 'blob' THEN 0 WHEN 'text' THEN CAST(v AS integer) <> 0
    ELSE v <> 0 END FROM (SELECT +${toSql(expression)} AS v))`
}

/** A real prints as in JavaScript: that is a function which the test defines. */
function text(expression: Expression): Sql {
  return `text_of(${toSql(expression)})`
}

/** A real is rounded down. */
function integer(expression: Expression): Sql {
  return `(SELECT CASE typeof(v) WHEN 'real' THEN CAST(v AS integer) - (v < CAST(v AS integer))
    ELSE CAST(v AS integer) END FROM (SELECT +${toSql(expression)} AS v))`
}

function callToSql({ name, args }: Expression & { kind: 'call' }): Sql {
  const [first = literal(null), second = literal(null), third] = args
  const plain = args.map(toSql)
  switch (name) {
    case '||':
      return `(${text(first)} || ${text(second)})`
    case 'cast_text':
      return `CAST(${text(first)} AS text)`
    case 'cast_blob':
      return `CAST(${text(first)} AS blob)`
    case 'cast_integer':
      return integer(first)
    case 'cast_real':
      return `CAST(${toSql(first)} AS real)`
    case 'cast_numeric':
      // As arithmetic does, which keeps 12.0 a real.
      return `(0 + ${toSql(first)})`
    case 'between': {
      const [of = '', low = '', high = ''] = plain.map((part) => `+${part}`)
      return `(CASE WHEN ${of} >= ${low} IS NULL OR ${of} <= ${high} IS NULL THEN NULL
        ELSE ${of} BETWEEN ${low} AND ${high} END)`
    }
    case 'in_list':
      return `(+${plain[0] ?? ''} IN (${plain.slice(1).join(', ')}))`
    case 'in_json':
      return `(SELECT CASE WHEN x IS NULL OR j IS NULL THEN NULL
        ELSE x IN (SELECT value FROM json_each(j) WHERE value IS NOT NULL) END
        FROM (SELECT +${plain[0] ?? ''} AS x, ${plain[1] ?? ''} AS j))`
    case 'length':
    case 'hex':
      return `${name}(${text(first)})`
    case 'instr':
      return `instr(${text(first)}, ${text(second)})`
    case 'substring': {
      // A start before the text takes nothing from the length.
      const of = `CAST(${text(first)} AS text)`
      const start = `max(${integer(second)}, -length(${of}))`
      return `substring(${[of, start, ...(third === undefined ? [] : [integer(third)])].join(', ')})`
    }
    case 'iif':
      return `iif(${truth(first)}, ${plain[1] ?? ''}, ${plain[2] ?? ''})`
    case 'json_array_length':
      return `json_array_length(${args.length === 2 ? `json_extract(${plain.join(', ')})` : (plain[0] ?? '')})`
    case 'json_valid':
      return `ifnull(json_valid(${plain[0] ?? ''}), 0)`
    case 'typeof':
    case 'ifnull':
    case 'json_extract':
      return `${name}(${plain.join(', ')})`
    default:
      return `(${plain[0] ?? ''} ${name} ${plain[1] ?? ''})`
  }
}

const sqlite = new RealSqlite()
sqlite.define('text_of', (value) => (typeof value === 'number' ? valueToText(value) : value))

const COLUMNS = ['a', 'b', 'c', 'j'] as const

/** Names of columns stand for parameters, by name. */
function inSqlite(expression: Expression, row: Row): Outcome {
  const values = COLUMNS.map((name) => row[name] ?? null)
  const names = COLUMNS.map((name, index) => `?${index + 1} AS ${name}`).join(', ')
  return sqlite.run(`(SELECT ${toSql(expression)} FROM (SELECT ${names}))`, values)
}

const LEAVES = rowLeaves('default')

const integers = fc.oneof(fc.constantFrom(0n, 1n, -1n, 2n), fc.bigInt({ min: -9n, max: 9n }))
/** They print alike, and so do their sums and products. */
const reals = fc.integer({ min: -80, max: 80 }).map((eighths) => eighths / 8)
const texts = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    'a',
    'b',
    'B',
    'abc',
    'é',
    'ß',
    '\uFFFD',
    '0',
    '1',
    '0.5',
    '2x',
    ' 3',
    '-7',
    '+1.50',
    '1e1',
    '.5',
  ),
  fc.string({ maxLength: 4 }).filter((content) => !/[\0]/.test(content)),
  fc.stringMatching(/^[ \t]?[+-]?[0-9]{0,2}[.]?[0-9]{0,2}$/),
)
/** As it would be written anew, without keys that are numbers. */
const documents = fc.constantFrom(
  '{"a":1,"b":{"c":"x","d":[1,2.5,"y",null,true]},"a.b":"dot","n":null,"t":true,"f":1.0,"big":9007199254740993}',
  '[1,2.0,"x",null,[3],{"k":100.0},false]',
  '[]',
  '{}',
  '"text"',
  '12',
  '0.125',
  'true',
  'null',
)
const scalar: fc.Arbitrary<SqliteValue> = fc.oneof(fc.constant(null), integers, reals, texts)
const row: fc.Arbitrary<Row> = fc.record({ a: scalar, b: scalar, c: scalar, j: fc.option(documents) })

const leaf: fc.Arbitrary<Expression> = fc.oneof(fc.constantFrom('a', 'b', 'c').map(column), scalar.map(literal))
const paths = fc.constantFrom('$', '$.a', '$.b.c', '$.b', '$.missing', '$.a.b', '$.n', '$.t')
const keys = fc.oneof(
  fc.constantFrom('a', 'b', 'a.b', 'n', 't', 'f', 'big', 'missing', '$.b.d', '$').map(literal),
  fc.nat(7).map((index) => literal(BigInt(index))),
)
const ofDocument: fc.Arbitrary<Expression> = fc.oneof(
  fc.tuple(fc.constantFrom('->' as const, '->>' as const), keys).map(([name, key]) => call(name, column('j'), key)),
  keys.map((key) => call('->>', call('->', column('j'), literal('b')), key)),
  paths.map((path) => call('json_extract', column('j'), literal(path))),
  fc.constant(call('json_array_length', column('j'))),
  fc
    .constantFrom('$.a', '$.b', '$.b.d', '$.n', '$.missing')
    .map((path) => call('json_array_length', column('j'), literal(path))),
  fc.constant(call('json_valid', column('j'))),
  leaf.map((of) => call('json_valid', of)),
)

const arrays = fc.constantFrom('[1,2.0,"x",null,[3],{"k":100.0},false]', '[]', '["2","-7","a",-7]', null).map(literal)

function tree(depth: number): fc.Arbitrary<Expression> {
  if (depth === 0) return leaf
  const part = tree(depth - 1)
  const bits = part.map((distance) => call('&', distance, literal(7n)))
  return fc.oneof(
    { weight: 2, arbitrary: leaf },
    { weight: 3, arbitrary: calls(['+', '-', '*', '/', '%', '&', '|', '||'], part, part) },
    { weight: 1, arbitrary: calls(['<<', '>>'], part, bits) },
    { weight: 3, arbitrary: calls(['cast_text', 'cast_numeric', 'cast_integer', 'cast_real'], part) },
    { weight: 2, arbitrary: calls(['length', 'typeof'], part) },
    { weight: 1, arbitrary: calls(['hex'], leaf).map((hex) => call('length', hex)) },
    { weight: 1, arbitrary: calls(['instr', 'ifnull', 'substring'], part, part) },
    { weight: 2, arbitrary: calls(['substring', 'between', 'iif', 'in_list'], part, part, part) },
    { weight: 1, arbitrary: fc.tuple(part, arrays).map(([of, array]) => call('in_json', of, array)) },
    { weight: 2, arbitrary: ofDocument },
    ...connectives(part, 1),
  )
}

test('expressions give what SQLite gives, but for the differences that are written down', PATIENT, () => {
  fc.assert(
    fc.property(tree(3), row, (expression, columns) => {
      expect(withoutSign(evaluate(expression, columns, LEAVES))).toEqual(withoutSign(inSqlite(expression, columns)))
    }),
    { seed: SEED, numRuns: 3_000 },
  )
})

test('binary data counts by its bytes or as its text, as in SQLite', PATIENT, () => {
  const blob = texts.map((content) => new TextEncoder().encode(content))
  const names = fc.constantFrom<FunctionName>(
    ...(['hex', 'length', 'typeof', 'cast_text', 'cast_integer', 'cast_real', 'cast_numeric', 'cast_blob'] as const),
    ...(['||', 'instr', 'substring', '+', '%', '&', 'ifnull', 'iif'] as const),
  )
  fc.assert(
    fc.property(names, fc.oneof(blob, scalar), fc.oneof(blob, scalar), (name, a, b) => {
      const [arity] = name === 'iif' ? [3] : BINARY.test(name) ? [2] : [1]
      const expression = call(name, ...[column('a'), column('b'), literal(1n)].slice(0, arity))
      const columns = { a, b, c: null, j: null }
      expect(withoutSign(evaluate(expression, columns, LEAVES))).toEqual(withoutSign(inSqlite(expression, columns)))
    }),
    { seed: SEED, numRuns: 3_000 },
  )
})

const BINARY = /^(?:\W+|instr|substring|ifnull)$/
