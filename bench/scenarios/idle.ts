import type { IncomingMessage } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStream, type ServiceProcess } from '@headwater/testkit'
import { openHeld, startBareServer } from '../bare-server.ts'
import { compileService } from '../compiled-service.ts'
import type { Figure } from '../report.ts'
import type { Scenario } from '../scenario.ts'
import { openStage } from '../stage.ts'

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items WHERE owner = auth.user_id()
`

const MEBIBYTE = 1024 * 1024
const OPENING_AT_ONCE = 20

/** What a service costs that nobody uses, and what each client costs to which nothing happens. */
export const scenario: Scenario = {
  name: 'idle',
  run: async function* ({ isQuick }) {
    const connections = isQuick ? 100 : 2_000
    await using stage = await openStage('CREATE TABLE items (id bigint PRIMARY KEY, owner text NOT NULL)')
    await using cleanup = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'headwater-compiled-'))
    cleanup.defer(() => rm(folder, { recursive: true, force: true }))
    const compiledEntry = await compileService(folder)

    const startedAtMs = performance.now()
    const service = await stage.startService(SYNC_CONFIG, { compiledEntry })
    await service.untilReady()
    yield {
      name: 'start to ready, new slot and empty table',
      value: performance.now() - startedAtMs,
      unit: 'ms',
      budget: { valueMax: 1_000 },
      verified: 'readiness probe',
    }
    yield { ...(await memoryOf(service, 'memory of an idle service')), budget: { valueMax: 120 } }
    const fromSources = await stage.startService(SYNC_CONFIG)
    await fromSources.untilReady()
    yield await memoryOf(fromSources, 'memory of an idle service that is run from its TypeScript')
    await fromSources.stop()
    yield await measureConnections(service, await stage.token('reader'), connections)
  },
}

async function memoryOf(service: ServiceProcess, name: string): Promise<Figure> {
  const { residentBytes } = await service.readUsage()
  return { name, value: residentBytes / MEBIBYTE, unit: 'MiB', verified: 'readiness probe' }
}

async function measureConnections(service: ServiceProcess, token: string, connections: number): Promise<Figure> {
  await using bare = await startBareServer()
  const kept = await costOf(connections, service, () => openStream({ url: service.url, token, format: 'ndjson' }))
  const limit = await costOf(connections, bare, () => openHeld(bare))
  return {
    name: `memory of an idle connection, ${connections.toLocaleString('en')} open`,
    value: kept.kibibytes,
    unit: 'KiB',
    limit: { name: 'bare server', value: limit.kibibytes },
    budget: { ratioMax: 1.4, cpuMicrosMax: 1_000 },
    cpuMicros: kept.cpuMicros,
    verified: `${connections.toLocaleString('en')} open streams`,
  }
}

type Measured = Pick<ServiceProcess, 'readUsage'>

/**
 * So many times the connections that are measured are opened before them: meanwhile V8 makes room for new objects, up to
 * 128 MiB where there is memory, and that is no cost of each.
 */
const WARM_UP_TIMES = 1.5

/** What each connection costs the process that holds it, once there are some. */
async function costOf(
  connections: number,
  process: Measured,
  open: () => Promise<IncomingMessage>,
): Promise<{ readonly kibibytes: number; readonly cpuMicros: number }> {
  const warm = await openAll(connections * WARM_UP_TIMES, open)
  const before = await process.readUsage()
  const opened = await openAll(connections, open)
  const after = await process.readUsage()
  for (const response of [...warm, ...opened]) response.destroy()
  return {
    kibibytes: (after.residentBytes - before.residentBytes) / 1024 / connections,
    cpuMicros: ((after.cpuMs - before.cpuMs) * 1_000) / connections,
  }
}

async function openAll(count: number, open: () => Promise<IncomingMessage>): Promise<readonly IncomingMessage[]> {
  const opened: IncomingMessage[] = []
  const openOne = async (): Promise<void> => {
    const response = await open()
    opened.push(response.on('error', () => undefined).resume())
  }
  while (opened.length < count) await Promise.all(Array.from({ length: OPENING_AT_ONCE }, openOne))
  return opened
}
