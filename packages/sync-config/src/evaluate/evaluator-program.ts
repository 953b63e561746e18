import type { BucketName } from '@headwater/protocol'
import { partText, type PlanEvaluator } from '../plan.ts'
import { compilePayload, type Payload, type Written } from './payload.ts'
import { compileKeys } from './row-keys.ts'
import { type ReadRow, SharedParts } from './shared-parts.ts'
import { compileFilters, type QueryScope, type TableScope } from './row-scope.ts'
import { readsOf, type RowProgram, type RowResults } from './row-program.ts'

/** Where the objects of an evaluator go, and under which names messages speak of it. */
export type EvaluatorPlace = {
  readonly definition: string
  readonly buckets: readonly BucketPlace[]
}

export type BucketPlace = {
  readonly nameOf: (keys: string) => BucketName
  /** Place among the queries of the bucket that may make the same object; undefined where none other may. */
  readonly rank: number | undefined
}

/** Evaluators with the same SELECT list share what is written of a row. */
export class EvaluatorCompiler {
  readonly #table: TableScope
  readonly #payloads = new Map<string, Payload>()
  readonly #written: SharedParts<Written>

  constructor(table: TableScope) {
    this.#table = table
    this.#written = new SharedParts(table.turn, { id: '', data: '' })
  }

  compile(evaluator: PlanEvaluator, { definition, buckets }: EvaluatorPlace): RowProgram {
    const scope = this.#table.openQuery(evaluator)
    const { payload, write } = this.#payloadOf(evaluator, scope)
    const { expansions, filters, keys } = evaluator
    const parts: Parts = { evaluator, scope, write, buckets, type: evaluator.output ?? this.#table.table.name }
    return {
      definition,
      run: expansions.length === 0 ? runOnce(parts) : runForElements(parts),
      reads: readsOf(this.#table.columns, [...expansions, ...filters, ...keys], payload.sources),
    }
  }

  #payloadOf(
    { columns }: PlanEvaluator,
    scope: QueryScope,
  ): { readonly payload: Payload; readonly write: ReadRow<Written> } {
    const text = `${scope.suffix}/${partText(columns)}`
    const payload = this.#payloads.get(text) ?? compilePayload(columns, scope)
    this.#payloads.set(text, payload)
    return { payload, write: this.#written.take(text, () => payload.write) }
  }
}

type Parts = {
  readonly evaluator: PlanEvaluator
  readonly scope: QueryScope
  readonly write: ReadRow<Written>
  readonly buckets: readonly BucketPlace[]
  readonly type: string
}

type Run = RowProgram['run']

function runOnce({ evaluator, scope, write, buckets, type }: Parts): Run {
  const { ofRow: passes } = compileFilters(evaluator.filters, scope)
  const readKeys = compileKeys(evaluator.keys, scope)
  const [only, second] = buckets
  if (only !== undefined && second === undefined && only.rank === undefined) {
    const { nameOf } = only
    return (row, results) => {
      if (!passes(row)) return
      const keys = readKeys(row)
      if (keys === undefined) return
      const { id, data } = write(row)
      const object = { bucket: nameOf(keys), type, id, data }
      if (results.objects === undefined) results.objects = [object]
      else results.objects.push(object)
    }
  }
  return (row, results) => {
    if (!passes(row)) return
    const keys = readKeys(row)
    if (keys !== undefined) addObjects(results, { keys: [keys], written: write(row), buckets, type })
  }
}

/** One object for every combination of elements that passes; combinations with equal keys give one. */
function runForElements({ evaluator, scope, write, buckets, type }: Parts): Run {
  const { ofRow, ofElements } = compileFilters(evaluator.filters, scope)
  const readKeys = compileKeys(evaluator.keys, scope)
  const { cursor } = scope
  return (row, results) => {
    if (!ofRow(row)) return
    const distinct = new Set<string>()
    for (let isAt = cursor.start(row); isAt; isAt = cursor.advance()) {
      if (!ofElements(row)) continue
      const keys = readKeys(row)
      if (keys !== undefined) distinct.add(keys)
    }
    if (distinct.size > 0) addObjects(results, { keys: distinct, written: write(row), buckets, type })
  }
}

type Added = Pick<Parts, 'buckets' | 'type'> & { readonly keys: Iterable<string>; readonly written: Written }

function addObjects(results: RowResults, { keys, written: { id, data }, buckets, type }: Added): void {
  results.objects ??= []
  for (const text of keys) {
    for (const { nameOf, rank } of buckets) {
      const object = { bucket: nameOf(text), type, id, data }
      if (rank === undefined) results.objects.push(object)
      else results.addRanked(results.objects, object, rank)
    }
  }
}
