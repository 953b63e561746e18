/** How SQLite stores a column. */
export const ColumnType = { TEXT: 'TEXT', INTEGER: 'INTEGER', REAL: 'REAL' } as const
export type ColumnType = (typeof ColumnType)[keyof typeof ColumnType]

/** A column's storage type, and in `valueType` (never set; types only) what reading it gives. */
export type BaseColumnType<Value extends string | number | null> = {
  readonly type: ColumnType
  readonly valueType?: Value
}

export type ExtractColumnValueType<Column> = Column extends BaseColumnType<infer Value> ? Value : unknown

export type ColumnsDefinition = { readonly [name: string]: BaseColumnType<string | number | null> }

const text: BaseColumnType<string | null> = { type: ColumnType.TEXT }
const integer: BaseColumnType<number | null> = { type: ColumnType.INTEGER }
const real: BaseColumnType<number | null> = { type: ColumnType.REAL }

export const column = { text, integer, real } as const

/** Columns beside `id`; with it SQLite's limit of 2000 is reached. */
export const MAX_COLUMNS = 1999

export class Column {
  readonly name: string
  readonly type: ColumnType

  constructor(options: { readonly name: string; readonly type?: ColumnType }) {
    this.name = options.name
    this.type = options.type ?? ColumnType.TEXT
  }

  toJSON(): { name: string; type: ColumnType } {
    return { name: this.name, type: this.type }
  }
}
