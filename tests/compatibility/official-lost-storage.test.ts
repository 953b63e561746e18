/** Official clients that wait for a write checkpoint while the service loses its storage. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { issueToken } from '@headwater/backend'
import { createTestDatabase, startServiceProcess, startTestPostgres, type TestPostgres } from '@headwater/testkit'
import { column, PowerSyncDatabase, Schema, Table } from '@powersync/node'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createOfficialLogger } from './device.ts'

const SECRET = 'a secret for tests, long enough for HS256'

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  notes:
    auto_subscribe: true
    query: SELECT id, body FROM notes
`

const PATIENCE = { timeout: 30_000, interval: 20 }

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres.stop())

test.each(['legacy', 'requests'])(
  'a client in mode %s goes on with a service that has lost its storage',
  async (mode) => {
    await using stage = await openStage(mode)
    const { db, database, service } = stage
    await db.execute(`INSERT INTO notes (id, body) VALUES ('own', 'local')`)
    // No stream gets through: the number is known to the client, and nobody announces it.
    await vi.waitUntil(() => stage.isUploaded() && stage.numbers.length > 0, PATIENCE)
    await service.kill()
    await rm(stage.storage, { recursive: true })
    await service.start()
    await service.untilReady()
    await database.sql(`INSERT INTO notes VALUES ('last', 'theirs')`)
    stage.openWay()
    await vi.waitFor(async () => {
      expect(await db.getAll('SELECT id, body FROM notes ORDER BY id')).toEqual([
        { id: 'last', body: 'theirs' },
        { id: 'own', body: 'applied' },
      ])
    }, PATIENCE)
  },
)

async function openStage(checkpointMode: string) {
  const stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'headwater-official-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const database = stack.use(await createTestDatabase(postgres))
  await database.sql('CREATE TABLE notes (id text PRIMARY KEY, body text)')
  const storage = join(folder, 'storage')
  const service = stack.use(
    await startServiceProcess({
      source: { url: database.url },
      storage: { path: storage },
      syncConfig: { content: SYNC_CONFIG },
      auth: { secret: SECRET, audience: ['tests'] },
    }),
  )
  await service.untilReady()
  let isWayOpen = true
  let isUploaded = false
  const numbers: string[] = []
  const customFetch: typeof fetch = async (input, init) => {
    const url = input instanceof Request ? input.url : String(input)
    if (url.endsWith('/sync/stream') && !isWayOpen) throw new TypeError('offline')
    const response = await fetch(input, init)
    if (url.includes('checkpoint')) {
      const number = /"(\d+)"/.exec(await response.clone().text())?.[1]
      if (number !== undefined) numbers.push(number)
    }
    return response
  }
  const db = new PowerSyncDatabase({
    schema: new Schema({ notes: new Table({ body: column.text }) }),
    database: { dbFilename: 'app.db', dbLocation: folder, implementation: { type: 'node:sqlite' } },
    remoteOptions: { customFetch },
    logger: createOfficialLogger([]),
  } as never)
  stack.defer(() => db.close())
  const token = await issueToken({ secret: SECRET, userId: 'ann', audience: 'tests', ttlSeconds: 3_600 })
  const uploadData = async (): Promise<void> => {
    const transaction = await db.getNextCrudTransaction()
    for (const { id } of transaction?.crud ?? []) await database.sql(`INSERT INTO notes VALUES ($1, 'applied')`, [id])
    // Those from before are of no interest any more.
    numbers.length = 0
    await transaction?.complete()
    isUploaded = true
  }
  const fetchCredentials = async () => ({ endpoint: service.url, token })
  const options = { retryDelayMs: 200, crudUploadThrottleMs: 20, checkpointMode }
  await db.connect({ fetchCredentials, uploadData }, options as never)
  await db.waitForFirstSync()
  isWayOpen = false
  // Ends the stream that is open.
  await service.kill()
  await service.start()
  await service.untilReady()
  return {
    db,
    database,
    service,
    storage,
    numbers,
    isUploaded: () => isUploaded,
    openWay: () => (isWayOpen = true),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}
