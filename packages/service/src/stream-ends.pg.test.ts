import { decodeBsonLine, decodeLine, type Line, splitBson, splitNdjson, type UnknownLine } from '@headwater/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openRsocket } from './http/rsocket-client.test-parts.ts'
import { authorized, openStage, type Stage, tokenOf } from './protocol.test-parts.ts'

const TABLES = `
  CREATE TABLE lists (id text PRIMARY KEY, owner text);
  CREATE TABLE items (id text PRIMARY KEY, list_id text);
  INSERT INTO lists VALUES ('L1', 'ann'), ('L2', 'ann');
  INSERT INTO items VALUES ('I1', 'L1')`

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items WHERE list_id IN (SELECT id FROM lists WHERE owner = auth.user_id())
`

let stage: Stage
beforeAll(async () => {
  stage = await openStage({ tables: TABLES, syncConfig: SYNC_CONFIG, settings: { limits: { bucketsMax: 2 } } })
})
afterAll(() => stage[Symbol.asyncDispose]())

const NDJSON = 'application/x-ndjson'
const BSON = 'application/vnd.powersync.bson-stream'

const FORMS = [
  ['NDJSON', NDJSON, true],
  ['NDJSON with nested rows', NDJSON, false],
  ['BSON', BSON, true],
] as const

type Said = {
  /** Why nothing followed. */
  readonly last: Line | UnknownLine | undefined
  readonly end: 'normal' | 'cut'
}

/** Brings a stream to a checkpoint. Throws when it is refused. */
async function open(accept: string, rawData: boolean): Promise<{ readonly said: Promise<Said> }> {
  const response = await fetch(`${stage.url}/sync/stream`, {
    method: 'POST',
    headers: { ...authorized('ann'), accept },
    body: JSON.stringify({ raw_data: rawData }),
  })
  if (response.status !== 200) throw new Error(`Expected a stream, got ${response.status}`)
  const complete = Promise.withResolvers<void>()
  const read = async (): Promise<Said> => {
    let last: Line | UnknownLine | undefined
    try {
      for await (const line of decode(response)) {
        last = line
        if (line.kind === 'checkpoint-complete') complete.resolve()
      }
      return { last, end: 'normal' }
    } catch {
      return { last, end: 'cut' }
    }
  }
  const said = read()
  await complete.promise
  return { said }
}

async function* decode({ headers, body }: Response): AsyncGenerator<Line | UnknownLine> {
  const chunks = body ?? new ReadableStream()
  if (headers.get('content-type') === BSON) {
    for await (const document of splitBson(chunks)) yield decodeBsonLine(document)
  } else {
    // Nested rows are no operations that can be decoded.
    for await (const text of splitNdjson(chunks)) if (!text.startsWith('{"data"')) yield decodeLine(text)
  }
}

async function openWebSocket(): Promise<{ readonly said: () => Promise<unknown> }> {
  const client = await openRsocket(stage.url, { metadata: { token: `Token ${tokenOf('ann')}` } })
  client.request()
  for (let isComplete = false; !isComplete;) {
    const frame = await client.next()
    isComplete = frame?.kind === 'next' && 'checkpoint_complete' in frame.line
  }
  return {
    said: async () => {
      const frames: unknown[] = []
      for (let frame = await client.next(); frame !== undefined; frame = await client.next()) {
        frames.push(frame)
        if (frame.kind === 'complete' || frame.kind === 'error') break
      }
      return frames
    },
  }
}

const openAll = (): Promise<{ readonly said: Promise<Said> }[]> =>
  Promise.all(FORMS.map(([, accept, rawData]) => open(accept, rawData)))

test('[protocol 29] who gets too much while connected is told so, before the cut over HTTP, by an ERROR frame otherwise', async () => {
  const [streams, webSocket] = [await openAll(), await openWebSocket()]
  await stage.database.sql("INSERT INTO lists VALUES ('L3', 'ann')")
  const message = 'Cannot sync: expected at most 2 buckets for one client, got 3: 3 from "items"'
  for (const { said } of streams) {
    expect(await said).toEqual({ last: { kind: 'stream-error', code: 'PSYNC_S2305', message }, end: 'cut' })
  }
  expect(await webSocket.said()).toEqual([
    expect.objectContaining({ kind: 'error', text: expect.stringContaining(`[PSYNC_S2305] ${message}`) }),
  ])
})

test('[protocol 21, 53] what is built anew is the last word of each stream, which then ends normally', async () => {
  await stage.database.sql("DELETE FROM lists WHERE id = 'L3'")
  await expect.poll(() => open(NDJSON, true).catch(() => 'refused')).not.toBe('refused')
  const [streams, webSocket] = [await openAll(), await openWebSocket()]
  await stage.service.replaceSyncConfig(SYNC_CONFIG.replace('SELECT *', 'SELECT id'))
  for (const { said } of streams) {
    expect(await said).toEqual({ last: { kind: 'stream-end', reason: 'config-changed' }, end: 'normal' })
  }
  expect(await webSocket.said()).toEqual([
    { kind: 'next', streamId: 1, line: { stream_end: { reason: 'config_changed' } } },
    { kind: 'complete', streamId: 1 },
  ])
})

test('[protocol 21] that the service stops is the last word of each stream, which then ends normally', async () => {
  const ready = async (): Promise<number> => (await fetch(`${stage.url}/probes/readiness`)).status
  await expect.poll(ready, { timeout: 20_000 }).toBe(200)
  const [streams, webSocket] = [await openAll(), await openWebSocket()]
  const stopped = stage.service.stop()
  for (const { said } of streams) {
    expect(await said).toEqual({ last: { kind: 'stream-end', reason: 'shutdown' }, end: 'normal' })
  }
  expect(await webSocket.said()).toEqual([
    { kind: 'next', streamId: 1, line: { stream_end: { reason: 'shutdown' } } },
    { kind: 'complete', streamId: 1 },
  ])
  await stopped
})
