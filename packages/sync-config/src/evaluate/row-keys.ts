import type { Expression } from '../plan.ts'
import type { ColumnForm } from '../values/column-form.ts'
import { realToKey, valueToKey } from '../values/value.ts'
import { compileExpression } from './expression.ts'
import type { RowColumns } from './row-columns.ts'
import { type QueryScope, type ReadKey, readsElements, textOf } from './row-scope.ts'

/**
 * All keys joined by commas; undefined when one of them cannot be a key. `ofNull` stands for NULL: undefined where it
 * cannot be a key either.
 */
export function compileKeys(expressions: readonly Expression[], scope: QueryScope, ofNull?: 'null'): ReadKey {
  const compile = ofNull === undefined ? compileKey : compileKeyOrNull
  const readers = expressions.map((expression) => compile(expression, scope))
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

function compileKeyOrNull(expression: Expression, { leaves }: QueryScope): ReadKey {
  const evaluate = compileExpression(expression, leaves)
  return (row) => {
    const value = evaluate(row)
    return value === null ? 'null' : valueToKey(value)
  }
}

function compileKey(expression: Expression, { table, leaves, suffix }: QueryScope): ReadKey {
  if (readsElements(expression)) {
    const evaluate = compileExpression(expression, leaves)
    return (row) => valueToKey(evaluate(row))
  }
  return table.shareKey(textOf(expression, suffix), () => {
    if (expression.kind === 'column') return compileColumnKey(expression.name, table.columns)
    const evaluate = compileExpression(expression, leaves)
    return (row) => valueToKey(evaluate(row))
  })
}

function compileColumnKey(name: string, columns: RowColumns): ReadKey {
  const column = columns.find(name)
  if (column === undefined) return () => undefined
  const { index } = column
  const toKey = keyWriter(column.form)
  return (row) => {
    const text = row[index]
    return text === null || text === undefined ? undefined : toKey(text)
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
