import type { IncomingMessage } from 'node:http'
import { openStream } from '@headwater/testkit'
import { openHeld, startBareServer } from '../bare-server.ts'
import { percentile, type Figure } from '../report.ts'
import type { Scenario } from '../scenario.ts'
import { openStage } from '../stage.ts'
import { untilIdle } from '../until-idle.ts'

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  notices:
    auto_subscribe: true
    query: SELECT * FROM notices
`

const CHANGES = 20
const PATIENCE_MS = 60_000

/** One change of a shared bucket until the last of all clients has it, one change at a time. */
export const scenario: Scenario = {
  name: 'fan-out',
  run: async function* ({ isQuick }) {
    for (const clients of isQuick ? [50] : [100, 1_000]) yield await measure(clients)
  },
}

async function measure(clients: number): Promise<Figure> {
  await using stage = await openStage(`CREATE TABLE notices (id text PRIMARY KEY, body text NOT NULL)`)
  await using bare = await startBareServer()
  const service = await stage.startService(SYNC_CONFIG)
  await service.untilReady()
  await untilIdle(service)
  const token = await stage.token('reader')

  const listeners = await openAll(clients, () => openStream({ url: service.url, token, format: 'ndjson' }))
  await waitForAll(listeners, 'checkpoint_complete')
  const before = await service.readUsage()
  const taken: number[] = []
  for (let change = 0; change < CHANGES; change++) {
    const arrived = waitForAll(listeners, `notice-${change}-end`)
    const startedAtMs = performance.now()
    await stage.sql('INSERT INTO notices VALUES ($1, $2)', [`id-${change}`, `notice-${change}-end`])
    await arrived
    taken.push(performance.now() - startedAtMs)
  }
  const after = await service.readUsage()
  for (const listener of listeners) listener.destroy()

  const bareListeners = await openAll(clients, () => openHeld(bare))
  const bareTaken: number[] = []
  for (let change = 0; change < CHANGES; change++) {
    const arrived = waitForAll(bareListeners, `notice-${change}-end`)
    const startedAtMs = performance.now()
    bare.broadcast(`${'x'.repeat(400)}notice-${change}-end\n`)
    await arrived
    bareTaken.push(performance.now() - startedAtMs)
  }
  for (const listener of bareListeners) listener.destroy()

  const ms = percentile(taken, 0.5)
  return {
    name: `one change to all of ${clients.toLocaleString('en')} clients, p50 of ${CHANGES}`,
    value: ms,
    unit: 'ms',
    limit: { name: 'bare server', value: percentile(bareTaken, 0.5) },
    budget: { ratioMax: 2.5 },
    cpuMicros: ((after.cpuMs - before.cpuMs) * 1_000) / (CHANGES * clients),
    scale: { series: 'fan-out', size: clients, ms },
    verified: `${CHANGES} changes at each client`,
  }
}

const OPENING_AT_ONCE = 20

async function openAll(count: number, open: () => Promise<IncomingMessage>): Promise<readonly IncomingMessage[]> {
  const opened: IncomingMessage[] = []
  while (opened.length < count) {
    const batch = Math.min(OPENING_AT_ONCE, count - opened.length)
    opened.push(...(await Promise.all(Array.from({ length: batch }, open))))
  }
  for (const listener of opened) listener.setMaxListeners(0).on('error', () => undefined)
  return opened
}

/** Resolves when each of the responses has received a chunk with the text. Chunks are small: none is split here. */
function waitForAll(listeners: readonly IncomingMessage[], text: string): Promise<unknown> {
  return Promise.all(listeners.map((listener) => waitFor(listener, text)))
}

function waitFor(listener: IncomingMessage, text: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const patience = setTimeout(() => reject(new Error(`Nobody sent ${text}`)), PATIENCE_MS)
  const look = (chunk: Buffer): void => {
    if (!chunk.includes(text)) return
    clearTimeout(patience)
    listener.off('data', look)
    resolve()
  }
  listener.on('data', look)
  return promise
}
