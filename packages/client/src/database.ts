import { HeadwaterError } from '@headwater/protocol'
import type { JsonObject } from '@headwater/protocol'
import { systemClock } from './clock.ts'
import type { BackendConnector, SyncOptions, UploadSource } from './connector.ts'
import type {
  CloseOptions,
  DatabaseListener,
  DatabaseParts,
  DisconnectAndClearOptions,
  WaitForFirstSyncOptions,
} from './database-options.ts'
import { createConsoleLogger, sturdyLogger } from './logger.ts'
import type { Logger } from './logger.ts'
import { applySchema } from './schema/migrate.ts'
import type { Schema } from './schema/schema.ts'
import type { QueryParam, QueryResult, RawQueryResult, SqliteRecord } from './sqlite/query-result.ts'
import type { LockContext, Transaction } from './sqlite/session.ts'
import { SqlDatabase } from './sqlite/sql-database.ts'
import { clearStore } from './store/clear.ts'
import { readClientId } from './store/client-id.ts'
import { prepareLayout } from './store/layout.ts'
import { SyncController } from './sync/sync-controller.ts'
import type { SyncStatus } from './sync/status.ts'
import type { SyncStream } from './sync/sync-stream.ts'
import type { CrudBatch, CrudTransaction, UploadQueueStats } from './upload/crud.ts'
import { DEFAULT_CRUD_BATCH_LIMIT, UploadQueue } from './upload/queue.ts'
import { ChangeFeed } from './watch/change-feed.ts'
import { Listeners } from './watch/listeners.ts'
import { onChangeEvents, onChangeWithCallback } from './watch/on-change.ts'
import type { SQLOnChangeOptions, WatchOnChangeEvent, WatchOnChangeHandler } from './watch/on-change.ts'
import { createQuery } from './watch/query.ts'
import type { Query } from './watch/query.ts'
import { watchResults, watchWithCallback } from './watch/watch.ts'
import type { SQLWatchOptions, WatchHandler, WatchSource } from './watch/watch.ts'
import type { QueryDefinition } from './watch/watched-query.ts'

/** A local SQLite database that stays in sync. Opening starts at once; every method waits for it. */
export class HeadwaterDatabase<S extends Schema = Schema> implements UploadSource {
  readonly logger: Logger
  readonly #parts: DatabaseParts<S>
  readonly #changes = new ChangeFeed()
  readonly #listeners = new Listeners<DatabaseListener>()
  readonly #sql: SqlDatabase
  readonly #queue: UploadQueue
  readonly #sync: SyncController
  readonly #opened: Promise<void>
  readonly #openQueries = new Set<{ close(): Promise<void> }>()
  #schema: Schema
  #life: 'opening' | 'ready' | 'closed' = 'opening'
  #closing: Promise<void> | undefined
  #clientId: string | undefined

  constructor(parts: DatabaseParts<S>) {
    if (typeof parts.schema?.toJSON !== 'function') {
      throw new HeadwaterError('schema-invalid', 'Cannot open a database: the option "schema" must be a Schema')
    }
    this.#parts = parts
    this.#schema = parts.schema
    this.logger = parts.logger ?? createConsoleLogger()
    this.#sql = new SqlDatabase(parts.driver, this.#changes.announce)
    this.#queue = new UploadQueue(this.#sql)
    this.#sync = new SyncController({
      sql: this.#sql,
      changes: this.#changes,
      logger: sturdyLogger(this.logger),
      fetch: parts.fetch ?? ((...args) => fetch(...args)),
      clock: parts.clock ?? systemClock,
      random: parts.random ?? Math.random,
      userAgent: parts.userAgent,
      listenForWakeUps: parts.listenForWakeUps,
      readSchema: () => this.#schema,
      onStatus: (status) => this.#listeners.each((listener) => listener.statusChanged?.(status)),
    })
    this.#opened = this.#open()
    // Who waits for it is told; nobody waiting is no reason to crash.
    this.#opened.catch(() => undefined)
  }

  get schema(): Schema {
    return this.#schema
  }
  get ready(): boolean {
    return this.#life === 'ready'
  }
  get closed(): boolean {
    return this.#life === 'closed'
  }
  get connected(): boolean {
    return this.currentStatus.connected
  }
  get connecting(): boolean {
    return this.currentStatus.connecting
  }
  get currentStatus(): SyncStatus {
    return this.#sync.status
  }

  /** Resolves when the database is open; rejects with the reason when it cannot be. */
  init(): Promise<void> {
    return this.#opened
  }
  waitForReady(): Promise<void> {
    return this.#opened
  }

  registerListener(listener: DatabaseListener): () => void {
    return this.#listeners.add(listener)
  }

  async getClientId(): Promise<string> {
    await this.#usable()
    this.#clientId ??= await readClientId(this.#sql)
    return this.#clientId
  }

  /** Starts syncing. Resolves when the first attempt has succeeded or failed; never throws for trouble with the network. */
  async connect(connector: BackendConnector<this>, options: SyncOptions = {}): Promise<void> {
    await this.#usable()
    await this.#sync.connect(
      { fetchCredentials: () => connector.fetchCredentials(), uploadData: () => connector.uploadData(this) },
      options,
    )
  }

  async disconnect(): Promise<void> {
    await this.#opened
    await this.#sync.disconnect()
  }

  /** For signing out: stops syncing and deletes all synced data and the queue. */
  async disconnectAndClear(options: DisconnectAndClearOptions = {}): Promise<void> {
    await this.#usable()
    await this.#sync.disconnect()
    await clearStore(this.#sql, this.#schema, options)
    await this.#sync.reloadStatus()
  }

  /** Further calls wait for the first one. */
  close(_options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#opened.catch(() => undefined)
    this.#listeners.each((listener) => listener.closing?.())
    await this.#sync.disconnect()
    for (const query of this.#openQueries) await query.close()
    this.#life = 'closed'
    await this.#sql.close(closedError())
    this.#listeners.each((listener) => listener.closed?.())
  }

  async updateSchema(schema: Schema): Promise<void> {
    await this.#usable()
    if (this.connected || this.connecting) {
      throw new HeadwaterError('schema-busy', 'Cannot update schema while connected')
    }
    schema.validate()
    await this.#sql.writeLock(async (session) => {
      await applySchema(session, schema)
      this.#sql.forgetEffects()
      this.#schema = schema
    })
    this.#listeners.each((listener) => listener.schemaChanged?.(schema))
  }

  /** Resolves, also when `signal` aborts. */
  async waitForFirstSync(request: AbortSignal | WaitForFirstSyncOptions = {}): Promise<void> {
    const { signal, priority } = request instanceof AbortSignal ? { signal: request, priority: undefined } : request
    await this.waitForStatus(
      (status) => (priority === undefined ? status.hasSynced === true : status.statusForPriority(priority).hasSynced),
      signal,
    )
  }

  async waitForStatus(predicate: (status: SyncStatus) => boolean, signal?: AbortSignal): Promise<void> {
    await this.#usable()
    await this.#sync.waitForStatus(predicate, signal)
  }

  async execute<T = SqliteRecord>(sql: string, parameters: readonly QueryParam[] = []): Promise<QueryResult<T>> {
    await this.#usable()
    return this.#sql.writeContext((context) => context.execute<T>(sql, parameters))
  }
  async executeRaw(sql: string, parameters: readonly QueryParam[] = []): Promise<RawQueryResult> {
    await this.#usable()
    return this.#sql.writeContext((context) => context.executeRaw(sql, parameters))
  }
  async executeBatch(sql: string, sets: readonly (readonly QueryParam[])[] = []): Promise<QueryResult<never>> {
    await this.#usable()
    return this.#sql.writeContext((context) => context.executeBatch(sql, sets))
  }
  async getAll<T = SqliteRecord>(sql: string, parameters: readonly QueryParam[] = []): Promise<T[]> {
    await this.#usable()
    return this.#sql.readLock((context) => context.getAll<T>(sql, parameters))
  }
  async getOptional<T = SqliteRecord>(sql: string, parameters: readonly QueryParam[] = []): Promise<T | null> {
    await this.#usable()
    return this.#sql.readLock((context) => context.getOptional<T>(sql, parameters))
  }
  async get<T = SqliteRecord>(sql: string, parameters: readonly QueryParam[] = []): Promise<T> {
    await this.#usable()
    return this.#sql.readLock((context) => context.get<T>(sql, parameters))
  }

  async readLock<T>(work: (context: LockContext) => Promise<T>, lock?: { readonly timeoutMs?: number }): Promise<T> {
    await this.#usable()
    return this.#sql.readLock(work, lock?.timeoutMs)
  }
  async writeLock<T>(work: (context: LockContext) => Promise<T>, lock?: { readonly timeoutMs?: number }): Promise<T> {
    await this.#usable()
    return this.#sql.writeContext(work, lock?.timeoutMs)
  }
  async readTransaction<T>(work: (transaction: Transaction) => Promise<T>, lockTimeoutMs?: number): Promise<T> {
    await this.#usable()
    return this.#sql.readTransaction(work, lockTimeoutMs)
  }
  /** Commits when `work` resolves, rolls back when it throws. */
  async writeTransaction<T>(work: (transaction: Transaction) => Promise<T>, lockTimeoutMs?: number): Promise<T> {
    await this.#usable()
    return this.#sql.writeTransaction(work, lockTimeoutMs)
  }

  onChange(options?: SQLOnChangeOptions): AsyncIterableIterator<WatchOnChangeEvent>
  onChange(handler: WatchOnChangeHandler, options?: SQLOnChangeOptions): () => void
  onChange(
    first?: WatchOnChangeHandler | SQLOnChangeOptions,
    options?: SQLOnChangeOptions,
  ): AsyncIterableIterator<WatchOnChangeEvent> | (() => void) {
    if (first !== undefined && 'onChange' in first) return this.onChangeWithCallback(first, options)
    return this.onChangeWithAsyncGenerator(first)
  }
  onChangeWithCallback(handler: WatchOnChangeHandler, options?: SQLOnChangeOptions): () => void {
    return onChangeWithCallback(this.#watchSource, handler, options)
  }
  onChangeWithAsyncGenerator(options?: SQLOnChangeOptions): AsyncIterableIterator<WatchOnChangeEvent> {
    return onChangeEvents(this.#watchSource, options)
  }

  /** The result now and after each change that concerns it: as an async iterable, or to a handler. */
  watch(sql: string, parameters?: readonly QueryParam[], options?: SQLWatchOptions): AsyncIterableIterator<QueryResult>
  watch(
    sql: string,
    parameters: readonly QueryParam[] | undefined,
    handler: WatchHandler,
    options?: SQLWatchOptions,
  ): () => void
  watch(
    sql: string,
    parameters: readonly QueryParam[] = [],
    third?: WatchHandler | SQLWatchOptions,
    options?: SQLWatchOptions,
  ): AsyncIterableIterator<QueryResult> | (() => void) {
    if (third !== undefined && 'onResult' in third) return this.watchWithCallback(sql, parameters, third, options)
    return this.watchWithAsyncGenerator(sql, parameters, third)
  }
  /** Returns the function that stops it. */
  watchWithCallback(
    sql: string,
    parameters: readonly QueryParam[] = [],
    handler: WatchHandler,
    options?: SQLWatchOptions,
  ): () => void {
    return watchWithCallback(this.#watchSource, { sql, parameters }, handler, options)
  }
  watchWithAsyncGenerator(
    sql: string,
    parameters: readonly QueryParam[] = [],
    options?: SQLWatchOptions,
  ): AsyncIterableIterator<QueryResult> {
    return watchResults(this.#watchSource, { sql, parameters }, options)
  }

  /** `query({ sql, parameters }).watch()` or `.differentialWatch()`. */
  query<Row = SqliteRecord>(definition: QueryDefinition<Row>): Query<Row> {
    return createQuery(this.#watchSource, this.#openQueries, definition)
  }

  /** Plain names of the tables that a statement reads. */
  async resolveTables(sql: string): Promise<string[]> {
    await this.#usable()
    return [...(await this.#sql.readEffects(sql)).reads]
  }

  async getUploadQueueStats(includeSize = false): Promise<UploadQueueStats> {
    await this.#usable()
    return this.#queue.readStats(includeSize)
  }
  async getCrudBatch(limit = DEFAULT_CRUD_BATCH_LIMIT): Promise<CrudBatch | null> {
    await this.#usable()
    return this.#queue.readBatch(limit)
  }
  async getNextCrudTransaction(): Promise<CrudTransaction | null> {
    await this.#usable()
    return this.#queue.readTransaction(-1)
  }
  async *getCrudTransactions(): AsyncIterableIterator<CrudTransaction> {
    await this.#usable()
    yield* this.#queue.readTransactions()
  }

  syncStream(name: string, parameters: JsonObject | null = null): SyncStream {
    return this.#sync.stream(name, parameters)
  }

  get #watchSource(): WatchSource {
    return {
      changes: this.#changes,
      logger: this.logger,
      run: (sql, parameters) => this.#runQuery(sql, parameters),
      resolveTables: (sql) => this.resolveTables(sql),
    }
  }

  async #runQuery<T>(sql: string, parameters: readonly QueryParam[]): Promise<QueryResult<T>> {
    await this.#usable()
    return this.#sql.readLock((context) => context.execute<T>(sql, parameters))
  }

  async #open(): Promise<void> {
    await this.#sql.open(prepareLayout)
    await this.#sql.writeLock((session) => applySchema(session, this.#parts.schema))
    this.#sql.forgetEffects()
    await this.#sync.reloadStatus()
    this.#life = 'ready'
    this.#listeners.each((listener) => listener.initialized?.())
  }

  async #usable(): Promise<void> {
    if (this.#life === 'closed') throw closedError()
    await this.#opened
  }
}

function closedError(): HeadwaterError {
  return new HeadwaterError('connection-closed', 'Cannot use the database, because it has been closed')
}
