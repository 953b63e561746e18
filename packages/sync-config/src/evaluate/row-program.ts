import type { Expression } from '../plan.ts'
import type { EvaluatedLookup, EvaluatedObject, TextRow } from '../types.ts'
import type { ColumnForm } from '../values/column-form.ts'
import { EvaluationError } from '../values/value.ts'
import { mayThrow } from './may-throw.ts'
import type { Source } from './payload.ts'
import type { RowColumn, RowColumns } from './row-columns.ts'

/** One query of a plan, compiled for one table. */
export type RowProgram = {
  /** For messages. */
  readonly definition: string
  /** Adds what the row gives, all of it or, where it throws `EvaluationError`, nothing. */
  readonly run: (row: TextRow, results: RowResults) => void
  readonly reads: ProgramReads
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

export type ProgramReads = {
  readonly columns: readonly RowColumn[]
  /** Columns on which it depends which objects and entries there are, apart from what objects hold. */
  readonly deciding: readonly RowColumn[]
}

type Payload = { readonly idSources: readonly Source[]; readonly sources: readonly Source[] }

/** `conditions`: all expressions but those of the SELECT list. */
export function readsOf(
  columns: RowColumns,
  conditions: readonly Expression[],
  payload: Payload = { idSources: [], sources: [] },
): ProgramReads {
  const columnsOf = (source: Source): readonly RowColumn[] =>
    source.kind === 'column' ? [source.column] : columns.readBy([source.expression])
  // A row that fails gives nothing, so what may fail decides too.
  const formOf = (name: string): ColumnForm['kind'] | undefined => columns.find(name)?.form.kind
  const fallible = payload.sources.filter(
    (source) =>
      columnsOf(source).some(({ mayFail }) => mayFail) ||
      (source.kind === 'expression' && mayThrow(source.expression, formOf)),
  )
  const deciding = [...columns.readBy(conditions), ...[...payload.idSources, ...fallible].flatMap(columnsOf)]
  return { columns: [...deciding, ...payload.sources.flatMap(columnsOf)], deciding }
}
