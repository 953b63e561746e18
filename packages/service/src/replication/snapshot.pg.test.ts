import {
  createTestDatabase,
  readSeeds,
  seededRandom,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '@headwater/testkit'
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

async function readRows(db: TestDatabase, table: string): Promise<ReadonlyMap<string, unknown>> {
  const rows = await db.sql(`SELECT * FROM ${table} ORDER BY id`)
  return new Map(rows.map((row) => [`${table}/${String(row['id'])}`, row]))
}

function sorted<T>(rows: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  return new Map([...rows].sort(([a], [b]) => (a < b ? -1 : 1)))
}

const NOTES = `
  CREATE TABLE notes (id text PRIMARY KEY, n int, body text, extra text);
  ALTER TABLE notes ALTER COLUMN body SET STORAGE EXTERNAL`

function large(seed: number): string {
  return `(SELECT string_agg(md5(g::text || '${seed}'), '') FROM generate_series(1, 90) g)`
}

test.each(readSeeds(process.env, 3))(
  'a copy beside random writes ends with exactly the rows of the table (seed %i)',
  { timeout: 120_000 },
  async (seed) => {
    const random = seededRandom(seed)
    const pick = random.integer
    await using db = await databaseWith(`${NOTES};
      INSERT INTO notes SELECT g::text, 0, CASE WHEN g % 3 = 0 THEN ${large(0)} || g ELSE 'short' END, repeat('x', 300)
      FROM generate_series(1, 4000) g`)
    const write = async (): Promise<void> => {
      const id = String(1 + pick(4400))
      const other = String(1 + pick(4400))
      switch (pick(8)) {
        case 0:
          return void (await db.sql(`DELETE FROM notes WHERE id = '${id}'`))
        case 1:
          return void (await db.sql(
            `INSERT INTO notes VALUES ('${id}', 1, ${large(pick(9))}, 'i') ON CONFLICT DO NOTHING`,
          ))
        case 2:
          return void (await db.sql(`UPDATE notes SET body = ${large(pick(9))} WHERE id = '${id}'`))
        case 3:
          return void (await db.sql(
            `UPDATE notes SET id = '${id}' WHERE id = '${other}' AND NOT EXISTS (SELECT FROM notes WHERE id = '${id}')`,
          ))
        case 4:
          return void (await db.sql(`UPDATE notes SET n = n + 1 WHERE n % 7 = ${pick(7)} AND id LIKE '%${pick(10)}'`))
        case 5:
          return void (await db.sql(
            `BEGIN; DELETE FROM notes WHERE id = '${id}'; INSERT INTO notes VALUES ('${id}', 2, 's', 'r'); COMMIT`,
          ))
        default:
          return void (await db.sql(`UPDATE notes SET n = n + 1, extra = repeat('y', ${pick(600)}) WHERE id = '${id}'`))
      }
    }
    await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM notes` })
    // At least so many writes, and on until the copy is over.
    for (let count = 0; count < 150 || !service.hasEvent('copy-done'); count += 1) await write()
    for (let count = 0; count < 30; count += 1) await write()
    await service.settle()

    expect(sorted(await service.rows())).toEqual(sorted(await readRows(db, 'notes')))
  },
)

test('a copy that is stopped in the middle goes on where it was, beside writes', { timeout: 120_000 }, async () => {
  await using db = await databaseWith(`${NOTES};
    INSERT INTO notes SELECT g::text, 0, repeat('z', 400), ${large(1)} FROM generate_series(1, 4000) g`)
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM notes` })
  let stops = 0
  let rowsBefore = 0
  for (;;) {
    // The last chunk may be stored while the service stops; then nothing is left to copy and no event comes.
    const readCopy = async () => {
      const copies = (await service.storage.readResume())?.copies ?? []
      const rows = copies.reduce((sum, { rowsCopied }) => sum + rowsCopied, 0)
      return { rows, isDone: copies.length > 0 && copies.every(({ done }) => done) }
    }
    await expect
      .poll(async () => (await readCopy()).isDone || (await readCopy()).rows > rowsBefore, {
        timeout: 30_000,
        interval: 2,
      })
      .toBe(true)
    const { rows, isDone } = await readCopy()
    if (isDone) break
    rowsBefore = rows
    await db.sql(
      `UPDATE notes SET n = n + 1 WHERE id::int % 50 = ${stops}; DELETE FROM notes WHERE id = '${stops * 11 + 1}'`,
    )
    await service.restart()
    stops += 1
  }
  await service.settle()
  expect(stops).toBeGreaterThan(0)
  expect(sorted(await service.rows())).toEqual(sorted(await readRows(db, 'notes')))
  const started = service.events.filter(({ event }) => event === 'generation-started')
  expect(started).toHaveLength(1)
})

test('a table that is rewritten or truncated while it is copied is copied again', { timeout: 60_000 }, async () => {
  await using db = await databaseWith(`${NOTES};
    INSERT INTO notes SELECT g::text, 0, repeat('z', 900), 'e' FROM generate_series(1, 20000) g`)
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM notes` })
  await service.waitForEvent('copy-started')
  await db.sql(`DELETE FROM notes WHERE id::int % 2 = 0`)
  await db.sql(`VACUUM FULL notes`)
  await db.sql(`UPDATE notes SET n = 5 WHERE id::int % 10 = 1`)
  await db.sql(`TRUNCATE notes`)
  await db.sql(`INSERT INTO notes SELECT g::text, 1, 'new', 'n' FROM generate_series(1, 500) g`)
  await service.settle()
  expect(sorted(await service.rows())).toEqual(sorted(await readRows(db, 'notes')))
})

test('a table that is made later is published and copied by itself', async () => {
  await using db = await databaseWith('SELECT 1')
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM notes` })
  await service.settle()
  const done = service.waitForEvent('copy-done')
  await db.sql(`${NOTES}; INSERT INTO notes VALUES ('1', 1, 'b', 'e')`)
  await done
  await db.sql(`INSERT INTO notes VALUES ('2', 1, 'b', 'e')`)
  await service.settle()
  expect([...(await service.rows()).keys()].sort()).toEqual(['notes/1', 'notes/2'])
})

test('rows of a table that is dropped are removed, and a new table of that name is another one', async () => {
  await using db = await databaseWith(`${NOTES}; INSERT INTO notes VALUES ('1', 1, 'b', 'e')`)
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM notes` })
  await service.settle()
  const gone = service.waitForEvent('table-gone')
  await db.sql(`DROP TABLE notes`)
  await gone
  await service.settle()
  expect(await service.rows()).toEqual(new Map())

  const done = service.waitForEvent('copy-done')
  await db.sql(`${NOTES}; INSERT INTO notes VALUES ('2', 1, 'b', 'e')`)
  await done
  await service.settle()
  expect([...(await service.rows()).keys()]).toEqual(['notes/2'])
})

test('columns that are added, renamed, retyped and dropped reach rows from before', async () => {
  await using db = await databaseWith(`${NOTES}; INSERT INTO notes VALUES ('1', 1, 'b', 'e'), ('2', 2, 'c', 'f')`)
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM notes` })
  await service.settle()

  await db.sql(`ALTER TABLE notes ADD COLUMN later text; UPDATE notes SET later = 'l' WHERE id = '1'`)
  await service.settle()
  expect((await service.rows()).get('notes/1')).toEqual({ id: '1', n: 1, body: 'b', extra: 'e', later: 'l' })

  const refreshed = service.waitForEvent('copy-done')
  await db.sql(`
    ALTER TABLE notes ADD COLUMN priority int DEFAULT 7;
    ALTER TABLE notes RENAME COLUMN extra TO renamed;
    ALTER TABLE notes ALTER COLUMN n TYPE text;
    ALTER TABLE notes DROP COLUMN later;
    UPDATE notes SET body = 'changed' WHERE id = '1'`)
  await refreshed
  await service.settle()
  expect(sorted(await service.rows())).toEqual(sorted(await readRows(db, 'notes')))
})

test('a table whose replica identity changes is built anew under its new keys', async () => {
  await using db = await databaseWith(`${NOTES}; INSERT INTO notes VALUES ('1', 1, 'b', 'e'), ('2', 2, 'c', 'f')`)
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM notes` })
  await service.settle()
  const done = service.waitForEvent('copy-done')
  await db.sql(`
    ALTER TABLE notes ALTER COLUMN n SET NOT NULL;
    CREATE UNIQUE INDEX notes_n ON notes (n);
    ALTER TABLE notes REPLICA IDENTITY USING INDEX notes_n;
    UPDATE notes SET body = 'after' WHERE id = '1'`)
  await done
  await db.sql(`DELETE FROM notes WHERE id = '2'`)
  await service.settle()
  expect(sorted(await service.rows())).toEqual(sorted(await readRows(db, 'notes')))
})

test('a partitioned table that is published as its root is copied and streamed like one table', async () => {
  await using db = await databaseWith(`
    CREATE TABLE parts (id text, k int, PRIMARY KEY (id, k)) PARTITION BY RANGE (k);
    CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (10);
    CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (10) TO (20);
    INSERT INTO parts VALUES ('1', 1), ('2', 11);
    CREATE PUBLICATION headwater FOR TABLE parts WITH (publish_via_partition_root = true)`)
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM parts` })
  await service.settle()
  await db.sql(
    `INSERT INTO parts VALUES ('3', 12); UPDATE parts SET k = 15 WHERE id = '1'; DELETE FROM parts WHERE id = '2'`,
  )
  await service.settle()
  expect(sorted(await service.rows())).toEqual(sorted(await readRows(db, 'parts')))
})

test('only the rows and columns that the publication carries are copied', async () => {
  await using db = await databaseWith(`${NOTES}; INSERT INTO notes VALUES ('1', 1, 'b', 'e'), ('2', 2, 'c', 'f');
    CREATE PUBLICATION headwater FOR TABLE notes (id, n) WHERE (n > 1)`)
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM notes` })
  await service.settle()
  await db.sql(`INSERT INTO notes VALUES ('3', 1, 'b', 'e'), ('4', 2, 'c', 'f')`)
  await service.settle()
  expect(sorted(await service.rows())).toEqual(
    new Map([
      ['notes/2', { id: '2', n: 2 }],
      ['notes/4', { id: '4', n: 2 }],
    ]),
  )
})

test('a table that was out of the publication for a while is copied again', async () => {
  await using db = await databaseWith(`${NOTES}; INSERT INTO notes VALUES ('1', 1, 'b', 'e'), ('2', 2, 'c', 'f')`)
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM notes` })
  await service.settle()
  // The rows of the first copy can be seen a moment before its event.
  await expect.poll(() => service.hasEvent('copy-done')).toBe(true)
  const done = service.waitForEvent('copy-done')
  await db.sql(`ALTER PUBLICATION headwater DROP TABLE notes; DELETE FROM notes WHERE id = '1'; UPDATE notes SET n = 9`)
  await done
  await service.settle()
  expect(sorted(await service.rows())).toEqual(sorted(await readRows(db, 'notes')))
})

test('a publication that is dropped is made again, and everything is copied anew', async () => {
  await using db = await databaseWith(`${NOTES}; INSERT INTO notes VALUES ('1', 1, 'b', 'e')`)
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM notes` })
  await service.settle()
  // The rows of the first copy can be seen a moment before its event.
  await expect.poll(() => service.hasEvent('copy-done')).toBe(true)
  const done = service.waitForEvent('copy-done')
  await db.sql(`DROP PUBLICATION headwater; INSERT INTO notes VALUES ('2', 2, 'c', 'f')`)
  await done
  await service.settle()
  expect(sorted(await service.rows())).toEqual(sorted(await readRows(db, 'notes')))
  expect((await service.storage.readStatus()).generation).toBe(2)
})
