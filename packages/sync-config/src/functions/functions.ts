import type { SqliteValue } from '../types.ts'
import type { ValueOptions } from '../values/column-form.ts'
import { defaultFunctions } from './default-functions.ts'
import { extensionFunctions } from './extension-functions.ts'
import type { FunctionName } from './signatures.ts'
import { SQLITE_FUNCTIONS } from './sqlite-functions.ts'

/** Never keeps or changes its arguments. Throws `EvaluationError` where they make no sense. */
export type ScalarFunction = (...args: readonly SqliteValue[]) => SqliteValue

export type Functions = { readonly [Name in FunctionName]: ScalarFunction }

/** What functions and operators do in a config with these options. Asked for once a call of the config: some remember what they read last. */
export function functionsOf(options: ValueOptions): (name: FunctionName) => ScalarFunction {
  const ofEngine: Partial<Functions> = options.engine === 'sqlite' ? SQLITE_FUNCTIONS : {}
  return (name) => ofEngine[name] ?? { ...defaultFunctions(options), ...extensionFunctions() }[name]
}
