import { DatabaseSync } from 'node:sqlite'
import { migrate, PAGE_BYTES } from './schema.ts'

/** Pages of the writer held in memory. Row states are read and written at random, and gain most. */
const WRITER_CACHE_KIB = 65_536

const READER_CACHE_KIB = 4_096

/** Readers wait for nobody, except for a moment when a log is opened or closed. */
const READER_TIMEOUT_MS = 1_000

/**
 * SQLite's log is copied into the database file when it has so many pages of 8 KiB. Row states change pages at random;
 * the larger the log, the more changes of a page are copied as one.
 */
const LOG_PAGES_MAX = 8_000

/** A log file larger than this is cut back after a checkpoint of SQLite. */
const LOG_BYTES_KEPT = 67_108_864

export type Connections = {
  readonly writer: DatabaseSync
  /** Sees what is committed, and nothing of a transaction that is still open on the writer. */
  readonly reader: DatabaseSync
}

/** Opens the database file, creating and migrating it as needed. */
export function openConnections(path: string): Connections {
  const writer = new DatabaseSync(path)
  try {
    writer.exec(`
      PRAGMA page_size = ${PAGE_BYTES};
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA cache_size = -${WRITER_CACHE_KIB};
      PRAGMA wal_autocheckpoint = ${LOG_PAGES_MAX};
      PRAGMA journal_size_limit = ${LOG_BYTES_KEPT};
      PRAGMA temp_store = MEMORY;
    `)
    migrate(writer)
    return { writer, reader: openReader(path) }
  } catch (error) {
    writer.close()
    throw error
  }
}

/** The file must be open in the process that writes. */
export function openReader(path: string): DatabaseSync {
  const reader = new DatabaseSync(path, { readOnly: true, timeout: READER_TIMEOUT_MS })
  reader.exec(`PRAGMA cache_size = -${READER_CACHE_KIB}; PRAGMA temp_store = MEMORY`)
  return reader
}

export function closeConnections({ writer, reader }: Connections): void {
  reader.close()
  if (writer.isTransaction) writer.exec('ROLLBACK')
  writer.close()
}

/** Runs `body` in a transaction: all of it or nothing. */
export function transact<Result>(database: DatabaseSync, body: () => Result): Result {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = body()
    database.exec('COMMIT')
    return result
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}
