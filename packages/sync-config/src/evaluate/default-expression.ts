import type { Expression } from '../plan.ts'
import type { SqliteValue } from '../types.ts'
import { compareValues, isTrue } from '../values/value.ts'
import { allOf, anyOf } from './all-of.ts'
import { callWith, chooseBranch } from './call-with.ts'
import { PASSES } from './comparison.ts'
import type { Evaluate, Leaves, Test } from './leaves.ts'

/** By the rules that sync configs have always had: logic is two-valued, and nothing is converted to be compared. */
export function compileDefaultExpression<Input>(expression: Expression, leaves: Leaves<Input>): Evaluate<Input> {
  switch (expression.kind) {
    case 'null':
      return () => null
    case 'integer': {
      const value = BigInt(expression.digits)
      return () => value
    }
    case 'real':
    case 'text': {
      const { value } = expression
      return () => value
    }
    case 'column':
      return leaves.column(expression.name)
    case 'element':
      return leaves.element(expression)
    case 'table': {
      const value = leaves.table(expression.part)
      return () => value
    }
    case 'request':
      return leaves.request(expression)
    case 'call':
      return compileCall(expression, leaves)
    case 'case':
      return compileCase(expression, leaves)
    case 'compare':
      return compileComparison(expression, leaves)
    case 'is-null':
    case 'not':
    case 'and':
    case 'or': {
      const test = compileDefaultTest(expression, leaves)
      return (input) => (test(input) ? 1n : 0n)
    }
  }
}

/** Is the expression true? NULL is not true, and NOT NULL is. */
export function compileDefaultTest<Input>(expression: Expression, leaves: Leaves<Input>): Test<Input> {
  const quick = leaves.quickTest(expression)
  if (quick !== undefined) return quick
  switch (expression.kind) {
    case 'not': {
      const test = compileDefaultTest(expression.operand, leaves)
      return (input) => !test(input)
    }
    case 'is-null': {
      const evaluate = compileDefaultExpression(expression.operand, leaves)
      return (input) => evaluate(input) === null
    }
    case 'and':
      return allOf(compileTests(expression.operands, leaves))
    case 'or':
      return anyOf(compileTests(expression.operands, leaves))
    case 'compare': {
      const order = compileOrder(expression, leaves)
      const passes = PASSES[expression.operator]
      return (input) => {
        const found = order(input)
        return found !== undefined && passes(found)
      }
    }
    case 'null':
    case 'integer':
    case 'real':
    case 'text':
    case 'column':
    case 'element':
    case 'table':
    case 'call':
    case 'case':
    case 'request': {
      const evaluate = compileDefaultExpression(expression, leaves)
      return (input) => isTrue(evaluate(input))
    }
  }
}

function compileTests<Input>(operands: readonly Expression[], leaves: Leaves<Input>): readonly Test<Input>[] {
  return operands.map((operand) => compileDefaultTest(operand, leaves))
}

type Call = Expression & { kind: 'call' }

/** `iif` and `ifnull` leave the argument alone that they do not give. */
function compileCall<Input>(expression: Call, leaves: Leaves<Input>): Evaluate<Input> {
  const { name, args } = expression
  const absent: Expression = { kind: 'null' }
  const [first = absent, second = absent, third = absent] = args
  if (name === 'iif') {
    const passes = compileDefaultTest(first, leaves)
    const [whenTrue, whenFalse] = [second, third].map((arg) => compileDefaultExpression(arg, leaves))
    return (input) => (passes(input) ? whenTrue : whenFalse)?.(input) ?? null
  }
  if (name === 'ifnull') {
    const evaluate = compileDefaultExpression(first, leaves)
    const otherwise = compileDefaultExpression(second, leaves)
    return (input) => evaluate(input) ?? otherwise(input)
  }
  return callWith(
    leaves.functionOf(name),
    args.map((arg) => compileDefaultExpression(arg, leaves)),
  )
}

function compileCase<Input>(expression: Expression & { kind: 'case' }, leaves: Leaves<Input>): Evaluate<Input> {
  return chooseBranch(expression, {
    test: (part) => compileDefaultTest(part, leaves),
    value: (part) => compileDefaultExpression(part, leaves),
  })
}

type Compare = Expression & { kind: 'compare' }

function compileComparison<Input>(expression: Compare, leaves: Leaves<Input>): Evaluate<Input> {
  const order = compileOrder(expression, leaves)
  const passes = PASSES[expression.operator]
  return (input): SqliteValue => {
    const found = order(input)
    if (found === undefined) return null
    return passes(found) ? 1n : 0n
  }
}

function compileOrder<Input>({ left, right }: Compare, leaves: Leaves<Input>): (input: Input) => number | undefined {
  const evaluateLeft = compileDefaultExpression(left, leaves)
  const evaluateRight = compileDefaultExpression(right, leaves)
  return (input) => compareValues(evaluateLeft(input), evaluateRight(input))
}
