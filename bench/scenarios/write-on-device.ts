import { createServer } from 'node:http'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createUploadHandler, toNodeListener } from '@headwater/backend'
import { column, createUploader, HeadwaterDatabase, Schema, Table } from '@headwater/client/node'
import { openStream } from '@headwater/testkit'
import { createSlot, openChanges } from '../limits.ts'
import { percentile, type Figure } from '../report.ts'
import type { Scenario } from '../scenario.ts'
import { openStage, type Stage } from '../stage.ts'

const SCHEMA = `
  CREATE TABLE items (id text PRIMARY KEY, owner text NOT NULL, title text);
  CREATE TABLE plain (LIKE items INCLUDING ALL);
`

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items
`

const schema = new Schema({ items: new Table({ owner: column.text, title: column.text }) })

/** Not on record, so that statements are prepared and code is compiled. */
const WARM_UP = 10

/** Longer than any arrival may take; then the scenario has failed. */
const PATIENCE_MS = 30_000

/**
 * One device writes a row to its own SQLite file; it goes through the upload queue, the backend, Postgres and the
 * service into the SQLite file of another, where a query must find it. The two write in turn, each as soon as the other
 * has the row before, without the pause between uploads that is there to save requests. Both and the backend live in
 * this process, so one clock measures both ends. All further devices are connections that are sent the same and throw
 * it away: elsewhere they would have processors of their own.
 *
 * The limit is a plain INSERT in Postgres until its change arrives at a bare reader of a slot, before any device is
 * connected.
 */
export const scenario: Scenario = {
  name: 'write-on-device',
  run: async function* ({ isQuick }) {
    for (const devices of isQuick ? [2] : [2, 20, 100]) yield* measure(devices, isQuick ? 20 : 100)
  },
}

async function* measure(devicesWanted: number, writes: number): AsyncGenerator<Figure, void, undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-bench-devices-'))
  await using cleanup = new AsyncDisposableStack()
  cleanup.defer(() => rm(folder, { recursive: true, force: true }))
  const stage = cleanup.use(await openStage(SCHEMA))
  const service = await stage.startService(SYNC_CONFIG)
  await service.untilReady()
  const backend = cleanup.use(await startBackend(stage.url))
  const limits = await measureLimit(stage, writes)
  const token = await stage.token('writer')
  for (let index = 2; index < devicesWanted; index++) {
    const listener = await openStream({ url: service.url, token, format: 'ndjson' })
    cleanup.defer(() => void listener.destroy())
    listener.resume()
  }
  const devices: HeadwaterDatabase[] = []
  for (let index = 0; index < 2; index++) {
    const device = cleanup.adopt(openDevice(join(folder, `${index}.db`)), (opened) => opened.close())
    devices.push(device)
    await connect(device, { stage, serviceUrl: service.url, backendUrl: backend.url })
  }

  const before = await service.readUsage()
  const latencies: number[] = []
  for (let write = 0; write < WARM_UP + writes; write++) {
    const taken = await writeOnOne(devices, write)
    if (write >= WARM_UP) latencies.push(...taken)
  }
  const after = await service.readUsage()
  await verify(stage, devices, WARM_UP + writes)

  const figure = (name: string, share: number, valueMax: number): Figure => ({
    name: `write on one device to another, ${devicesWanted} connected, one at a time, ${name}`,
    value: percentile(latencies, share),
    unit: 'ms',
    limit: { name: 'INSERT to pgoutput', value: percentile(limits, share) },
    budget: { valueMax },
    cpuMicros: ((after.cpuMs - before.cpuMs) * 1_000) / (WARM_UP + writes),
    verified: `${latencies.length.toLocaleString('en')} arrivals, same rows on both`,
  })
  yield figure('p50', 0.5, 30)
  yield figure('p99', 0.99, 100)
}

async function startBackend(database: string): Promise<AsyncDisposable & { readonly url: string }> {
  const handler = createUploadHandler({
    database,
    verify: () => Promise.resolve({ userId: 'writer', claims: {} }),
    tables: { items: { mayWrite: 'everyone' } },
  })
  const server = createServer(toNodeListener(handler)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('Expected a port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await handler.close()
    },
  }
}

function openDevice(dbFilename: string): HeadwaterDatabase {
  return new HeadwaterDatabase({ schema, database: { dbFilename, readWorkerCount: 1 } })
}

type Places = { readonly stage: Stage; readonly serviceUrl: string; readonly backendUrl: string }

async function connect(device: HeadwaterDatabase, { stage, serviceUrl, backendUrl }: Places): Promise<void> {
  const token = await stage.token('writer')
  await device.init()
  await device.connect(
    {
      fetchCredentials: () => Promise.resolve({ endpoint: serviceUrl, token }),
      uploadData: createUploader({ url: backendUrl }),
    },
    { crudUploadThrottleMs: 0 },
  )
  await device.waitForFirstSync()
}

/** Milliseconds from just before the write until each of the other devices has the row. */
async function writeOnOne(devices: readonly HeadwaterDatabase[], write: number): Promise<readonly number[]> {
  const id = `row-${write}`
  const writer = devices[write % devices.length]
  if (writer === undefined) throw new Error('Expected a device')
  const arrivals = devices.filter((device) => device !== writer).map((device) => untilFound(device, id))
  const startedAtMs = performance.now()
  await writer.execute('INSERT INTO items (id, owner, title) VALUES (?, ?, ?)', [id, 'writer', `written as ${write}`])
  const arrivedAtMs = await Promise.all(arrivals)
  return arrivedAtMs.map((atMs) => atMs - startedAtMs)
}

function untilFound(device: HeadwaterDatabase, id: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${id} has not arrived within ${PATIENCE_MS} ms`)), PATIENCE_MS)
    const stop = device.onChange(
      {
        onChange: async () => {
          if ((await device.getOptional('SELECT 1 FROM items WHERE id = ?', [id])) === null) return
          resolve(performance.now())
          clearTimeout(late)
          stop()
        },
        onError: reject,
      },
      { tables: ['items'], throttleMs: 0 },
    )
  })
}

async function verify(stage: Stage, devices: readonly HeadwaterDatabase[], rows: number): Promise<void> {
  const query = 'SELECT id, owner, title FROM items ORDER BY id'
  const source = JSON.stringify(await stage.sql(`${query} COLLATE "C"`))
  for (const [index, device] of devices.entries()) {
    const found = await device.getAll(query)
    if (found.length !== rows) throw new Error(`Device ${index} has ${found.length} of ${rows} rows`)
    if (JSON.stringify(found) !== source) throw new Error(`Device ${index} has other rows than Postgres`)
  }
}

/** Milliseconds from just before each INSERT until its change has come through a slot. */
async function measureLimit(stage: Stage, writes: number): Promise<readonly number[]> {
  await createSlot(stage.url, 'discard')
  using changes = await openChanges(stage.url, 'discard')
  const batches = changes.batches[Symbol.asyncIterator]()
  const taken: number[] = []
  for (let write = 0; write < WARM_UP + writes; write++) {
    const startedAtMs = performance.now()
    await stage.sql('INSERT INTO plain VALUES ($1, $2, $3)', [`plain-${write}`, 'writer', `written as ${write}`])
    for (let seen = false; !seen;) {
      const { value: batch, done } = await batches.next()
      if (done === true) throw new Error('The log ended early')
      seen = batch.some((message) => message[0] === 'I'.charCodeAt(0))
    }
    if (write >= WARM_UP) taken.push(performance.now() - startedAtMs)
  }
  return taken
}
