import { afterAll, beforeAll, expect, test } from 'vitest'

import type { TestPostgres } from './postgres.ts'
import { createTestDatabase, startTestPostgres } from './postgres.ts'

let cluster: TestPostgres

beforeAll(async () => {
  cluster = await startTestPostgres()
})

afterAll(() => cluster.stop())

test('a test database is empty, writable and its own', async () => {
  await using one = await createTestDatabase(cluster)
  await using other = await createTestDatabase(cluster)

  await one.sql('CREATE TABLE t (a int); INSERT INTO t VALUES (1)')

  expect(await one.sql('SELECT a FROM t WHERE a = $1', [1])).toEqual([{ a: 1 }])
  expect(await other.sql("SELECT to_regclass('t') AS t")).toEqual([{ t: null }])
})

test('a test database can be replicated from and takes its slots along when it is dropped', async () => {
  const database = await createTestDatabase(cluster)
  await database.sql("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")

  await database[Symbol.asyncDispose]()

  await using other = await createTestDatabase(cluster)
  expect(await other.sql('SELECT slot_name FROM pg_replication_slots')).toEqual([])
})
