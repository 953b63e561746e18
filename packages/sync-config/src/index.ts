export { describeCheckpointEvents, isCheckpointEvent } from './checkpoint-events.ts'
export { checkPlanAgainstTables, type TableDiagnostic } from './check-tables.ts'
export { compileSyncConfig } from './compile.ts'
export { comparePlans } from './compare-plans.ts'
export type { Compared, PlanChanges } from './compare-plans.ts'
export { describePlan, type PlanDescription } from './describe-plan.ts'
export { JSON_DEPTH_MAX } from './functions/json.ts'
export { parseRequestJson } from './functions/request-json.ts'
export { RequestSplitter } from './functions/split-request.ts'
export { syncConfigSchema } from './file/json-schema.ts'
export { loadPlan } from './load.ts'
export { matchesTable } from './match-table.ts'
export { EvaluationError } from './values/value.ts'
export { preview } from './preview.ts'
export type { PreviewInput, PreviewProblem, PreviewResult, PreviewRow, PreviewStreamError } from './preview.ts'
export type { PreviewData, PreviewRequest, PreviewTable } from './preview/decode-input.ts'
export type { TypeDescription, TypeDescriptions } from './preview/type-names.ts'
export type {
  CompileResult,
  Diagnostic,
  EvaluatedLookup,
  EvaluatedObject,
  EventOutcome,
  EventProgram,
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
  RequestObject,
  RequestValue,
  Resolution,
  RowOutcome,
  SourceColumn,
  SourceTable,
  SqliteValue,
  TablePattern,
  TableProgram,
  TextRow,
  Turn,
} from './types.ts'
