import { functionsOf, type ScalarFunction } from '../functions/functions.ts'
import type { FunctionName } from '../functions/signatures.ts'
import { type Expression, partsOf } from '../plan.ts'
import type { SourceTable, SqliteValue, TextRow } from '../types.ts'
import { type ColumnForm, columnForm, mayFail, readValue, type ValueOptions } from '../values/column-form.ts'
import { realToKey, valueToKey } from '../values/value.ts'
import { compileExpression, type Evaluate, type Leaves, type Test } from './expression.ts'

export type RowColumn = {
  readonly name: string
  readonly index: number
  readonly form: ColumnForm
  readonly mayFail: boolean
}

/** The columns of one table as a plan sees them. Notes which ones are asked for. */
export class RowColumns {
  readonly all: readonly RowColumn[]
  readonly table: { readonly [Part in 'schema' | 'name' | 'suffix']: string }
  readonly functionOf: (name: FunctionName) => ScalarFunction
  readonly #byName: ReadonlyMap<string, RowColumn>

  constructor(table: SourceTable, options: ValueOptions) {
    // The suffix differs by pattern: whoever compiles an expression with one replaces it.
    this.table = { schema: table.schema, name: table.name, suffix: '' }
    this.functionOf = functionsOf(options)
    this.all = table.columns.map(({ name, type }, index) => ({
      name,
      index,
      form: columnForm(type, options),
      mayFail: mayFail(type),
    }))
    this.#byName = new Map(this.all.map((column) => [column.name, column]))
  }

  find(name: string): RowColumn | undefined {
    return this.#byName.get(name)
  }

  /** Columns that the expressions read and the table has. */
  readBy(expressions: readonly Expression[]): readonly RowColumn[] {
    return expressions.flatMap(columnNames).flatMap((name) => this.find(name) ?? [])
  }
}

/** A column that the table does not have, and one that the stream carried no value for, are NULL. */
export function rowLeaves(columns: RowColumns): Leaves<TextRow> {
  return {
    column: (name) => {
      const column = columns.find(name)
      return column === undefined ? () => null : readColumn(column)
    },
    element: () => {
      throw new Error('Invariant: only the expansions of a query have elements')
    },
    table: (part) => columns.table[part],
    request: () => {
      throw new Error('Invariant: an expression over a row reads no request data')
    },
    quickTest: (expression) => quickTest(columns, expression),
    functionOf: columns.functionOf,
  }
}

function readColumn({ index, form }: RowColumn): Evaluate<TextRow> {
  return (row): SqliteValue => {
    const text = row[index]
    return text === null || text === undefined ? null : readValue(form, text)
  }
}

/** A boolean column, and a text column compared with a literal, need no conversion. */
function quickTest(columns: RowColumns, expression: Expression): Test<TextRow> | undefined {
  if (expression.kind === 'column') {
    const column = columns.find(expression.name)
    if (column?.form.kind !== 'boolean') return undefined
    const { index } = column
    return (row) => row[index] === 't'
  }
  if (expression.kind !== 'compare' || expression.operator !== '=') return undefined
  const { left, right } = expression
  const [named, literal] = left.kind === 'column' ? [left, right] : [right, left]
  const column = named.kind === 'column' ? columns.find(named.name) : undefined
  if (column === undefined) return undefined
  const printed = printedForm(column.form, literal)
  if (printed === undefined) return undefined
  const { index } = column
  return (row) => row[index] === printed
}

/** How Postgres prints the literal in a column of this form; undefined where that takes more than looking. */
function printedForm(form: ColumnForm, literal: Expression): string | undefined {
  if (form.kind === 'text' && form.convert === undefined) return literal.kind === 'text' ? literal.value : undefined
  if (form.kind !== 'boolean' || literal.kind !== 'integer') return undefined
  return literal.digits === '1' ? 't' : literal.digits === '0' ? 'f' : undefined
}

/** Text of a key in canonical JSON; undefined where the value cannot be a key. */
export type ReadKey = (row: TextRow) => string | undefined

export function compileKey(expression: Expression, columns: RowColumns): ReadKey {
  if (expression.kind !== 'column') {
    const evaluate = compileExpression(expression, rowLeaves(columns))
    return (row) => valueToKey(evaluate(row))
  }
  const column = columns.find(expression.name)
  if (column === undefined) return () => undefined
  const { index } = column
  const toKey = keyWriter(column.form)
  return (row) => {
    const text = row[index]
    return text === null || text === undefined ? undefined : toKey(text)
  }
}

/** All keys joined by commas; undefined when one of them cannot be a key. */
export function compileKeys(expressions: readonly Expression[], columns: RowColumns): ReadKey {
  const readers = expressions.map((expression) => compileKey(expression, columns))
  const [first, second] = readers
  if (first === undefined) return () => ''
  if (second === undefined) return first
  return (row) => {
    let keys = ''
    for (const read of readers) {
      const key = read(row)
      if (key === undefined) return undefined
      keys = keys === '' ? key : `${keys},${key}`
    }
    return keys
  }
}

function keyWriter(form: ColumnForm): (text: string) => string | undefined {
  switch (form.kind) {
    case 'integer':
      return (text) => text
    case 'real':
      return (text) => realToKey(Number(text))
    case 'boolean':
      return (text) => (text === 't' ? '1' : '0')
    case 'blob':
      return () => undefined
    case 'text': {
      const { convert } = form
      return convert === undefined ? (text) => JSON.stringify(text) : (text) => valueToKey(convert(text))
    }
  }
}

function columnNames(expression: Expression): readonly string[] {
  return expression.kind === 'column' ? [expression.name] : partsOf(expression).flatMap(columnNames)
}
