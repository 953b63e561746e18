import { HeadwaterError } from '@headwater/protocol'
import type { Logger } from '../logger.ts'
import type { SqliteConnection, SqliteDriver, StatementResult } from '../sqlite/driver.ts'
import { namesOfDatabase } from './file-names.ts'
import { holdLock } from './locks.ts'
import { fateOfStatement } from './lost-transaction.ts'
import type { Request } from './messages.ts'
import { connectionClosed, openWorkerLink, type WorkerLink } from './worker-link.ts'

const CACHE_SIZE_KB = 51_200
const DELETE_WAIT_MS = 3_000
const NOTHING: StatementResult = { columns: [], rows: [], changes: 0, lastInsertRowId: 0 }

export type WebDriverOptions = {
  /** Names the database within this origin; any text. */
  readonly dbFilename: string
  /** Memory for pages of the file. Default 51,200 (50 MiB). */
  readonly cacheSizeKb?: number
  /** Starts the worker, for bundlers that need their own way. Default: the module worker beside this file. */
  readonly startWorker?: () => Worker
  readonly logger: Logger
}

/**
 * SQLite in a worker of its own, on a file in the origin's private file system (OPFS), or in memory where there is none:
 * then a warning is logged. One context at a time may have a file open; a second one gets `database-in-use`.
 *
 * Reads share the writer's connection: the engine has one thread.
 */
export function createWebDriver(options: WebDriverOptions): SqliteDriver {
  return {
    readersMax: 0,
    open: () => openConnection(options),
    delete: () => deleteFiles(options.dbFilename),
  }
}

type Statement = Exclude<Request, { kind: 'open' | 'close' }>
type Unnumbered<Message> = Message extends unknown ? Omit<Message, 'number'> : never

/**
 * A connection outlives its worker: when that dies, or when the page goes to sleep and comes back, the next statement
 * starts a new one. What was waiting is rejected with `connection-closed`; what was open is rolled back.
 */
async function openConnection(options: WebDriverOptions): Promise<SqliteConnection> {
  const { dbFilename, cacheSizeKb = CACHE_SIZE_KB, startWorker = startBundledWorker, logger } = options
  let link: Promise<WorkerLink> | undefined
  let isTransactionLost = false
  let isClosed = false
  let prepare: (connection: SqliteConnection) => Promise<void> = async () => {}

  const connect = async (): Promise<WorkerLink> => {
    const opened = await openWorkerLink(startWorker, dbFilename, cacheSizeKb)
    if (opened.storage.kind === 'memory') warnOfMemory(logger, dbFilename, opened.storage.reason)
    opened.ended.addEventListener('abort', () => {
      link = undefined
      isTransactionLost = opened.inTransaction()
    })
    try {
      await prepare(connectionOver(opened))
    } catch (error) {
      await opened.send({ kind: 'close' })
      throw error
    }
    return opened
  }

  const findLink = (): Promise<WorkerLink> => {
    link ??= connect().catch((error: unknown) => {
      link = undefined
      throw error
    })
    return link
  }

  const runStatement = async (sql: string, request: Unnumbered<Statement>): Promise<StatementResult> => {
    if (isClosed) throw connectionClosed(dbFilename, 'the database is closed')
    const current = await findLink()
    const fate = fateOfStatement(isTransactionLost, sql)
    if (fate === 'refuse') throw connectionClosed(dbFilename, 'its worker ended within this transaction')
    isTransactionLost = false
    if (fate === 'already-rolled-back') return NOTHING
    return await resultOf(current, request)
  }

  /** The page may be going for good: give the file to whoever comes next, now. */
  const letGo = (): void => {
    void link?.then((opened) => opened.send({ kind: 'close' })).catch(() => {})
  }

  addEventListener('pagehide', letGo)
  try {
    await findLink()
  } catch (error) {
    removeEventListener('pagehide', letGo)
    throw error
  }

  return {
    ...statements(runStatement),
    whenReopened: (again) => {
      prepare = again
    },
    close: async () => {
      if (isClosed) return
      isClosed = true
      removeEventListener('pagehide', letGo)
      await (await link)?.send({ kind: 'close' })
    },
  }
}

type RunStatement = (sql: string, request: Unnumbered<Statement>) => Promise<StatementResult>

function statements(runStatement: RunStatement): Pick<SqliteConnection, 'run' | 'runBatch' | 'exec'> {
  return {
    run: (sql, parameters = []) => runStatement(sql, { kind: 'run', sql, parameters }),
    runBatch: (sql, sets) => runStatement(sql, { kind: 'run-batch', sql, sets }),
    exec: async (script) => {
      await runStatement(script, { kind: 'exec', script })
    },
  }
}

async function resultOf(link: WorkerLink, request: Unnumbered<Statement>): Promise<StatementResult> {
  const answer = await link.send(request)
  return answer.kind === 'done' ? answer.result : NOTHING
}

/** A connection to one worker, for what has to run before that worker is anybody else's. */
function connectionOver(link: WorkerLink): SqliteConnection {
  return { ...statements((_, request) => resultOf(link, request)), close: async () => {} }
}

function startBundledWorker(): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'headwater' })
}

function warnOfMemory(logger: Logger, dbFilename: string, reason: string): void {
  logger.log({
    level: 'warn',
    message: `"${dbFilename}" is kept in memory and will be lost with this page, because ${reason}.`,
  })
}

/** Removes the database with all it holds. Rejects with `database-in-use` while somebody has it open. */
async function deleteFiles(dbFilename: string): Promise<void> {
  const names = namesOfDatabase(dbFilename)
  const release = await holdLock(names.ownerLock, DELETE_WAIT_MS)
  if (release === undefined) {
    throw new HeadwaterError('database-in-use', `Cannot delete "${dbFilename}": it is open. Close it everywhere first.`)
  }
  try {
    const [parentName = '', name = ''] = names.directory.split('/')
    const root = await navigator.storage.getDirectory()
    const parent = await root.getDirectoryHandle(parentName)
    await parent.removeEntry(name, { recursive: true })
  } catch (error) {
    if (!(error instanceof DOMException && error.name === 'NotFoundError')) throw error
  } finally {
    release()
  }
}
