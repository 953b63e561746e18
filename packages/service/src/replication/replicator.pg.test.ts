import { createTestDatabase, startTestPostgres, type TestDatabase, type TestPostgres } from '@headwater/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EVERYTHING, startReplication } from './replication.test-parts.ts'

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startTestPostgres()
})

afterAll(async () => {
  await postgres.stop()
})

async function databaseWith(sql: string): Promise<TestDatabase> {
  const database = await createTestDatabase(postgres)
  await database.sql(sql)
  return database
}

const TODOS = `CREATE TABLE todos (id text PRIMARY KEY, list text, title text, done boolean)`
const ALL_TODOS = `${EVERYTHING}SELECT * FROM todos`
const LARGE = "(SELECT string_agg(md5(g::text || 'x'), '') FROM generate_series(1, 400) g)"

test('rows from before and after the start reach the bucket', async () => {
  await using db = await databaseWith(`${TODOS}; INSERT INTO todos VALUES ('1', 'a', 'before', false)`)
  await using service = await startReplication(db, { config: ALL_TODOS })
  await service.settle()
  await db.sql(`INSERT INTO todos VALUES ('2', 'a', 'after', true)`)
  await service.settle()

  expect(await service.rows()).toEqual(
    new Map([
      ['todos/1', { id: '1', list: 'a', title: 'before', done: 0 }],
      ['todos/2', { id: '2', list: 'a', title: 'after', done: 1 }],
    ]),
  )
})

test('an update that changes nothing a client sees emits nothing', async () => {
  await using db = await databaseWith(`${TODOS}; INSERT INTO todos VALUES ('1', 'a', 'same', false)`)
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT id, title FROM todos` })
  await service.settle()
  const before = await service.countOperations()
  await db.sql(`UPDATE todos SET done = true; UPDATE todos SET title = title`)
  await service.settle()

  expect(await service.countOperations()).toBe(before)
})

describe.each([
  ['the primary key', 'PRIMARY KEY (id)', 'DEFAULT'],
  ['a unique index', 'UNIQUE (id)', 'USING INDEX rows_id_key'],
  ['every column', '', 'FULL'],
  ['every column, with a primary key', 'PRIMARY KEY (id)', 'FULL'],
])('with %s as replica identity', (_, constraint, identity) => {
  test('inserts, updates, changed keys, deletes and large unchanged values arrive', async () => {
    await using db = await databaseWith(`
      CREATE TABLE rows (id text NOT NULL, n int, body text${constraint === '' ? '' : `, ${constraint}`});
      ALTER TABLE rows ALTER COLUMN body SET STORAGE EXTERNAL;
      ALTER TABLE rows REPLICA IDENTITY ${identity};
      INSERT INTO rows VALUES ('a', 1, ${LARGE}), ('b', 1, ${LARGE}), ('c', 1, 'short'), ('d', 1, NULL)`)
    await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM rows` })
    await service.settle()

    await db.sql(`
      INSERT INTO rows VALUES ('e', 1, ${LARGE});
      UPDATE rows SET n = 2 WHERE id IN ('a', 'c', 'e');
      UPDATE rows SET id = 'b2' WHERE id = 'b';
      UPDATE rows SET n = 3 WHERE id = 'b2';
      DELETE FROM rows WHERE id = 'd';`)
    await service.settle()
    expect(await service.rows()).toEqual(await readRows(db, 'rows'))
  })

  test('two rows may swap their keys in one transaction', async () => {
    await using db = await databaseWith(`
      CREATE TABLE rows (id text NOT NULL, n int, body text${constraint === '' ? '' : `, ${constraint}`});
      ALTER TABLE rows ALTER COLUMN body SET STORAGE EXTERNAL;
      ALTER TABLE rows REPLICA IDENTITY ${identity};
      INSERT INTO rows VALUES ('a', 1, ${LARGE}), ('b', 2, ${LARGE} || 'b')`)
    await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM rows` })
    await service.settle()
    await db.sql(`
      BEGIN;
      UPDATE rows SET id = 'x' WHERE id = 'a';
      UPDATE rows SET id = 'a' WHERE id = 'b';
      UPDATE rows SET id = 'b' WHERE id = 'x';
      COMMIT`)
    await service.settle()
    expect(await service.rows()).toEqual(await readRows(db, 'rows'))
  })
})

test('a table without any replica identity gives its inserts and its truncation', async () => {
  await using db = await databaseWith(`CREATE TABLE rows (id text, n int); ALTER TABLE rows REPLICA IDENTITY NOTHING`)
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM rows` })
  await db.sql(`INSERT INTO rows VALUES ('a', 1), ('b', 2)`)
  await service.settle()
  expect([...(await service.rows()).keys()]).toEqual(['rows/a', 'rows/b'])
  await db.sql(`TRUNCATE rows`)
  await service.settle()
  expect(await service.rows()).toEqual(new Map())
})

test('truncating and filling again in one transaction shows no empty table in between', async () => {
  await using db = await databaseWith(
    `${TODOS}; INSERT INTO todos SELECT g::text, 'a', 'old', false FROM generate_series(1, 3000) g`,
  )
  await using service = await startReplication(db, { config: ALL_TODOS })
  await service.settle()
  const head = await service.storage.readHead()
  await db.sql(
    `BEGIN; INSERT INTO todos VALUES ('x', 'a', 'gone', false); TRUNCATE todos; INSERT INTO todos VALUES ('1', 'a', 'new', false); COMMIT`,
  )
  await service.settle()

  expect(await service.rows()).toEqual(new Map([['todos/1', { id: '1', list: 'a', title: 'new', done: 0 }]]))
  const after = await service.storage.readHead()
  expect(Number(after?.checkpoint.opId) - Number(head?.checkpoint.opId)).toBeGreaterThanOrEqual(3000)
})

test('a row follows its owner from bucket to bucket, and lookups follow their table', async () => {
  await using db = await databaseWith(`
    CREATE TABLE lists (id text PRIMARY KEY, owner text);
    CREATE TABLE todos (id text PRIMARY KEY, list text);
    INSERT INTO lists VALUES ('l1', 'ann'), ('l2', 'bob');
    INSERT INTO todos VALUES ('t1', 'l1'), ('t2', 'l2')`)
  await using service = await startReplication(db, {
    config: `${EVERYTHING}SELECT * FROM todos WHERE list IN (SELECT id FROM lists WHERE owner = auth.user_id())`,
  })
  await service.settle()
  expect([...(await service.rows({ sub: 'ann' })).keys()]).toEqual(['todos/t1'])

  await db.sql(`UPDATE todos SET list = 'l1' WHERE id = 't2'`)
  await service.settle()
  expect([...(await service.rows({ sub: 'ann' })).keys()].sort()).toEqual(['todos/t1', 'todos/t2'])
  expect([...(await service.rows({ sub: 'bob' })).keys()]).toEqual([])

  await db.sql(`UPDATE lists SET owner = 'bob'`)
  await service.settle()
  expect([...(await service.rows({ sub: 'ann' })).keys()]).toEqual([])
  expect([...(await service.rows({ sub: 'bob' })).keys()].sort()).toEqual(['todos/t1', 'todos/t2'])
})

test('a transaction of 200,000 rows is stored in slices and shown whole', { timeout: 120_000 }, async () => {
  await using db = await databaseWith(TODOS)
  await using service = await startReplication(db, { config: ALL_TODOS })
  await service.settle()
  const before = await service.storage.readHead()
  const until = new AbortController()
  const shown: bigint[] = []
  const watching = (async () => {
    for await (const { checkpoint } of service.storage.watchCommits(until.signal)) {
      if (checkpoint !== undefined) shown.push(checkpoint.opId)
    }
  })()
  await db.sql(`INSERT INTO todos SELECT g::text, 'a', 'title ' || g, false FROM generate_series(1, 200000) g`)
  await service.settle()
  until.abort()
  await watching

  const start = before?.checkpoint.opId ?? 0n
  expect(shown.filter((opId) => opId > start && opId < start + 200_000n)).toEqual([])
  expect(await service.countOperations()).toBe(200_000)
})

test('[protocol 74, 75, 76] a write checkpoint is shown with everything that was committed before it was asked for', async () => {
  await using db = await databaseWith(TODOS)
  await using service = await startReplication(db, { config: ALL_TODOS })
  await service.settle()
  for (let round = 0; round < 20; round += 1) {
    await db.sql(`INSERT INTO todos VALUES ('${round}', 'a', 'x', false)`)
    await service.settle()
    expect((await service.rows()).has(`todos/${round}`)).toBe(true)
  }
})

test('write checkpoints that are asked for at once get different, growing numbers', async () => {
  await using db = await databaseWith(TODOS)
  await using service = await startReplication(db, { config: ALL_TODOS })
  await service.settle()
  const numbers = await Promise.all(
    Array.from({ length: 2_500 }, (_, n) => service.replicator().requestWriteCheckpoint(`user/${n}`)),
  )
  expect(new Set(numbers).size).toBe(2_500)
  await service.settle()
  expect(await service.storage.readWriteCheckpoint('user/0')).toBe(numbers[0])
  expect(await service.storage.readWriteCheckpoint('user/2499')).toBe(numbers[2_499])
})

test('[protocol 75, 77] the number of a client is shown when its writes are, and a smaller one changes nothing', async () => {
  await using db = await databaseWith(TODOS)
  await using service = await startReplication(db, { config: ALL_TODOS })
  await service.settle()
  const request = (number: bigint) => service.replicator().requestCheckpointNumber('ann/c-01', number)
  const shown = () => service.storage.readWriteCheckpoint('ann/c-01')
  for (let round = 1; round <= 5; round += 1) {
    await db.sql(`INSERT INTO todos VALUES ('n${round}', 'a', 'x', false)`)
    expect(await request(BigInt(round))).toBe(BigInt(round))
    await expect.poll(shown).toBe(BigInt(round))
    expect((await service.rows()).has(`todos/n${round}`)).toBe(true)
  }
  expect(await request(3n)).toBe(5n)
  await service.settle()
  expect(await shown()).toBe(5n)

  await service.restart()
  await expect.poll(() => service.replicator().readStatus().phase.kind).toBe('running')
  expect(await request(2n)).toBe(5n)
  expect(await request(6n)).toBe(6n)
  await expect.poll(shown).toBe(6n)
  const ours = await service.replicator().requestWriteCheckpoint('ann/c-01')
  expect(ours).toBeGreaterThan(6n)
  expect(await request(7n)).toBe(ours)
})

async function readRows(db: TestDatabase, table: string): Promise<ReadonlyMap<string, unknown>> {
  const rows = await db.sql(`SELECT * FROM ${table} ORDER BY id`)
  return new Map(rows.map((row) => [`${table}/${String(row['id'])}`, row]))
}
