/**
 * The official clients behind one set of calls, so that every release of them, in Node and in a browser, runs the same
 * tests. Everything that goes in and out is plain JSON, as a page is reached through a pipe.
 */

/** What a test does with an official client. */
export type Device = {
  readonly connect: (userId: string, options?: ConnectOptions) => Promise<void>
  readonly disconnect: () => Promise<void>
  readonly disconnectAndClear: () => Promise<void>
  readonly readRows: (sql: string) => Promise<readonly object[]>
  /** In one transaction. */
  readonly write: (statements: readonly string[]) => Promise<void>
  /** Waits until the query gives these rows, as JSON; gives what was seen last when they do not come. */
  readonly awaitRows: (sql: string, wanted: string, patienceMs: number) => Promise<string>
  /** Keeps from now on what the query gives after each change. */
  readonly follow: (sql: string) => Promise<void>
  /** What was kept, as JSON, without repetitions. */
  readonly readFollowed: () => Promise<readonly string[]>
  /** Waits until a whole checkpoint has come, or the part of it up to a priority. */
  readonly awaitFirstSync: (priority?: Priority) => Promise<void>
  readonly subscribe: (stream: string, parameters: StreamParameters, priority?: Priority) => Promise<void>
  readonly unsubscribe: (stream: string, parameters: StreamParameters) => Promise<void>
  /** Each that was told, without repetitions. */
  readonly readStatuses: () => Promise<readonly Status[]>
  /** What the client wrote into its log. */
  readonly readSaid: () => Promise<readonly string[]>
  readonly close: () => Promise<void>
}

export type StreamParameters = Readonly<Record<string, string>>
export type Priority = 0 | 1 | 2 | 3

export type Status = {
  readonly isConnected: boolean
  readonly hasSynced: boolean
  /** Everything of priority 1; undefined where the client does not know priorities. */
  readonly hasSyncedUrgent: boolean | undefined
}

/** In the words of the official clients. */
export type ConnectOptions = {
  readonly connectionMethod?: 'http' | 'web-socket'
  readonly fetchStrategy?: 'buffered' | 'sequential'
  readonly clientImplementation?: 'js' | 'rust'
  readonly checkpointMode?: 'legacy' | 'requests'
}

/** The server side of the app. */
export type App = {
  readonly fetchCredentials: (userId: string) => Promise<{ readonly endpoint: string; readonly token: string }>
  /** Rejects when the upload is not accepted. */
  readonly upload: (userId: string, body: object) => Promise<void>
}

/** Tables of the app. */
export const TABLES = {
  lists: { name: 'text', owner_id: 'text' },
  todos: { list_id: 'text', title: 'text', done: 'integer', weight: 'real' },
  items: { owner_id: 'text', body: 'text' },
} as const

/** What all releases have in common; the last ones are not in the oldest. */
export type OfficialDatabase = {
  connect(connector: Connector, options: object): Promise<void>
  disconnect(): Promise<void>
  disconnectAndClear(): Promise<void>
  close(): Promise<void>
  getAll(sql: string): Promise<object[]>
  writeTransaction(run: (transaction: { execute(sql: string): Promise<unknown> }) => Promise<void>): Promise<unknown>
  watch(sql: string, parameters: [], options: object): AsyncIterable<{ rows?: { readonly _array: object[] } }>
  registerListener(listener: { readonly statusChanged: (status: OfficialStatus) => void }): () => void
  getNextCrudTransaction(): Promise<CrudTransaction | null>
  waitForFirstSync(request?: { readonly priority: Priority }): Promise<void>
  getClientId?(): Promise<string>
  syncStream?(name: string, parameters: StreamParameters): OfficialStream
}

type OfficialStatus = {
  readonly connected: boolean
  readonly hasSynced?: boolean | undefined
  readonly lastSyncedAt?: Date | undefined
  statusForPriority?(priority: number): { readonly hasSynced?: boolean } | undefined
}

type OfficialStream = {
  subscribe(options: { readonly priority?: Priority }): Promise<unknown>
  unsubscribeAll(): Promise<void>
}

type CrudTransaction = {
  readonly crud: readonly { toJSON(): object }[]
  readonly transactionId?: number
  complete(): Promise<void>
}

type Connector = {
  readonly fetchCredentials: () => Promise<{ readonly endpoint: string; readonly token: string }>
  readonly uploadData: (db: Pick<OfficialDatabase, 'getNextCrudTransaction' | 'getClientId'>) => Promise<void>
}

/** A test waits for the next try. */
const SOON = { retryDelayMs: 200, crudUploadThrottleMs: 20 }

/** `said` is where the client's logger writes to. */
export function createDevice(db: OfficialDatabase, app: App, said: readonly string[]): Device {
  const statuses: Status[] = []
  const followed: string[] = []
  const closing = new AbortController()
  db.registerListener({ statusChanged: (status) => keepNew(statuses, readStatus(status)) })
  return {
    connect: (userId, options) => db.connect(createConnector(app, userId), { ...SOON, ...options }),
    disconnect: () => db.disconnect(),
    disconnectAndClear: () => db.disconnectAndClear(),
    readRows: (sql) => db.getAll(sql),
    write: async (statements) => {
      await db.writeTransaction(async (transaction) => {
        for (const statement of statements) await transaction.execute(statement)
      })
    },
    awaitRows: async (sql, wanted, patienceMs) => {
      const signal = AbortSignal.timeout(patienceMs)
      let seen = ''
      const look = async (): Promise<void> => {
        for await (const rows of watch(db, sql, signal)) {
          seen = rows
          if (seen === wanted) break
        }
      }
      // The oldest release does not stop watching before another change.
      const { promise: runOut, resolve } = Promise.withResolvers<void>()
      signal.addEventListener('abort', () => resolve())
      await Promise.race([look(), runOut])
      return seen
    },
    follow: (sql) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const follow = async (): Promise<void> => {
        for await (const rows of watch(db, sql, closing.signal)) {
          keepNew(followed, rows)
          resolve()
        }
      }
      follow().catch(reject)
      return promise
    },
    readFollowed: () => Promise.resolve(followed),
    awaitFirstSync: (priority) => db.waitForFirstSync(priority === undefined ? undefined : { priority }),
    subscribe: async (stream, parameters, priority) => {
      await streamOf(db, stream, parameters).subscribe(priority === undefined ? {} : { priority })
    },
    unsubscribe: (stream, parameters) => streamOf(db, stream, parameters).unsubscribeAll(),
    readStatuses: () => Promise.resolve(statuses),
    readSaid: () => Promise.resolve(said),
    close: async () => {
      closing.abort()
      await db.close()
    },
  }
}

/** What the client's logger calls, in the words of all releases. */
export function createOfficialLogger(said: string[]): object {
  const say = (...words: readonly unknown[]): void => void said.push(words.map(describe).join(' '))
  const silent = (): void => {}
  return {
    trace: say,
    debug: say,
    info: say,
    warn: say,
    error: say,
    time: silent,
    timeEnd: silent,
    setLevel: silent,
    log: (record: unknown) => say(record),
    getLevel: () => ({ value: 2, name: 'DEBUG' }),
    enabledFor: () => true,
  }
}

function describe(word: unknown): string {
  if (word instanceof Error) return `${word.message} ${word.cause instanceof Error ? word.cause.message : ''}`
  if (typeof word === 'object' && word !== null && 'message' in word) {
    return `${String(word.message)} ${'error' in word ? describe(word.error) : ''}`
  }
  return typeof word === 'string' ? word : JSON.stringify(word)
}

function createConnector(app: App, userId: string): Connector {
  const nameless = `without-a-name-${userId}`
  return {
    fetchCredentials: () => app.fetchCredentials(userId),
    uploadData: async (db) => {
      const transaction = await db.getNextCrudTransaction()
      if (transaction === null) return
      const { crud, transactionId } = transaction
      await app.upload(userId, {
        client_id: (await db.getClientId?.()) ?? nameless,
        transactions: [{ tx_id: transactionId, crud: crud.map((entry) => entry.toJSON()) }],
      })
      await transaction.complete()
    },
  }
}

async function* watch(db: OfficialDatabase, sql: string, signal: AbortSignal): AsyncGenerator<string, void, undefined> {
  for await (const result of db.watch(sql, [], { signal, throttleMs: 1 })) {
    if (signal.aborted) return
    yield JSON.stringify(result.rows?._array ?? [])
  }
}

function readStatus(status: OfficialStatus): Status {
  return {
    isConnected: status.connected,
    hasSynced: status.hasSynced ?? status.lastSyncedAt !== undefined,
    hasSyncedUrgent: status.statusForPriority?.(1)?.hasSynced,
  }
}

function streamOf(db: OfficialDatabase, stream: string, parameters: StreamParameters): OfficialStream {
  const found = db.syncStream?.(stream, parameters)
  if (found === undefined) throw new Error('Cannot subscribe: this release knows no streams')
  return found
}

function keepNew<Value>(kept: Value[], value: Value): void {
  if (JSON.stringify(kept.at(-1)) !== JSON.stringify(value)) kept.push(value)
}
