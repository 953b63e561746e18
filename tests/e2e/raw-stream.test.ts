/** The service as its simplest client sees it: the raw client checks every line and every checksum by itself. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { issueToken } from '@headwater/backend'
import {
  createTestDatabase,
  downloadOnce,
  emptyRawStore,
  followStream,
  readRawRows,
  startServiceProcess,
  startTestPostgres,
  type RawConnection,
  type RawStore,
  type ServiceProcess,
  type TestDatabase,
  type TestPostgres,
} from '@headwater/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const SECRET = 'a secret for tests, long enough for HS256'

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  notes:
    auto_subscribe: true
    query: SELECT id, owner, body FROM notes WHERE owner = auth.user_id()
`

const ROWS = 3_000

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres.stop())

describe.each(['ndjson', 'bson'] as const)('over %s', (format) => {
  test('a first download is the rows of the user, and a second one brings nothing again', async () => {
    await using stage = await openStage()
    const connection = { ...(await stage.connectionOf('ann')), format }
    const store = emptyRawStore()

    const first = await downloadOnce(connection, store)
    const applied = store.operationsApplied
    const second = await downloadOnce(connection, store)

    expect(rowsOf(store).size).toBe(ROWS / 2)
    expect(rowsOf(store).get('2')).toBe('{"id":2,"owner":"ann","body":"note \\"2\\""}')
    expect(first.lines.filter(({ kind }) => kind === 'data').length).toBeGreaterThan(0)
    expect(second.lines.map(({ kind }) => kind)).toEqual(['checkpoint', 'checkpoint-complete'])
    expect(store.operationsApplied).toBe(applied)
  })

  test('[protocol 43] a download that breaks off goes on where it stopped', async () => {
    await using stage = await openStage()
    const connection = { ...(await stage.connectionOf('ann')), format }
    const store = emptyRawStore()
    for await (const line of followStream(connection, store)) if (line.kind === 'data') break
    const applied = store.operationsApplied

    await downloadOnce(connection, store)

    expect(applied).toBeGreaterThan(0)
    expect(applied).toBeLessThan(ROWS / 2)
    expect(store.operationsApplied).toBe(ROWS / 2)
    expect(rowsOf(store).size).toBe(ROWS / 2)
  })
})

test('[protocol 50] one source transaction arrives with one checkpoint, in whatever buckets its rows are', async () => {
  await using stage = await openStage()
  const [ann, bob] = [emptyRawStore(), emptyRawStore()]
  await downloadOnce(await stage.connectionOf('ann'), ann)
  await downloadOnce(await stage.connectionOf('bob'), bob)

  await stage.database.sql(`UPDATE notes SET owner = CASE owner WHEN 'ann' THEN 'bob' ELSE 'ann' END`)
  await follow(await stage.connectionOf('ann'), ann, () => !rowsOf(ann).has('2'))
  await follow(await stage.connectionOf('bob'), bob, () => rowsOf(bob).has('2'))

  expect([...rowsOf(ann).keys()].every((id) => Number(id) % 2 === 1)).toBe(true)
  expect(rowsOf(ann).size).toBe(ROWS / 2)
  expect([...rowsOf(bob).keys()].every((id) => Number(id) % 2 === 0)).toBe(true)
  expect(rowsOf(bob).size).toBe(ROWS / 2)
})

test('[protocol 43] a kill between any two steps neither loses an operation nor makes one twice', async () => {
  await using stage = await openStage()
  const store = emptyRawStore()
  await downloadOnce(await stage.connectionOf('ann'), store)

  const inserted = 40
  for (let count = 0; count < inserted; count++) {
    await stage.database.sql(`INSERT INTO notes VALUES ($1, 'ann', 'after')`, [ROWS + 1 + count])
    if (count % 10 === 5) {
      await stage.service.kill()
      await stage.service.start()
    }
  }
  await follow(await stage.connectionOf('ann'), store, () => rowsOf(store).has(String(ROWS + inserted)))

  expect(rowsOf(store).size).toBe(ROWS / 2 + inserted)
  // One operation for each row, ever: a doubled one would be a second put of the same row.
  expect(store.operationsApplied).toBe(ROWS / 2 + inserted)
})

test('[protocol 3] nobody gets anything without a token that is in order', async () => {
  await using stage = await openStage()
  const { url } = stage.service
  const expired = await issueToken({ secret: SECRET, userId: 'ann', audience: 'tests', ttlSeconds: -3_600 })

  await expect(downloadOnce({ url, token: 'nonsense', format: 'ndjson' })).rejects.toMatchObject({ status: 401 })
  await expect(downloadOnce({ url, token: expired, format: 'ndjson' })).rejects.toMatchObject({ status: 401 })
})

type Stage = AsyncDisposable & {
  readonly database: TestDatabase
  readonly service: ServiceProcess
  readonly connectionOf: (userId: string) => Promise<RawConnection>
}

async function openStage(): Promise<Stage> {
  await using opening = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'headwater-raw-'))
  opening.defer(() => rm(folder, { recursive: true, force: true }))
  const database = opening.use(await createTestDatabase(postgres))
  await database.sql(`
    CREATE TABLE notes (id int4 PRIMARY KEY, owner text NOT NULL, body text);
    INSERT INTO notes
    SELECT n, CASE n % 2 WHEN 0 THEN 'ann' ELSE 'bob' END, 'note "' || n || '"' FROM generate_series(1, ${ROWS}) AS n;
    CREATE PUBLICATION headwater FOR TABLE notes;
  `)
  const service = opening.use(
    await startServiceProcess({
      source: { url: database.url, slot: database.name },
      storage: { path: folder },
      syncConfig: { content: SYNC_CONFIG },
      auth: { secret: SECRET, audience: ['tests'] },
    }),
  )
  await service.untilReady()
  const opened = opening.move()
  return {
    database,
    service,
    connectionOf: async (userId) => ({
      url: service.url,
      token: await issueToken({ secret: SECRET, userId, audience: 'tests', ttlSeconds: 600 }),
      format: 'ndjson',
    }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

function rowsOf(store: RawStore): ReadonlyMap<string, string> {
  return readRawRows(store).get('notes') ?? new Map()
}

/** Reads on until a complete checkpoint is as wanted. */
async function follow(connection: RawConnection, store: RawStore, isDone: () => boolean): Promise<void> {
  for await (const line of followStream(connection, store)) if (line.kind === 'checkpoint-complete' && isDone()) return
}
