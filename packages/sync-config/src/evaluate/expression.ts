import type { Expression } from '../plan.ts'
import { compileDefaultExpression, compileDefaultTest } from './default-expression.ts'
import type { Evaluate, Leaves, Test } from './leaves.ts'
import { compileSqliteExpression, compileSqliteTest } from './sqlite-expression.ts'

/** Turns the tree into functions once, by the rules of the leaves' engine; evaluating calls them and looks at no tree. */
export function compileExpression<Input>(expression: Expression, leaves: Leaves<Input>): Evaluate<Input> {
  return leaves.engine === 'sqlite'
    ? compileSqliteExpression(expression, leaves)
    : compileDefaultExpression(expression, leaves)
}

/** Is the expression true? Both engines say no for NULL. */
export function compileTest<Input>(expression: Expression, leaves: Leaves<Input>): Test<Input> {
  return leaves.engine === 'sqlite' ? compileSqliteTest(expression, leaves) : compileDefaultTest(expression, leaves)
}
