import type { TablePattern } from '@headwater/sync-config'
import { createTestDatabase, startTestPostgres, type TestDatabase, type TestPostgres } from '@headwater/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkSource } from './check-source.ts'

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startTestPostgres()
})

afterAll(async () => {
  await postgres.stop()
})

const OPTIONS = { publication: 'headwater', slot: 'headwater' }

function tables(...names: readonly string[]): readonly TablePattern[] {
  return names.map((name) => ({ schema: 'public', isSchemaWildcard: false, name, isWildcard: false }))
}

async function databaseWith(sql: string): Promise<TestDatabase> {
  const database = await createTestDatabase(postgres)
  await database.sql(sql)
  return database
}

function as(db: TestDatabase, role: string): string {
  const url = new URL(db.url)
  url.username = role
  url.password = 'x'
  return url.href
}

async function remedies(url: string, ...names: readonly string[]): Promise<readonly string[]> {
  const { problems } = await checkSource(url, { ...OPTIONS, tables: tables(...names) })
  return problems.map(({ severity, remedy }) => `${severity}: ${remedy}`)
}

test('a database that is set up has no problems', async () => {
  await using db = await databaseWith(
    'CREATE TABLE todos (id int PRIMARY KEY); CREATE PUBLICATION headwater FOR TABLE todos',
  )
  const report = await checkSource(db.url, { ...OPTIONS, tables: tables('todos') })
  expect(report.problems).toEqual([])
  expect(report.tables).toMatchObject([{ schema: 'public', name: 'todos', identity: ['id'] }])
})

test('what the service will do by itself is told apart from what an operator must do', async () => {
  await using db = await databaseWith(
    'CREATE TABLE todos (id int PRIMARY KEY); CREATE TABLE lists (id int PRIMARY KEY)',
  )
  expect(await remedies(db.url, 'lists', 'todos')).toEqual([
    'automatic: CREATE PUBLICATION "headwater" FOR TABLE "public"."lists", "public"."todos";',
  ])
  await db.sql('CREATE PUBLICATION headwater FOR TABLE todos')
  expect(await remedies(db.url, 'lists', 'todos')).toEqual([
    'automatic: ALTER PUBLICATION "headwater" ADD TABLE "public"."lists";',
  ])
})

test('everything that a plain role lacks is found in one run, with the SQL to run', async () => {
  await using db = await databaseWith(`
    CREATE TABLE todos (id int PRIMARY KEY); CREATE TABLE lists (id int PRIMARY KEY);
    ALTER TABLE lists ENABLE ROW LEVEL SECURITY;
    CREATE PUBLICATION headwater FOR TABLE lists WITH (publish = 'insert');
    DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'x';
    REVOKE ALL ON SCHEMA public FROM public; GRANT SELECT ON lists TO reader`)
  expect(await remedies(as(db, 'reader'), 'lists', 'todos')).toEqual([
    'error: ALTER ROLE "reader" REPLICATION;',
    `error: ALTER PUBLICATION "headwater" SET (publish = 'insert, update, delete, truncate');`,
    'error: ALTER PUBLICATION "headwater" ADD TABLE "public"."todos";',
    'error: GRANT USAGE ON SCHEMA "public" TO "reader";',
    'error: ALTER ROLE "reader" BYPASSRLS;',
    'error: GRANT USAGE ON SCHEMA "public" TO "reader";',
    'error: GRANT SELECT ON "public"."todos" TO "reader";',
  ])
})

test('the remedies work: after running them nothing is left', async () => {
  await using db = await databaseWith(`
    CREATE TABLE todos (id int PRIMARY KEY); CREATE TABLE "Odd ""name" (id int PRIMARY KEY);
    ALTER TABLE todos ENABLE ROW LEVEL SECURITY;
    DROP ROLE IF EXISTS "Second Reader"; CREATE ROLE "Second Reader" LOGIN PASSWORD 'x';
    REVOKE ALL ON SCHEMA public FROM public`)
  const url = as(db, encodeURIComponent('Second Reader'))
  const options = { ...OPTIONS, tables: tables('todos', 'Odd "name') }
  const { problems } = await checkSource(url, options)
  for (const { remedy } of problems) await db.sql(remedy)
  expect((await checkSource(url, options)).problems).toEqual([])
})

test('tables that cannot be replicated are named with the reason', async () => {
  await using db = await databaseWith(`
    CREATE TABLE plain (id int);
    CREATE TABLE nokey (id int PRIMARY KEY); ALTER TABLE nokey REPLICA IDENTITY NOTHING;
    CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
    CREATE VIEW seen AS SELECT * FROM plain;
    CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE PUBLICATION headwater FOR TABLE plain, nokey, parted`)
  expect(await remedies(db.url, 'plain', 'nokey', 'unlogged', 'seen', 'parted', 'missing')).toEqual([
    'warning: Create the table, or correct its name in the sync config. It is copied as soon as it exists.',
    'warning: ALTER TABLE "public"."nokey" REPLICA IDENTITY DEFAULT;',
    'error: ALTER PUBLICATION "headwater" SET (publish_via_partition_root = true);',
    'warning: ALTER TABLE "public"."plain" ADD PRIMARY KEY (…); or ALTER TABLE "public"."plain" REPLICA IDENTITY FULL;',
    'error: Name the tables that it reads from in the sync config.',
    'error: ALTER TABLE "public"."unlogged" SET LOGGED;',
  ])
})

test('a server without logical replication says which setting to change', async () => {
  await using other = await startTestPostgres({ settings: { wal_level: 'replica', max_replication_slots: '0' } })
  const { problems } = await checkSource(other.url, { ...OPTIONS, tables: [] })
  expect(problems.map(({ message }) => message)).toEqual([
    'wal_level is "replica", not "logical"',
    'all 0 replication slots are in use',
    'the publication "headwater" does not exist',
  ])
  expect(problems[0]?.remedy).toContain("ALTER SYSTEM SET wal_level = 'logical';")
})

test('a server that cannot be reached is a problem like others', async () => {
  const report = await checkSource('postgres://u:p@127.0.0.1:1/d', { ...OPTIONS, tables: [] })
  expect(report).toMatchObject({
    serverVersion: 0,
    problems: [{ severity: 'error', message: expect.stringContaining('ECONNREFUSED') }],
  })
})
