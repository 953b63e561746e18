import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ProcessUsage } from '@headwater/testkit'
import { type BareServer, startBareServer } from '../bare-server.ts'
import { compileService } from '../compiled-service.ts'
import { type Crowd, openCrowd } from '../crowd.ts'
import { type Transport, TRANSPORTS } from '../raw-streams.ts'
import { percentile, type Figure } from '../report.ts'
import type { Scenario } from '../scenario.ts'
import { openStage, type Stage } from '../stage.ts'
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

type Sizes = {
  /** Clients that are connected when a change is made, ascending. */
  readonly fanOut: readonly number[]
  /**
   * So many clients are connected before those that are measured: meanwhile V8 makes room for new objects, up to 128 MiB
   * where there is memory, and that is no cost of each.
   */
  readonly warm: number
}

const FULL: Sizes = { fanOut: [100, 1_000, 10_000], warm: 5_000 }
const QUICK: Sizes = { fanOut: [50, 200], warm: 100 }

/** Many clients of one process: what each costs to which nothing happens, and how soon one change reaches them all. */
export const scenario: Scenario = {
  name: 'fan-out',
  run: async function* ({ isQuick }) {
    const sizes = isQuick ? QUICK : FULL
    await using stage = await openStage(`CREATE TABLE notices (id text PRIMARY KEY, body text NOT NULL)`)
    await using cleanup = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'headwater-compiled-'))
    cleanup.defer(() => rm(folder, { recursive: true, force: true }))
    const compiledEntry = await compileService(folder)

    const limit = await measureBare(sizes)
    for (const transport of TRANSPORTS) {
      const measured = await measureService(stage, { compiledEntry, transport, sizes })
      yield* compareTimes(measured, limit, transport)
      yield* compareMemory(measured, limit, transport)
    }
  },
}

type Measured = {
  /** By the number of clients. */
  readonly fanOuts: ReadonlyMap<number, { readonly ms: number; readonly cpuMicros: number }>
  readonly clients: number
  readonly residentBytes: number
  /** Of one more connection. */
  readonly connectionBytes: number
  readonly connectCpuMicros: number
}

type Run = { readonly compiledEntry: string; readonly transport: Transport; readonly sizes: Sizes }

async function measureService(stage: Stage, { compiledEntry, transport, sizes }: Run): Promise<Measured> {
  const service = await stage.startService(SYNC_CONFIG, { compiledEntry })
  await service.untilReady()
  await untilIdle(service)
  const tokens = await Promise.all(
    Array.from({ length: sizes.fanOut.at(-1) ?? 0 }, (_, index) => stage.token(`user-${index}`)),
  )
  await using crowd = openCrowd({ url: service.url, transport, greeting: 'checkpoint_complete' })
  let changes = 0
  const measured = await measure({
    crowd,
    tokens,
    sizes,
    readUsage: service.readUsage,
    settle: () => untilIdle(service),
    change: (text) => {
      changes++
      return stage.sql('INSERT INTO notices VALUES ($1, $2)', [`${transport}-${changes}`, text]).then(() => undefined)
    },
  })
  await service.stop()
  return measured
}

async function measureBare(sizes: Sizes): Promise<Measured> {
  await using bare: BareServer = await startBareServer()
  await using crowd = openCrowd({ url: bare.url, transport: 'http', greeting: '200 OK' })
  // As long as a token of the service.
  const tokens = Array.from({ length: sizes.fanOut.at(-1) ?? 0 }, (_, index) => String(index).padStart(200, '0'))
  return await measure({
    crowd,
    tokens,
    sizes,
    readUsage: bare.readUsage,
    settle: () => untilIdle(bare),
    change: (text) => bare.broadcast(`${'x'.repeat(LINE_BYTES)}${text}\n`),
  })
}

/** As many as a change takes on the wire, about. */
const LINE_BYTES = 400

type Subject = {
  readonly crowd: Crowd
  readonly tokens: readonly string[]
  readonly sizes: Sizes
  readonly readUsage: () => Promise<ProcessUsage>
  readonly settle: () => Promise<void>
  /** Makes one change that tells everybody `text`. */
  readonly change: (text: string) => Promise<void> | void
}

async function measure(subject: Subject): Promise<Measured> {
  const { crowd, tokens, sizes, readUsage, settle } = subject
  const fanOuts = new Map<number, { readonly ms: number; readonly cpuMicros: number }>()
  let clients = 0
  const grow = async (to: number): Promise<void> => {
    await crowd.add(tokens.slice(clients, to))
    clients = to
  }
  for (const size of sizes.fanOut.slice(0, -1)) {
    await grow(size)
    await settle()
    fanOuts.set(size, await measureFanOut(subject, size))
  }
  await grow(sizes.warm)
  await settle()
  const before = await readUsage()
  const all = sizes.fanOut.at(-1) ?? 0
  await grow(all)
  const connected = await readUsage()
  await settle()
  const after = await readUsage()
  fanOuts.set(all, await measureFanOut(subject, all))
  const added = all - sizes.warm
  return {
    fanOuts,
    clients: all,
    residentBytes: after.residentBytes,
    connectionBytes: (after.residentBytes - before.residentBytes) / added,
    connectCpuMicros: ((connected.cpuMs - before.cpuMs) * 1_000) / added,
  }
}

async function measureFanOut(
  { crowd, change, readUsage }: Subject,
  clients: number,
): Promise<{ readonly ms: number; readonly cpuMicros: number }> {
  const taken: number[] = []
  const before = await readUsage()
  for (let n = 0; n < CHANGES; n++) {
    const text = `notice-${clients}-${n}-end`
    taken.push(await crowd.timeUntilAllHave(text, () => change(text)))
  }
  const after = await readUsage()
  return { ms: percentile(taken, 0.5), cpuMicros: ((after.cpuMs - before.cpuMs) * 1_000) / (CHANGES * clients) }
}

function* compareTimes(measured: Measured, limit: Measured, transport: Transport): Generator<Figure> {
  for (const [clients, { ms, cpuMicros }] of measured.fanOuts) {
    const limitMs = limit.fanOuts.get(clients)?.ms
    yield {
      name: `one change to all of ${format(clients)} clients, ${transport}, p50 of ${CHANGES}`,
      value: ms,
      unit: 'ms',
      ...(limitMs === undefined ? {} : { limit: { name: 'bare server', value: limitMs } }),
      budget: { ratioMax: 2.5 },
      cpuMicros,
      scale: { series: `fan-out ${transport}`, size: clients, ms },
      verified: `${CHANGES} changes at each client`,
    }
  }
}

function* compareMemory(measured: Measured, limit: Measured, transport: Transport): Generator<Figure> {
  const verified = `${format(measured.clients)} open streams`
  yield {
    name: `idle connection, ${transport}, memory`,
    value: measured.connectionBytes / 1024,
    unit: 'KiB',
    limit: { name: 'bare server', value: limit.connectionBytes / 1024 },
    budget: { ratioMax: 1.4 },
    verified,
  }
  yield {
    name: `one more connection, ${transport}, CPU`,
    value: measured.connectCpuMicros / 1_000,
    unit: 'ms',
    limit: { name: 'bare server', value: limit.connectCpuMicros / 1_000 },
    budget: { valueMax: 1 },
    verified,
  }
  yield {
    name: `process with ${format(measured.clients)} idle connections, ${transport}`,
    value: measured.residentBytes / 2 ** 20,
    unit: 'MiB',
    limit: { name: 'bare server', value: limit.residentBytes / 2 ** 20 },
    budget: { valueMax: 600 },
    verified,
  }
}

function format(count: number): string {
  return count.toLocaleString('en')
}
