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
