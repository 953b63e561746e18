import { HeadwaterError } from '@headwater/protocol'
import type { SqliteConnection, SqliteDriver } from './driver.ts'
import { lockContext, PASSED_THROUGH, WriteSession } from './session.ts'
import type { LockContext, Transaction } from './session.ts'
import { EffectsReader } from './statement-effects.ts'
import type { StatementEffects } from './statement-effects.ts'
import { SqliteError } from './sqlite-error.ts'
import { WaitingLine } from './waiting-line.ts'

export const DEFAULT_LOCK_TIMEOUT_MS = 120_000

const SQLITE_READONLY = 8

/** One file, one writer and several readers: who may use which connection, and when. */
export class SqlDatabase {
  readonly #driver: SqliteDriver
  readonly #announce: (tables: ReadonlySet<string>) => void
  readonly #writers = new WaitingLine<SqliteConnection>()
  readonly #readers = new WaitingLine<SqliteConnection>()
  readonly #effects = new EffectsReader()
  readonly #open: SqliteConnection[] = []
  #readersOpen = 0

  constructor(driver: SqliteDriver, announce: (tables: ReadonlySet<string>) => void) {
    this.#driver = driver
    this.#announce = announce
  }

  /** `prepare` runs on the writer before anyone else gets it. */
  async open(prepare: (connection: SqliteConnection) => Promise<void>): Promise<void> {
    const writer = await this.#driver.open('writer')
    try {
      await prepare(writer)
    } catch (error) {
      // Nobody will ever use it, so nobody has to wait for it at the end.
      await writer.close().catch(() => undefined)
      throw error
    }
    this.#open.push(writer)
    writer.whenReopened?.(prepare)
    this.#writers.add(writer)
  }

  /** The writer, without a transaction: each writing statement is one of its own. */
  writeLock<T>(work: (session: WriteSession) => Promise<T>, timeoutMs = DEFAULT_LOCK_TIMEOUT_MS): Promise<T> {
    return this.#writers.use('write lock', timeoutMs, async (connection) => {
      const session = new WriteSession({ connection, effects: this.#effects, announce: this.#announce })
      try {
        return await work(session)
      } finally {
        await session.rollback()
      }
    })
  }

  writeContext<T>(work: (context: LockContext) => Promise<T>, timeoutMs?: number): Promise<T> {
    return this.writeLock((session) => work(lockContext(session)), timeoutMs)
  }

  writeTransaction<T>(work: (transaction: Transaction) => Promise<T>, timeoutMs?: number): Promise<T> {
    return this.writeLock(
      (session) =>
        session.transaction(() => {
          return work({ ...endable(session), commit: () => session.commit(), rollback: () => session.rollback() })
        }),
      timeoutMs,
    )
  }

  readLock<T>(work: (context: LockContext) => Promise<T>, timeoutMs = DEFAULT_LOCK_TIMEOUT_MS): Promise<T> {
    if (this.#driver.readersMax === 0) {
      return this.#writers.use('read lock', timeoutMs, (connection) => work(this.#sharedReadContext(connection)))
    }
    return this.#withReader(timeoutMs, (connection) => work(readContext(connection)))
  }

  readTransaction<T>(work: (transaction: Transaction) => Promise<T>, timeoutMs?: number): Promise<T> {
    return this.readLock(async (context) => {
      let open = true
      const end = async () => {
        if (!open) return
        open = false
        await context.execute('ROLLBACK')
      }
      await context.execute('BEGIN')
      try {
        return await work({ ...context, commit: end, rollback: end })
      } finally {
        await end()
      }
    }, timeoutMs)
  }

  /** Which tables a statement reads and writes. */
  readEffects(sql: string): Promise<StatementEffects> {
    return this.#writers.use('write lock', DEFAULT_LOCK_TIMEOUT_MS, (connection) => this.#effects.read(connection, sql))
  }

  forgetEffects(): void {
    this.#effects.forget()
  }

  /** Waits for who holds or awaits a connection, then closes all. */
  async close(reason: Error): Promise<void> {
    const isOpen = this.#open.length > 0
    const writerFree = isOpen ? this.#writers.use('write lock', DEFAULT_LOCK_TIMEOUT_MS, nothing) : nothing()
    this.#writers.close(reason)
    this.#readers.close(reason)
    await writerFree
    for (const connection of this.#open.splice(0).reverse()) await connection.close()
  }

  /** Reading on the writer's connection: nothing but the plan of a statement tells whether it writes. */
  #sharedReadContext(connection: SqliteConnection): LockContext {
    const check = async (sql: string) => {
      if (PASSED_THROUGH.test(sql)) return
      const { writes, changesSchema } = await this.#effects.read(connection, sql)
      if (writes.length > 0 || changesSchema) throw readOnly()
    }
    return lockContext({
      run: async (sql, parameters) => {
        await check(sql)
        return connection.run(sql, parameters)
      },
      runBatch: async (sql, sets) => {
        await check(sql)
        return connection.runBatch(sql, sets)
      },
    })
  }

  async #withReader<T>(timeoutMs: number, work: (connection: SqliteConnection) => Promise<T>): Promise<T> {
    if (this.#readersOpen < this.#driver.readersMax) {
      await this.#addReader()
    }
    return this.#readers.use('read lock', timeoutMs, work)
  }

  async #addReader(): Promise<void> {
    this.#readersOpen += 1
    try {
      const opened = await this.#driver.open('reader')
      this.#open.push(opened)
      this.#readers.add(opened)
    } catch (error) {
      this.#readersOpen -= 1
      throw error
    }
  }
}

function readContext(connection: SqliteConnection): LockContext {
  return lockContext({
    run: (sql, parameters) => connection.run(sql, parameters).catch(explainReadOnly),
    runBatch: (sql, sets) => connection.runBatch(sql, sets).catch(explainReadOnly),
  })
}

function explainReadOnly(error: unknown): never {
  if (error instanceof SqliteError && (error.resultCode & 0xff) === SQLITE_READONLY) throw readOnly(error)
  throw error
}

function readOnly(cause?: SqliteError): HeadwaterError {
  const message = 'Cannot write here, because this is for reading: use execute() or writeTransaction()'
  return new HeadwaterError('read-only', message, { cause })
}

/** Statements after the end of a transaction fail, rather than run in a transaction nobody asked for. */
function endable(session: WriteSession): LockContext {
  const check = () => {
    if (!session.inTransaction) {
      throw new HeadwaterError('transaction-ended', 'Cannot run a statement, because its transaction has ended')
    }
  }
  return lockContext({
    run: async (sql, parameters) => {
      check()
      return session.run(sql, parameters)
    },
    runBatch: async (sql, sets) => {
      check()
      return session.runBatch(sql, sets)
    },
  })
}

function nothing(): Promise<void> {
  return Promise.resolve()
}
