import { functionsOf } from '../functions/functions.ts'
import type { FunctionName } from '../functions/signatures.ts'
import type { Expression } from '../plan.ts'
import type { SqliteValue } from '../types.ts'
import type { ValueOptions } from '../values/column-form.ts'
import { EvaluationError } from '../values/value.ts'
import { compileExpression } from './expression.ts'
import type { Leaves } from './leaves.ts'
import type { Outcome, Row } from './real-sqlite.test-parts.ts'

/** Printed with a failure; set HEADWATER_SEED to run one again. */
export const SEED = Number(process.env['HEADWATER_SEED'] ?? Date.now() % 2 ** 31)

/** Tests of many cases take longer where others run beside them. */
export const PATIENT = { timeout: 60_000 }

export function column(name: string): Expression {
  return { kind: 'column', name }
}

export function call(name: FunctionName, ...args: readonly Expression[]): Expression {
  return { kind: 'call', name, args }
}

/** A blob has no literal. */
export function literal(value: SqliteValue): Expression {
  if (typeof value === 'bigint') return { kind: 'integer', digits: String(value) }
  if (typeof value === 'number') return { kind: 'real', value }
  return typeof value === 'string' ? { kind: 'text', value } : { kind: 'null' }
}

/** What expressions over a row of values see, without any shortcut for columns. */
export function rowLeaves(engine: ValueOptions['engine']): Leaves<Row> {
  const options = {
    times: { iso: true, fractionDigits: 6 },
    customTypes: true,
    fixedJsonExtract: true,
    engine,
  }
  return {
    engine,
    column: (name) => (row) => row[name] ?? null,
    element: noLeaf,
    table: noLeaf,
    request: noLeaf,
    quickTest: () => undefined,
    functionOf: functionsOf(options),
  }
}

function noLeaf(): never {
  throw new Error('Invariant: not among the expressions of these tests')
}

export function evaluate(expression: Expression, row: Row, leaves: Leaves<Row>): Outcome {
  try {
    return { value: compileExpression(expression, leaves)(row) }
  } catch (error) {
    if (error instanceof EvaluationError) return 'fails'
    throw error
  }
}

/** Zero has no sign that a value shows. */
export function withoutSign(outcome: Outcome): Outcome {
  return outcome === 'fails' || outcome.value !== 0 ? outcome : { value: 0 }
}
