import { emptyRawStore, followStream, readRawRows, type RawStore } from '@headwater/testkit'
import { createSlot, discardChanges, perSecond, type Limit } from '../limits.ts'
import type { Figure } from '../report.ts'
import type { Scenario } from '../scenario.ts'
import { openStage, type Stage } from '../stage.ts'
import { untilIdle } from '../until-idle.ts'

const OWNERS = 1_000

/** An auditor has access to every owner's bucket, to verify all rows; a watcher only to the one of the last row. */
const SCHEMA = `
  CREATE TABLE items (id bigint PRIMARY KEY, owner text NOT NULL, title text NOT NULL);
  CREATE TABLE access (id text PRIMARY KEY, user_id text NOT NULL, owner text NOT NULL);
  INSERT INTO access SELECT 'auditor-' || n, 'auditor', 'owner-' || n FROM generate_series(0, ${OWNERS - 1}) AS n;
  INSERT INTO access VALUES ('auditor-last', 'auditor', 'last'), ('watcher-last', 'watcher', 'last');
`

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items WHERE owner IN (SELECT owner FROM access WHERE user_id = auth.user_id())
`

/** About 100 B of row: 8 of key, 10 of owner, 80 of title. */
const TITLE = `md5(n::text) || md5((n + 1)::text) || '0123456789abcdef'`

type Load = {
  readonly rowsPerTransaction: number
  readonly rows: number
  readonly rowsMin: number
  /** Set for the sizes that the exponent is taken from. */
  readonly series?: string
}

const LOADS: readonly Load[] = [
  { rowsPerTransaction: 1, rows: 20_000, rowsMin: 5_000 },
  { rowsPerTransaction: 100, rows: 100_000, rowsMin: 40_000, series: 'streaming' },
  { rowsPerTransaction: 100, rows: 1_000_000, rowsMin: 40_000, series: 'streaming' },
  { rowsPerTransaction: 10_000, rows: 500_000, rowsMin: 40_000 },
]

const QUICK_LOADS: readonly Load[] = [
  { rowsPerTransaction: 1, rows: 2_000, rowsMin: 5_000 },
  { rowsPerTransaction: 100, rows: 10_000, rowsMin: 40_000 },
]

/**
 * Stops the service (SIGSTOP), lets a backlog pile up in the log, lets it go on (SIGCONT), and takes the time until a
 * client has the last row. A second slot, read and discarded, is the limit.
 */
export const scenario: Scenario = {
  name: 'streaming',
  run: async function* ({ isQuick }) {
    for (const load of isQuick ? QUICK_LOADS : LOADS) yield await measure(load)
  },
}

async function measure(load: Load): Promise<Figure> {
  const { rows, rowsPerTransaction, rowsMin, series } = load
  await using stage = await openStage(SCHEMA)
  const service = await stage.startService(SYNC_CONFIG)
  await service.untilReady()
  await untilIdle(service)
  const store = emptyRawStore()
  const stream = followStream({ url: service.url, token: await stage.token('watcher'), format: 'ndjson' }, store)
  await passCompletion(stream)

  await createSlot(stage.url, 'discard')
  const pid = service.pid()
  if (pid === undefined) throw new Error('The service is not running')
  process.kill(pid, 'SIGSTOP')
  await stage.sql(insertStatement(rows, rowsPerTransaction))
  await stage.sql(`INSERT INTO items VALUES (${rows}, 'last', 'last')`)
  const limit = await discardChanges(stage.url, 'discard', rows)

  process.kill(pid, 'SIGCONT')
  const startedAtMs = performance.now()
  const before = await service.readUsage()
  while (!readRawRows(store).get('items')?.has(String(rows))) await passCompletion(stream)
  const ms = performance.now() - startedAtMs
  const after = await service.readUsage()
  await stream.return()

  const verified = await verify(stage, service.url, rows + 1)
  const taken: Limit = { units: rows, ms, cpuMs: after.cpuMs - before.cpuMs }
  return {
    name: `${rows.toLocaleString('en')} rows of 100 B, ${rowsPerTransaction.toLocaleString('en')} a transaction`,
    value: perSecond(taken),
    unit: 'rows/s',
    limit: { name: 'pgoutput discarded', value: perSecond(limit) },
    budget: { ratioMin: 0.5, valueMin: rowsMin },
    cpuMicros: (taken.cpuMs * 1_000) / rows,
    ...(series === undefined ? {} : { scale: { series, size: rows, ms } }),
    verified,
  }
}

/** Every transaction commits by itself, inside one statement, so that writing is not bound by round trips. */
function insertStatement(rows: number, rowsPerTransaction: number): string {
  return `
    DO $$ BEGIN
      FOR start IN 0..${rows - 1} BY ${rowsPerTransaction} LOOP
        INSERT INTO items
        SELECT n, 'owner-' || (n % ${OWNERS}), ${TITLE}
        FROM generate_series(start, least(start + ${rowsPerTransaction}, ${rows}) - 1) AS n;
        COMMIT;
      END LOOP;
    END $$`
}

async function passCompletion(stream: ReturnType<typeof followStream>): Promise<void> {
  for (;;) {
    const { value, done } = await stream.next()
    if (done === true) throw new Error('The stream ended')
    if (value.kind === 'checkpoint-complete') return
  }
}

/** Downloads every bucket through an auditor, whose store checks the sums, and compares with Postgres. */
async function verify(stage: Stage, url: string, rowsExpected: number): Promise<string> {
  const store: RawStore = emptyRawStore()
  const stream = followStream({ url, token: await stage.token('auditor'), format: 'ndjson' }, store)
  await passCompletion(stream)
  await stream.return()
  const rows = readRawRows(store).get('items') ?? new Map<string, string>()
  const [source] = await stage.sql('SELECT count(*)::int AS rows, sum(length(title))::int AS letters FROM items')
  let letters = 0
  for (const data of rows.values()) letters += (JSON.parse(data) as { title: string }).title.length
  if (rows.size !== rowsExpected || source?.['rows'] !== rowsExpected || source['letters'] !== letters) {
    throw new Error(`The client has ${rows.size} rows with ${letters} letters, Postgres ${JSON.stringify(source)}`)
  }
  return `${rows.size.toLocaleString('en')} rows, ${store.buckets.size.toLocaleString('en')} checksums`
}
