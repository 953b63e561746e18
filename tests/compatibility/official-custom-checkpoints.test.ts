/**
 * Official clients with a backend that applies uploads later and makes the write checkpoints. They forget the number that
 * `complete()` was given as soon as the queue is empty, and ask the service.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { issueToken } from '@headwater/backend'
import { createTestDatabase, startServiceProcess, startTestPostgres, type TestPostgres } from '@headwater/testkit'
import * as newest from '@powersync/node'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import * as node018 from './clients/node-0.18/sdk.ts'
import { createOfficialLogger } from './device.ts'

const SECRET = 'a secret for tests, long enough for HS256'

const TABLES = `
  CREATE TABLE notes (id text PRIMARY KEY, body text);
  CREATE TABLE checkpoints (user_id text, client_id text, checkpoint bigint, PRIMARY KEY (user_id, client_id))`

const SYNC_CONFIG = `
config:
  edition: 3
event_definitions:
  write_checkpoints:
    payloads:
      - SELECT user_id, client_id, checkpoint FROM checkpoints
streams:
  notes:
    auto_subscribe: true
    query: SELECT id, body FROM notes
`

const PATIENCE = { timeout: 20_000, interval: 20 }

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres.stop())

/** What both releases have in common; their types do not fit each other. */
type Sdk = Pick<typeof newest, 'PowerSyncDatabase' | 'Schema' | 'Table' | 'column'>

test.each([
  ['1.1', newest],
  ['0.18', node018 as unknown as Sdk],
])(
  '@powersync/node %s shows its writes until the backend has applied them, and then what they became',
  async (_, sdk) => {
    await using stage = await openStage(sdk)
    const { sql, db, uploads } = stage
    for (const n of [1, 2, 3]) {
      await db.execute(`INSERT INTO notes (id, body) VALUES ('own-${n}', 'local')`)
      await vi.waitUntil(() => uploads.length === n, PATIENCE)
      await sql(`INSERT INTO notes VALUES ('others-${n}', 'theirs')`)
      // Its upload is noted, and not applied: what comes meanwhile has to wait.
      expect(await stage.readRows()).toContain(`own-${n} local`)
      await sql(`BEGIN; INSERT INTO notes VALUES ('own-${n}', 'applied');
      INSERT INTO checkpoints VALUES ('ann', '${await db.getClientId()}', ${n})
      ON CONFLICT (user_id, client_id) DO UPDATE SET checkpoint = ${n}; COMMIT`)
      await vi.waitFor(async () => {
        expect(await stage.readRows()).toEqual(expect.arrayContaining([`others-${n} theirs`, `own-${n} applied`]))
      }, PATIENCE)
    }
    // No state was ever shown that lacked a write of its own, or had what came after it without it.
    for (const rows of stage.shown) {
      for (const n of [1, 2, 3]) if (rows.includes(`others-${n} theirs`)) expect(rows).toContain(`own-${n} applied`)
    }
  },
)

async function openStage(sdk: Sdk) {
  const stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'headwater-official-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const database = stack.use(await createTestDatabase(postgres))
  await database.sql(TABLES)
  const service = stack.use(
    await startServiceProcess({
      source: { url: database.url },
      storage: { path: join(folder, 'storage') },
      syncConfig: { content: SYNC_CONFIG },
      auth: { secret: SECRET, audience: ['tests'] },
    }),
  )
  await service.untilReady()
  const db = new sdk.PowerSyncDatabase({
    schema: new sdk.Schema({ notes: new sdk.Table({ body: sdk.column.text }) }),
    database: { dbFilename: 'app.db', dbLocation: folder, implementation: { type: 'node:sqlite' } },
    logger: createOfficialLogger([]),
  } as never)
  stack.defer(() => db.close())
  const token = await issueToken({ secret: SECRET, userId: 'ann', audience: 'tests', ttlSeconds: 3_600 })
  const uploads: string[] = []
  const uploadData = async (): Promise<void> => {
    const transaction = await db.getNextCrudTransaction()
    if (transaction === null) return
    uploads.push(...transaction.crud.map(({ id }) => id))
    await transaction.complete(String(uploads.length))
  }
  const fetchCredentials = async () => ({ endpoint: service.url, token })
  await db.connect({ fetchCredentials, uploadData }, { retryDelayMs: 200, crudUploadThrottleMs: 20 })
  await db.waitForFirstSync()
  const readRows = async (): Promise<readonly string[]> => {
    const rows = await db.getAll<{ id: string; body: string }>('SELECT id, body FROM notes')
    return rows.map(({ id, body }) => `${id} ${body}`)
  }
  const shown: (readonly string[])[] = []
  const closing = new AbortController()
  stack.defer(() => closing.abort())
  const follow = async (): Promise<void> => {
    for await (const { rows } of db.watch('SELECT id, body FROM notes', [], {
      signal: closing.signal,
      throttleMs: 1,
    })) {
      shown.push((rows?._array ?? []).map(({ id, body }: { id: string; body: string }) => `${id} ${body}`))
    }
  }
  void follow()
  return { sql: database.sql, db, uploads, readRows, shown, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}
