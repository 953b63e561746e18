import type { ScalarFunction } from '../functions/functions.ts'
import type { FunctionName } from '../functions/signatures.ts'
import type { Comparison, Expression } from '../plan.ts'
import type { SqliteValue } from '../types.ts'
import { compareValues, isTrue } from '../values/value.ts'

export type Evaluate<Input> = (input: Input) => SqliteValue
export type Test<Input> = (input: Input) => boolean

/** What an expression reads: columns of a row, or data of a request. */
export type Leaves<Input> = {
  readonly column: (name: string) => Evaluate<Input>
  readonly element: (expression: Expression & { kind: 'element' }) => Evaluate<Input>
  readonly table: (part: 'schema' | 'name' | 'suffix') => string
  readonly request: (expression: Expression & { kind: 'request' }) => Evaluate<Input>
  /** A quicker test than the general one, where the leaf knows one. */
  readonly quickTest: (expression: Expression) => Test<Input> | undefined
  readonly functionOf: (name: FunctionName) => ScalarFunction
}

/** Turns the tree into functions once; evaluating calls them and looks at no tree. */
export function compileExpression<Input>(expression: Expression, leaves: Leaves<Input>): Evaluate<Input> {
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
      const test = compileTest(expression, leaves)
      return (input) => (test(input) ? 1n : 0n)
    }
  }
}

/** Is the expression true? Logic is two-valued: NULL is not true, and NOT NULL is. */
export function compileTest<Input>(expression: Expression, leaves: Leaves<Input>): Test<Input> {
  const quick = leaves.quickTest(expression)
  if (quick !== undefined) return quick
  switch (expression.kind) {
    case 'not': {
      const test = compileTest(expression.operand, leaves)
      return (input) => !test(input)
    }
    case 'is-null': {
      const evaluate = compileExpression(expression.operand, leaves)
      return (input) => evaluate(input) === null
    }
    case 'and':
      return allOf(expression.operands.map((operand) => compileTest(operand, leaves)))
    case 'or': {
      const tests = expression.operands.map((operand) => compileTest(operand, leaves))
      return (input) => tests.some((test) => test(input))
    }
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
      const evaluate = compileExpression(expression, leaves)
      return (input) => isTrue(evaluate(input))
    }
  }
}

function compileCall<Input>({ name, args }: Expression & { kind: 'call' }, leaves: Leaves<Input>): Evaluate<Input> {
  const call = leaves.functionOf(name)
  const evaluates = args.map((arg) => compileExpression(arg, leaves))
  const [first, second, third] = evaluates
  if (first !== undefined && second === undefined) return (input) => call(first(input))
  if (first !== undefined && second !== undefined && third === undefined) {
    return (input) => call(first(input), second(input))
  }
  return (input) => call(...evaluates.map((evaluate) => evaluate(input)))
}

function compileCase<Input>(expression: Expression & { kind: 'case' }, leaves: Leaves<Input>): Evaluate<Input> {
  const branches = expression.branches.map(({ when, result }) => ({
    passes: compileTest(when, leaves),
    evaluate: compileExpression(result, leaves),
  }))
  const otherwise = compileExpression(expression.otherwise, leaves)
  return (input) => (branches.find(({ passes }) => passes(input))?.evaluate ?? otherwise)(input)
}

/** True without any test. */
export function allOf<Input>(tests: readonly Test<Input>[]): Test<Input> {
  const [first, second] = tests
  if (first === undefined) return () => true
  if (second === undefined) return first
  return (input) => tests.every((test) => test(input))
}

const PASSES: { readonly [Operator in Comparison]: (order: number) => boolean } = {
  '=': (order) => order === 0,
  '!=': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
}

type Compare = Expression & { kind: 'compare' }

function compileComparison<Input>(expression: Compare, leaves: Leaves<Input>): Evaluate<Input> {
  const order = compileOrder(expression, leaves)
  const passes = PASSES[expression.operator]
  return (input) => {
    const found = order(input)
    if (found === undefined) return null
    return passes(found) ? 1n : 0n
  }
}

function compileOrder<Input>({ left, right }: Compare, leaves: Leaves<Input>): (input: Input) => number | undefined {
  const evaluateLeft = compileExpression(left, leaves)
  const evaluateRight = compileExpression(right, leaves)
  return (input) => compareValues(evaluateLeft(input), evaluateRight(input))
}
