import { join } from 'node:path'
import { downloadOnce } from '@headwater/testkit'
import { startChromium, startPageServer } from '@headwater/testkit/browser'
import { perSecond } from '../limits.ts'
import type { Figure } from '../report.ts'
import type { Scenario } from '../scenario.ts'
import { openStage } from '../stage.ts'
import type { FirstSync } from './first-sync-page.ts'

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items
`

const PAGE = join(import.meta.dirname, 'first-sync-page.ts')

const ROWS_PER_TRANSACTION = 10_000

/**
 * The first sync in a page: headless Chromium, files in the origin's private file system. The limit is the same engine
 * with the same settings in the same kind of worker, given the same rows by a prepared INSERT in transactions of
 * 10,000, each one message; measured in a fresh page of the same browser, right after.
 */
export const scenario: Scenario = {
  name: 'client-first-sync-web',
  run: async function* ({ isQuick }) {
    for (const rows of isQuick ? [10_000] : [10_000, 100_000]) yield await measure(rows)
  },
}

async function measure(rows: number): Promise<Figure> {
  await using stage = await openStage(`
    CREATE TABLE items (id text PRIMARY KEY, owner text NOT NULL, title text NOT NULL);
    INSERT INTO items
    SELECT gen_random_uuid()::text, 'owner-' || (n % 1000), md5(n::text) || md5((n + 1)::text) || '0123456789abcdef'
    FROM generate_series(1, ${rows}) AS n;
  `)
  const service = await stage.startService(SYNC_CONFIG)
  await service.untilReady()
  const token = await stage.token('reader')
  await downloadOnce({ url: service.url, token, format: 'ndjson' })
  await using server = await startPageServer(PAGE)
  await using chromium = await startChromium()
  const openPage = async () => {
    const page = await chromium.context.newPage()
    await page.goto(server.url)
    await page.waitForFunction(() => document.title === 'ready')
    return page
  }

  const page = await openPage()
  const found: FirstSync = await page.evaluate((place) => firstSyncPage.sync(place), { endpoint: service.url, token })
  await page.close()
  const [source] = await stage.sql('SELECT count(*)::int AS rows, sum(length(title))::int AS letters FROM items')
  if (found.rows !== rows || found.letters !== source?.['letters']) {
    throw new Error(`The device has ${JSON.stringify(found)}, Postgres ${JSON.stringify(source)}`)
  }

  const plain = await stage.sql('SELECT id, owner, title FROM items')
  const values = plain.map(({ id, owner, title }) => [String(id), String(owner), String(title)])
  const plainPage = await openPage()
  const limitMs = await plainPage.evaluate(([given, size]) => firstSyncPage.insertPlain(given, size), [
    values,
    ROWS_PER_TRANSACTION,
  ] as const)
  return {
    name: `${rows.toLocaleString('en')} rows of 100 B, random uuids, Chromium on OPFS`,
    value: perSecond({ units: rows, ms: found.ms }),
    unit: 'rows/s',
    limit: { name: 'same engine, INSERT', value: perSecond({ units: rows, ms: limitMs }) },
    budget: { ratioMin: 0.4 },
    scale: { series: 'client first sync, web', size: rows, ms: found.ms },
    verified: `${rows.toLocaleString('en')} rows in the typed table`,
  }
}
