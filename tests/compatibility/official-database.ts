import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  column,
  FetchStrategy,
  PowerSyncDatabase,
  Schema,
  SyncStreamConnectionMethod,
  Table,
  type PowerSyncBackendConnector,
} from '@powersync/node'

/** The tables of these tests, in the words of the official client. */
const schema = new Schema({
  lists: new Table({ name: column.text, owner_id: column.text }),
  todos: new Table({ list_id: column.text, title: column.text, done: column.integer, weight: column.real }),
})

/**
 * How the client may get its lines: over HTTP in one of the two formats, or over a WebSocket, asking for ten lines ahead
 * or for one after the other.
 */
export type Connection = 'ndjson' | 'bson' | 'websocket' | 'websocket, line by line'

const ACCEPT: { readonly [Way in Connection]?: string } = {
  ndjson: 'application/x-ndjson',
  bson: 'application/vnd.powersync.bson-stream',
}

const WEB_SOCKET = { connectionMethod: SyncStreamConnectionMethod.WEB_SOCKET }

const METHODS: { readonly [Way in Connection]?: object } = {
  websocket: WEB_SOCKET,
  'websocket, line by line': { ...WEB_SOCKET, fetchStrategy: FetchStrategy.Sequential },
}

export type OfficialDatabase = AsyncDisposable & {
  readonly db: PowerSyncDatabase
  readonly connect: (connector: PowerSyncBackendConnector) => Promise<void>
  /** Waits until the query gives these rows; fails with what it gives instead. */
  readonly expectRows: (sql: string, rows: readonly unknown[]) => Promise<void>
  /** Content types of the HTTP streams that were answered with 200, in order. */
  readonly streamTypes: readonly (string | null)[]
}

/**
 * The official client on a database file of its own. Over HTTP it leaves only the wanted format in its `Accept` header:
 * by itself it offers both and takes BSON where it can.
 */
export async function openOfficialDatabase(connection: Connection): Promise<OfficialDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-official-'))
  const streamTypes: (string | null)[] = []
  const said: string[] = []
  const customFetch: typeof fetch = async (input, init) => {
    const headers = new Headers(init?.headers)
    const isStream = headers.get('accept')?.includes('bson-stream') === true
    const accept = ACCEPT[connection]
    if (isStream && accept !== undefined) headers.set('accept', accept)
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
    connect: (connector) =>
      db.connect(connector, { retryDelayMs: 200, crudUploadThrottleMs: 20, ...METHODS[connection] }),
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
