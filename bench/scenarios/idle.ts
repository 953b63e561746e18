import type { IncomingMessage } from 'node:http'
import { openStream } from '@headwater/testkit'
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
    const startedAtMs = performance.now()
    const service = await stage.startService(SYNC_CONFIG)
    await service.untilReady()
    const readyMs = performance.now() - startedAtMs
    const idle = await service.readUsage()
    yield {
      name: 'start to ready, new slot and empty table',
      value: readyMs,
      unit: 'ms',
      budget: { valueMax: 1_000 },
      verified: 'readiness probe',
    }
    yield {
      name: 'memory of an idle service',
      value: idle.residentBytes / MEBIBYTE,
      unit: 'MiB',
      budget: { valueMax: 120 },
      verified: 'readiness probe',
    }

    const token = await stage.token('reader')
    const opened: IncomingMessage[] = []
    while (opened.length < connections) {
      const open = async (): Promise<IncomingMessage> => {
        const response = await openStream({ url: service.url, token, format: 'ndjson' })
        response.on('error', () => undefined).resume()
        return response
      }
      opened.push(...(await Promise.all(Array.from({ length: OPENING_AT_ONCE }, open))))
    }
    const busy = await service.readUsage()
    for (const response of opened) response.destroy()
    yield {
      name: `memory of an idle connection, ${connections.toLocaleString('en')} open`,
      value: (busy.residentBytes - idle.residentBytes) / 1024 / connections,
      unit: 'KiB',
      budget: { valueMax: 42 },
      cpuMicros: ((busy.cpuMs - idle.cpuMs) * 1_000) / connections,
      verified: `${opened.length.toLocaleString('en')} open streams`,
    }
  },
}
