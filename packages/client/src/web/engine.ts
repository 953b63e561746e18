import type { Database, PreparedStatement, Sqlite3Static } from '@sqlite.org/sqlite-wasm'
import type { SqliteValue, StatementResult } from '../sqlite/driver.ts'
import { refuseSeveral } from '../sqlite/single-statement.ts'
import { randomUuid } from '../random-uuid.ts'

/** Statements kept ready. Preparing one costs more than running it; the sync loop and a page of queries fit. */
const PREPARED_MAX = 128

/** Only these are kept ready: a PRAGMA may take effect while it is prepared, and would do so only once. */
const KEPT_READY = /^\s*(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b/i

/** One open database, used synchronously inside its worker. */
export type Engine = {
  readonly run: (sql: string, parameters: readonly SqliteValue[]) => StatementResult
  readonly runBatch: (sql: string, sets: readonly (readonly SqliteValue[])[]) => StatementResult
  readonly exec: (script: string) => void
  readonly inTransaction: () => boolean
  /** Rolls back what is open, then closes. */
  readonly close: () => void
}

/** Takes `database` over: it is closed through the engine. Errors are thrown as the engine's `SQLite3Error`. */
export function createEngine(sqlite3: Sqlite3Static, database: Database): Engine {
  const { capi } = sqlite3
  const prepared = new Map<string, PreparedStatement>()
  for (const name of ['uuid', 'gen_random_uuid']) {
    database.createFunction(name, randomUuid, { arity: 0, innocuous: true })
  }

  const prepare = (sql: string): PreparedStatement => {
    const statement = database.prepare(sql)
    try {
      refuseSeveral(sql, capi.sqlite3_sql(statement) ?? sql)
      return statement
    } catch (error) {
      statement.finalize()
      throw error
    }
  }

  const find = (sql: string): PreparedStatement => {
    const found = prepared.get(sql)
    if (found === undefined) return prepare(sql)
    prepared.delete(sql)
    return found
  }

  const putBack = (sql: string, statement: PreparedStatement): void => {
    statement.resetNoThrow(true)
    if (!KEPT_READY.test(sql)) {
      statement.finalize()
      return
    }
    prepared.set(sql, statement)
    const [oldest] = prepared
    if (prepared.size > PREPARED_MAX && oldest !== undefined) {
      prepared.delete(oldest[0])
      oldest[1].finalize()
    }
  }

  const runSets = (sql: string, sets: readonly (readonly SqliteValue[])[]): StatementResult => {
    const statement = find(sql)
    const rows: SqliteValue[][] = []
    let columns: string[] = []
    let changes = 0
    try {
      for (const parameters of sets) {
        bindAll(sqlite3, statement, parameters)
        const totalBefore = capi.sqlite3_total_changes64(database)
        while (statement.step()) rows.push(readRow(statement))
        if (columns.length === 0 && statement.columnCount > 0) columns = statement.getColumnNames()
        // A statement that changed nothing leaves the count of the one before it in place.
        if (capi.sqlite3_total_changes64(database) !== totalBefore) changes += Number(capi.sqlite3_changes64(database))
        statement.resetNoThrow()
      }
      return { columns, rows, changes, lastInsertRowId: Number(capi.sqlite3_last_insert_rowid(database)) }
    } finally {
      putBack(sql, statement)
    }
  }

  return {
    run: (sql, parameters) => runSets(sql, [parameters]),
    runBatch: runSets,
    exec: (script) => {
      // The engine takes an empty text for a mistake.
      if (script.trim() !== '') database.exec(script)
    },
    inTransaction: () => capi.sqlite3_get_autocommit(database) === 0,
    close: () => {
      for (const statement of prepared.values()) statement.finalize()
      prepared.clear()
      if (capi.sqlite3_get_autocommit(database) === 0) database.exec('ROLLBACK')
      database.close()
    },
  }
}

function bindAll(sqlite3: Sqlite3Static, statement: PreparedStatement, parameters: readonly SqliteValue[]): void {
  for (const [index, value] of parameters.entries()) {
    // The engine would bind any whole number as a 64-bit integer, and 1e300 is a whole number.
    if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
      sqlite3.capi.sqlite3_bind_double(statement, index + 1, value)
    } else {
      statement.bind(index + 1, value)
    }
  }
}

/** Integers beyond ±2^53 arrive as bigint. Bytes are copied out of the engine's memory, so a row outlives its statement. */
function readRow(statement: PreparedStatement): SqliteValue[] {
  return statement.get([]).map((value) => {
    if (value instanceof Int8Array || value instanceof ArrayBuffer) {
      throw new TypeError('Cannot read a column: expected bytes as Uint8Array')
    }
    return value
  })
}
