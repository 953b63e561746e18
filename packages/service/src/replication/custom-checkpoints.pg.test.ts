import { createTestDatabase, startTestPostgres, type TestDatabase, type TestPostgres } from '@headwater/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BucketStorage, Commit } from '../storage/storage.ts'
import { EVERYTHING, type ReplicationUnderTest, startReplication } from './replication.test-parts.ts'

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startTestPostgres()
})

afterAll(async () => {
  await postgres.stop()
})

const NOTES = `${EVERYTHING}SELECT * FROM notes`

function withEvent(payload: string, name = 'write_checkpoints'): string {
  return `event_definitions:\n  ${name}:\n    payloads:\n      - ${payload}\n${NOTES}`
}

const WITH_EVENT = withEvent('SELECT user_id, client_id, checkpoint FROM checkpoints')

async function databaseWith(sql: string): Promise<TestDatabase> {
  const database = await createTestDatabase(postgres)
  await database.sql(sql)
  return database
}

const TABLES = `
  CREATE TABLE notes (id text PRIMARY KEY, text text);
  CREATE TABLE checkpoints (user_id text, client_id text, checkpoint bigint, PRIMARY KEY (user_id, client_id));`

/** As the app's backend writes it: one row a client, one more each time. */
const NEXT = `
  INSERT INTO checkpoints VALUES ('ann', 'phone', 1)
  ON CONFLICT (user_id, client_id) DO UPDATE SET checkpoint = checkpoints.checkpoint + 1`

async function numberOf(service: ReplicationUnderTest, key: string): Promise<bigint | undefined> {
  await service.settle()
  return service.storage.readWriteCheckpoint(key)
}

test('a number is seen with the checkpoint that has the row, neither earlier nor later', async () => {
  await using db = await databaseWith(TABLES)
  const commits: Commit[] = []
  const wrapStorage = (storage: BucketStorage): BucketStorage => ({
    ...storage,
    append: async (delta) => {
      const commit = await storage.append(delta)
      commits.push(commit)
      return commit
    },
  })
  await using service = await startReplication(db, { config: WITH_EVENT, wrapStorage })
  await service.settle()
  expect(await numberOf(service, 'ann/phone')).toBeUndefined()

  commits.length = 0
  for (const n of [1, 2, 3]) {
    await db.sql(`BEGIN; INSERT INTO notes VALUES ('n${n}', 'text'); ${NEXT}; COMMIT`)
    expect(await numberOf(service, 'ann/phone')).toBe(BigInt(n))
  }
  const telling = commits.filter(({ writeCheckpoints }) => writeCheckpoints.has('ann/phone'))
  expect(telling.map(({ writeCheckpoints }) => writeCheckpoints.get('ann/phone'))).toEqual([1n, 2n, 3n])
  for (const { buckets } of telling) expect(buckets.size).toBe(1)
  expect(await numberOf(service, 'ann')).toBeUndefined()
})

test('every state that a row went through counts, also of one that is gone when it is replicated', async () => {
  await using db = await databaseWith(TABLES)
  await using service = await startReplication(db, { config: WITH_EVENT })
  await service.settle()
  await db.sql(`
    INSERT INTO checkpoints VALUES ('ann', 'a', 5);
    UPDATE checkpoints SET checkpoint = 3;
    INSERT INTO checkpoints VALUES ('bob', 'b', 9);
    DELETE FROM checkpoints WHERE user_id = 'bob';
    INSERT INTO checkpoints VALUES ('carl', 'c', 1);
    UPDATE checkpoints SET client_id = 'd', checkpoint = 2 WHERE user_id = 'carl'`)
  expect(await numberOf(service, 'ann/a')).toBe(5n)
  expect(await numberOf(service, 'bob/b')).toBe(9n)
  expect(await numberOf(service, 'carl/c')).toBe(1n)
  expect(await numberOf(service, 'carl/d')).toBe(2n)
  await db.sql(`UPDATE checkpoints SET checkpoint = 4 WHERE user_id = 'ann'; TRUNCATE checkpoints`)
  expect(await numberOf(service, 'ann/a')).toBe(5n)
})

test('a first copy brings the numbers of the rows that it finds', async () => {
  await using db = await databaseWith(`
    ${TABLES}
    ALTER TABLE checkpoints DROP CONSTRAINT checkpoints_pkey, ALTER client_id DROP NOT NULL;
    INSERT INTO notes VALUES ('1', 'text');
    INSERT INTO checkpoints SELECT 'u' || n, NULL, n FROM generate_series(1, 2000) n`)
  await using service = await startReplication(db, { config: WITH_EVENT })
  expect(await numberOf(service, 'u1')).toBe(1n)
  expect(await numberOf(service, 'u2000')).toBe(2000n)
})

test.each([
  ['write_checkpoints', 'SELECT *, 7 AS checkpoint FROM numbers', 'NULL', 7n],
  [
    'checkpoint_requests',
    'SELECT who AS user_id, n AS checkpoint FROM numbers',
    `'9223372036854775807'`,
    2n ** 63n - 1n,
  ],
  ['write_checkpoints', 'SELECT who AS user_id, n AS checkpoint FROM numbers WHERE NOT hidden', `'12'`, 12n],
])('the event %s with %s', async (name, payload, n, number) => {
  await using db = await databaseWith(`${TABLES}
    CREATE TABLE numbers (user_id int PRIMARY KEY, who bigint, n text, hidden bool, large text);
    ALTER TABLE numbers ALTER large SET STORAGE EXTERNAL`)
  await using service = await startReplication(db, { config: withEvent(payload, name) })
  await service.settle()
  await db.sql(`INSERT INTO numbers VALUES (77, 77, NULL, true, repeat('x', 10000))`)
  await service.settle()
  await db.sql(`UPDATE numbers SET n = ${n}, hidden = false`)
  expect(await numberOf(service, '77')).toBe(number)
})

test('a row that says no number is reported, and keeps nothing else waiting', async () => {
  await using db = await databaseWith(`${TABLES} CREATE TABLE numbers (id int PRIMARY KEY, u text, c text, n text)`)
  const payload = 'SELECT u AS user_id, c AS client_id, n AS checkpoint FROM numbers'
  await using service = await startReplication(db, { config: withEvent(payload) })
  await service.settle()
  const reported = service.waitForEvent('rows-left-out')
  await db.sql(`INSERT INTO numbers VALUES
    (1, NULL, 'c', '1'), (2, 'ann', 'c', 'x'), (3, 'ann', 'c', '1.5'), (4, 'ann', 'c', '-1'), (5, 'ann', 'c', NULL),
    (6, 'ann', 'c', '9223372036854775808'), (7, 'ann', repeat('c', 1001), '1'), (8, 'ann', 'c', '0'), (9, 'ann', 'c', '3')`)
  expect((await reported).fields).toMatchObject({
    rows: 7,
    table: 'public.numbers',
    definition: 'write_checkpoints',
    message: 'Cannot read a write checkpoint: user_id: expected text or a whole number, got NULL',
  })
  expect(await numberOf(service, 'ann/c')).toBe(3n)
  const { rowErrors } = await service.storage.readStatus()
  expect(rowErrors.map(({ message }) => message.replace(/^Cannot read a write checkpoint: /, ''))).toEqual(
    expect.arrayContaining([
      'checkpoint: expected a whole number from 1 to 9223372036854775807, got "x"',
      'checkpoint: expected a whole number from 1 to 9223372036854775807, got "1.5"',
      'checkpoint: expected a whole number from 1 to 9223372036854775807, got "-1"',
      'checkpoint: expected a whole number from 1 to 9223372036854775807, got NULL',
      'checkpoint: expected a whole number from 1 to 9223372036854775807, got "9223372036854775808"',
      expect.stringMatching(/^client_id: expected text, a whole number or NULL, got "ccc/),
    ]),
  )
})

test('clients see numbers of the backend only while the config has the event for them, and those of the service else', async () => {
  await using db = await databaseWith(TABLES)
  await using service = await startReplication(db, { config: NOTES })
  await service.settle()
  const ours = await service.replicator().requestWriteCheckpoint('ann/phone')
  expect(await numberOf(service, 'ann/phone')).toBe(ours)

  await db.sql(NEXT)
  await service.restart({ config: WITH_EVENT })
  expect(await numberOf(service, 'ann/phone')).toBe(1n)
  await db.sql(`${NEXT}; INSERT INTO checkpoints VALUES ('bob', 'b', 8); DELETE FROM checkpoints WHERE user_id = 'bob'`)
  expect(await numberOf(service, 'ann/phone')).toBe(2n)

  // The same rows, and something else that changes: what they said before still counts.
  await service.restart({ config: WITH_EVENT.replace('SELECT * FROM notes', 'SELECT id FROM notes') })
  expect(await numberOf(service, 'bob/b')).toBe(8n)
  // Other rows count by themselves.
  await service.restart({ config: withEvent('SELECT user_id, client_id, 1 AS checkpoint FROM checkpoints') })
  expect(await numberOf(service, 'bob/b')).toBeUndefined()
  expect(await numberOf(service, 'ann/phone')).toBe(1n)

  await service.restart({ config: NOTES })
  await service.settle()
  const again = await service.replicator().requestWriteCheckpoint('ann/phone')
  expect(again).toBeGreaterThan(ours)
  expect(await numberOf(service, 'ann/phone')).toBe(again)
})

test('a transaction that comes in many slices tells its number at its end', { timeout: 120_000 }, async () => {
  await using db = await databaseWith(TABLES)
  await using service = await startReplication(db, { config: WITH_EVENT })
  await service.settle()
  const until = new AbortController()
  const commits = service.storage.watchCommits(until.signal)
  await db.sql(`BEGIN; ${NEXT}; INSERT INTO notes SELECT n, 'text' FROM generate_series(1, 30000) n; COMMIT`)
  for await (const { writeCheckpoints } of commits) {
    if (writeCheckpoints.has('ann/phone')) break
    expect(await service.rows()).toEqual(new Map())
  }
  until.abort()
  expect((await service.rows()).size).toBe(30_000)
})
