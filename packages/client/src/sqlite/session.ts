import { HeadwaterError } from '@headwater/protocol'
import type { SqliteConnection, SqliteValue, StatementResult } from './driver.ts'
import { toQueryResult, toRawQueryResult, toRecords, toSqliteValue } from './query-result.ts'
import type { QueryParam, QueryResult, RawQueryResult, SqliteRecord } from './query-result.ts'
import type { EffectsReader } from './statement-effects.ts'

/** SQL on one connection that nobody else uses meanwhile. */
export interface LockContext {
  readonly execute: <T = SqliteRecord>(sql: string, parameters?: readonly QueryParam[]) => Promise<QueryResult<T>>
  readonly executeRaw: (sql: string, parameters?: readonly QueryParam[]) => Promise<RawQueryResult>
  /** One statement, many sets of parameters, all or nothing. */
  readonly executeBatch: (sql: string, sets?: readonly (readonly QueryParam[])[]) => Promise<QueryResult<never>>
  readonly getAll: <T = SqliteRecord>(sql: string, parameters?: readonly QueryParam[]) => Promise<T[]>
  readonly getOptional: <T = SqliteRecord>(sql: string, parameters?: readonly QueryParam[]) => Promise<T | null>
  /** Throws `result-empty` when there is no row. */
  readonly get: <T = SqliteRecord>(sql: string, parameters?: readonly QueryParam[]) => Promise<T>
}

export interface Transaction extends LockContext {
  /** Ends the transaction early. Further calls do nothing; further statements fail. */
  readonly commit: () => Promise<void>
  readonly rollback: () => Promise<void>
}

/** One run of a statement, or one statement for many sets of parameters. */
type Runner = {
  readonly run: (sql: string, parameters: readonly SqliteValue[]) => Promise<StatementResult>
  readonly runBatch: (sql: string, sets: readonly (readonly SqliteValue[])[]) => Promise<{ readonly changes: number }>
}

export function lockContext(runner: Runner): LockContext {
  const run = (sql: string, parameters: readonly QueryParam[] = []) => runner.run(sql, parameters.map(toSqliteValue))
  return {
    execute: async (sql, parameters) => toQueryResult(await run(sql, parameters)),
    executeRaw: async (sql, parameters) => toRawQueryResult(await run(sql, parameters)),
    executeBatch: async (sql, sets = []) => {
      const { changes } = await runner.runBatch(
        sql,
        sets.map((set) => set.map(toSqliteValue)),
      )
      return toQueryResult({ columns: [], rows: [], changes, lastInsertRowId: 0 })
    },
    getAll: async (sql, parameters) => toRecords(await run(sql, parameters)),
    getOptional: async <T>(sql: string, parameters?: readonly QueryParam[]) =>
      toRecords<T>(await run(sql, parameters))[0] ?? null,
    get: async <T>(sql: string, parameters?: readonly QueryParam[]) => {
      const [first] = toRecords<T>(await run(sql, parameters))
      if (first === undefined) throw new HeadwaterError('result-empty', 'Result set is empty')
      return first
    },
  }
}

/** Told as changed when tables, views or indexes come or go. */
export const SCHEMA_TABLE = 'sqlite_schema'

/** Statements that SQLite refuses inside a transaction, or that open and close one. */
export const PASSED_THROUGH =
  /^(?:[\s;]|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(vacuum|pragma|attach|detach|begin|commit|end|rollback|savepoint|release)\b/i

/**
 * Starts a write unit. Rows captured in it get a transaction id of their own: the last one is dropped here, at the
 * start, so that a crash cannot leave it behind.
 */
const BEGIN_WRITE = `BEGIN IMMEDIATE;
  UPDATE ps_tx SET current_tx = NULL WHERE id = 1 AND current_tx IS NOT NULL`

export type WriteSessionParts = {
  readonly connection: SqliteConnection
  readonly effects: EffectsReader
  /** Called after each commit with the names of the changed tables. */
  readonly announce: (tables: ReadonlySet<string>) => void
}

/** The writer's side of SQL: wraps writes in transactions and notes which tables they changed. */
export class WriteSession {
  readonly #parts: WriteSessionParts
  #changed = new Set<string>()
  #inTransaction = false

  constructor(parts: WriteSessionParts) {
    this.#parts = parts
  }

  /** For statements of our own, whose effects are known: nothing is wrapped, noted or told. */
  get connection(): SqliteConnection {
    return this.#parts.connection
  }

  /** For use outside a transaction: each writing statement is a transaction of its own. */
  readonly run = async (sql: string, parameters: readonly SqliteValue[]): Promise<StatementResult> => {
    const { connection, effects } = this.#parts
    const passed = PASSED_THROUGH.exec(sql)?.[1]?.toLowerCase()
    if (passed !== undefined) return this.#passThrough(passed, sql, parameters)
    if (this.#inTransaction) return this.#runNoting(sql, parameters)
    const { writes, changesSchema } = await effects.read(connection, sql)
    if (writes.length === 0 && !changesSchema) return connection.run(sql, parameters)
    return this.transaction(() => this.#runNoting(sql, parameters))
  }

  readonly runBatch = async (
    sql: string,
    sets: readonly (readonly SqliteValue[])[],
  ): Promise<{ readonly changes: number }> => {
    const runAll = async () => {
      const { connection, effects } = this.#parts
      const { writes, writesInTriggersOnly } = await effects.read(connection, sql)
      const result = await connection.runBatch(sql, sets)
      if (result.changes > 0 || writesInTriggersOnly) this.note(writes)
      return result
    }
    return this.#inTransaction ? runAll() : this.transaction(runAll)
  }

  /** Commits when `work` resolves, rolls back when it throws; its error passes through. */
  async transaction<T>(work: () => Promise<T>): Promise<T> {
    await this.begin()
    try {
      const result = await work()
      await this.commit()
      return result
    } catch (error) {
      await this.rollback()
      throw error
    }
  }

  async begin(): Promise<void> {
    await this.#parts.connection.exec(BEGIN_WRITE)
    this.#inTransaction = true
  }

  async commit(): Promise<void> {
    if (!this.#inTransaction) return
    await this.#parts.connection.exec('COMMIT')
    this.#inTransaction = false
    this.#announce()
  }

  async rollback(): Promise<void> {
    if (!this.#inTransaction) return
    this.#inTransaction = false
    this.#changed = new Set()
    // After some errors SQLite has rolled back by itself; then there is nothing left to do.
    await this.#parts.connection.exec('ROLLBACK').catch(() => undefined)
    this.#parts.effects.forget()
  }

  get inTransaction(): boolean {
    return this.#inTransaction
  }

  /** Says that these tables change with the current transaction. */
  note(tables: Iterable<string>): void {
    for (const table of tables) this.#changed.add(table)
  }

  async #runNoting(sql: string, parameters: readonly SqliteValue[]): Promise<StatementResult> {
    const { connection, effects } = this.#parts
    const { writes, writesInTriggersOnly, changesSchema } = await effects.read(connection, sql)
    const result = await connection.run(sql, parameters)
    if (result.changes > 0 || writesInTriggersOnly || changesSchema) this.note(writes)
    if (changesSchema) {
      effects.forget()
      this.note([SCHEMA_TABLE])
    }
    return result
  }

  async #passThrough(keyword: string, sql: string, parameters: readonly SqliteValue[]): Promise<StatementResult> {
    if (keyword === 'savepoint' && !this.#inTransaction) {
      // It would open a transaction that nobody ends.
      const message = 'Cannot set a savepoint, because no transaction is open: use writeTransaction()'
      throw new HeadwaterError('transaction-ended', message)
    }
    const result = await this.#parts.connection.run(sql, parameters)
    if (keyword === 'begin') {
      this.#inTransaction = true
      await this.#parts.connection.run('UPDATE ps_tx SET current_tx = NULL WHERE id = 1 AND current_tx IS NOT NULL')
    }
    if (keyword === 'commit' || keyword === 'end') {
      this.#inTransaction = false
      this.#announce()
    }
    if (keyword === 'rollback' && !/\bto\b/i.test(sql)) {
      this.#inTransaction = false
      this.#changed = new Set()
    }
    return result
  }

  #announce(): void {
    if (this.#changed.size === 0) return
    const changed = this.#changed
    this.#changed = new Set()
    this.#parts.announce(changed)
  }
}
