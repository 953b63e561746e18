import { emptyRawStore, followStream, readRawRows } from '@headwater/testkit'
import type { Figure } from '../report.ts'
import type { Scenario } from '../scenario.ts'
import { openStage } from '../stage.ts'
import { untilIdle } from '../until-idle.ts'

const SCHEMA = `
  CREATE TABLE items (id bigint PRIMARY KEY, owner text NOT NULL, title text NOT NULL);
  CREATE TABLE access (id text PRIMARY KEY, user_id text NOT NULL, owner text NOT NULL);
`

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items WHERE owner IN (SELECT owner FROM access WHERE user_id = auth.user_id())
`

/** As many as a service can be set to give one client; its default is a tenth. */
const BUCKETS_MAX = 100_000

/** For the default and fewer. */
const FIRST_CHECKPOINT_MS_MAX = 300
const BUDGET_BUCKETS_MAX = 10_000
const CHANGE_BYTES_MAX = 1024

/** One client that is entitled to very many buckets of one row each. */
export const scenario: Scenario = {
  name: 'buckets',
  run: async function* ({ isQuick }) {
    for (const buckets of isQuick ? [100] : [1_000, 10_000, BUCKETS_MAX]) yield* measure(buckets)
  },
}

async function* measure(buckets: number): AsyncGenerator<Figure, void, undefined> {
  await using stage = await openStage(`
    ${SCHEMA}
    INSERT INTO items SELECT n, 'owner-' || n, 'title ' || n FROM generate_series(1, ${buckets}) AS n;
    INSERT INTO access SELECT 'access-' || n, 'reader', 'owner-' || n FROM generate_series(1, ${buckets}) AS n;
  `)
  const limits = { bucketsMax: BUCKETS_MAX, parameterResultsMax: BUCKETS_MAX }
  const service = await stage.startService(SYNC_CONFIG, { limits })
  const token = await stage.token('reader')
  const store = emptyRawStore()

  await service.untilReady()
  await untilIdle(service)
  const before = await service.readUsage()
  const startedAtMs = performance.now()
  const stream = followStream({ url: service.url, token, format: 'ndjson' }, store)
  for (let line = await stream.next(); line.value?.kind !== 'checkpoint'; line = await stream.next()) {
    // A client that waits for long is told that the service is still there.
    if (line.done === true) throw new Error('The stream ended before its first checkpoint')
  }
  const firstLineMs = performance.now() - startedAtMs
  while (store.completed === undefined) await stream.next()
  const ms = performance.now() - startedAtMs
  const after = await service.readUsage()
  const rows = readRawRows(store).get('items')?.size ?? 0
  if (rows !== buckets || store.buckets.size !== buckets)
    throw new Error(`${rows} rows in ${store.buckets.size} buckets`)

  const verified = `${rows.toLocaleString('en')} rows, ${buckets.toLocaleString('en')} checksums`
  const size = buckets.toLocaleString('en')
  yield {
    name: `${size} buckets on a client, first checkpoint line`,
    value: firstLineMs,
    unit: 'ms',
    ...(buckets <= BUDGET_BUCKETS_MAX ? { budget: { valueMax: FIRST_CHECKPOINT_MS_MAX } } : {}),
    scale: { series: 'first checkpoint line', size: buckets, ms: firstLineMs },
    verified,
  }
  yield {
    name: `${size} buckets on a client, complete`,
    value: ms,
    unit: 'ms',
    cpuMicros: ((after.cpuMs - before.cpuMs) * 1_000) / buckets,
    scale: { series: 'buckets', size: buckets, ms },
    verified,
  }

  const sent: string[] = []
  await stage.sql(`UPDATE items SET title = 'changed' WHERE id = 1`)
  for (;;) {
    const { value: line, done } = await stream.next()
    if (done === true) throw new Error('The stream ended')
    sent.push(JSON.stringify(line, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)))
    if (line.kind === 'checkpoint-complete') break
  }
  await stream.return()
  yield {
    name: `${size} buckets on a client, sent for a change in one`,
    value: sent.join('\n').length,
    unit: 'B, about',
    budget: { valueMax: CHANGE_BYTES_MAX },
    verified: `${sent.length} lines`,
  }
}
