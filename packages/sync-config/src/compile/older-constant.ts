import { compileExpression } from '../evaluate/expression.ts'
import type { Leaves } from '../evaluate/leaves.ts'
import { functionsOf } from '../functions/functions.ts'
import type { Expression } from '../plan.ts'
import type { SqliteValue } from '../types.ts'
import type { ValueOptions } from '../values/column-form.ts'

/**
 * The value of an expression that depends on nothing. It stays what it was where no literal says its value: blobs, and
 * reals that are not finite. Throws `EvaluationError` when it has none.
 */
export function foldConstant(expression: Expression, options: ValueOptions): Expression {
  const value = compileExpression(expression, constantLeaves(options))(undefined)
  return literalOf(value) ?? expression
}

function literalOf(value: SqliteValue): Expression | undefined {
  if (value === null) return { kind: 'null' }
  switch (typeof value) {
    case 'bigint':
      return { kind: 'integer', digits: String(value) }
    case 'number':
      return Number.isFinite(value) ? { kind: 'real', value } : undefined
    case 'string':
      return { kind: 'text', value }
    default:
      return undefined
  }
}

function constantLeaves(options: ValueOptions): Leaves<undefined> {
  const none = (): never => {
    throw new Error('Invariant: a constant depends on nothing')
  }
  return {
    engine: options.engine,
    column: none,
    element: none,
    table: none,
    request: none,
    quickTest: () => undefined,
    functionOf: functionsOf(options),
  }
}
