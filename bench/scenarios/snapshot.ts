import { downloadOnce, readRawRows } from '@headwater/testkit'
import { discardCopy, perSecond, type Limit } from '../limits.ts'
import type { Figure } from '../report.ts'
import type { Scenario } from '../scenario.ts'
import { openStage } from '../stage.ts'

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items
`

/** The first copy of a table of 100 B rows, from the service's start until a client has its first checkpoint line. */
export const scenario: Scenario = {
  name: 'snapshot',
  run: async function* ({ isQuick }) {
    for (const rows of isQuick ? [10_000] : [100_000, 1_000_000]) yield await measure(rows)
  },
}

async function measure(rows: number): Promise<Figure> {
  await using stage = await openStage(`
    CREATE TABLE items (id bigint PRIMARY KEY, owner text NOT NULL, title text NOT NULL);
    INSERT INTO items
    SELECT n, 'owner-' || (n % 1000), md5(n::text) || md5((n + 1)::text) || '0123456789abcdef'
    FROM generate_series(1, ${rows}) AS n;
    ANALYZE items;
  `)
  await discardCopy(stage.url, 'items')
  const limit = await discardCopy(stage.url, 'items')

  const service = await stage.startService(SYNC_CONFIG)
  const startedAtMs = performance.now()
  const before = await service.readUsage()
  await service.untilReady()
  const ms = performance.now() - startedAtMs
  const after = await service.readUsage()

  const { store } = await downloadOnce({ url: service.url, token: await stage.token('auditor'), format: 'ndjson' })
  const received = readRawRows(store).get('items')?.size ?? 0
  if (received !== rows) throw new Error(`The client has ${received} rows, Postgres ${rows}`)
  const taken: Limit = { units: rows, ms, cpuMs: after.cpuMs - before.cpuMs }
  return {
    name: `${rows.toLocaleString('en')} rows of 100 B`,
    value: perSecond(taken),
    unit: 'rows/s',
    limit: { name: 'COPY discarded', value: perSecond(limit) },
    budget: { ratioMin: 0.35, valueMin: 100_000 },
    cpuMicros: (taken.cpuMs * 1_000) / rows,
    scale: { series: 'snapshot', size: rows, ms },
    verified: `${received.toLocaleString('en')} rows, 1 checksum`,
  }
}
