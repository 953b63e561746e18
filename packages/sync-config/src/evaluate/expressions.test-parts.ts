import { readSeed } from '@headwater/testkit'
import * as fc from 'fast-check'
import { functionsOf } from '../functions/functions.ts'
import type { FunctionName } from '../functions/signatures.ts'
import type { Expression } from '../plan.ts'
import type { SqliteValue } from '../types.ts'
import type { ValueOptions } from '../values/column-form.ts'
import { EvaluationError } from '../values/value.ts'
import { compileExpression } from './expression.ts'
import type { Leaves } from './leaves.ts'
import type { Outcome, Row } from './real-sqlite.test-parts.ts'

/** Printed with a failure; set SEED to run one again. */
export const SEED = readSeed(process.env)

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

/** Calls of one of the functions, with arguments of each kind in turn. */
export function calls(
  names: readonly FunctionName[],
  ...args: readonly fc.Arbitrary<Expression>[]
): fc.Arbitrary<Expression> {
  return fc.tuple(fc.constantFrom(...names), fc.tuple(...args)).map(([name, list]) => call(name, ...list))
}

/** What joins, compares and chooses, with weights for `oneof`. `operandsMin`: of AND and OR. */
export function connectives(
  part: fc.Arbitrary<Expression>,
  operandsMin: number,
): readonly fc.WeightedArbitrary<Expression>[] {
  return [
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('compare' as const),
        operator: fc.constantFrom('=', '!=', '<', '<='),
        left: part,
        right: part,
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('not', 'is-null'), operand: part }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constantFrom('and', 'or'),
        operands: fc.array(part, { minLength: operandsMin, maxLength: 3 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('case' as const),
        branches: fc.array(fc.record({ when: part, result: part }), { minLength: 1, maxLength: 2 }),
        otherwise: part,
      }),
    },
  ]
}
