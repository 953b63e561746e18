import { join } from 'node:path'
import { startChromium, startPageServer } from '@headwater/testkit/browser'
import type { Chromium, PageServer } from '@headwater/testkit/browser'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'

const SCRIPT = join(import.meta.dirname, '..', '..', '..', 'testkit', 'src', 'browser', 'react-page.tsx')

let chromium: Chromium
let server: PageServer
let page: Page

beforeAll(async () => {
  server = await startPageServer(SCRIPT)
  chromium = await startChromium()
})

afterAll(async () => {
  await chromium[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

beforeEach(async () => {
  await page?.close()
  page = await chromium.context.newPage()
  await page.goto(server.url)
  await page.waitForFunction(() => document.title === 'ready')
})

test('useQuery shows the rows, and again after each change', async () => {
  const texts = await page.evaluate(async () => {
    const database = reactPage.openDatabase('shows.db')
    await database.execute("INSERT INTO todos (id, title) VALUES ('1', 'Buy milk')")
    const view = reactPage.mountQuery(database, { sql: 'SELECT title FROM todos ORDER BY id' })
    await reactPage.until(() => view.text() === '[{"title":"Buy milk"}]', 'the first rows')
    await database.execute("INSERT INTO todos (id, title) VALUES ('2', 'Drink it')")
    await reactPage.until(() => view.text().includes('Drink it'), 'the new row')
    return { first: reactPage.renders[0], text: view.text() }
  })
  expect(texts.first).toMatchObject({ isLoading: true, isFetching: true, data: [] })
  expect(texts.text).toBe('[{"title":"Buy milk"},{"title":"Drink it"}]')
})

test('under StrictMode a mounted component has one active query, and an unmounted one has none', async () => {
  const counts = await page.evaluate(async () => {
    const database = reactPage.openDatabase('strict.db')
    const views = ['SELECT 1 AS a FROM todos', 'SELECT 2 AS a FROM todos'].map((sql) =>
      reactPage.mountQuery(database, { sql }),
    )
    await reactPage.until(() => reactPage.renders.filter(({ isLoading }) => !isLoading).length >= 2, 'both results')
    const mounted = reactPage.counts().watchedNow
    for (const view of views) view.unmount()
    await reactPage.until(() => reactPage.counts().watchedNow === 0, 'no query left')
    return { mounted, unmounted: reactPage.counts().watchedNow }
  })
  expect(counts).toEqual({ mounted: 2, unmounted: 0 })
})

test('parameters written inline do not start the query again at each render', async () => {
  const counts = await page.evaluate(async () => {
    const database = reactPage.openDatabase('inline.db')
    const props = { sql: 'SELECT ? AS a FROM todos', parameters: ['x', 5n, null] }
    const view = reactPage.mountQuery(database, props)
    await reactPage.until(() => reactPage.renders.some(({ isLoading }) => !isLoading), 'the result')
    const before = reactPage.counts().watchedEver
    const rendersBefore = reactPage.renders.length
    for (let time = 0; time < 5; time++) {
      view.render({ ...props })
      await new Promise((resolve) => requestAnimationFrame(resolve))
    }
    await reactPage.until(() => reactPage.renders.length >= rendersBefore + 5, 'five renders')
    return { before, after: reactPage.counts().watchedEver }
  })
  expect(counts.after).toBe(counts.before)
})

test('a changed query keeps the old rows, marked as fetching, until the new ones are there', async () => {
  const states = await page.evaluate(async () => {
    const database = reactPage.openDatabase('changed.db')
    await database.execute("INSERT INTO todos (id, title) VALUES ('1', 'one'), ('2', 'two')")
    const sql = 'SELECT title FROM todos WHERE id = ?'
    const view = reactPage.mountQuery(database, { sql, parameters: ['1'] })
    await reactPage.until(() => view.text().includes('one'), 'the first row')
    const from = reactPage.renders.length
    view.render({ sql, parameters: ['2'] })
    await reactPage.until(() => view.text().includes('two'), 'the second row')
    return reactPage.renders.slice(from).map(({ data, isFetching, isLoading }) => ({
      title: (data[0] as { title?: string } | undefined)?.title,
      isFetching,
      isLoading,
    }))
  })
  expect(states[0]).toEqual({ title: 'one', isFetching: true, isLoading: false })
  expect(states.at(-1)).toEqual({ title: 'two', isFetching: false, isLoading: false })
  expect(states.every(({ title, isFetching }) => title === 'two' || isFetching)).toBe(true)
})

test('with a row comparator, rows that did not change stay the same objects', async () => {
  const same = await page.evaluate(async () => {
    const database = reactPage.openDatabase('same.db')
    await database.execute("INSERT INTO todos (id, title) VALUES ('1', 'one'), ('2', 'two')")
    const options = {
      rowComparator: {
        keyBy: (row: { readonly [name: string]: unknown }) => String(row['id']),
        compareBy: (row: { readonly [name: string]: unknown }) => JSON.stringify(row),
      },
    }
    const view = reactPage.mountQuery(database, { sql: 'SELECT id, title FROM todos ORDER BY id', options })
    await reactPage.until(() => view.text().includes('two'), 'the rows')
    const before = reactPage.renders.at(-1)?.data
    await database.execute("UPDATE todos SET title = 'TWO' WHERE id = '2'")
    await reactPage.until(() => view.text().includes('TWO'), 'the change')
    const after = reactPage.renders.at(-1)?.data
    return [0, 1].map((index) => before?.[index] === after?.[index])
  })
  expect(same).toEqual([true, false])
})

test('a query that runs once follows no change, and runs again when asked', async () => {
  const texts = await page.evaluate(async () => {
    const database = reactPage.openDatabase('once.db')
    const view = reactPage.mountQuery(database, {
      sql: 'SELECT count(*) AS n FROM todos',
      options: { runQueryOnce: true },
    })
    await reactPage.until(() => view.text() === '[{"n":0}]', 'the first result')
    await database.execute("INSERT INTO todos (id, title) VALUES ('1', 'one')")
    // A query that is watched has its result long before this one, which is started later, ends.
    await database.getAll('SELECT id FROM todos')
    const unasked = view.text()
    await reactPage.renders.at(-1)?.refresh?.()
    await reactPage.until(() => view.text() === '[{"n":1}]', 'the second result')
    return { unasked, watchedEver: reactPage.counts().watchedEver }
  })
  expect(texts).toEqual({ unasked: '[{"n":0}]', watchedEver: 0 })
})

test('a query that fails says so, keeps what it had, and recovers with the next one', async () => {
  const outcome = await page.evaluate(async () => {
    const database = reactPage.openDatabase('fails.db')
    await database.execute("INSERT INTO todos (id, title) VALUES ('1', 'one')")
    const view = reactPage.mountQuery(database, { sql: 'SELECT title FROM todos' })
    await reactPage.until(() => view.text().includes('one'), 'the row')
    view.render({ sql: 'SELECT nonsense FROM todos' })
    await reactPage.until(() => reactPage.renders.at(-1)?.error !== undefined, 'the error')
    const failed = reactPage.renders.at(-1)
    view.render({ sql: 'SELECT id FROM todos' })
    await reactPage.until(() => view.text() === '[{"id":"1"}]', 'the next result')
    return { message: failed?.error?.message, data: failed?.data, later: reactPage.renders.at(-1)?.error }
  })
  expect(outcome.message).toContain('no such column: nonsense')
  expect(outcome.data).toEqual([{ title: 'one' }])
  expect(outcome.later).toBeUndefined()
})

test('without a provider the result carries an error, and nothing throws', async () => {
  const result = await page.evaluate(async () => {
    const view = reactPage.mountQuery(null, { sql: 'SELECT 1' })
    await reactPage.until(() => view.text() === '[]', 'a render')
    const { error, isLoading } = reactPage.renders.at(-1) ?? {}
    return { message: error?.message, isLoading }
  })
  expect(result.message).toContain('PowerSync not configured.')
  expect(result.isLoading).toBe(false)
})

test('useStatus and useDatabase speak of the database of the provider', async () => {
  const text = await page.evaluate(async () => {
    const view = reactPage.mountOthers(reactPage.openDatabase('others.db'))
    await reactPage.until(() => view.text() !== '', 'a render')
    return view.text()
  })
  expect(text).toBe('not connected open')
})
