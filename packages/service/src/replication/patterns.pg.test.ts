import { createTestDatabase, startTestPostgres, type TestDatabase, type TestPostgres } from '@headwater/testkit'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EVERYTHING, type ReplicationUnderTest, startReplication } from './replication.test-parts.ts'

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

/** Resolves when the table's copy is done; that of another table may still be told at the time of the call. */
async function waitForCopy(service: ReplicationUnderTest, table: string): Promise<void> {
  for (;;) {
    const { fields } = await service.waitForEvent('copy-done')
    if (JSON.stringify(fields).includes(JSON.stringify(table))) return
  }
}

test('[sync-config 52] a table that is made later is synced when its name fits a pattern, and no other', async () => {
  await using db = await databaseWith(`
    CREATE TABLE log_a (id text PRIMARY KEY, line text);
    CREATE TABLE other_a (id text PRIMARY KEY, line text);
    INSERT INTO log_a VALUES ('1', 'old');
    INSERT INTO other_a VALUES ('1', 'other')`)
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM "log_%"` })
  await service.settle()
  expect([...(await service.rows()).keys()]).toEqual(['log_a/1'])

  const copied = waitForCopy(service, 'public.log_b')
  await db.sql(`
    CREATE TABLE log_b (id text PRIMARY KEY, line text);
    CREATE TABLE other_b (id text PRIMARY KEY, line text);
    INSERT INTO log_b VALUES ('1', 'new');
    INSERT INTO other_b VALUES ('1', 'other')`)
  await copied
  await db.sql(`INSERT INTO log_b VALUES ('2', 'newer'); UPDATE log_a SET line = 'changed'`)
  await service.settle()

  expect(await service.rows()).toEqual(
    new Map([
      ['log_a/1', { id: '1', line: 'changed' }],
      ['log_b/1', { id: '1', line: 'new' }],
      ['log_b/2', { id: '2', line: 'newer' }],
    ]),
  )
})

test('a table that cannot be published for the locks of others is synced when they are gone, and nobody waits meanwhile', async () => {
  await using db = await databaseWith(`CREATE TABLE log_a (id text PRIMARY KEY)`)
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM "log_%"` })
  await service.settle()
  const waits = service.waitForEvent('publication-waits-for-lock')
  const locker = new Client({ connectionString: db.url })
  await locker.connect()
  await locker.query('BEGIN; LOCK TABLE pg_publication_rel IN SHARE MODE')
  await db.sql(`CREATE TABLE log_b (id text PRIMARY KEY); INSERT INTO log_b VALUES ('1')`)
  expect((await waits).fields).toEqual({ publication: 'headwater', tables: ['public.log_b'] })
  await service.settle()
  const copied = waitForCopy(service, 'public.log_b')
  await locker.query('COMMIT')
  await locker.end()
  await copied
  await service.settle()
  expect([...(await service.rows()).keys()]).toEqual(['log_b/1'])
  expect(service.hasEvent('replication-interrupted')).toBe(false)
})

test('each tenant gets the tables of its own schema, also of one that is made later', async () => {
  await using db = await databaseWith(`
    CREATE SCHEMA tenant_acme;
    CREATE TABLE tenant_acme.orders_2024 (id text PRIMARY KEY, total int);
    CREATE TABLE orders_2024 (id text PRIMARY KEY, total int);
    INSERT INTO tenant_acme.orders_2024 VALUES ('1', 5);
    INSERT INTO orders_2024 VALUES ('1', 9)`)
  const query = `SELECT o.id, o.total, o.table_suffix() AS year FROM "tenant_%"."orders_%" AS o WHERE o.schema() = auth.parameter('tenant')`
  await using service = await startReplication(db, { config: EVERYTHING + query })
  await service.settle()

  const copied = waitForCopy(service, 'tenant_zeta.orders_2025')
  await db.sql(`
    CREATE SCHEMA tenant_zeta;
    CREATE TABLE tenant_zeta.orders_2025 (id text PRIMARY KEY, total int);
    INSERT INTO tenant_zeta.orders_2025 VALUES ('1', 7)`)
  await copied
  await service.settle()

  expect(await service.rows({ sub: 'ann', tenant: 'tenant_acme' })).toEqual(
    new Map([['o/1', { id: '1', total: 5, year: '2024' }]]),
  )
  expect(await service.rows({ sub: 'zoe', tenant: 'tenant_zeta' })).toEqual(
    new Map([['o/1', { id: '1', total: 7, year: '2025' }]]),
  )
  expect(await service.rows({ sub: 'eve', tenant: 'public' })).toEqual(new Map())
})
