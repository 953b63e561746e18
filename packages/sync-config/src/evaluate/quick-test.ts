import type { Comparison, Expression } from '../plan.ts'
import type { TextRow } from '../types.ts'
import type { ColumnForm } from '../values/column-form.ts'
import type { Test } from './leaves.ts'
import type { RowColumn, RowColumns } from './row-columns.ts'

/**
 * Tests that look at the text of a column and make no value of it: a boolean column, IS NULL, and comparisons of a
 * column with a literal. Undefined for all others.
 */
export function quickTest(columns: RowColumns, expression: Expression): Test<TextRow> | undefined {
  switch (expression.kind) {
    case 'column': {
      const column = columns.find(expression.name)
      return column?.form.kind === 'boolean' ? printedTest(column, 't') : undefined
    }
    case 'is-null':
      return expression.operand.kind === 'column' ? nullTest(columns.find(expression.operand.name)) : undefined
    case 'compare':
      return comparisonTest(columns, expression)
    default:
      return undefined
  }
}

function nullTest(column: RowColumn | undefined): Test<TextRow> | undefined {
  // What is converted may become NULL by that.
  if (column === undefined || (column.form.kind === 'text' && column.form.convert !== undefined)) return undefined
  const { index } = column
  return (row) => row[index] === null || row[index] === undefined
}

function comparisonTest(columns: RowColumns, compare: Expression & { kind: 'compare' }): Test<TextRow> | undefined {
  const { operator, left, right } = compare
  const isColumnLeft = left.kind === 'column'
  const [named, literal] = isColumnLeft ? [left, right] : [right, left]
  const column = named.kind === 'column' ? columns.find(named.name) : undefined
  if (column === undefined) return undefined
  if (column.form.kind === 'integer' && literal.kind === 'integer') {
    const value = Number(literal.digits)
    // A text that is no such number becomes one that is farther off, so that the order is always exact.
    return Number.isSafeInteger(value)
      ? integerTest(column, isColumnLeft ? operator : TURNED[operator], value)
      : undefined
  }
  const printed = operator === '=' ? printedForm(column.form, literal) : undefined
  return printed === undefined ? undefined : printedTest(column, printed)
}

/** How Postgres prints the literal in a column of this form; undefined where that takes more than looking. */
function printedForm(form: ColumnForm, literal: Expression): string | undefined {
  if (form.kind === 'text' && form.convert === undefined) return literal.kind === 'text' ? literal.value : undefined
  if (form.kind !== 'boolean' || literal.kind !== 'integer') return undefined
  return literal.digits === '1' ? 't' : literal.digits === '0' ? 'f' : undefined
}

function printedTest({ index }: RowColumn, printed: string): Test<TextRow> {
  return (row) => row[index] === printed
}

type ColumnComparison = Comparison | '>' | '>='

const TURNED: { readonly [Operator in Comparison]: ColumnComparison } = { '=': '=', '!=': '!=', '<': '>', '<=': '>=' }

/** False for NULL. */
function integerTest({ index }: RowColumn, operator: ColumnComparison, value: number): Test<TextRow> {
  const passes = INTEGER_PASSES[operator](value)
  return (row) => {
    const text = row[index]
    return text !== null && text !== undefined && passes(Number(text))
  }
}

const INTEGER_PASSES: { readonly [Operator in ColumnComparison]: (value: number) => (number: number) => boolean } = {
  '=': (value) => (number) => number === value,
  '!=': (value) => (number) => number !== value,
  '<': (value) => (number) => number < value,
  '<=': (value) => (number) => number <= value,
  '>': (value) => (number) => number > value,
  '>=': (value) => (number) => number >= value,
}
