import { createTestDatabase, startTestPostgres, type TestPostgres } from '@headwater/testkit'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EVERYTHING, startReplication } from './replication.test-parts.ts'

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startTestPostgres()
})

afterAll(async () => {
  await postgres.stop()
})

// With synchronous replication a commit is streamed before others see it: as long as the standby does not answer.
test('a copy waits for what was streamed before it began but cannot be seen yet', { timeout: 60_000 }, async () => {
  await using db = await createTestDatabase(postgres)
  await db.sql(`CREATE TABLE notes (id text PRIMARY KEY, n int); INSERT INTO notes VALUES ('1', 1)`)
  await db.sql(`ALTER DATABASE ${db.name} SET synchronous_commit = local`)
  await db.sql(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`)
  await db.sql('SELECT pg_reload_conf()')
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM notes` })
  await service.settle()

  const writer = new Client({ connectionString: db.url })
  await writer.connect()
  const until = new AbortController()
  const commits = service.storage.watchCommits(until.signal)[Symbol.asyncIterator]()
  const hanging = writer.query(`SET synchronous_commit = on; UPDATE notes SET n = 2`)
  while ((await service.rows()).get('notes/1')?.['n'] !== 2) await commits.next()
  until.abort()
  expect(await db.sql('SELECT n FROM notes')).toEqual([{ n: 1 }])

  const waits = service.waitForEvent('copy-waits-for-transaction')
  const done = service.waitForEvent('copy-done')
  await service.restart({ config: `${EVERYTHING}SELECT id, n FROM notes WHERE n > 0` })
  await Promise.race([waits, done])
  await db.sql('ALTER SYSTEM RESET synchronous_standby_names')
  await db.sql('SELECT pg_reload_conf()')
  await hanging
  await writer.end()
  await service.settle()
  expect((await service.rows()).get('notes/1')).toEqual({ id: '1', n: 2 })
})
