import { get } from 'node:http'
import { discardOnce, downloadOnce, type RawConnection, readRawRows, type ServiceProcess } from '@headwater/testkit'
import { startBareServer } from '../bare-server.ts'
import { perSecond } from '../limits.ts'
import { discardRawStream } from '../raw-streams.ts'
import type { Figure } from '../report.ts'
import type { Scenario } from '../scenario.ts'
import { openStage, type Stage } from '../stage.ts'
import { untilIdle } from '../until-idle.ts'

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items
`

const MEBIBYTE = 1024 * 1024

/** How operations leave; over WebSockets it is always BSON. */
const WAYS = ['ndjson', 'bson', 'bson over a WebSocket'] as const
type Way = (typeof WAYS)[number]

/** Best of several, so that neither the service nor the limit is judged by its first, cold run. */
const RUNS = 3

/** A first download of one large bucket by one client that only looks for the last line. */
export const scenario: Scenario = {
  name: 'serve',
  run: async function* ({ isQuick }) {
    for (const operations of isQuick ? [10_000] : [100_000, 1_000_000]) {
      await using stage = await openStage(`
        CREATE TABLE items (id bigint PRIMARY KEY, owner text NOT NULL, title text NOT NULL);
        INSERT INTO items
        SELECT n, 'owner-' || (n % 1000), md5(n::text) || md5((n + 1)::text) || '0123456789abcdef'
        FROM generate_series(1, ${operations}) AS n;
      `)
      const service = await stage.startService(SYNC_CONFIG)
      await service.untilReady()
      await untilIdle(service)
      for (const way of WAYS) yield await measure(stage, service, operations, way)
    }
  },
}

async function measure(stage: Stage, service: ServiceProcess, operations: number, way: Way): Promise<Figure> {
  const format = way === 'ndjson' ? 'ndjson' : 'bson'
  const connection: RawConnection = { url: service.url, token: await stage.token('reader'), format }
  const { store } = await downloadOnce(connection)
  const rows = readRawRows(store).get('items')?.size ?? 0
  if (rows !== operations) throw new Error(`The client has ${rows} rows, Postgres ${operations}`)

  let bytes = 0
  let bestMs = Infinity
  let bestCpuMs = Infinity
  for (let run = 0; run < RUNS; run++) {
    const before = await service.readUsage()
    const startedAtMs = performance.now()
    bytes = await (way === 'bson over a WebSocket' ? discardOverWebSocket(connection) : discardOnce(connection))
    bestMs = Math.min(bestMs, performance.now() - startedAtMs)
    bestCpuMs = Math.min(bestCpuMs, (await service.readUsage()).cpuMs - before.cpuMs)
  }
  const limitMs = await measureBare(bytes)
  return {
    name: `${operations.toLocaleString('en')} operations, ${way} (${Math.round((operations / bestMs) * 1_000).toLocaleString('en')} ops/s)`,
    value: perSecond({ units: bytes / MEBIBYTE, ms: bestMs }),
    unit: 'MiB/s',
    limit: { name: 'bare server', value: perSecond({ units: bytes / MEBIBYTE, ms: limitMs }) },
    budget: { ratioMin: 0.6, cpuMicrosMax: 1 },
    cpuMicros: (bestCpuMs * 1_000) / operations,
    scale: { series: `serve ${way}`, size: operations, ms: bestMs },
    verified: `${rows.toLocaleString('en')} rows, 1 checksum`,
  }
}

function discardOverWebSocket({ url, token }: RawConnection): Promise<number> {
  return discardRawStream({ url, token, transport: 'websocket' }, 'checkpoint_complete')
}

async function measureBare(bytes: number): Promise<number> {
  await using bare = await startBareServer()
  let bestMs = Infinity
  for (let run = 0; run < RUNS; run++) {
    const startedAtMs = performance.now()
    const received = await countBytes(`${bare.url}/${bytes}`)
    if (received !== bytes) throw new Error(`The bare server sent ${received} of ${bytes} bytes`)
    bestMs = Math.min(bestMs, performance.now() - startedAtMs)
  }
  return bestMs
}

function countBytes(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false }, (response) => {
      let bytes = 0
      response
        .on('data', (chunk: Buffer) => (bytes += chunk.length))
        .on('end', () => resolve(bytes))
        .on('error', reject)
    })
    request.on('error', reject)
  })
}
