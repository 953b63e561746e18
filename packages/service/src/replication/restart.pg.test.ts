import { createTestDatabase, startTestPostgres, type TestDatabase, type TestPostgres } from '@headwater/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EVERYTHING, startReplication } from './replication.test-parts.ts'

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startTestPostgres()
})

afterAll(async () => {
  await postgres.stop()
})

async function todos(): Promise<TestDatabase> {
  const database = await createTestDatabase(postgres)
  await database.sql(`CREATE TABLE todos (id text PRIMARY KEY, n int); INSERT INTO todos VALUES ('0', 0)`)
  return database
}

const ALL_TODOS = `${EVERYTHING}SELECT * FROM todos`

test('what was stored but not acknowledged is not applied again', async () => {
  await using db = await todos()
  await using service = await startReplication(db, { config: ALL_TODOS })
  await service.settle()
  const before = await service.countOperations()
  const confirmed = await readConfirmed(db)

  // The append of the insert is stored, and then nothing is acknowledged any more.
  const stored = Promise.withResolvers<void>()
  await service.restart({
    wrapStorage: (storage) => ({
      ...storage,
      append: async (delta) => {
        const commit = await storage.append(delta)
        if (delta.operations.length === 0) return commit
        stored.resolve()
        throw new Error('killed between storing and acknowledging')
      },
    }),
  })
  await db.sql(`INSERT INTO todos VALUES ('1', 1)`)
  await stored.promise
  expect(await service.countOperations()).toBe(before + 1)
  await service.stop()
  expect((await readConfirmed(db)) >= confirmed).toBe(true)

  await service.restart({ wrapStorage: (storage) => storage })
  await service.settle()
  expect(await service.countOperations()).toBe(before + 1)
  expect((await service.rows()).get('todos/1')).toEqual({ id: '1', n: 1 })
})

test('a transaction of which only slices could be stored is applied whole later', { timeout: 60_000 }, async () => {
  await using db = await todos()
  await using service = await startReplication(db, { config: ALL_TODOS })
  await service.settle()
  let slices = 0
  await service.restart({
    wrapStorage: (storage) => ({
      ...storage,
      append: async (delta) => {
        slices += delta.resume === undefined ? 1 : 0
        if (slices === 4) {
          slices += 1
          throw new Error('no room for the fourth slice')
        }
        return storage.append(delta)
      },
    }),
  })
  const interrupted = service.waitForEvent('replication-interrupted')
  await db.sql(`INSERT INTO todos SELECT g::text, g FROM generate_series(1, 60000) g`)
  await interrupted
  expect(await service.countOperations()).toBe(1)
  await service.settle()
  expect(await service.countOperations()).toBe(60_001)
})

test('a transaction that commits right after the last acknowledged one is not skipped', async () => {
  await using db = await todos()
  await using service = await startReplication(db, { config: ALL_TODOS })
  await service.settle()
  for (let round = 1; round <= 10; round += 1) {
    // The changes of the second are in the log before the first commits: its commit record is the very next one.
    await db.sql(`
      CREATE EXTENSION IF NOT EXISTS dblink;
      SELECT dblink_connect('second', '${asDblink(db.url)}');
      SELECT dblink_exec('second', 'BEGIN');
      SELECT dblink_exec('second', 'INSERT INTO todos VALUES (''b${round}'', ${round})');
      INSERT INTO todos VALUES ('a${round}', ${round})`)
    await service.settle()
    await service.stop()
    await db.sql(`SELECT dblink_exec('second', 'COMMIT'); SELECT dblink_disconnect('second')`)
    await service.restart()
    await service.settle()
    const rows = await service.rows()
    expect(rows.has(`todos/a${round}`) && rows.has(`todos/b${round}`)).toBe(true)
  }
  // Neither skipped by the server, nor noticed as skipped and copied again.
  expect((await service.storage.readStatus()).generation).toBe(1)
})

test('an idle source with other traffic moves its slot on', async () => {
  await using db = await todos()
  await using service = await startReplication(db, { config: ALL_TODOS })
  await service.settle()
  const before = await readConfirmed(db)
  await db.sql(`CREATE TABLE unrelated (id int); INSERT INTO unrelated SELECT g FROM generate_series(1, 1000) g`)
  await service.settle()
  await service.restart()
  await service.settle()
  expect((await readConfirmed(db)) > before).toBe(true)
})

test('who waits for a write checkpoint whose marker was lost with the slot is let go by the next generation', async () => {
  await using db = await todos()
  await using service = await startReplication(db, { config: ALL_TODOS })
  await service.settle()
  // The marker gets into the log and is never read, as when the service ends before that and its slot is lost.
  const started = service.waitForEvent('replication-started')
  await service.restart({
    wrapStorage: (storage) => ({
      ...storage,
      append: (delta) => storage.append({ ...delta, writeCheckpoints: [] }),
    }),
  })
  await started
  const number = await service.replicator().requestWriteCheckpoint('ann')
  await service.stop()
  await db.sql(`SELECT pg_drop_replication_slot('slot_${db.name}')`)

  await service.restart({ wrapStorage: (storage) => storage })
  await service.settle()
  const shown = await service.storage.readWriteCheckpoint('ann')
  expect(shown !== undefined && shown >= number).toBe(true)
})

test('a slot that was moved on by somebody else, or dropped, makes everything be copied anew', async () => {
  await using db = await todos()
  await using service = await startReplication(db, { config: ALL_TODOS })
  await service.settle()
  await service.stop()
  await db.sql(`INSERT INTO todos VALUES ('lost', 1)`)
  await db.sql(`SELECT pg_replication_slot_advance('slot_${db.name}', pg_current_wal_lsn())`)
  await service.restart()
  await service.settle()
  expect((await service.rows()).has('todos/lost')).toBe(true)
  expect((await service.storage.readStatus()).generation).toBe(2)

  await service.stop()
  await db.sql(`SELECT pg_drop_replication_slot('slot_${db.name}'); INSERT INTO todos VALUES ('lost too', 1)`)
  await service.restart()
  await service.settle()
  expect((await service.rows()).has('todos/lost too')).toBe(true)
  expect((await service.storage.readStatus()).generation).toBe(3)
})

test('another sync config makes everything be copied anew, under other bucket names', async () => {
  await using db = await todos()
  await using service = await startReplication(db, { config: ALL_TODOS })
  await service.settle()
  await service.restart({ config: `${EVERYTHING}SELECT id FROM todos` })
  await service.settle()
  expect(await service.rows()).toEqual(new Map([['todos/0', { id: '0' }]]))
  expect((await service.storage.readStatus()).generation).toBe(2)
})

test('a connection that the server ends is opened again and nothing is missed', async () => {
  await using db = await todos()
  await using service = await startReplication(db, { config: ALL_TODOS })
  await service.settle()
  for (let round = 1; round <= 5; round += 1) {
    const started = service.waitForEvent('replication-started')
    await db.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'headwater%' AND ${round % 2 === 0 ? 'true' : "backend_type = 'walsender'"}`)
    await db.sql(`INSERT INTO todos VALUES ('${round}', ${round})`)
    await started
    await service.settle()
    expect((await service.rows()).has(`todos/${round}`)).toBe(true)
  }
})

test(
  'a slot that another service reads is left to it, and the message says whose it is',
  { timeout: 60_000 },
  async () => {
    await using db = await todos()
    await using service = await startReplication(db, { config: ALL_TODOS })
    await service.settle()
    const slot = `slot_${db.name}`
    await db.sql(`SELECT 1`)
    await using second = await startReplication(db, { config: ALL_TODOS, slot, instance: 'second' })
    const interrupted = await second.waitForEvent('replication-interrupted')
    expect(interrupted.fields).toMatchObject({ code: 'slot-in-use' })
    await service.settle()
  },
)

async function readConfirmed(db: TestDatabase): Promise<bigint> {
  const [row] = await db.sql(
    `SELECT (confirmed_flush_lsn - '0/0'::pg_lsn)::text AS at FROM pg_replication_slots WHERE slot_name = 'slot_${db.name}'`,
  )
  return BigInt(String(row?.['at']))
}

function asDblink(url: string): string {
  const { hostname, port, pathname, username, password } = new URL(url)
  return `host=${hostname} port=${port} dbname=${pathname.slice(1)} user=${username} password=${decodeURIComponent(password)}`
}
