import type { FunctionName } from './signatures.ts'
import type { ScalarFunction } from './functions.ts'

/** What functions and operators do in the SQLite engine. */
export const SQLITE_FUNCTIONS: { readonly [Name in FunctionName]?: ScalarFunction } = {}
