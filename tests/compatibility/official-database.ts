import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LineFormat } from '@headwater/protocol'
import { column, PowerSyncDatabase, Schema, Table, type PowerSyncBackendConnector } from '@powersync/node'

/** The tables of these tests, in the words of the official client. */
const schema = new Schema({
  lists: new Table({ name: column.text, owner_id: column.text }),
  todos: new Table({ list_id: column.text, title: column.text, done: column.integer, weight: column.real }),
})

const ACCEPT = { ndjson: 'application/x-ndjson', bson: 'application/vnd.powersync.bson-stream' } as const

export type OfficialDatabase = AsyncDisposable & {
  readonly db: PowerSyncDatabase
  readonly connect: (connector: PowerSyncBackendConnector) => Promise<void>
  /** Waits until the query gives these rows; fails with what it gives instead. */
  readonly expectRows: (sql: string, rows: readonly unknown[]) => Promise<void>
  /** Content types of the streams that were answered with 200, in order. */
  readonly streamTypes: readonly (string | null)[]
}

/**
 * The official client on a database file of its own, which leaves only the offered format in its `Accept` header:
 * by itself it offers both and takes BSON where it can.
 */
export async function openOfficialDatabase(format: LineFormat): Promise<OfficialDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-official-'))
  const streamTypes: (string | null)[] = []
  const said: string[] = []
  const customFetch: typeof fetch = async (input, init) => {
    const headers = new Headers(init?.headers)
    const isStream = headers.get('accept')?.includes('bson-stream') === true
    if (isStream) headers.set('accept', ACCEPT[format])
    const response = await fetch(input, { ...init, headers })
    if (isStream && response.status === 200) streamTypes.push(response.headers.get('content-type'))
    return response
  }
  const db = new PowerSyncDatabase({
    schema,
    database: { dbFilename: 'app.db', dbLocation: folder, implementation: { type: 'node:sqlite' } },
    remoteOptions: { customFetch },
    logger: {
      log: ({ message, error }) => void said.push(`${message} ${error instanceof Error ? error.message : ''}`),
    },
  })
  await db.init()
  return {
    db,
    connect: (connector) => db.connect(connector, { retryDelayMs: 200, crudUploadThrottleMs: 20 }),
    expectRows: (sql, rows) => expectRows(db, sql, rows, said),
    streamTypes,
    [Symbol.asyncDispose]: async () => {
      await db.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Long enough for a loaded machine; a test that passes takes a fraction. */
const PATIENCE_MS = 20_000

async function expectRows(
  db: PowerSyncDatabase,
  sql: string,
  rows: readonly unknown[],
  said: readonly string[],
): Promise<void> {
  const wanted = JSON.stringify(rows)
  const patience = AbortSignal.timeout(PATIENCE_MS)
  let seen = ''
  for await (const result of db.watch(sql, [], { signal: patience, throttleMs: 1 })) {
    seen = JSON.stringify(result.rows?._array ?? [])
    if (seen === wanted) return
  }
  throw new Error(
    `Cannot find the rows of ${sql} within ${PATIENCE_MS} ms: expected ${wanted}, got ${seen}; it said:\n${said.join('\n')}`,
  )
}
