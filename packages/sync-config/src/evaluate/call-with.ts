import type { ScalarFunction } from '../functions/functions.ts'
import type { Expression } from '../plan.ts'
import type { Evaluate, Test } from './leaves.ts'

/** Calls a function with the values of its arguments; without a list of them where there are few. */
export function callWith<Input>(call: ScalarFunction, args: readonly Evaluate<Input>[]): Evaluate<Input> {
  const [first, second, third] = args
  if (first === undefined) return () => call()
  if (second === undefined) return (input) => call(first(input))
  if (third === undefined) return (input) => call(first(input), second(input))
  if (args.length === 3) return (input) => call(first(input), second(input), third(input))
  return (input) => call(...args.map((evaluate) => evaluate(input)))
}

/** How the parts of an expression are compiled, by the rules of one engine. */
export type PartCompiler<Input> = {
  readonly test: (expression: Expression) => Test<Input>
  readonly value: (expression: Expression) => Evaluate<Input>
}

/** Evaluates what it gives, and nothing behind the branch that is taken. */
export function chooseBranch<Input>(
  expression: Expression & { kind: 'case' },
  compile: PartCompiler<Input>,
): Evaluate<Input> {
  const branches = expression.branches.map(({ when, result }) => ({
    passes: compile.test(when),
    evaluate: compile.value(result),
  }))
  const otherwise = compile.value(expression.otherwise)
  return (input) => (branches.find(({ passes }) => passes(input))?.evaluate ?? otherwise)(input)
}
