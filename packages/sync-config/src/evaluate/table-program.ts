import { matchesTable } from '../match-table.ts'
import type { BucketName } from '@headwater/protocol'
import { toLookupKey, toLookupOutputs } from '../lookup-key.ts'
import { type Expression, partText, type PlanBody, type PlanEvaluator, type PlanLookup } from '../plan.ts'
import type { EvaluatedLookup, EvaluatedObject, RowOutcome, SourceTable, TableProgram, TextRow } from '../types.ts'
import { EvaluationError } from '../values/value.ts'
import { bucketNamer } from './bucket-name.ts'
import { allOf, compileTest, type Test } from './expression.ts'
import { compilePayload, type Payload } from './payload.ts'
import { compileKeys, type ReadKey, type RowColumn, RowColumns, rowLeaves } from './row-columns.ts'

/** Makes the program of one table; undefined when the plan does not read it. */
export function compileTable(body: PlanBody, table: SourceTable, generation: number): TableProgram | undefined {
  const columns = new RowColumns(table, body.values)
  const evaluators = compileEvaluators(body, { table, columns, generation })
  const lookups = body.lookups
    .filter((lookup) => matchesTable(lookup.table, table))
    .map((lookup) => compileLookup(lookup, columns))
  if (evaluators.length === 0 && lookups.length === 0) return undefined
  const identity = new Set(table.identity)
  const deciding = [...evaluators, ...lookups].flatMap((program) => program.deciding)
  const payloads = evaluators.flatMap(({ payload }) => payload.columns)
  const needed = new Set([...deciding, ...payloads].map(({ index }) => index))
  return {
    needed: columns.all.map(({ index }) => needed.has(index)),
    isKeyDetermined: deciding.every(({ name }) => identity.has(name)) && !payloads.some((column) => column.mayFail),
    feedsLookups: lookups.length > 0,
    evaluate: makeEvaluate(evaluators, lookups),
  }
}

type EvaluatorProgram = {
  readonly definition: string
  readonly passes: Test<TextRow>
  readonly readKeys: ReadKey
  readonly payload: Payload
  /** Evaluators with the same SELECT list have the same number, and share what is written. */
  readonly payloadNumber: number
  readonly output: string
  readonly bucketNamers: readonly ((keys: string) => BucketName)[]
  /** Columns that bucket and id depend on. */
  readonly deciding: readonly RowColumn[]
  /** May another evaluator make the same object in the same bucket? */
  readonly mayCollide: boolean
}

type LookupProgram = {
  readonly definition: string
  readonly passes: Test<TextRow>
  readonly readKeys: ReadKey
  readonly readOutputs: ReadKey
  readonly toEntry: (keys: string, outputs: string) => EvaluatedLookup
  readonly deciding: readonly RowColumn[]
}

type TableParts = { readonly table: SourceTable; readonly columns: RowColumns; readonly generation: number }

function compileEvaluators(body: PlanBody, parts: TableParts): readonly EvaluatorProgram[] {
  const { table, columns, generation } = parts
  const payloads = new Map<string, { readonly payload: Payload; readonly payloadNumber: number }>()
  const payloadOf = (evaluator: PlanEvaluator): { readonly payload: Payload; readonly payloadNumber: number } => {
    const text = partText(evaluator.columns)
    const known = payloads.get(text)
    if (known !== undefined) return known
    const made = { payload: compilePayload(evaluator.columns, columns), payloadNumber: payloads.size }
    payloads.set(text, made)
    return made
  }
  const ofTable = [...body.evaluators.entries()].filter(([, evaluator]) => matchesTable(evaluator.table, table))
  return ofTable.map(([index, evaluator]) => {
    const buckets = body.buckets.filter((bucket) => bucket.evaluators.includes(index))
    const { payload, payloadNumber } = payloadOf(evaluator)
    const rivals = ofTable.filter(
      ([other, { output }]) => other !== index && (output ?? table.name) === (evaluator.output ?? table.name),
    )
    return {
      definition: buckets.map(({ name }) => name).join(', '),
      passes: compileFilters(evaluator.filters, columns),
      readKeys: compileKeys(evaluator.keys, columns),
      payload,
      payloadNumber,
      output: evaluator.output ?? table.name,
      bucketNamers: buckets.map((bucket) => bucketNamer(bucket, generation)),
      deciding: [...columns.readBy([...evaluator.filters, ...evaluator.keys]), ...payload.idColumns],
      mayCollide: rivals.some(([rival]) => buckets.some((bucket) => bucket.evaluators.includes(rival))),
    }
  })
}

function compileLookup(lookup: PlanLookup, columns: RowColumns): LookupProgram {
  return {
    definition: lookup.usedBy.join(', '),
    passes: compileFilters(lookup.filters, columns),
    readKeys: compileKeys(lookup.keys, columns),
    readOutputs: compileKeys(lookup.outputs, columns),
    toEntry: (keys, outputs) => ({ key: toLookupKey(lookup.id, keys), outputs: toLookupOutputs(outputs) }),
    deciding: columns.readBy([...lookup.filters, ...lookup.keys, ...lookup.outputs]),
  }
}

function compileFilters(filters: readonly Expression[], columns: RowColumns): Test<TextRow> {
  const leaves = rowLeaves(columns)
  return allOf(filters.map((filter) => compileTest(filter, leaves)))
}

type Written = { readonly id: string; readonly data: string }
type RowFailure = RowOutcome['errors'][number]

const NO_OBJECTS: readonly EvaluatedObject[] = []
const NO_LOOKUPS: readonly EvaluatedLookup[] = []
const NO_ERRORS: readonly RowFailure[] = []
const NOTHING: RowOutcome = { objects: NO_OBJECTS, lookups: NO_LOOKUPS, errors: NO_ERRORS }

/** The loop over one row's programs. A row that matches nothing allocates nothing. */
function makeEvaluate(
  evaluators: readonly EvaluatorProgram[],
  lookups: readonly LookupProgram[],
): (row: TextRow) => RowOutcome {
  const mayCollide = evaluators.some((evaluator) => evaluator.mayCollide)
  return (row) => {
    let objects: EvaluatedObject[] | undefined
    let entries: EvaluatedLookup[] | undefined
    let errors: RowFailure[] | undefined
    let written: (Written | undefined)[] | undefined
    for (const evaluator of evaluators) {
      try {
        if (!evaluator.passes(row)) continue
        const keys = evaluator.readKeys(row)
        if (keys === undefined) continue
        written ??= []
        const { payload, payloadNumber, output } = evaluator
        const object = (written[payloadNumber] ??= { id: payload.readId(row), data: payload.writeData(row) })
        objects ??= []
        for (const bucketOf of evaluator.bucketNamers) {
          objects.push({ bucket: bucketOf(keys), type: output, id: object.id, data: object.data })
        }
      } catch (error) {
        errors = [...(errors ?? []), toFailure(evaluator.definition, error)]
      }
    }
    for (const lookup of lookups) {
      try {
        if (!lookup.passes(row)) continue
        const keys = lookup.readKeys(row)
        const outputs = keys === undefined ? undefined : lookup.readOutputs(row)
        if (keys === undefined || outputs === undefined) continue
        entries ??= []
        entries.push(lookup.toEntry(keys, outputs))
      } catch (error) {
        errors = [...(errors ?? []), toFailure(lookup.definition, error)]
      }
    }
    if (objects === undefined && entries === undefined && errors === undefined) return NOTHING
    const distinct = mayCollide && objects !== undefined ? keepLast(objects) : objects
    return { objects: distinct ?? NO_OBJECTS, lookups: entries ?? NO_LOOKUPS, errors: errors ?? NO_ERRORS }
  }
}

/** A row's value that cannot be evaluated fails one definition. Anything else is our fault and ends the batch. */
function toFailure(definition: string, error: unknown): RowFailure {
  if (error instanceof EvaluationError) return { definition, message: error.message }
  throw error
}

/** Of objects with the same bucket, table and id the last one stays: the later query of the file. */
function keepLast(objects: readonly EvaluatedObject[]): readonly EvaluatedObject[] {
  return objects.filter((object, index) => {
    const rival = objects.findLastIndex(
      (other) => other.bucket === object.bucket && other.type === object.type && other.id === object.id,
    )
    return rival === index
  })
}
