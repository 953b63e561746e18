import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { CAST_TYPES, OPERATORS } from '../functions/signatures.ts'
import type { Expression } from '../plan.ts'
import type { SqliteValue } from '../types.ts'
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
import { RealSqlite, type Row } from './real-sqlite.test-parts.ts'
import { compileSqliteTest } from './sqlite-expression.ts'

const LEAVES = rowLeaves('sqlite')
const sqlite = new RealSqlite()

const integer = fc.oneof(
  fc.constantFrom(0n, 1n, -1n, 2n, 5n, 10n, 63n, 64n, 65n, -64n, 2n ** 31n, 2n ** 53n, 2n ** 53n + 1n),
  fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n), 2n ** 63n - 2n, -(2n ** 63n) + 1n, 2n ** 62n, 3037000500n),
  fc.bigInt({ min: -100n, max: 100n }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
)
const real = fc.oneof(
  fc.constantFrom(
    0,
    -0,
    0.1,
    -0.5,
    0.5,
    1,
    1.5,
    -2.5,
    1e15,
    1e16,
    1e17,
    1e21,
    1e-5,
    1e-4,
    5e-324,
    1.7976931348623157e308,
  ),
  fc.constantFrom(
    2 ** 53,
    2 ** 63,
    -(2 ** 63),
    2 ** 63 - 1024,
    2 ** 51,
    2 ** 51 + 1,
    Infinity,
    -Infinity,
    49.47,
    100.1,
  ),
  fc.double({ noNaN: true }),
  fc.double({ noNaN: true, min: -1000, max: 1000 }),
  fc.integer({ min: -1_000_000, max: 1_000_000 }).map((cents) => cents / 100),
)
const numberText = fc.oneof(
  fc.oneof(integer, real).map(String),
  fc.stringMatching(/^[ \t\n]{0,1}[+-]?[0-9]{0,3}\.?[0-9]{0,2}([eE][+-]?[0-9]{0,2})?[ ax]?$/),
  fc.stringMatching(/^[0-9]{17,25}\.?[0-9]{0,5}(e-?[0-9]{1,3})?$/),
  fc.constantFrom('9223372036854775807', '9223372036854775808', '-9223372036854775808', '-9223372036854775809', '0x1F'),
)
const plainText = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    'a',
    'b',
    'abc',
    'ABC',
    'ß',
    'é',
    'a😀b',
    '\uFFFD',
    '\uE000',
    '😀',
    '日本語',
    'true',
    'null',
  ),
  fc.string({ maxLength: 6 }).filter((text) => !text.includes('\0')),
  fc.string({ unit: 'binary', maxLength: 6 }).filter((text) => !text.includes('\0')),
)
const text = fc.oneof(plainText, numberText)
/** Blobs that are no text would become one with replacement characters here, and with the bytes as they are there. */
const blob = text.map((content) => new TextEncoder().encode(content))
const json: fc.Arbitrary<string> = fc.oneof(
  fc.json({ maxDepth: 3 }),
  fc.constantFrom(
    '{"a":1,"b":{"c":"x"},"d":[1,2],"a.b":"dot","n":null,"t":true,"f":1.0,"e":1.50,"big":9223372036854775808}',
    '[1, 2.0, "x", null, [3], {"k": 1e2}]',
    '{"a":1,"a":2}',
    '"text \\u00e9 \\n \\ud83d\\ude00"',
    '[{"a":"\\u0041"},[[]],{}]',
  ),
)
const value: fc.Arbitrary<SqliteValue> = fc.oneof(
  fc.constant(null),
  { weight: 3, arbitrary: integer },
  { weight: 3, arbitrary: real },
  { weight: 4, arbitrary: text },
  { weight: 1, arbitrary: blob },
)
const row: fc.Arbitrary<Row> = fc.record({ a: value, b: value, c: value, d: value, j: fc.option(json), k: json })

const path = fc.constantFrom(
  '$',
  '$.a',
  '$.b.c',
  '$.d[0]',
  '$.d[#-1]',
  '$[1]',
  '$[#-2]',
  '$."a.b"',
  '$.missing',
  '$[9].x',
)
const key = fc.oneof(
  fc.constantFrom('a', 'b', 'd', 'a.b', 'n', 't', 'f', 'e', 'big', '[1]', '$.b', 'k').map(literal),
  fc.integer({ min: -3, max: 5 }).map((index): Expression => ({ kind: 'integer', digits: String(index) })),
)

const leaf: fc.Arbitrary<Expression> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'c', 'd').map(column) },
  { weight: 1, arbitrary: fc.constantFrom('j', 'k').map(column) },
  { weight: 1, arbitrary: value.map(literal) },
)

/** JSON or NULL: nothing that fails. */
const document: fc.Arbitrary<Expression> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('j', 'k').map(column) },
  fc.tuple(fc.constantFrom('j', 'k'), key).map(([name, of]) => call('->', column(name), of)),
)
const ofDocument: fc.Arbitrary<Expression> = fc.oneof(
  fc.tuple(fc.constantFrom('->' as const, '->>' as const), document, key).map(([name, of, at]) => call(name, of, at)),
  fc.tuple(document, path).map(([of, at]) => call('json_extract', of, literal(at))),
  document.map((of) => call('json_array_length', of)),
  fc.tuple(document, path).map(([of, at]) => call('json_array_length', of, literal(at))),
  document.map((of) => call('json_valid', of)),
)

const BINARY = OPERATORS.filter((operator) => operator !== '->' && operator !== '->>')

function tree(depth: number): fc.Arbitrary<Expression> {
  if (depth === 0) return leaf
  const part = tree(depth - 1)
  return fc.oneof(
    { weight: 2, arbitrary: leaf },
    { weight: 3, arbitrary: calls(BINARY, part, part) },
    {
      weight: 3,
      arbitrary: calls(
        CAST_TYPES.map((type) => `cast_${type}` as const),
        part,
      ),
    },
    { weight: 2, arbitrary: calls(['length', 'hex', 'typeof'], part) },
    { weight: 1, arbitrary: calls(['instr', 'ifnull'], part, part) },
    { weight: 1, arbitrary: calls(['substring'], part, part) },
    { weight: 1, arbitrary: calls(['substring', 'between', 'iif', 'in_list'], part, part, part) },
    { weight: 1, arbitrary: fc.array(part, { minLength: 2, maxLength: 5 }).map((args) => call('in_list', ...args)) },
    { weight: 1, arbitrary: fc.tuple(part, document).map(([of, list]) => call('in_json', of, list)) },
    { weight: 1, arbitrary: ofDocument },
    // One alone would not be a test in SQLite.
    ...connectives(part, 2),
  )
}

function expectSame(expression: Expression, row: Row): void {
  const expected = sqlite.evaluate(expression, row)
  expect(withoutSign(evaluate(expression, row, LEAVES))).toEqual(withoutSign(expected))
}

test('expressions give what SQLite gives, of the same kind', PATIENT, () => {
  fc.assert(
    fc.property(tree(3), row, (expression, columns) => {
      expectSame(expression, columns)
    }),
    { seed: SEED, numRuns: 3_000 },
  )
})

test('a condition is true where SQLite finds it true', PATIENT, () => {
  fc.assert(
    fc.property(tree(2), row, (expression, columns) => {
      const isTrue: Expression = {
        kind: 'case',
        branches: [{ when: expression, result: literal(1n) }],
        otherwise: literal(0n),
      }
      const passes = compileSqliteTest(expression, LEAVES)(columns)
      expect({ value: passes ? 1n : 0n }).toEqual(sqlite.evaluate(isTrue, columns))
    }),
    { seed: SEED, numRuns: 1_000 },
  )
})

test('reals print, and texts are read as numbers, as in SQLite', PATIENT, () => {
  fc.assert(
    fc.property(fc.oneof(real, numberText), (of) => {
      for (const type of CAST_TYPES) {
        expectSame(call(`cast_${type}`, column('a')), { a: of })
      }
    }),
    { seed: SEED, numRuns: 3_000 },
  )
})
