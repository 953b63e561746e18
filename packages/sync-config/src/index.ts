export { checkPlanAgainstTables } from './check-tables.ts'
export { compileSyncConfig } from './compile.ts'
export { loadPlan } from './load.ts'
export type {
  CompileResult,
  Diagnostic,
  EvaluatedLookup,
  EvaluatedObject,
  GrantedBucket,
  LoadedPlan,
  LoadOptions,
  LookupId,
  LookupKey,
  LookupOutputs,
  Plan,
  PostgresType,
  ReadLookups,
  Request,
  Resolution,
  RowOutcome,
  SourceColumn,
  SourceTable,
  SqliteValue,
  TablePattern,
  TableProgram,
  TextRow,
} from './types.ts'
