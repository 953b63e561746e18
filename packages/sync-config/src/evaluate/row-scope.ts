import { eachElement, type Element } from '../functions/each-element.ts'
import { functionsOf } from '../functions/functions.ts'
import { tableSuffix } from '../match-table.ts'
import { type Expression, partsOf, partText, type PlanEvaluator, type PlanLookup } from '../plan.ts'
import type { SourceTable, SqliteValue, TextRow } from '../types.ts'
import { readValue, type ValueOptions } from '../values/column-form.ts'
import { ExpansionCursor } from './expansion-cursor.ts'
import { allOf } from './all-of.ts'
import { compileExpression, compileTest } from './expression.ts'
import type { Leaves, Test } from './leaves.ts'
import type { RowColumns } from './row-columns.ts'
import { quickTest } from './quick-test.ts'
import { type ReadRow, type RowTurn, SharedParts } from './shared-parts.ts'

/** Text of a key in canonical JSON, or of several joined by commas; undefined where a value cannot be a key. */
export type ReadKey = ReadRow<string | undefined>

/** What all queries of one table have in common. */
export class TableScope {
  readonly table: SourceTable
  readonly columns: RowColumns
  readonly options: ValueOptions
  readonly turn: RowTurn = { number: 0 }
  readonly #tests = new SharedParts<boolean>(this.turn, false)
  readonly #elements = new SharedParts<readonly Element[]>(this.turn, [])
  readonly #keys = new SharedParts<string | undefined>(this.turn, undefined)

  /** Of the data of an object. */
  readonly rowCharactersMax: number

  constructor(
    table: SourceTable,
    columns: RowColumns,
    options: { readonly values: ValueOptions; readonly rowCharactersMax?: number | undefined },
  ) {
    this.table = table
    this.columns = columns
    this.options = options.values
    this.rowCharactersMax = options.rowCharactersMax ?? Infinity
  }

  /** What one query sees of a row, and of where its expansions stand. */
  openQuery(query: Pick<PlanEvaluator | PlanLookup, 'table' | 'expansions'>): QueryScope {
    const suffix = tableSuffix(query.table, this.table.name)
    const ofRow = rowLeaves(this, suffix, undefined)
    const readers = query.expansions.map((argument) =>
      this.#elements.take(textOf(argument, suffix), () => {
        const evaluate = compileExpression(argument, ofRow)
        return (row) => eachElement(evaluate(row), this.options)
      }),
    )
    const cursor = new ExpansionCursor(readers)
    return { leaves: rowLeaves(this, suffix, cursor), cursor, suffix, table: this }
  }

  shareTest(text: string, compile: () => Test<TextRow>): Test<TextRow> {
    return this.#tests.take(text, compile)
  }

  shareKey(text: string, compile: () => ReadKey): ReadKey {
    return this.#keys.take(text, compile)
  }
}

export type QueryScope = {
  readonly table: TableScope
  readonly leaves: Leaves<TextRow>
  readonly cursor: ExpansionCursor
  /** What the wildcard of the query's table stands for. */
  readonly suffix: string
}

/** Equal texts mean the same to every query of a table. */
export function textOf(part: Expression | readonly Expression[], suffix: string): string {
  return `${suffix}/${partText(part)}`
}

/** Does it see elements of expansions, so that it may differ within a row? */
export function readsElements(expression: Expression): boolean {
  return expression.kind === 'element' || partsOf(expression).some(readsElements)
}

/** A column that the table does not have, and one that the stream carried no value for, are NULL. */
function rowLeaves(
  { columns, table, options }: TableScope,
  suffix: string,
  cursor: ExpansionCursor | undefined,
): Leaves<TextRow> {
  const names = { schema: table.schema, name: table.name, suffix }
  return {
    engine: options.engine,
    column: (name) => {
      const column = columns.find(name)
      if (column === undefined) return () => null
      const { index, form } = column
      return (row): SqliteValue => {
        const text = row[index]
        return text === null || text === undefined ? null : readValue(form, text)
      }
    },
    element: ({ expansion, part }) => {
      if (cursor === undefined) throw new Error('Invariant: the argument of an expansion sees the row alone')
      return () => cursor.element(expansion)[part]
    },
    table: (part) => names[part],
    request: () => {
      throw new Error('Invariant: an expression over a row reads no request data')
    },
    quickTest: (expression) => quickTest(columns, expression),
    functionOf: functionsOf(options),
  }
}

/** Filters that the row alone decides, each evaluated once a row for all queries that have it, and the others. */
export function compileFilters(
  filters: readonly Expression[],
  { table, leaves, suffix }: QueryScope,
): { readonly ofRow: Test<TextRow>; readonly ofElements: Test<TextRow> } {
  const ofRow = filters.filter((filter) => !readsElements(filter))
  const ofElements = filters.filter(readsElements)
  return {
    ofRow: allOf(ofRow.map((filter) => table.shareTest(textOf(filter, suffix), () => compileTest(filter, leaves)))),
    ofElements: allOf(ofElements.map((filter) => compileTest(filter, leaves))),
  }
}
