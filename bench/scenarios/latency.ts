import { followStream, readRawRows, emptyRawStore } from '@headwater/testkit'
import { createSlot, openChanges } from '../limits.ts'
import { percentile, type Figure } from '../report.ts'
import type { Scenario } from '../scenario.ts'
import { openStage, type Stage } from '../stage.ts'
import { untilIdle } from '../until-idle.ts'

const CLIENTS = 100
const COMMITS_PER_SECOND = 100

const SCHEMA = `CREATE TABLE items (id text PRIMARY KEY, owner text NOT NULL, sent_at_ms float8 NOT NULL)`

/** One bucket for each user. */
const SYNC_CONFIG = `
config:
  edition: 3
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items WHERE owner = auth.user_id()
`

/**
 * Commits at a steady pace, each a row for one of the clients, stamped with this process' clock just before it is
 * sent; the clients live in this process too, so one clock measures both ends. The limit is the arrival of the same
 * changes at a bare reader of a second slot.
 */
export const scenario: Scenario = {
  name: 'latency',
  run: async function* ({ isQuick }) {
    const commits = (isQuick ? 3 : 30) * COMMITS_PER_SECOND
    await using stage = await openStage(SCHEMA)
    const service = await stage.startService(SYNC_CONFIG)
    await service.untilReady()
    await untilIdle(service)
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, (_, index) => startClient(stage, service.url, `user-${index}`)),
    )
    await createSlot(stage.url, 'discard')
    const bare = startBareReader(stage.url, commits)

    const before = await service.readUsage()
    await writeSteadily(stage, commits)
    const after = await service.readUsage()
    await bare.ended
    const latencies = (await Promise.all(clients.map(({ finish }) => finish(commits / CLIENTS)))).flat()
    if (latencies.length !== commits) throw new Error(`${latencies.length} of ${commits} rows arrived`)

    const common = {
      unit: 'ms',
      verified: `${commits.toLocaleString('en')} rows, all checksums`,
      cpuMicros: ((after.cpuMs - before.cpuMs) * 1_000) / commits,
    } as const
    const figure = (name: string, share: number, valueMax: number): Figure => ({
      name: `commit to client, ${CLIENTS} clients, ${COMMITS_PER_SECOND} commits/s, ${name}`,
      value: percentile(latencies, share),
      limit: { name: 'pgoutput arrival', value: percentile(bare.latencies, share) },
      budget: { valueMax },
      ...common,
    })
    yield figure('p50', 0.5, 8)
    yield figure('p99', 0.99, 40)
  },
}

type Client = {
  /** Waits for this many rows in all and hangs up; gives the latency of each. */
  readonly finish: (rows: number) => Promise<readonly number[]>
}

async function startClient(stage: Stage, url: string, userId: string): Promise<Client> {
  const store = emptyRawStore()
  const latencies = new Map<string, number>()
  const stream = followStream({ url, token: await stage.token(userId), format: 'ndjson' }, store)
  const pass = async (): Promise<void> => {
    const { value: line, done } = await stream.next()
    if (done === true) throw new Error(`The stream of ${userId} ended`)
    if (line.kind !== 'data') return
    for (const operation of line.batch.operations) {
      if (operation.kind !== 'put') continue
      const { sent_at_ms: sentAtMs } = JSON.parse(operation.data) as { readonly sent_at_ms: number }
      latencies.set(operation.id, performance.now() - sentAtMs)
    }
  }
  while (store.completed === undefined) await pass()
  let rowsWanted = Infinity
  const following = (async () => {
    while (latencies.size < rowsWanted || readRawRows(store).get('items')?.size !== rowsWanted) await pass()
    await stream.return()
  })()
  // Handled by `finish`; until then it must not count as unhandled.
  following.catch(() => undefined)
  return {
    finish: async (rows) => {
      rowsWanted = rows
      if (latencies.size < rows) await following
      return [...latencies.values()]
    },
  }
}

async function writeSteadily(stage: Stage, commits: number): Promise<void> {
  const startedAtMs = performance.now()
  for (let commit = 0; commit < commits; commit++) {
    const dueMs = startedAtMs + (commit * 1_000) / COMMITS_PER_SECOND
    const earlyMs = dueMs - performance.now()
    if (earlyMs > 0) {
      await new Promise((resolve) => {
        setTimeout(resolve, earlyMs)
      })
    }
    const values = [`row-${commit}`, `user-${commit % CLIENTS}`, performance.now()]
    await stage.sql('INSERT INTO items VALUES ($1, $2, $3)', values)
  }
}

function startBareReader(
  url: string,
  rows: number,
): { readonly latencies: readonly number[]; readonly ended: Promise<void> } {
  const latencies: number[] = []
  const read = async (): Promise<void> => {
    using changes = await openChanges(url, 'discard')
    for await (const batch of changes.batches) {
      const nowMs = performance.now()
      for (const message of batch) {
        if (message[0] === 'I'.charCodeAt(0)) latencies.push(nowMs - readLastColumn(message))
      }
      if (latencies.length >= rows) return
    }
  }
  return { latencies, ended: read() }
}

/** `I`, relation, `N`, columns, then for each column `t`, length, text; the last column is the number wanted. */
function readLastColumn(message: Uint8Array): number {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength)
  const columns = bytes.readInt16BE(6)
  let at = 8
  for (let column = 0; column < columns - 1; column++) at += 5 + bytes.readInt32BE(at + 1)
  return Number(bytes.toString('latin1', at + 5, at + 5 + bytes.readInt32BE(at + 1)))
}
