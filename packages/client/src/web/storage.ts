import type { Database, SAHPoolUtil, Sqlite3Static } from '@sqlite.org/sqlite-wasm'
import { HeadwaterError } from '@headwater/protocol'
import type { StorageInUse } from './messages.ts'

/** The one file in a database's directory. Its write-ahead log lies beside it as `/main.db-wal`. */
const FILE = '/main.db'

/** Files the pool keeps open: the database, its log, a rollback journal while switching modes, and one to spare. */
const POOL_FILES = 4

/**
 * After a reload the browser gives the file handles of the page before back late: usually within 100 ms, on a busy
 * machine within seconds. Past this somebody else holds them.
 */
const HANDLES_WAIT_MS = 10_000
const HANDLES_RETRY_FIRST_MS = 25
const HANDLES_RETRY_MAX_MS = 500

export type OpenStorage = {
  readonly database: Database
  readonly storage: StorageInUse
  /** Gives the file handles back at once. The database must be closed. */
  readonly release: () => void
}

/**
 * Opens the file in the origin's private file system, or a database in memory where the browser offers none (private
 * windows of some browsers, pages without a secure context). Errors: `storage-busy` when another context keeps the
 * file's handles.
 */
export async function openStorage(sqlite3: Sqlite3Static, directory: string): Promise<OpenStorage> {
  const missing = await findMissingOpfs()
  if (missing !== undefined) {
    const database = new sqlite3.oo1.DB(':memory:', 'c')
    return { database, storage: { kind: 'memory', reason: missing }, release: () => {} }
  }
  const pool = await takeHandles(sqlite3, directory)
  const database = new pool.OpfsSAHPoolDb(FILE)
  return {
    database,
    storage: { kind: 'opfs' },
    release: () => {
      pool.pauseVfs()
    },
  }
}

/**
 * Sets a fresh connection up. The exclusive lock comes before anything touches the file: it makes the write-ahead log
 * work without shared memory, which a browser's file system does not have.
 */
export function configure(database: Database, storage: StorageInUse, cacheSizeKb: number): void {
  const file =
    storage.kind === 'opfs'
      ? 'PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;'
      : ''
  database.exec(`${file} PRAGMA cache_size = -${cacheSizeKb}; PRAGMA temp_store = MEMORY;`)
}

/** Says why files cannot be kept here, or undefined when they can. */
async function findMissingOpfs(): Promise<string | undefined> {
  if (!('FileSystemFileHandle' in globalThis) || !('createSyncAccessHandle' in FileSystemFileHandle.prototype)) {
    return isSecureContext
      ? 'this browser has no private file system (OPFS) with synchronous handles'
      : 'the page has no secure context: serve it over https, or from localhost'
  }
  try {
    await navigator.storage.getDirectory()
    return undefined
  } catch (error) {
    return `this browser denies its private file system (OPFS): ${String(error)}`
  }
}

async function takeHandles(sqlite3: Sqlite3Static, directory: string): Promise<SAHPoolUtil> {
  const startedMs = performance.now()
  let delayMs = HANDLES_RETRY_FIRST_MS
  for (;;) {
    try {
      return await installPool(sqlite3, directory)
    } catch (error) {
      if (!isHeldElsewhere(error)) throw error
      if (performance.now() - startedMs > HANDLES_WAIT_MS) {
        throw new HeadwaterError(
          'storage-busy',
          `Cannot open the database files in "${directory}": another page or worker still holds their handles after ` +
            `${HANDLES_WAIT_MS / 1000} s. Close other tabs of this site, then reload.`,
          { cause: error },
        )
      }
      await new Promise((resolve) => setTimeout(resolve, delayMs))
      delayMs = Math.min(delayMs * 2, HANDLES_RETRY_MAX_MS)
    }
  }
}

async function installPool(sqlite3: Sqlite3Static, directory: string): Promise<SAHPoolUtil> {
  const options = {
    name: `opfs-sahpool:${directory}`,
    directory,
    initialCapacity: POOL_FILES,
    // Without it a failed start removes the directory, and with it the database of whoever holds the handles.
    preserveOnInitFailure: true,
    // The engine remembers a failure under the pool's name and would repeat it without trying again.
    forceReinitIfPreviouslyFailed: true,
  }
  return await sqlite3.installOpfsSAHPoolVfs(options)
}

function isHeldElsewhere(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'NoModificationAllowedError'
}
