import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { discardOnce, type ServiceProcess } from '@headwater/testkit'
import { compileService } from '../compiled-service.ts'
import { openCrowd } from '../crowd.ts'
import { perSecond } from '../limits.ts'
import { percentile, type Figure } from '../report.ts'
import type { Scenario } from '../scenario.ts'
import { openStage, type Stage } from '../stage.ts'
import { untilIdle } from '../until-idle.ts'

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items WHERE owner = auth.user_id()
  notices:
    auto_subscribe: true
    query: SELECT * FROM notices
`

const CHANGES = 20
const READERS = 4
/** Best of several, so that nothing is judged by its first, cold run. */
const RUNS = 3
const MEBIBYTE = 1024 * 1024

type Sizes = { readonly clients: number; readonly operations: number }

const FULL: Sizes = { clients: 1_000, operations: 100_000 }
const QUICK: Sizes = { clients: 100, operations: 5_000 }

/** The same work for one process, and for workers beside it; on a machine with few cores the clients take some of them. */
export const scenario: Scenario = {
  name: 'workers',
  run: async function* ({ isQuick }) {
    const sizes = isQuick ? QUICK : FULL
    await using stage = await openStage(`
      CREATE TABLE notices (id text PRIMARY KEY, body text NOT NULL);
      CREATE TABLE items (id bigint PRIMARY KEY, owner text NOT NULL, title text NOT NULL);
      INSERT INTO items
      SELECT n, 'reader', md5(n::text) || md5((n + 1)::text) || '0123456789abcdef'
      FROM generate_series(1, ${sizes.operations}) AS n;
    `)
    await using cleanup = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'headwater-compiled-'))
    cleanup.defer(() => rm(folder, { recursive: true, force: true }))
    const compiledEntry = await compileService(folder)
    const one = await measure(stage, { compiledEntry, workers: 0, sizes })
    for (const workers of [1, 2]) {
      yield* compare(await measure(stage, { compiledEntry, workers, sizes }), one, { workers, sizes })
    }
  },
}

type Measured = { readonly fanOutMs: number; readonly mebibytesPerSecond: number }

type Run = { readonly compiledEntry: string; readonly workers: number; readonly sizes: Sizes }

async function measure(stage: Stage, { compiledEntry, workers, sizes }: Run): Promise<Measured> {
  const service = await stage.startService(SYNC_CONFIG, { compiledEntry, http: { workers } })
  await service.untilReady()
  await untilIdle(service)
  const mebibytesPerSecond = await measureDownloads(stage, service, sizes)
  const fanOutMs = await measureFanOut(stage, service, { workers, clients: sizes.clients })
  await service.stop()
  return { fanOutMs, mebibytesPerSecond }
}

async function measureDownloads(stage: Stage, { url }: ServiceProcess, { operations }: Sizes): Promise<number> {
  const token = await stage.token('reader')
  let best = 0
  for (let run = 0; run < RUNS; run++) {
    const startedAtMs = performance.now()
    const all = await Promise.all(Array.from({ length: READERS }, () => discardOnce({ url, token, format: 'ndjson' })))
    const bytes = all.reduce((sum, one) => sum + one, 0)
    if (bytes < operations * READERS * ROW_BYTES_MIN) throw new Error(`The clients have received only ${bytes} bytes`)
    best = Math.max(best, perSecond({ units: bytes / MEBIBYTE, ms: performance.now() - startedAtMs }))
  }
  return best
}

/** What a row takes on the wire at least: its values. */
const ROW_BYTES_MIN = 80

async function measureFanOut(
  stage: Stage,
  service: ServiceProcess,
  { workers, clients }: { readonly workers: number; readonly clients: number },
): Promise<number> {
  const tokens = await Promise.all(Array.from({ length: clients }, (_, index) => stage.token(`user-${index}`)))
  await using crowd = openCrowd({ url: service.url, transport: 'http', greeting: 'checkpoint_complete' })
  await crowd.add(tokens)
  await untilIdle(service)
  const taken: number[] = []
  for (let n = 0; n < CHANGES; n++) {
    const text = `notice-${workers}-${n}-end`
    const change = async (): Promise<void> => void (await stage.sql('INSERT INTO notices VALUES ($1, $1)', [text]))
    taken.push(await crowd.timeUntilAllHave(text, change))
  }
  return percentile(taken, 0.5)
}

function* compare(
  measured: Measured,
  one: Measured,
  { workers, sizes }: Omit<Run, 'compiledEntry'>,
): Generator<Figure> {
  const beside = workers === 1 ? '1 worker' : `${workers} workers`
  yield {
    name: `one change to all of ${sizes.clients.toLocaleString('en')} clients, ${beside}, p50 of ${CHANGES}`,
    value: measured.fanOutMs,
    unit: 'ms',
    limit: { name: 'one process', value: one.fanOutMs },
    verified: `${CHANGES} changes at each client`,
  }
  yield {
    name: `${READERS} first downloads at once of ${sizes.operations.toLocaleString('en')} operations, ${beside}`,
    value: measured.mebibytesPerSecond,
    unit: 'MiB/s',
    limit: { name: 'one process', value: one.mebibytesPerSecond },
    verified: 'the bytes of all rows',
  }
}
