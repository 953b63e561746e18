import type { SqliteValue, StatementResult } from './driver.ts'

export type SqliteRecord = { readonly [column: string]: SqliteValue }

/** What apps may bind. Booleans become 1 and 0, undefined becomes NULL. */
export type QueryParam = SqliteValue | boolean | undefined

export type ResultSet<T> = {
  readonly length: number
  readonly _array: T[]
  readonly item: (index: number) => T
}

export type QueryResult<T = SqliteRecord> = {
  readonly insertId?: number
  readonly rowsAffected: number
  readonly rows?: ResultSet<T>
  readonly array: T[]
  readonly [Symbol.iterator]: () => Iterator<T>
}

export type RawQueryResult = {
  readonly insertId?: number
  readonly rowsAffected: number
  readonly columnNames: readonly string[]
  readonly rawRows: readonly (readonly SqliteValue[])[]
}

export function toSqliteValue(parameter: QueryParam): SqliteValue {
  if (parameter === undefined) return null
  if (parameter === true) return 1
  if (parameter === false) return 0
  return parameter
}

/** Rows as objects. The caller says what a row looks like; nothing checks it. */
export function toRecords<T>(result: Pick<StatementResult, 'columns' | 'rows'>): T[] {
  const { columns, rows } = result
  return rows.map((row) => {
    const record: Record<string, SqliteValue> = {}
    for (let index = 0; index < columns.length; index++) record[columns[index] ?? ''] = row[index] ?? null
    return record as T
  })
}

export function toQueryResult<T>(result: StatementResult): QueryResult<T> {
  const array = toRecords<T>(result)
  return {
    insertId: result.lastInsertRowId,
    rowsAffected: result.changes,
    rows: { length: array.length, _array: array, item: (index) => array[index] as T },
    array,
    [Symbol.iterator]: () => array[Symbol.iterator](),
  }
}

export function toRawQueryResult(result: StatementResult): RawQueryResult {
  return {
    insertId: result.lastInsertRowId,
    rowsAffected: result.changes,
    columnNames: result.columns,
    rawRows: result.rows,
  }
}
