import type { BucketName } from '@headwater/protocol'
import { checkPlanAgainstTables } from './check-tables.ts'
import { compileSyncConfig } from './compile.ts'
import { loadPlan } from './load.ts'
import { checkTexts } from './preview/check-texts.ts'
import {
  type DecodedTable,
  decodePreviewData,
  decodePreviewRequest,
  type PreviewData,
  type PreviewRequest,
} from './preview/decode-input.ts'
import type {
  Diagnostic,
  EvaluatedObject,
  LookupKey,
  LookupOutputs,
  Plan,
  ReadLookups,
  Resolution,
  SourceTable,
  TableProgram,
  TextRow,
} from './types.ts'

export type PreviewInput = {
  /** Text of a sync config. */
  readonly config: string
  readonly data: PreviewData
  readonly request: PreviewRequest
}

export type PreviewResult =
  | {
      readonly rows: readonly PreviewRow[]
      readonly streamErrors: readonly PreviewStreamError[]
      readonly warnings: readonly PreviewProblem[]
    }
  /** The config cannot be compiled, or the data are not of their types. */
  | { readonly errors: readonly PreviewProblem[] }

/** A row that the client of the request holds. `data` is the text that goes over the wire. */
export type PreviewRow = {
  readonly type: string
  readonly id: string
  readonly data: string
  readonly priority: number
}

export type PreviewStreamError = {
  readonly stream: string
  readonly subscription: 'default' | number
  readonly message: string
}

export type PreviewProblem = Pick<Diagnostic, 'message' | 'line' | 'column'>

/** Buckets that the client of a preview may have; that of the service by default. */
const BUCKETS_MAX = 10_000

/**
 * Says which rows a client gets, without a database: the same compiling, evaluating and resolving as in the service.
 * Throws `bad-preview-input` for data or a request of another form, and what the service would end the connection with:
 * `too-many-buckets`, `bad-parameters`.
 */
export async function preview(input: PreviewInput): Promise<PreviewResult> {
  const compiled = compileSyncConfig(input.config)
  if (compiled.kind === 'refused') {
    return { errors: compiled.diagnostics.filter(({ severity }) => severity === 'error').map(toProblem) }
  }
  const tables = decodePreviewData(input.data)
  const request = decodePreviewRequest(input.request)
  const misfits = checkTexts(tables)
  if (misfits.length > 0) return { errors: misfits.map((message) => ({ message, line: 1, column: 1 })) }
  const plan = loadPlan(compiled.plan, { generation: 1, bucketsMax: BUCKETS_MAX })
  const evaluated = tables.flatMap(({ table, rows }) => evaluateRows(table, rows, plan.forTable(table)))
  const resolution = await plan.resolve(request, readFrom(evaluated))
  const rowErrors = evaluated.flatMap(({ place, outcome }) =>
    outcome.errors.map(({ definition, message }) => ({
      message: `${place} is left out of ${definition}: ${message}`,
      line: 1,
      column: 1,
    })),
  )
  return {
    rows: rowsOf(evaluated, resolution),
    streamErrors: resolution.streams.flatMap(({ name, errors }) => errors.map((error) => ({ stream: name, ...error }))),
    warnings: [...compiled.diagnostics.map(toProblem), ...checkTables(compiled.plan, tables), ...rowErrors],
  }
}

/** A row by its table and number, and what it gives. */
type EvaluatedRow = { readonly place: string; readonly outcome: ReturnType<TableProgram['evaluate']> }

function evaluateRows(
  { schema, name }: SourceTable,
  rows: readonly TextRow[],
  program: TableProgram | undefined,
): readonly EvaluatedRow[] {
  if (program === undefined) return []
  return rows.map((row, index) => ({
    place: `Row ${index + 1} of ${schema}.${name}`,
    outcome: program.evaluate(row),
  }))
}

function readFrom(evaluated: readonly EvaluatedRow[]): ReadLookups {
  const byKey = new Map<LookupKey, LookupOutputs[]>()
  for (const { key, outputs } of evaluated.flatMap(({ outcome }) => outcome.lookups)) {
    const entries = byKey.get(key)
    if (entries === undefined) byKey.set(key, [outputs])
    else entries.push(outputs)
  }
  return (keys) => Promise.resolve(keys.map((key) => byKey.get(key) ?? []))
}

/** Each object of a source row once, however many buckets bring it. */
function rowsOf(evaluated: readonly EvaluatedRow[], { buckets }: Resolution): readonly PreviewRow[] {
  const priorities = new Map(buckets.map(({ bucket, priority }) => [bucket, priority]))
  return evaluated
    .flatMap(({ outcome }) => mergeObjects(outcome.objects, priorities))
    .toSorted((a, b) => compareText(a.type, b.type) || compareText(a.id, b.id) || compareText(a.data, b.data))
}

function mergeObjects(
  objects: readonly EvaluatedObject[],
  priorities: ReadonlyMap<BucketName, number>,
): readonly PreviewRow[] {
  const merged = new Map<string, PreviewRow>()
  for (const { bucket, type, id, data } of objects) {
    const priority = priorities.get(bucket)
    if (priority === undefined) continue
    const key = JSON.stringify([type, id])
    merged.set(key, { type, id, data, priority: Math.min(priority, merged.get(key)?.priority ?? priority) })
  }
  return [...merged.values()]
}

/** Data of a preview may leave tables and columns out, so that nothing about them is an error here. */
function checkTables(plan: Plan, tables: readonly DecodedTable[]): readonly PreviewProblem[] {
  return checkPlanAgainstTables(
    plan,
    tables.map(({ table }) => table),
  ).map(toProblem)
}

function toProblem({ message, line, column }: Diagnostic): PreviewProblem {
  return { message, line, column }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
