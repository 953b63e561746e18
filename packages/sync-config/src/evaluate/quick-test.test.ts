import { assert, bigInt, constantFrom, oneof, option, property, string } from 'fast-check'
import { expect, test } from 'vitest'
import type { Expression } from '../plan.ts'
import { sourceTable } from '../testing/source-table.ts'
import { VALUE_OPTIONS } from '../testing/plan-parts.ts'
import type { SqliteValue } from '../types.ts'
import { readValue } from '../values/column-form.ts'
import { compileTest } from './expression.ts'
import { quickTest } from './quick-test.ts'
import { RowColumns } from './row-columns.ts'

const TABLE = sourceTable('t', 'n int8, b bool, t text, d timestamp')
const COLUMNS = new RowColumns(TABLE, VALUE_OPTIONS)

/** A number of 64 bits, often near the borders of what a double and a literal can hold. */
const integer = oneof(
  bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  bigInt(-3n, 3n),
  constantFrom(2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)).chain((border) =>
    bigInt(-2n, 2n).map((step) => border + step),
  ),
)

const columnName = constantFrom('n', 'b', 't', 'd', 'gone')
const literal = oneof(
  integer.map((value): Expression => ({ kind: 'integer', digits: String(value) })),
  constantFrom('t', 'f', '1', '', 'x').map((value): Expression => ({ kind: 'text', value })),
  constantFrom<Expression>({ kind: 'null' }, { kind: 'real', value: 1 }),
)

test('a test that only looks at text says what the values say', () => {
  const expression = oneof(
    columnName.map((name): Expression => ({ kind: 'column', name })),
    columnName.map((name): Expression => ({ kind: 'is-null', operand: { kind: 'column', name } })),
    columnName.chain((name) =>
      literal.chain((value) =>
        constantFrom('=', '!=', '<', '<=').chain((operator) =>
          constantFrom(true, false).map((isColumnLeft): Expression => {
            const column: Expression = { kind: 'column', name }
            const [left, right] = isColumnLeft ? [column, value] : [value, column]
            return { kind: 'compare', operator, left, right }
          }),
        ),
      ),
    ),
  )
  const row = option(integer).chain((n) =>
    option(constantFrom('t', 'f')).chain((b) =>
      option(oneof(string(), constantFrom('t', 'f', '1', 'x'))).chain((t) =>
        option(constantFrom('2024-01-01 00:00:00', '0044-03-15 00:00:00 BC')).map((d) => {
          return [n === null ? null : String(n), b, t, d]
        }),
      ),
    ),
  )
  let quick = 0
  assert(
    property(expression, row, (tree, texts) => {
      const found = quickTest(COLUMNS, tree)
      if (found === undefined) return
      quick += 1
      expect(found(texts)).toBe(slowTest(tree)(texts))
    }),
    { numRuns: 2_000 },
  )
  expect(quick).toBeGreaterThan(50)
})

function slowTest(tree: Expression): (row: readonly (string | null)[]) => boolean {
  return compileTest(tree, {
    engine: 'default',
    column: (name) => (row) => {
      const column = COLUMNS.find(name)
      const text = column === undefined ? null : (row[column.index] ?? null)
      return column === undefined || text === null ? null : readValue(column.form, text)
    },
    element: () => nothing,
    table: () => '',
    request: () => nothing,
    quickTest: () => undefined,
    functionOf: () => () => null,
  })
}

function nothing(): SqliteValue {
  return null
}
