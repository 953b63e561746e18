/** The worker that has one database open. It ends itself when it is told to close, and when it cannot go on. */
import sqlite3InitModule from '@sqlite.org/sqlite-wasm'
import { HeadwaterError } from '@headwater/protocol'
import { createEngine, type Engine } from './engine.ts'
import { encodeFailure } from './failure.ts'
import { namesOfDatabase } from './file-names.ts'
import { holdLock, type ReleaseLock } from './locks.ts'
import type { Answer, OpenOptions, Request, StorageInUse } from './messages.ts'
import { configure, openStorage } from './storage.ts'

/** How long to wait for another holder of the file: longer than a page that is being left needs to let go. */
const OWNER_WAIT_MS = 3_000

type OpenDatabase = { readonly engine: Engine; readonly storage: StorageInUse; readonly release: () => void }

/** A lock with this worker's life as its length; the page waits on it to learn of our death. */
let life: ReleaseLock | undefined
let open: OpenDatabase | undefined

addEventListener('message', (event: MessageEvent<Request>) => {
  void handle(event.data)
})

async function handle(request: Request): Promise<void> {
  switch (request.kind) {
    case 'open':
      try {
        life = await holdLock(request.options.lifeLock, OWNER_WAIT_MS)
        open = await openDatabase(request.options)
        answer({ kind: 'opened', number: request.number, storage: open.storage })
      } catch (error) {
        fail(request.number, error)
        end()
      }
      return
    case 'close':
      try {
        open?.engine.close()
        open?.release()
        answer({ kind: 'closed', number: request.number })
      } catch (error) {
        fail(request.number, error)
      }
      end()
      return
    case 'run':
    case 'run-batch':
    case 'exec':
      runStatement(request)
  }
}

function runStatement(request: Exclude<Request, { kind: 'open' | 'close' }>): void {
  if (open === undefined) {
    fail(request.number, new HeadwaterError('connection-closed', 'Cannot run SQL: the database is not open.'))
    return
  }
  const { engine } = open
  try {
    const result = runIn(engine, request)
    answer({ kind: 'done', number: request.number, result, inTransaction: engine.inTransaction() })
  } catch (error) {
    fail(request.number, error)
    // A trap leaves the engine's memory in an unknown state. The file is safe: the log has only whole transactions.
    if (error instanceof WebAssembly.RuntimeError) end()
  }
}

function runIn(engine: Engine, request: Exclude<Request, { kind: 'open' | 'close' }>) {
  switch (request.kind) {
    case 'run':
      return engine.run(request.sql, request.parameters)
    case 'run-batch':
      return engine.runBatch(request.sql, request.sets)
    case 'exec':
      engine.exec(request.script)
      return { columns: [], rows: [], changes: 0, lastInsertRowId: 0 }
  }
}

async function openDatabase(options: OpenOptions): Promise<OpenDatabase> {
  const names = namesOfDatabase(options.dbFilename)
  const owner = await holdLock(names.ownerLock, OWNER_WAIT_MS)
  if (owner === undefined) {
    throw new HeadwaterError(
      'database-in-use',
      `Cannot open "${options.dbFilename}": it is open in another tab or window of this browser (or already in this one). ` +
        'Use that one, or close it and reload this page.',
    )
  }
  const sqlite3 = await sqlite3InitModule()
  const { database, storage, release } = await openStorage(sqlite3, names.directory)
  configure(database, storage, options.cacheSizeKb)
  return {
    engine: createEngine(sqlite3, database),
    storage,
    release: () => {
      release()
      owner()
    },
  }
}

function fail(number: number, error: unknown): void {
  answer({
    kind: 'failed',
    number,
    failure: encodeFailure(error),
    inTransaction: open?.engine.inTransaction() ?? false,
    isFatal: error instanceof WebAssembly.RuntimeError,
  })
}

function answer(message: Answer): void {
  postMessage(message)
}

/** All locks and file handles that are still held go with the worker. */
function end(): void {
  life?.()
  close()
}
