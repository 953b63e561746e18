/** What SQLite gives and takes. Integers beyond ±2^53 come back as bigint, never rounded. */
export type SqliteValue = null | number | bigint | string | Uint8Array

export type StatementResult = {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly SqliteValue[])[]
  /** Rows inserted, updated or deleted by this statement itself, triggers not counted. */
  readonly changes: number
  readonly lastInsertRowId: number
}

/**
 * One connection. Statements run one after the other, in the order of the calls. Errors of SQLite arrive as
 * `SqliteError` with its extended result code.
 */
export interface SqliteConnection {
  readonly run: (sql: string, parameters?: readonly SqliteValue[]) => Promise<StatementResult>
  /** The same statement once for each set. */
  readonly runBatch: (sql: string, sets: readonly (readonly SqliteValue[])[]) => Promise<{ readonly changes: number }>
  /** Several statements in one text, without parameters. */
  readonly exec: (script: string) => Promise<void>
  /**
   * Only of connections that open the file anew by themselves, after a worker died or a page came back: takes what must
   * then run before any other statement, since temporary tables and settings are gone.
   */
  readonly whenReopened?: (prepare: (connection: SqliteConnection) => Promise<void>) => void
  readonly close: () => Promise<void>
}

/** Opens connections to one database file. The writer is opened first, and once. */
export interface SqliteDriver {
  readonly open: (role: 'writer' | 'reader') => Promise<SqliteConnection>
  /** How many readers may be open beside the writer; 0 when reads must share the writer's connection. */
  readonly readersMax: number
  readonly delete: () => Promise<void>
}
