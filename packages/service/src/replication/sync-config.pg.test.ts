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

async function databaseWith(sql: string): Promise<TestDatabase> {
  const database = await createTestDatabase(postgres)
  await database.sql(sql)
  return database
}

type Service = Awaited<ReturnType<typeof startReplication>>

async function waitForCopy(service: Service, table: string): Promise<void> {
  for (;;) {
    const { fields } = await service.waitForEvent('copy-done')
    if (JSON.stringify(fields).includes(table)) return
  }
}

async function namesFor(service: Service, sub: string): Promise<readonly string[]> {
  return [...(await service.rows({ sub })).keys()].toSorted()
}

test('[sync-config 52] a table that is made later and fits a pattern is synced without a new config', async () => {
  await using db = await databaseWith(`
    CREATE TABLE log_1 (id text PRIMARY KEY, owner text);
    INSERT INTO log_1 VALUES ('a', 'ann')`)
  await using service = await startReplication(db, {
    config: `${EVERYTHING}SELECT * FROM "log_%" WHERE owner = auth.user_id()`,
  })
  await service.settle()
  const done = waitForCopy(service, 'log_2')
  await db.sql(`
    CREATE TABLE log_2 (id text PRIMARY KEY, owner text);
    INSERT INTO log_2 VALUES ('b', 'ann'), ('c', 'bob');
    CREATE TABLE other (id text PRIMARY KEY, owner text);
    INSERT INTO other VALUES ('d', 'ann')`)
  await done
  await db.sql(`INSERT INTO log_2 VALUES ('e', 'ann')`)
  await service.settle()
  expect(await namesFor(service, 'ann')).toEqual(['log_1/a', 'log_2/b', 'log_2/e'])
})

test('[sync-config 133, 134, 135, 136] changes of data and of lookups of every stage are shown together', async () => {
  await using db = await databaseWith(`
    CREATE TABLE members (id text PRIMARY KEY, person text, team text);
    CREATE TABLE teams (id text PRIMARY KEY, area text);
    CREATE TABLE tasks (id text PRIMARY KEY, area text);
    INSERT INTO members VALUES ('m', 'ann', 'red');
    INSERT INTO teams VALUES ('red', 'north'), ('blue', 'south');
    INSERT INTO tasks VALUES ('1', 'north'), ('2', 'south')`)
  await using service = await startReplication(db, {
    config: `${EVERYTHING}SELECT * FROM tasks WHERE area IN (SELECT area FROM teams WHERE id IN (SELECT team FROM members WHERE person = auth.user_id()))`,
  })
  await service.settle()
  expect(await namesFor(service, 'ann')).toEqual(['tasks/1'])
  const steps: readonly (readonly [sql: string, names: readonly string[]])[] = [
    [`UPDATE teams SET area = 'south' WHERE id = 'red'`, ['tasks/2']],
    [`UPDATE tasks SET area = 'south' WHERE id = '1'`, ['tasks/1', 'tasks/2']],
    [`DELETE FROM members`, []],
    [
      `BEGIN; INSERT INTO members VALUES ('n', 'ann', 'blue'); UPDATE teams SET area = 'west' WHERE id = 'blue';
       INSERT INTO tasks VALUES ('3', 'west'); COMMIT`,
      ['tasks/3'],
    ],
    [`DELETE FROM tasks WHERE id = '3'`, []],
  ]
  for (const [sql, names] of steps) {
    await db.sql(sql)
    await service.settle()
    expect(await namesFor(service, 'ann')).toEqual(names)
  }
})

test('[sync-config 137, 138] a row that fails for one stream leaves it, stays in others, and stops nothing', async () => {
  await using db = await databaseWith(`
    CREATE TABLE notes (id text PRIMARY KEY, body text);
    INSERT INTO notes VALUES ('1', '{"a":1}'), ('2', '{bad')`)
  const config = `
config: { edition: 3 }
streams:
  plain: { auto_subscribe: true, query: SELECT * FROM notes }
  parts: { auto_subscribe: true, query: "SELECT id, body ->> 'a' AS a FROM notes AS parts" }
`
  await using service = await startReplication(db, { config })
  await service.settle()
  expect(await namesFor(service, 'ann')).toEqual(['notes/1', 'notes/2', 'parts/1'])
  const fails = service.waitForEvent('rows-left-out')
  await db.sql(`UPDATE notes SET body = '{worse' WHERE id = '1'`)
  const { fields } = await fails
  expect(fields).toMatchObject({ rows: 1, table: expect.stringContaining('notes') as unknown, definition: 'parts' })
  expect(JSON.stringify(fields)).toMatch(/"row":"[^"]*1"/)
  await service.settle()
  expect(await namesFor(service, 'ann')).toEqual(['notes/1', 'notes/2'])
  const { rowErrors } = await service.storage.readStatus()
  expect(rowErrors.map(({ definition }) => definition)).toEqual(['parts', 'parts'])
  await db.sql(`UPDATE notes SET body = '{"a":2}'`)
  await service.settle()
  expect(await namesFor(service, 'ann')).toEqual(['notes/1', 'notes/2', 'parts/1', 'parts/2'])
})

test('[sync-config 139] after many changes the buckets are those of a fresh copy', { timeout: 120_000 }, async () => {
  await using db = await databaseWith(`
    CREATE TABLE members (id int PRIMARY KEY, person text, team int);
    CREATE TABLE tasks (id int PRIMARY KEY, owner text, team int, tags jsonb, open bool)`)
  const config = `
config: { edition: 3 }
streams:
  own: { auto_subscribe: true, query: "SELECT * FROM tasks WHERE owner = auth.user_id() OR open" }
  team: { auto_subscribe: true, query: "SELECT id, tags FROM tasks AS team WHERE team IN (SELECT team FROM members WHERE person = auth.user_id())" }
  tagged: { auto_subscribe: true, query: "SELECT id FROM tasks AS tagged WHERE auth.user_id() IN tags" }
`
  await using service = await startReplication(db, { config })
  await service.settle()
  for (let round = 0; round < 5; round += 1) {
    await db.sql(`
      DELETE FROM tasks WHERE random() < 0.2; DELETE FROM members WHERE random() < 0.2;
      INSERT INTO tasks SELECT g, (ARRAY['ann', 'bob', NULL])[1 + (random() * 2)::int], (random() * 3)::int,
          (ARRAY['["ann"]', '["bob", "ann"]', '[]', NULL])[1 + (random() * 3)::int]::jsonb, random() < 0.3
        FROM generate_series(1, 30) g
        ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, team = excluded.team, tags = excluded.tags, open = excluded.open;
      INSERT INTO members SELECT g, (ARRAY['ann', 'bob'])[1 + (random())::int], (random() * 3)::int FROM generate_series(1, 4) g
        ON CONFLICT (id) DO UPDATE SET person = excluded.person, team = excluded.team;
      UPDATE tasks SET id = id + 1000 * (1 + ${round}) WHERE random() < 0.1 AND id < 1000`)
  }
  await service.settle()
  const streamed = await Promise.all(['ann', 'bob', 'eve'].map((sub) => service.rows({ sub })))
  await using fresh = await startReplication(db, { config, slot: `fresh_${db.name}`, instance: 'second' })
  await fresh.settle()
  const copied = await Promise.all(['ann', 'bob', 'eve'].map((sub) => fresh.rows({ sub })))
  expect(streamed.map((rows) => [...rows].toSorted(byName))).toEqual(copied.map((rows) => [...rows].toSorted(byName)))
  expect(streamed.map((rows) => rows.size > 0)).toEqual([true, true, true])
})

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : Number(a > b)
}
