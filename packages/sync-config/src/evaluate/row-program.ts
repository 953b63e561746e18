import { type Expression, partsOf } from '../plan.ts'
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
  readonly reads: ProgramReads
}

/** What the queries of a table give for one row; lists are made when something comes. */
export class RowResults {
  objects: EvaluatedObject[] | undefined
  lookups: EvaluatedLookup[] | undefined

  reset(): void {
    this.objects = undefined
    this.lookups = undefined
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
  /** Can a row fail? Then every column decides. */
  readonly mayThrow: boolean
}

type Payload = { readonly idSources: readonly Source[]; readonly sources: readonly Source[] }

/** `deciding`: everything but the SELECT list. */
export function readsOf(
  columns: RowColumns,
  { deciding, expansions }: { readonly deciding: readonly Expression[]; readonly expansions: readonly Expression[] },
  payload: Payload = { idSources: [], sources: [] },
): ProgramReads {
  const columnsOf = (source: Source): readonly RowColumn[] =>
    source.kind === 'column' ? [source.column] : columns.readBy([source.expression])
  const decidingColumns = [...columns.readBy([...expansions, ...deciding]), ...payload.idSources.flatMap(columnsOf)]
  const all = [...decidingColumns, ...payload.sources.flatMap(columnsOf)]
  const computed = payload.sources.flatMap((source) => (source.kind === 'expression' ? source.expression : []))
  return {
    columns: all,
    deciding: decidingColumns,
    // Text may turn out to be no JSON.
    mayThrow: expansions.length > 0 || [...deciding, ...computed].some(mayThrow) || all.some(({ mayFail }) => mayFail),
  }
}

function mayThrow(expression: Expression): boolean {
  return expression.kind === 'call' || partsOf(expression).some(mayThrow)
}
