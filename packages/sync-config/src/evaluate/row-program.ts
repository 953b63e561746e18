import type { Expression } from '../plan.ts'
import type { EvaluatedLookup, EvaluatedObject, TextRow } from '../types.ts'
import { EvaluationError } from '../values/value.ts'
import type { Source } from './payload.ts'
import type { RowColumn, RowColumns } from './row-columns.ts'

/** One query of a plan, compiled for one table. */
export type RowProgram = {
  /** For messages. */
  readonly definition: string
  /** Adds what the row gives, all of it or, where it throws `EvaluationError`, nothing. */
  readonly run: (row: TextRow, results: RowResults) => void
  /** Columns without which it cannot run. */
  readonly reads: readonly RowColumn[]
}

/** What the queries of a table give for one row; lists are made when something comes. */
export class RowResults {
  objects: EvaluatedObject[] | undefined
  lookups: EvaluatedLookup[] | undefined
  /** Index and rank of objects that several queries may make. */
  readonly #ranked = new Map<string, { readonly index: number; readonly rank: number }>()

  reset(): void {
    this.objects = undefined
    this.lookups = undefined
    if (this.#ranked.size > 0) this.#ranked.clear()
  }

  /** Of objects with the same bucket, table and id the one with the highest rank stays. `objects` are those of the row. */
  addRanked(objects: EvaluatedObject[], object: EvaluatedObject, rank: number): void {
    const place = JSON.stringify([object.bucket, object.type, object.id])
    const known = this.#ranked.get(place)
    if (known !== undefined && known.rank > rank) return
    const index = known?.index ?? objects.length
    objects[index] = object
    this.#ranked.set(place, { index, rank })
  }
}

/** What is said of a row that cannot be evaluated. Any other error is our fault and is thrown again. */
export function rowFailure(error: unknown): string {
  if (error instanceof EvaluationError) return error.message
  // What JavaScript throws for a text or number beyond its limits, and for nesting beyond its stack.
  if (error instanceof RangeError) return 'Cannot evaluate the row: a value in it is too large'
  throw error
}

/** `expressions`: all of the query but its SELECT list. */
export function readsOf(
  columns: RowColumns,
  expressions: readonly Expression[],
  sources: readonly Source[] = [],
): readonly RowColumn[] {
  const ofSources = sources.flatMap((source) =>
    source.kind === 'column' ? [source.column] : columns.readBy([source.expression]),
  )
  return [...columns.readBy(expressions), ...ofSources]
}
