import { type Expression, partsOf } from '../plan.ts'
import type { SourceTable } from '../types.ts'
import { type ColumnForm, columnForm, type ValueOptions } from '../values/column-form.ts'

export type RowColumn = {
  readonly name: string
  readonly index: number
  readonly form: ColumnForm
}

/** The columns of one table as a plan sees them. */
export class RowColumns {
  readonly all: readonly RowColumn[]
  readonly #byName: ReadonlyMap<string, RowColumn>

  constructor(table: SourceTable, options: ValueOptions) {
    this.all = table.columns.map(({ name, type }, index) => ({
      name,
      index,
      form: columnForm(type, options),
    }))
    this.#byName = new Map(this.all.map((column) => [column.name, column]))
  }

  find(name: string): RowColumn | undefined {
    return this.#byName.get(name)
  }

  /** Columns that the expressions read and the table has. */
  readBy(expressions: readonly Expression[]): readonly RowColumn[] {
    return expressions.flatMap(columnNames).flatMap((name) => this.find(name) ?? [])
  }
}

function columnNames(expression: Expression): readonly string[] {
  return expression.kind === 'column' ? [expression.name] : partsOf(expression).flatMap(columnNames)
}
