import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { column, HeadwaterDatabase, Schema, Table } from '@headwater/client/node'
import { downloadOnce } from '@headwater/testkit'
import { insertIntoSqlite, perSecond, startMeasure } from '../limits.ts'
import type { Figure } from '../report.ts'
import type { Scenario } from '../scenario.ts'
import { openStage } from '../stage.ts'
import { untilIdle } from '../until-idle.ts'

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items
`

const schema = new Schema({ items: new Table({ owner: column.text, title: column.text }) })

/** As many as one data line of the service brings; what a plain program would commit at a time is not fewer. */
const ROWS_PER_TRANSACTION = 10_000

/** From `connect` on an empty database file until every row can be queried in its typed table. */
export const scenario: Scenario = {
  name: 'client-first-sync',
  run: async function* ({ isQuick }) {
    for (const rows of isQuick ? [10_000] : [50_000, 500_000]) yield await measure(rows)
  },
}

async function measure(rows: number): Promise<Figure> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-bench-client-'))
  try {
    await using stage = await openStage(`
      CREATE TABLE items (id text PRIMARY KEY, owner text NOT NULL, title text NOT NULL);
      INSERT INTO items
      SELECT gen_random_uuid()::text, 'owner-' || (n % 1000), md5(n::text) || md5((n + 1)::text) || '0123456789abcdef'
      FROM generate_series(1, ${rows}) AS n;
    `)
    const service = await stage.startService(SYNC_CONFIG)
    await service.untilReady()
    await untilIdle(service)
    const token = await stage.token('reader')
    await downloadOnce({ url: service.url, token, format: 'ndjson' })

    const db = new HeadwaterDatabase({ schema, database: { dbFilename: join(folder, 'app.db') } })
    await db.init()
    const finish = startMeasure()
    await db.connect({
      fetchCredentials: () => Promise.resolve({ endpoint: service.url, token }),
      uploadData: () => Promise.resolve(),
    })
    await db.waitForFirstSync()
    const taken = finish(rows)

    const [found] = await db.getAll<{ rows: number; letters: number }>(
      'SELECT count(*) AS rows, sum(length(title)) AS letters FROM items',
    )
    await db.close()
    const [source] = await stage.sql('SELECT count(*)::int AS rows, sum(length(title))::int AS letters FROM items')
    if (found?.rows !== rows || found.letters !== source?.['letters']) {
      throw new Error(`The device has ${JSON.stringify(found)}, Postgres ${JSON.stringify(source)}`)
    }
    const plain = await stage.sql('SELECT id, owner, title FROM items')
    const values = plain.map(({ id, owner, title }) => [String(id), String(owner), String(title)])
    const limit = insertIntoSqlite(join(folder, 'plain.db'), ['id', 'owner', 'title'], values, ROWS_PER_TRANSACTION)
    return {
      name: `${rows.toLocaleString('en')} rows of 100 B, random uuids`,
      value: perSecond(taken),
      unit: 'rows/s',
      limit: { name: 'SQLite insert', value: perSecond(limit) },
      budget: { ratioMin: 0.4, valueMin: 100_000 },
      cpuMicros: (taken.cpuMs * 1_000) / rows,
      scale: { series: 'client first sync', size: rows, ms: taken.ms },
      verified: `${rows.toLocaleString('en')} rows in the typed table`,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
