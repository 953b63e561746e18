import type { Expression } from '../plan.ts'
import type { Evaluate, Leaves, Test } from './leaves.ts'

/** By SQLite's rules: logic is three-valued. */
export function compileSqliteExpression<Input>(_expression: Expression, _leaves: Leaves<Input>): Evaluate<Input> {
  throw new Error('Invariant: the SQLite engine is not written yet')
}

/** Is the expression true? */
export function compileSqliteTest<Input>(_expression: Expression, _leaves: Leaves<Input>): Test<Input> {
  throw new Error('Invariant: the SQLite engine is not written yet')
}
