/** What a device waits for after its uploads comes, whatever has happened to the service or its user meanwhile. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { issueToken } from '@headwater/backend'
import { column, HeadwaterDatabase, Schema, Table } from '@headwater/client/node'
import {
  createTestDatabase,
  startServiceProcess,
  startTestPostgres,
  type ServiceProcess,
  type TestDatabase,
  type TestPostgres,
} from '@headwater/testkit'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

const SECRET = 'a secret for tests, long enough for HS256'
const AUDIENCE = 'headwater-tests'

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  notes:
    auto_subscribe: true
    query: SELECT id, body FROM notes
`

const schema = new Schema({ notes: new Table({ body: column.text }) })

const PATIENCE = { timeout: 30_000, interval: 20 }

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres.stop())

test('a device that waits is served by a service that has lost its whole storage', async () => {
  await using stage = await openStage()
  await stage.waitForNumber(3)
  await stage.service.kill()
  await rm(stage.storage, { recursive: true })
  await stage.dropSlots()
  await stage.service.start()
  await stage.service.untilReady()
  stage.openWay()
  await stage.untilShown()
})

test('a device that waits is served by a service that has forgotten its number for its age', async () => {
  await using stage = await openStage()
  await stage.waitForNumber(2)
  await stage.service.stop()
  expect(await forgetNumbers(stage.storage)).toBeGreaterThan(0)
  await stage.service.start()
  await stage.service.untilReady()
  stage.openWay()
  await stage.untilShown()
})

test('a device that waits is served when another user signs in on it', async () => {
  await using stage = await openStage()
  await stage.waitForNumber(2)
  await stage.db.disconnect()
  stage.openWay()
  await stage.connectAs('bob')
  await stage.untilShown()
})

test('a device that waits is served when a user signs in who has uploaded more from it than the one before', async () => {
  await using stage = await openStage()
  const clientId = await stage.db.getClientId()
  expect(await stage.noteNumber('bob', clientId, 50)).toBe('50')
  await stage.waitForNumber(2)
  await stage.db.disconnect()
  stage.openWay()
  await stage.connectAs('bob')
  await stage.untilShown()
  await vi.waitFor(async () => expect(await stage.readTarget()).toBe(51), PATIENCE)
})

test('a device that was restored from an older copy of itself takes no number that the service had before', async () => {
  await using stage = await openStage()
  const clientId = await stage.db.getClientId()
  expect(await stage.noteNumber('ann', clientId, 7)).toBe('7')
  stage.openWay()
  await stage.waitForNumber(8)
  await stage.untilShown()
})

type Stage = AsyncDisposable & {
  readonly db: HeadwaterDatabase
  readonly service: ServiceProcess
  readonly storage: string
  /** What the service has not read yet of the log is lost with them, and its markers. */
  readonly dropSlots: () => Promise<void>
  readonly connectAs: (userId: string) => Promise<void>
  /** Writes rows and uploads them one by one, until the device waits for this write checkpoint. */
  readonly waitForNumber: (number: number) => Promise<void>
  /** Until then no stream gets through, so nothing is announced. */
  readonly openWay: () => void
  readonly readTarget: () => Promise<unknown>
  readonly noteNumber: (userId: string, clientId: string, number: number) => Promise<unknown>
  /** A row that was written at the source after all uploads is shown. */
  readonly untilShown: () => Promise<void>
}

async function openStage(): Promise<Stage> {
  const stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'headwater-e2e-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const database = stack.use(await createTestDatabase(postgres))
  await database.sql(
    'CREATE TABLE notes (id text PRIMARY KEY, body text); CREATE PUBLICATION headwater FOR TABLE notes',
  )
  const storage = join(folder, 'storage')
  const service = stack.use(
    await startServiceProcess({
      source: { url: database.url },
      storage: { path: storage },
      syncConfig: { content: SYNC_CONFIG },
      auth: { secret: SECRET, audience: [AUDIENCE] },
    }),
  )
  let isWayOpen = false
  let wake = (): void => undefined
  const db = new HeadwaterDatabase({
    schema,
    database: { dbFilename: join(folder, 'device.db') },
    fetch: (input, init) => {
      const isStream = new URL(input instanceof Request ? input.url : input).pathname === '/sync/stream'
      return isStream && !isWayOpen ? Promise.reject(new TypeError('offline')) : fetch(input, init)
    },
    listenForWakeUps: (listener) => {
      wake = listener
      return () => undefined
    },
    logger: { log: () => undefined },
  })
  stack.defer(() => db.close())
  const tokenFor = (userId: string) => issueToken({ secret: SECRET, userId, audience: AUDIENCE, ttlSeconds: 3_600 })
  const readTarget = async () =>
    (await db.get<{ target: unknown }>('SELECT target_write_checkpoint AS target FROM ps_control')).target
  const connectAs = (userId: string) =>
    db.connect(
      {
        fetchCredentials: async () => ({ endpoint: service.url, token: await tokenFor(userId) }),
        uploadData: (source) => uploadTo(database, source),
      },
      { retryDelayMs: 50, crudUploadThrottleMs: 0 },
    )
  await service.untilReady()
  await connectAs('ann')

  let written = 0
  return {
    db,
    service,
    storage,
    dropSlots: async () => {
      const slots = 'SELECT slot_name FROM pg_replication_slots WHERE database = current_database()'
      await vi.waitUntil(async () => (await database.sql(`${slots} AND active`)).length === 0, PATIENCE)
      await database.sql(`SELECT pg_drop_replication_slot(slot_name) FROM (${slots}) AS slots`)
    },
    connectAs,
    readTarget,
    openWay: () => {
      isWayOpen = true
      wake()
    },
    waitForNumber: async (number) => {
      while ((await readTarget()) !== number) {
        written += 1
        await db.execute('INSERT INTO notes (id, body) VALUES (?, ?)', [`own-${written}`, 'as written'])
        await vi.waitUntil(async () => Number.isSafeInteger(await readTarget()), PATIENCE)
      }
    },
    noteNumber: async (userId, clientId, number) => {
      const response = await fetch(`${service.url}/sync/checkpoint-request`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Token ${await tokenFor(userId)}` },
        body: JSON.stringify({ client_id: clientId, checkpoint_request_id: String(number) }),
      })
      const body: unknown = await response.json()
      return Reflect.get(Object(Reflect.get(Object(body), 'data')), 'checkpoint_request_id')
    },
    untilShown: async () => {
      await database.sql(`INSERT INTO notes VALUES ('last', 'from the source')`)
      await vi.waitFor(async () => {
        const ids = (await db.getAll<{ id: string }>('SELECT id FROM notes ORDER BY id')).map(({ id }) => id)
        expect(ids).toEqual(['last', ...Array.from({ length: written }, (_, n) => `own-${n + 1}`)])
      }, PATIENCE)
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

async function uploadTo(
  database: TestDatabase,
  source: Pick<HeadwaterDatabase, 'getNextCrudTransaction'>,
): Promise<void> {
  const transaction = await source.getNextCrudTransaction()
  for (const { id } of transaction?.crud ?? []) {
    await database.sql(`INSERT INTO notes VALUES ('${id}', 'as written')`)
  }
  await transaction?.complete()
}

/** As expiry does. Returns how many there were. */
async function forgetNumbers(storage: string): Promise<number> {
  let forgotten = 0
  for (const name of await readdir(storage, { recursive: true })) {
    if (!name.endsWith('.sqlite') && !name.endsWith('.db')) continue
    const file = new DatabaseSync(join(storage, name))
    const has = file.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'write_checkpoint'`).get()
    if (has !== undefined) forgotten += Number(file.prepare('DELETE FROM write_checkpoint').run().changes)
    file.close()
  }
  return forgotten
}
