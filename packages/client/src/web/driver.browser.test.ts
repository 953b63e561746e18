import { join } from 'node:path'
import { startChromium, startPageServer } from '@headwater/testkit/browser'
import type { Chromium, PageServer } from '@headwater/testkit/browser'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'

const SCRIPT = join(import.meta.dirname, '..', '..', '..', 'testkit', 'src', 'browser', 'sqlite-page.ts')

let chromium: Chromium
let server: PageServer
let lastDatabase = 0

beforeAll(async () => {
  server = await startPageServer(SCRIPT)
  chromium = await startChromium(['--host-resolver-rules=MAP insecure.test 127.0.0.1'])
})

afterAll(async () => {
  await chromium[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

async function openPage(url = server.url): Promise<Page> {
  const page = await chromium.context.newPage()
  await page.goto(url)
  await page.waitForFunction(() => document.title === 'ready')
  return page
}

async function reload(page: Page): Promise<void> {
  await page.reload()
  await page.waitForFunction(() => document.title === 'ready')
}

/** A name no other test has used. */
function freshFile(): string {
  return `test-${++lastDatabase}.db`
}

test('rows survive a reload of the page', async () => {
  const page = await openPage()
  const file = freshFile()
  await page.evaluate(async (file) => {
    const connection = await sqlitePage.openDriver(file).open('writer')
    await connection.exec('CREATE TABLE t (id TEXT PRIMARY KEY, title TEXT)')
    await connection.run('INSERT INTO t VALUES (?, ?)', ['a', 'Buy milk'])
  }, file)

  await reload(page)

  const rows = await page.evaluate(async (file) => {
    const connection = await sqlitePage.openDriver(file).open('writer')
    return (await connection.run('SELECT id, title FROM t')).rows
  }, file)
  expect(rows).toEqual([['a', 'Buy milk']])
  await page.close()
})

test('a page reloaded 20 times in quick succession always opens its database again', async () => {
  const page = await openPage()
  const file = freshFile()
  const countUp = () =>
    page.evaluate(async (file) => {
      const connection = await sqlitePage.openDriver(file).open('writer')
      await connection.exec('CREATE TABLE IF NOT EXISTS t (n INTEGER)')
      await connection.run('INSERT INTO t SELECT count(*) FROM t')
      return (await connection.run('SELECT count(*) FROM t')).rows[0]?.[0]
    }, file)
  for (let count = 1; count <= 20; count++) {
    expect(await countUp()).toBe(count)
    await reload(page)
  }
  await page.close()
})

test('a second tab is told that the database is open in another one, and the first goes on', async () => {
  const first = await openPage()
  const second = await openPage()
  const file = freshFile()
  await first.evaluate(async (file) => {
    sqlitePage.connection = await sqlitePage.openDriver(file).open('writer')
    await sqlitePage.connection.exec('CREATE TABLE t (n INTEGER)')
  }, file)

  const error = await second.evaluate((file) => sqlitePage.errorOf(sqlitePage.openDriver(file).open('writer')), file)

  expect(error).toMatchObject({ name: 'HeadwaterError', code: 'database-in-use' })
  expect(error.message).toContain(`Cannot open "${file}": it is open in another tab`)
  expect(await first.evaluate(async () => (await sqlitePage.run('INSERT INTO t VALUES (1)')).changes)).toBe(1)

  await first.close()
  const rows = await second.evaluate(async (file) => {
    const connection = await sqlitePage.openDriver(file).open('writer')
    return (await connection.run('SELECT n FROM t')).rows
  }, file)
  expect(rows).toEqual([[1]])
  await second.close()
})

test('two databases in one page have files of their own', async () => {
  const page = await openPage()
  const files = [freshFile(), freshFile(), `${'long '.repeat(50)}${freshFile()}`]
  const titles = await page.evaluate(async (files) => {
    const connections = await Promise.all(files.map((file) => sqlitePage.openDriver(file).open('writer')))
    for (const [index, connection] of connections.entries()) {
      await connection.exec('CREATE TABLE t (title TEXT)')
      await connection.run('INSERT INTO t VALUES (?)', [`of ${index}`])
    }
    return await Promise.all(connections.map(async (each) => (await each.run('SELECT title FROM t')).rows))
  }, files)
  expect(titles).toEqual([[['of 0']], [['of 1']], [['of 2']]])
  await page.close()
})

test('values come back as they were: 64-bit integers, fractions, text of any script, bytes and nothing', async () => {
  const page = await openPage()
  const comparison = await page.evaluate(async (file) => {
    const connection = await sqlitePage.openDriver(file).open('writer')
    const sent = [
      9_223_372_036_854_775_807n,
      -9_223_372_036_854_775_808n,
      9_007_199_254_740_993n,
      Number.MAX_SAFE_INTEGER,
      2 ** 40,
      -1,
      0.1,
      1e300,
      'Grüße, 東京 🏞',
      'with \0 inside',
      '',
      null,
      new Uint8Array([0, 255, 7]),
      new Uint8Array(0),
    ]
    const types: unknown[] = []
    const different: string[] = []
    for (const value of sent) {
      const { rows } = await connection.run('SELECT ?1, typeof(?1)', [value])
      const [back, type] = rows[0] ?? []
      types.push(type)
      if (String(back) !== String(value) || typeof back !== typeof value)
        different.push(`${String(value)} -> ${String(back)}`)
    }
    return { types, different }
  }, freshFile())
  expect(comparison.different).toEqual([])
  const names = 'integer integer integer integer integer integer real real text text text null blob blob'
  expect(comparison.types).toEqual(names.split(' '))
  await page.close()
})

test('an integer sent as bigint comes back as number where that loses nothing', async () => {
  const page = await openPage()
  const types = await page.evaluate(async (file) => {
    const connection = await sqlitePage.openDriver(file).open('writer')
    const { rows } = await connection.run('SELECT ?, ?', [5n, 9_007_199_254_740_992n])
    return rows[0]?.map((value) => typeof value)
  }, freshFile())
  expect(types).toEqual(['number', 'bigint'])
  await page.close()
})

test('errors of SQLite keep their words and their extended code', async () => {
  const page = await openPage()
  const error = await page.evaluate(async (file) => {
    const connection = await sqlitePage.openDriver(file).open('writer')
    await connection.exec('CREATE TABLE t (id TEXT UNIQUE)')
    await connection.run('INSERT INTO t VALUES (1)')
    return await sqlitePage.errorOf(connection.run('INSERT INTO t VALUES (1)'))
  }, freshFile())
  expect(error).toMatchObject({ name: 'SqliteError', message: 'UNIQUE constraint failed: t.id', resultCode: 2067 })
  await page.close()
})

test('changes count the rows of the statement itself: not those of triggers, not those of the statement before', async () => {
  const page = await openPage()
  const changes = await page.evaluate(async (file) => {
    const connection = await sqlitePage.openDriver(file).open('writer')
    await connection.exec(`CREATE TABLE t (n INTEGER); CREATE TABLE log (n INTEGER);
      CREATE TRIGGER keep AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.n), (new.n); END`)
    const batch = await connection.runBatch('INSERT INTO t VALUES (?)', [[1], [2], [3]])
    const counts = [batch.changes]
    for (const sql of [
      'INSERT INTO t VALUES (4)',
      'SELECT n FROM t',
      'UPDATE t SET n = 0 WHERE n > 9',
      'DELETE FROM t',
    ]) {
      counts.push((await connection.run(sql)).changes)
    }
    return counts
  }, freshFile())
  expect(changes).toEqual([3, 1, 0, 0, 4])
  await page.close()
})

test('a crashed worker rejects what waits, rolls back what was open, and the next statement runs', async () => {
  const page = await openPage()
  const outcome = await page.evaluate(async (file) => {
    const connection = await sqlitePage.openDriver(file).open('writer')
    await connection.exec('CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1)')
    await connection.exec('BEGIN IMMEDIATE')
    await connection.run('INSERT INTO t VALUES (2)')
    const waiting = sqlitePage.errorOf(
      connection.run('WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c'),
    )
    sqlitePage.killWorkers()
    const rejected = await waiting
    const refused = await sqlitePage.errorOf(connection.run('INSERT INTO t VALUES (3)'))
    const notCommitted = await sqlitePage.errorOf(connection.exec('COMMIT'))
    await connection.exec('ROLLBACK')
    await connection.run('INSERT INTO t VALUES (4)')
    const { rows } = await connection.run('SELECT n FROM t')
    return { codes: [rejected, refused, notCommitted].map((error) => error.code), rows }
  }, freshFile())
  expect(outcome.codes).toEqual(['connection-closed', 'connection-closed', 'connection-closed'])
  expect(outcome.rows).toEqual([[1], [4]])
  await page.close()
})

test('a database whose worker crashed goes on, with its temporary tables made again', async () => {
  const page = await openPage()
  const outcome = await page.evaluate(async (file) => {
    const database = sqlitePage.openDatabase(file)
    await database.execute("INSERT INTO todos (id, title) VALUES ('1', 'before')")
    const temporary = "SELECT count(*) AS n FROM temp.sqlite_schema WHERE type = 'table'"
    const before = await database.get<{ n: number }>(temporary)
    sqlitePage.killWorkers()
    const lost = await sqlitePage.errorOf(database.getAll('SELECT id FROM todos'))
    await database.execute("INSERT INTO todos (id, title) VALUES ('2', 'after')")
    const after = await database.get<{ n: number }>(temporary)
    const rows = await database.getAll('SELECT title FROM todos ORDER BY id')
    return { lost: lost.code, rows, temporaryTables: [before.n, after.n] }
  }, freshFile())
  expect(outcome.lost).toBe('connection-closed')
  expect(outcome.rows).toEqual([{ title: 'before' }, { title: 'after' }])
  expect(outcome.temporaryTables[0]).toBeGreaterThan(0)
  expect(outcome.temporaryTables[1]).toBe(outcome.temporaryTables[0])
  await page.close()
})

test('a page without a secure context works in memory, and a warning says why', async () => {
  const page = await openPage(server.url.replace('127.0.0.1', 'insecure.test'))
  const file = freshFile()
  const outcome = await page.evaluate(async (file) => {
    const connection = await sqlitePage.openDriver(file).open('writer')
    const { rows } = await connection.run('SELECT length(uuid())')
    return { rows, warnings: sqlitePage.warnings }
  }, file)
  expect(outcome.rows).toEqual([[36]])
  expect(outcome.warnings).toEqual([
    `"${file}" is kept in memory and will be lost with this page, because the page has no secure context: serve it over https, or from localhost.`,
  ])
  await page.close()
})

test('a deleted database is gone, and one that is open cannot be deleted', async () => {
  const page = await openPage()
  const outcome = await page.evaluate(async (file) => {
    const driver = sqlitePage.openDriver(file)
    const connection = await driver.open('writer')
    await connection.exec('CREATE TABLE t (n INTEGER)')
    const refused = await sqlitePage.errorOf(driver.delete())
    await connection.close()
    await driver.delete()
    await driver.delete()
    const fresh = await driver.open('writer')
    const { rows } = await fresh.run('SELECT count(*) FROM sqlite_schema')
    return { refused: refused.code, rows }
  }, freshFile())
  expect(outcome).toEqual({ refused: 'database-in-use', rows: [[0]] })
  await page.close()
})

test('a hundred thousand rows are written, survive a reload, and are read in one piece', async () => {
  const page = await openPage()
  const file = freshFile()
  const written = await page.evaluate(async (file) => {
    const connection = await sqlitePage.openDriver(file).open('writer')
    await connection.exec('CREATE TABLE t (id TEXT PRIMARY KEY, title TEXT, done INTEGER) WITHOUT ROWID')
    const startedMs = performance.now()
    for (let batch = 0; batch < 10; batch++) {
      const sets = Array.from({ length: 10_000 }, (_, row) => [
        crypto.randomUUID(),
        `A todo with some words in it, number ${batch * 10_000 + row}, that makes about a hundred bytes of text`,
        row % 2,
      ])
      await connection.exec('BEGIN')
      await connection.runBatch('INSERT INTO t VALUES (?, ?, ?)', sets)
      await connection.exec('COMMIT')
    }
    return performance.now() - startedMs
  }, file)
  await reload(page)
  const read = await page.evaluate(async (file) => {
    const startedMs = performance.now()
    const connection = await sqlitePage.openDriver(file).open('writer')
    const openedMs = performance.now() - startedMs
    const { rows } = await connection.run('SELECT id, title, done FROM t')
    return { count: rows.length, openedMs, readMs: performance.now() - startedMs - openedMs }
  }, file)
  console.log(
    `wrote 100,000 rows in ${Math.round(written)} ms, opened in ${Math.round(read.openedMs)} ms, read all in ${Math.round(read.readMs)} ms`,
  )
  expect(read.count).toBe(100_000)
  await page.close()
})
