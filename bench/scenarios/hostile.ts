import { followStream, type ServiceProcess } from '@headwater/testkit'
import { startBareServer } from '../bare-server.ts'
import { startHostileClients } from '../hostile-clients.ts'
import { createSlot, openChanges } from '../limits.ts'
import { percentile, type Figure } from '../report.ts'
import type { Scenario } from '../scenario.ts'
import { openStage, type Stage } from '../stage.ts'
import { untilIdle } from '../until-idle.ts'

const SCHEMA = `
  CREATE TABLE items (id text PRIMARY KEY, owner text NOT NULL, sent_at_ms float8);
  CREATE TABLE files (id text PRIMARY KEY, owner text NOT NULL, body text);
  INSERT INTO files SELECT 'file-' || n, 'rich', repeat(md5(n::text), 300) FROM generate_series(1, 1000) n`

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items WHERE owner = auth.user_id()
  files:
    auto_subscribe: true
    query: SELECT * FROM files WHERE owner = auth.user_id()
  picked:
    query: SELECT * FROM items WHERE owner = subscription.parameter('owner') AND owner = auth.user_id()
`

const COMMITS_PER_SECOND = 50
const SLOT = 'bare_reader'

/** The phases take turns, so that what else the machine does hits them alike. */
const ROUNDS = 6

/** What hostile clients turn on: nothing, a bare server that does nothing for them, the service. */
const PHASES = ['alone', 'elsewhere', 'attacked'] as const
type Phase = (typeof PHASES)[number]

/**
 * From a commit until a quiet client has it: alone, and while hostile clients do what they can. They take their own share
 * of the processors, which moves a bare reader of the log too: beside it stands how much. So does what the service cannot
 * spare itself, as the same requests to a bare server show.
 */
export const scenario: Scenario = {
  name: 'hostile',
  run: async function* ({ isQuick }) {
    const secondsEach = isQuick ? 2 : 10
    await using stage = await openStage(SCHEMA)
    const service = await stage.startService(SYNC_CONFIG)
    await createSlot(stage.url, SLOT)
    await service.untilReady()
    await untilIdle(service)
    await using bareServer = await startBareServer()
    await using hostile = await startHostileClients({
      tokens: await Promise.all(Array.from({ length: 40 }, (_, n) => stage.token(`mallory-${n}`))),
      richToken: await stage.token('rich'),
    })
    const arrivals = followArrivals(stage, service.url)
    const bare = readBare(stage.url)
    await arrivals.untilReady

    const targets = { alone: undefined, elsewhere: bareServer, attacked: service }
    const found: Found = { alone: nothing(), elsewhere: nothing(), attacked: nothing() }
    for (let round = 0; round < ROUNDS; round++) {
      for (const phase of PHASES) {
        await untilIdle(service)
        const work = (): Promise<readonly string[]> => commitFor(stage, secondsEach, `${phase}-${round}`)
        const target = targets[phase]
        if (target !== undefined) await hostile.start(target.url)
        const { ids, cpuMs } = await measure(target ?? service, work)
        if (target !== undefined) found[phase].requests += await hostile.stop()
        found[phase].ids.push(...ids)
        found[phase].cpuMs += cpuMs
      }
    }
    await arrivals.untilAll(PHASES.reduce((sum, phase) => sum + found[phase].ids.length, 0))
    yield* compare(found, { client: arrivals.latencies, bare: bare.latencies })
  },
}

/** Of all rounds of a phase: what was committed, hostile requests, and CPU time of whom they were sent to. */
type Found = Readonly<Record<Phase, { readonly ids: string[]; requests: number; cpuMs: number }>>

function nothing(): Found[Phase] {
  return { ids: [], requests: 0, cpuMs: 0 }
}

/** Milliseconds, by the id of the row. */
type Latencies = ReadonlyMap<string, number>

function* compare(
  found: Found,
  latencies: { readonly client: Latencies; readonly bare: Latencies },
): Generator<Figure> {
  const of = (reader: keyof typeof latencies, phase: Phase, share: number): number =>
    percentile(
      found[phase].ids.flatMap((id) => latencies[reader].get(id) ?? []),
      share,
    )
  const rows = PHASES.reduce((sum, phase) => sum + found[phase].ids.length, 0)
  const requests = found.elsewhere.requests + found.attacked.requests
  const verified = `${rows.toLocaleString('en')} rows, ${requests.toLocaleString('en')} hostile requests`
  for (const [name, share] of [
    ['p50', 0.5],
    ['p99', 0.99],
  ] as const) {
    for (const phase of PHASES) {
      yield {
        name: `commit to a quiet client, ${phase}, ${name}`,
        value: of('client', phase, share),
        unit: 'ms',
        limit: { name: 'pgoutput arrival', value: of('bare', phase, share) },
        verified,
      }
    }
    const over = (reader: keyof typeof latencies, phase: Phase): number =>
      of(reader, 'attacked', share) / of(reader, phase, share)
    for (const phase of ['alone', 'elsewhere'] as const) {
      yield {
        name: `attacked over ${phase}, ${name}`,
        value: over('client', phase),
        unit: '×',
        limit: { name: 'pgoutput arrival', value: over('bare', phase) },
        ...(phase === 'alone' && share === 0.99 ? { budget: { valueMax: 1.1 } } : {}),
        verified,
      }
    }
  }
  const { alone, elsewhere, attacked } = found
  yield {
    name: 'a hostile request, CPU',
    value: (attacked.cpuMs - alone.cpuMs) / attacked.requests,
    unit: 'ms',
    limit: { name: 'bare server', value: elsewhere.cpuMs / elsewhere.requests },
    verified,
  }
}

async function measure(
  measured: Pick<ServiceProcess, 'readUsage'>,
  work: () => Promise<readonly string[]>,
): Promise<{ readonly ids: readonly string[]; readonly cpuMs: number }> {
  const before = await measured.readUsage()
  const ids = await work()
  const after = await measured.readUsage()
  return { ids, cpuMs: after.cpuMs - before.cpuMs }
}

async function commitFor(stage: Stage, seconds: number, name: string): Promise<readonly string[]> {
  const startedAtMs = performance.now()
  const ids: string[] = []
  for (let commit = 0; commit < seconds * COMMITS_PER_SECOND; commit++) {
    const earlyMs = startedAtMs + (commit * 1_000) / COMMITS_PER_SECOND - performance.now()
    if (earlyMs > 0) {
      await new Promise((resolve) => {
        setTimeout(resolve, earlyMs)
      })
    }
    const id = `${name}-${commit}`
    ids.push(id)
    await stage.sql('INSERT INTO items VALUES ($1, $2, $3)', [id, 'quiet', performance.now()])
  }
  return ids
}

function followArrivals(
  stage: Stage,
  url: string,
): {
  readonly latencies: Latencies
  readonly untilReady: Promise<void>
  readonly untilAll: (count: number) => Promise<void>
} {
  const latencies = new Map<string, number>()
  const ready = Promise.withResolvers<void>()
  const all = Promise.withResolvers<void>()
  let wanted = Infinity
  const follow = async (): Promise<void> => {
    const token = await stage.token('quiet')
    for await (const line of followStream({ url, token, format: 'ndjson' })) {
      if (line.kind === 'checkpoint-complete') ready.resolve()
      if (line.kind !== 'data') continue
      for (const operation of line.batch.operations) {
        if (operation.kind !== 'put') continue
        const { sent_at_ms: sentAtMs } = JSON.parse(operation.data) as { readonly sent_at_ms: number }
        latencies.set(operation.id, performance.now() - sentAtMs)
      }
      if (latencies.size >= wanted) all.resolve()
    }
    throw new Error('The stream of the quiet client has ended')
  }
  follow().catch((error: unknown) => {
    ready.reject(error)
    all.reject(error)
  })
  return {
    latencies,
    untilReady: ready.promise,
    untilAll: (count) => {
      wanted = count
      if (latencies.size >= count) all.resolve()
      return all.promise
    },
  }
}

/** A reader of a slot of its own that looks at nothing but the id and the time of each row. */
function readBare(url: string): { readonly latencies: Latencies } {
  const latencies = new Map<string, number>()
  const read = async (): Promise<void> => {
    using changes = await openChanges(url, SLOT)
    for await (const batch of changes.batches) {
      const nowMs = performance.now()
      for (const message of batch) {
        if (message[0] !== 'I'.charCodeAt(0)) continue
        const [id = '', , sentAtMs = '0'] = readColumns(message)
        latencies.set(id, nowMs - Number(sentAtMs))
      }
    }
  }
  // It ends with the stage, in the middle of reading.
  read().catch(() => {})
  return { latencies }
}

/** `I`, relation, `N`, columns, then for each column `t`, length, text. */
function readColumns(message: Uint8Array): readonly string[] {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength)
  const texts: string[] = []
  for (let at = 8; texts.length < bytes.readInt16BE(6);) {
    const length = bytes.readInt32BE(at + 1)
    texts.push(bytes.toString('latin1', at + 5, at + 5 + length))
    at += 5 + length
  }
  return texts
}
