import type { ScalarFunction } from '../functions/functions.ts'
import type { FunctionName } from '../functions/signatures.ts'
import type { Expression } from '../plan.ts'
import type { SqliteValue } from '../types.ts'
import type { ValueOptions } from '../values/column-form.ts'

export type Evaluate<Input> = (input: Input) => SqliteValue
export type Test<Input> = (input: Input) => boolean

/** What an expression reads, columns of a row or data of a request, and by whose rules. */
export type Leaves<Input> = {
  readonly engine: ValueOptions['engine']
  readonly column: (name: string) => Evaluate<Input>
  readonly element: (expression: Expression & { kind: 'element' }) => Evaluate<Input>
  readonly table: (part: 'schema' | 'name' | 'suffix') => string
  readonly request: (expression: Expression & { kind: 'request' }) => Evaluate<Input>
  /** A quicker test than the general one, where the leaf knows one. */
  readonly quickTest: (expression: Expression) => Test<Input> | undefined
  readonly functionOf: (name: FunctionName) => ScalarFunction
}
