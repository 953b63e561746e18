import { request as sendRequest } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createTestDatabase,
  type ServiceProcess,
  startServiceProcess,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '@headwater/testkit'
import type { ServiceOptions } from '../config/options.ts'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { authorized, openLines, type OpenedStream, type RawLine, SECRET, tokenOf } from '../protocol.test-parts.ts'

const OPERATOR = 'an-operator-of-these-tests'
const SYNC_CONFIG = `config:
  edition: 3
streams:
  all:
    auto_subscribe: true
    query: SELECT * FROM todos
`

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startTestPostgres()
})

afterAll(() => postgres.stop())

test('40 streams that come at once are shared out evenly, and a change reaches them all', async () => {
  const { service, database, open } = await openStage()
  const streams = await Promise.all(Array.from({ length: 40 }, () => open()))
  expect(countByWorker(service, 'stream-opened')).toEqual(new Map([[1, 20], [2, 20]])) // oxfmt-ignore

  await database.sql("INSERT INTO todos VALUES ('T2', 'news')")
  await Promise.all(streams.map((stream) => untilLine(stream, ({ text }) => text.includes('news'))))
  const [sent] = readMetric(await readMetrics(service), 'headwater_sync_streams_count{transport="http"}')
  expect(sent).toBe(40)
})

test('a write checkpoint that is asked of one worker is told by a stream of the other', async () => {
  const { service, open } = await openStage()
  const streams = [await open('c1'), await open('c1')]
  expect(countByWorker(service, 'stream-opened').size).toBe(2)
  const asked = await fetch(`${service.url}/write-checkpoint2.json?client_id=c1`, { headers: authorized('ann') })
  const { write_checkpoint: number } = ((await asked.json()) as { data: { write_checkpoint: string } }).data
  await Promise.all(streams.map((stream) => untilLine(stream, ({ text }) => text.includes(`"${number}"`))))

  const chosen = `${BigInt(number) + 1_000n}`
  const body = JSON.stringify({ client_id: 'c1', checkpoint_request_id: chosen })
  const posted = await fetch(`${service.url}/sync/checkpoint-request`, {
    method: 'POST',
    headers: authorized('ann'),
    body,
  })
  expect(await posted.json()).toEqual({ data: { checkpoint_request_id: chosen } })
  await Promise.all(streams.map((stream) => untilLine(stream, ({ text }) => text.includes(`"${chosen}"`))))

  const awaited = await fetch(`${service.url}/write-checkpoint.json?client_id=c1`, { headers: authorized('ann') })
  expect(await awaited.json()).toEqual({ data: { checkpoint: expect.stringMatching(/^\d+$/) as unknown } })
})

test('a worker that is killed takes only its own streams with it, which come back without loss, and is replaced', async () => {
  const { service, database, open } = await openStage()
  const [first, second] = [await open(), await open()]
  const [victim] = pidsOf(service, 1)
  process.kill(victim ?? 0, 'SIGKILL')
  const cut = await Promise.any([isCut(first).then(() => first), isCut(second).then(() => second)])
  const kept = cut === first ? second : first
  const again = await open()
  await database.sql("INSERT INTO todos VALUES ('T2', 'after the kill')")
  for (const stream of [kept, again]) await untilLine(stream, ({ text }) => text.includes('after the kill'))

  await expect.poll(() => pidsOf(service, 1).length, { timeout: 20_000 }).toBe(2)
  const others = [await open(), await open()]
  await database.sql("INSERT INTO todos VALUES ('T3', 'for all')")
  for (const stream of [kept, again, ...others]) await untilLine(stream, ({ text }) => text.includes('for all'))
  expect(countByWorker(service, 'stream-opened').get(1)).toBe(3)
  expect(eventsOf(service, 'worker-ended')).toMatchObject([{ worker: 1, signal: 'SIGKILL' }])
})

test('who connects while a worker is killed is answered or cut off, and never left waiting', async () => {
  const { service } = await openStage()
  const asking: Promise<number | 'cut'>[] = []
  for (let n = 0; n < 200; n++) {
    if (n === 50) process.kill(pidsOf(service, 1)[0] ?? 0, 'SIGKILL')
    asking.push(ask(service, `user-${n}`).then((status) => status ?? 0, () => 'cut')) // oxfmt-ignore
    await new Promise((resolve) => setImmediate(resolve))
  }
  const outcomes = new Set(await Promise.all(asking))
  expect(outcomes.has(200)).toBe(true)
  expect([...outcomes].filter((outcome) => outcome !== 200 && outcome !== 'cut')).toEqual([])
})

test('counts of a worker that was killed stay in the metrics', async () => {
  const { service, open } = await openStage()
  await Promise.all([open(), open()])
  const name = 'headwater_sync_operations_sent_total'
  const before = readMetric(await readMetrics(service), name)
  expect(before).toEqual([2])
  process.kill(pidsOf(service, 1)[0] ?? 0, 'SIGKILL')
  await expect.poll(() => pidsOf(service, 1).length, { timeout: 20_000 }).toBe(2)
  const after = await readMetrics(service)
  expect(readMetric(after, name)).toEqual(before)
  expect(readMetric(after, 'headwater_worker_restarts_total')).toEqual([1])
  expect(readMetric(after, 'headwater_workers_count')).toEqual([2])
})

test('workers end at once with the main process, however it dies, and the next one serves the clients again', async () => {
  const { service, database, connect, open } = await openStage()
  const streams = [await open(), await open()]
  const pids = [...pidsOf(service, 1), ...pidsOf(service, 2)]
  await service.kill()
  await Promise.all(streams.map(isCut))
  await expect.poll(() => pids.filter(isAlive), { timeout: 20_000 }).toEqual([])

  await database.sql("INSERT INTO todos VALUES ('T2', 'while nobody was there')")
  await service.start()
  await untilLine(await connect(), ({ text }) => text.includes('while nobody was there'))
})

test('a request to stop ends the streams of all workers at a line, and then the workers', async () => {
  const { service, open } = await openStage()
  const streams = [await open(), await open()]
  const pids = [...pidsOf(service, 1), ...pidsOf(service, 2)]
  // A terminal sends its signals to workers too, and they must not run ahead.
  for (const pid of pids) process.kill(pid, 'SIGTERM')
  const stopped = service.stop()
  for (const stream of streams) expect(await lastTextOf(stream)).toBe('{"stream_end":{"reason":"shutdown"}}\n')
  expect(await stopped).toBe(0)
  expect(pids.filter(isAlive)).toEqual([])
})

test('a worker that hangs is ended and replaced, and meanwhile the other serves', { timeout: 90_000 }, async () => {
  const { service, database, open } = await openStage()
  const [hanging] = pidsOf(service, 1)
  process.kill(hanging ?? 0, 'SIGSTOP')
  await expect.poll(() => eventsOf(service, 'worker-silent').length, { timeout: 60_000 }).toBe(1)
  await expect.poll(() => pidsOf(service, 1).length, { timeout: 20_000 }).toBe(2)
  const streams = [await open(), await open()]
  await database.sql("INSERT INTO todos VALUES ('T2', 'news')")
  await Promise.all(streams.map((stream) => untilLine(stream, ({ text }) => text.includes('news'))))
})

test('another sync config ends the streams at each worker, and clients get other buckets', async () => {
  const { service, connect, open } = await openStage()
  const streams = [await open(), await open()]
  const deployed = await fetch(`${service.url}/api/sync-rules/v1/deploy`, {
    method: 'POST',
    headers: { authorization: `Token ${OPERATOR}`, 'content-type': 'application/yaml' },
    body: SYNC_CONFIG.replace('* FROM todos', 'id, upper(title) AS title FROM todos'),
  })
  expect(deployed.status).toBe(200)
  for (const stream of streams) expect(await lastTextOf(stream)).toBe('{"stream_end":{"reason":"config_changed"}}\n')
  await service.untilReady()
  await untilLine(await connect(), ({ text }) => text.includes('MILK'))
})

test('a revoked token ends its streams at each worker, and is refused by each', async () => {
  const { service, open } = await openStage()
  const streams = [await open(), await open()]
  const answer = await fetch(`${service.url}/api/admin/v1/revoke`, {
    method: 'POST',
    headers: { authorization: `Token ${OPERATOR}`, 'content-type': 'application/json' },
    body: JSON.stringify({ user_id: 'ann' }),
  })
  expect(answer.status).toBe(200)
  for (const stream of streams) expect(await lastTextOf(stream)).toBe('{"token_expires_in":0}\n')
  const again = async (): Promise<readonly (string | undefined)[]> => {
    await using stream = await openLines(service.url, tokenOf('ann'), { raw_data: true })
    return [(await stream.next())?.text, (await stream.next())?.text]
  }
  for (const lines of await Promise.all([again(), again(), again(), again()])) {
    expect(lines).toEqual(['{"token_expires_in":0}\n', undefined])
  }
})

test('buckets are compacted while workers serve them, and clients follow from before and anew', async () => {
  const { service, database, open } = await openStage()
  const before = await open()
  for (let n = 0; n < 50; n++) await database.sql(`UPDATE todos SET title = 'title ${n}'`)
  await untilLine(before, ({ text }) => text.includes('title 49'))
  const compact = async (): Promise<number> => {
    const answer = await fetch(`${service.url}/api/admin/v1/compact`, {
      method: 'POST',
      headers: { authorization: `Token ${OPERATOR}` },
    })
    const { data } = (await answer.json()) as { data: { moved: number; cleared: number } }
    return data.moved + data.cleared
  }
  // What a worker may be reading is left alone for a second or two.
  await expect.poll(compact, { timeout: 20_000, interval: 500 }).toBeGreaterThan(0)
  await database.sql("UPDATE todos SET title = 'the last'")
  await untilLine(before, ({ text }) => text.includes('the last'))
  await untilLine(before, ({ kind }) => kind === 'checkpoint_complete')
  await open()
})

test('operators have an address of their own with workers too', async () => {
  const { service } = await openStage({ api: { tokens: [OPERATOR], port: 0 } })
  const [started] = eventsOf(service, 'service-started')
  const operatorUrl = started?.operatorUrl ?? ''
  const call = (url: string) =>
    fetch(`${url}/api/admin/v1/diagnostics`, {
      method: 'POST',
      headers: { authorization: `Token ${OPERATOR}`, 'content-type': 'application/json' },
      body: '{}',
    })
  expect((await call(operatorUrl)).status).toBe(200)
  expect((await call(service.url)).status).toBe(404)
  expect((await fetch(`${operatorUrl}/probes/readiness`)).status).toBe(200)
})

test('workers share the number of streams that may be open', async () => {
  const { service, open } = await openStage({ limits: { connectionsMax: 4 } })
  await Promise.all([open(), open(), open(), open()])
  expect(await ask(service)).toBe(429)
})

test('streams of one user are counted over all workers, and those of a worker that is killed count no more', async () => {
  const { service, open } = await openStage({ limits: { userConnectionsMax: 3 } })
  const streams = [await open(), await open(), await open()]
  expect([...countByWorker(service, 'stream-opened').values()].toSorted((a, b) => a - b)).toEqual([1, 2])
  expect([await ask(service), await ask(service), await ask(service)]).toEqual([429, 429, 429])
  expect(await ask(service, 'bob')).toBe(200)
  const reached = 'headwater_limits_reached_total{limit="user-connections"}'
  expect(readMetric(await readMetrics(service), reached)).toEqual([3])

  process.kill(pidsOf(service, 1)[0] ?? 0, 'SIGKILL')
  const cut = await Promise.any(streams.map((stream) => isCut(stream).then(() => stream)))
  await expect.poll(() => ask(service), { timeout: 20_000 }).toBe(200)
  await cut[Symbol.asyncDispose]()
  for (const stream of streams) await stream[Symbol.asyncDispose]()
  await Promise.all([open(), open(), open()])
  expect(await ask(service)).toBe(429)
})

test('a port in use is told before any worker starts', async () => {
  const { service, settings } = await openStage()
  const second = startServiceProcess({
    ...settings,
    storage: { path: await temporaryDirectory() },
    http: { port: Number(new URL(service.url).port), workers: 2 },
  })
  await expect(second).rejects.toMatchObject({ code: 'port-in-use' })
})

type Stage = {
  readonly settings: ServiceOptions
  readonly service: ServiceProcess
  readonly database: TestDatabase
  readonly connect: (clientId?: string) => Promise<OpenedStream>
  /** As `connect`, with a stream that has told everything there was. */
  readonly open: (clientId?: string) => Promise<OpenedStream>
}

/** Two workers, one row, and a user. */
async function openStage(settings: Partial<ServiceOptions> = {}): Promise<Stage> {
  const database = await createTestDatabase(postgres)
  onTestFinished(() => database[Symbol.asyncDispose]())
  await database.sql("CREATE TABLE todos (id text PRIMARY KEY, title text); INSERT INTO todos VALUES ('T1', 'milk')")
  const all: ServiceOptions = {
    source: { url: database.url, slot: database.name },
    storage: { path: await temporaryDirectory() },
    syncConfig: { content: SYNC_CONFIG },
    http: { workers: 2 },
    auth: { secret: SECRET, audience: ['tests'] },
    api: { tokens: [OPERATOR] },
    log: { level: 'info' },
    ...settings,
  }
  const service = await startServiceProcess(all)
  onTestFinished(() => service[Symbol.asyncDispose]())
  await service.untilReady()
  const connect = async (clientId = 'c1'): Promise<OpenedStream> => {
    const stream = await openLines(service.url, tokenOf('ann'), { raw_data: true, client_id: clientId })
    onTestFinished(() => stream[Symbol.asyncDispose]())
    return stream
  }
  return {
    settings: all,
    service,
    database,
    connect,
    open: async (clientId) => {
      const stream = await connect(clientId)
      await untilLine(stream, ({ kind }) => kind === 'checkpoint_complete')
      return stream
    },
  }
}

async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'headwater-workers-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

/** The status of a stream's answer; a stream that is opened is closed again. */
async function ask(service: ServiceProcess, userId = 'ann'): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>()
  const sending = sendRequest(`${service.url}/sync/stream`, {
    method: 'POST',
    agent: false,
    headers: authorized(userId),
  })
  sending.on('error', reject)
  sending.on('response', (response) => {
    resolve(response.statusCode)
    sending.destroy()
  })
  sending.end('{}')
  return promise
}

async function untilLine(stream: OpenedStream, isIt: (line: RawLine) => boolean): Promise<void> {
  for (let line = await stream.next(); line !== undefined; line = await stream.next()) if (isIt(line)) return
  throw new Error('The stream ended before')
}

/** Rejects when the stream is cut. */
async function lastTextOf(stream: OpenedStream): Promise<string | undefined> {
  let text: string | undefined
  for (let line = await stream.next(); line !== undefined; line = await stream.next()) text = line.text
  return text
}

/** Not by `expect`: a test waits for whatever it expects of a stream that is not cut. */
async function isCut(stream: OpenedStream): Promise<void> {
  try {
    await lastTextOf(stream)
  } catch {
    return
  }
  throw new Error('The stream ended in good order')
}

type LoggedEvent = {
  readonly event: string
  readonly worker?: number
  readonly pid?: number
  readonly operatorUrl?: string
}

function eventsOf(service: ServiceProcess, event: string): LoggedEvent[] {
  const events = service
    .readLog()
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LoggedEvent)
  return events.filter((logged) => logged.event === event)
}

/** Of the worker with this number, the oldest first. */
function pidsOf(service: ServiceProcess, worker: number): number[] {
  return eventsOf(service, 'worker-started').flatMap((started) =>
    started.worker === worker && started.pid !== undefined ? [started.pid] : [],
  )
}

function countByWorker(service: ServiceProcess, event: string): Map<number | undefined, number> {
  const groups = Map.groupBy(eventsOf(service, event), ({ worker }) => worker)
  return new Map([...groups].map(([worker, events]) => [worker, events.length]))
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function readMetrics(service: ServiceProcess): Promise<string> {
  return (await fetch(`${service.url}/metrics`)).text()
}

function readMetric(text: string, name: string): number[] {
  const lines = text.split('\n').filter((line) => line.startsWith(`${name} `))
  return lines.map((line) => Number(line.slice(name.length + 1)))
}
