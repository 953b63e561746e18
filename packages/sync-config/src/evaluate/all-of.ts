import { EvaluationError } from '../values/value.ts'
import type { Test } from './leaves.ts'

/**
 * True without any test. What fails does not matter where another test is false: so the order of the tests, which is
 * that of the plan and not of the query, decides nothing but the time it takes.
 */
export function allOf<Input>(tests: readonly Test<Input>[]): Test<Input> {
  return combine(tests, false)
}

/** False without any test. What fails does not matter where another test is true. */
export function anyOf<Input>(tests: readonly Test<Input>[]): Test<Input> {
  return combine(tests, true)
}

/** `decisive` of one test is the result of all. */
function combine<Input>(tests: readonly Test<Input>[], decisive: boolean): Test<Input> {
  const [first, second] = tests
  if (first === undefined) return () => !decisive
  if (second === undefined) return first
  return (input) => {
    let failure: EvaluationError | undefined
    for (const test of tests) {
      try {
        if (test(input) === decisive) return decisive
      } catch (error) {
        if (!(error instanceof EvaluationError)) throw error
        failure ??= error
      }
    }
    if (failure !== undefined) throw failure
    return !decisive
  }
}
