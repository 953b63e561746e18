import type { SqliteValue } from '../types.ts'
import type { ValueOptions } from '../values/column-form.ts'
import type { FunctionName } from './signatures.ts'

/** Never keeps or changes its arguments. Throws `EvaluationError` where they make no sense. */
export type ScalarFunction = (...args: readonly SqliteValue[]) => SqliteValue

export type Functions = { readonly [Name in FunctionName]: ScalarFunction }

/** What functions and operators do in a config with these options. */
export function functionsOf(_options: ValueOptions): (name: FunctionName) => ScalarFunction {
  return (name) => {
    throw new Error(`Invariant: ${name} is not written yet`)
  }
}
