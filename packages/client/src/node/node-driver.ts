import { existsSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { SQLInputValue, StatementSync } from 'node:sqlite'
import { HeadwaterError } from '@headwater/protocol'
import type { SqliteConnection, SqliteDriver, SqliteValue, StatementResult } from '../sqlite/driver.ts'
import { refuseSeveral } from '../sqlite/single-statement.ts'
import { SqliteError } from '../sqlite/sqlite-error.ts'

export type NodeDriverOptions = {
  /** Absolute, or relative to the working directory; `:memory:` for a database without a file. */
  readonly path: string
  readonly readersMax: number
  /** Called once for each connection before anyone uses it. */
  readonly initializeConnection?: ((connection: SqliteConnection, isWriter: boolean) => Promise<void>) | undefined
}

/** How long SQLite waits for another process that holds the file. */
const BUSY_TIMEOUT_MS = 5000
const CACHE_KIB = 51_200

/** Of new files. Larger than SQLite's own choice: a first download then costs a sixth less. */
const PAGE_BYTES = 8192

/** Write-ahead log of 32 MiB before it goes into the file: a first download writes each page once, not several times. */
const WAL_PAGES = 4000

/** Prepared statements kept per connection; the one used longest ago goes first. */
const STATEMENTS_MAX = 200

/** SQLite in this process, through Node's own binding. */
export function createNodeDriver(options: NodeDriverOptions): SqliteDriver {
  const { path } = options
  const inMemory = path === ':memory:'
  return {
    readersMax: inMemory ? 0 : options.readersMax,
    open: async (role) => {
      if (!inMemory && !existsSync(dirname(path))) {
        throw new HeadwaterError(
          'database-missing',
          `Cannot open ${JSON.stringify(path)}: the directory ${JSON.stringify(dirname(path))} does not exist. Create it first.`,
        )
      }
      const connection = connect(path, role)
      await options.initializeConnection?.(connection, role === 'writer')
      return connection
    },
    delete: () => {
      if (!inMemory) for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(path + suffix, { force: true })
      return Promise.resolve()
    },
  }
}

function connect(path: string, role: 'writer' | 'reader'): SqliteConnection {
  const database = translating(`open ${path}`, () => new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS }))
  database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
    PRAGMA wal_autocheckpoint = ${WAL_PAGES};
    PRAGMA temp_store = MEMORY; PRAGMA cache_size = -${CACHE_KIB}; PRAGMA recursive_triggers = OFF;
    PRAGMA query_only = ${role === 'reader' ? 1 : 0}`)
  for (const name of ['uuid', 'gen_random_uuid']) {
    database.function(name, { deterministic: false }, () => crypto.randomUUID())
  }
  const statements = new Statements(database)
  return {
    run: async (sql, parameters = []) => translating(sql, () => run(statements, sql, parameters)),
    runBatch: async (sql, sets) =>
      translating(sql, () => {
        const { statement } = statements.find(sql)
        let changes = 0
        for (const set of sets) changes += Number(statement.run(...set.map(toInput)).changes)
        return { changes }
      }),
    exec: async (script) => translating(script, () => database.exec(script)),
    close: async () => {
      if (database.isOpen) database.close()
    },
  }
}

type Prepared = { readonly statement: StatementSync; readonly writesAndReturns: boolean }

class Statements {
  readonly #database: DatabaseSync
  readonly #prepared = new Map<string, Prepared>()

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  find(sql: string): Prepared {
    const known = this.#prepared.get(sql)
    if (known !== undefined) {
      this.#prepared.delete(sql)
      this.#prepared.set(sql, known)
      return known
    }
    const statement = this.#database.prepare(sql)
    refuseSeveral(sql, statement.sourceSQL)
    statement.setReturnArrays(true)
    const writesAndReturns = /\breturning\b/i.test(sql)
    // A number out of range must not end a statement that has written already.
    statement.setReadBigInts(writesAndReturns)
    const prepared = { statement, writesAndReturns }
    this.#prepared.set(sql, prepared)
    const [oldest] = this.#prepared.keys()
    if (this.#prepared.size > STATEMENTS_MAX && oldest !== undefined) this.#prepared.delete(oldest)
    return prepared
  }
}

function run(statements: Statements, sql: string, parameters: readonly SqliteValue[]): StatementResult {
  const { statement, writesAndReturns } = statements.find(sql)
  const inputs = parameters.map(toInput)
  // Read again after it ran: a statement from before a schema change learns of new columns only then.
  const readColumns = () => statement.columns().map(({ name }) => name)
  if (statement.columns().length === 0) {
    const { changes, lastInsertRowid } = statement.run(...inputs)
    return { columns: [], rows: [], changes: Number(changes), lastInsertRowId: Number(lastInsertRowid) }
  }
  if (!writesAndReturns) {
    const rows = readRows(statement, inputs)
    return { columns: readColumns(), rows, changes: 0, lastInsertRowId: 0 }
  }
  const rows = narrow(allRows(statement, inputs))
  const [counts] = allRows(statements.find('SELECT changes(), last_insert_rowid()').statement, [])
  return { columns: readColumns(), rows, changes: Number(counts?.[0]), lastInsertRowId: Number(counts?.[1]) }
}

/** Reads numbers as numbers; only when one does not fit, again with all integers as bigint. */
function readRows(statement: StatementSync, inputs: readonly SQLInputValue[]): SqliteValue[][] {
  try {
    return allRows(statement, inputs)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_OUT_OF_RANGE')) throw error
    statement.setReadBigInts(true)
    try {
      return narrow(allRows(statement, inputs))
    } finally {
      statement.setReadBigInts(false)
    }
  }
}

/** Arrays, because `setReturnArrays` is on; the binding's types do not know. */
function allRows(statement: StatementSync, inputs: readonly SQLInputValue[]): SqliteValue[][] {
  return statement.all(...inputs) as unknown as SqliteValue[][]
}

function narrow(rows: SqliteValue[][]): SqliteValue[][] {
  return rows.map((row) =>
    row.map((value) => {
      if (typeof value !== 'bigint') return value
      const asNumber = Number(value)
      return Number.isSafeInteger(asNumber) ? asNumber : value
    }),
  )
}

/** The binding takes every number for a REAL; whole ones must go in as integers, or TEXT columns would get `5.0`. */
function toInput(value: SqliteValue): SQLInputValue {
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value
}

function translating<T>(sql: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && typeof error.errcode === 'number') {
      throw new SqliteError(`${error.message} (in: ${sql.trim().slice(0, 200)})`, error.errcode, { cause: error })
    }
    throw error
  }
}
