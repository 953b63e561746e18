/** What the sync protocol asks of a client, statement by statement, of a whole device. More is in the tests of its parts. */
import { describe, expect, test } from 'vitest'
import { column } from '../schema/column.ts'
import { Schema } from '../schema/schema.ts'
import { Table } from '../schema/table.ts'
import {
  bucketEntry,
  checkpointLine,
  completeLine,
  dataLine,
  diffLine,
  partialLine,
  put,
} from '../sync/scripted-service.test-parts.ts'
import type { ScriptedStream, WireOperation } from '../sync/scripted-service.test-parts.ts'
import { openOnClock, settle } from './stopped-clock.test-parts.ts'
import type { OnClock } from './stopped-clock.test-parts.ts'

const schema = new Schema({ lists: new Table({ name: column.text }) })

const FORMATS = ['ndjson', 'bson'] as const

const RETRY_DELAY_MS = 5000

async function connect(
  format: (typeof FORMATS)[number] = 'ndjson',
): Promise<OnClock & { readonly stream: ScriptedStream }> {
  const onClock = await openOnClock(schema)
  onClock.opened.service.format = format
  await onClock.opened.connect({ retryDelayMs: RETRY_DELAY_MS })
  return { ...onClock, stream: await onClock.opened.service.stream(0) }
}

async function names({ opened }: OnClock): Promise<string[]> {
  await settle()
  const rows = await opened.db.getAll<{ name: string }>('SELECT name FROM lists ORDER BY name')
  return rows.map(({ name }) => name)
}

const A = put(1, 'lists', 'a', { name: 'A' })
const B = put(2, 'lists', 'b', { name: 'B' })

describe.each(FORMATS)('over %s', (format) => {
  test('[protocol 88] unknown lines are passed over wherever they come, and unknown fields wherever they are', async () => {
    const device = await connect(format)
    await using _ = device.opened
    const { stream } = device
    const news = { from_the_future: { x: [1] } }
    const later = (line: object): object =>
      Object.fromEntries(Object.entries(line).map(([kind, body]) => [kind, { ...Object(body), later: { y: 2 } }]))
    const entry = { ...bucketEntry('b', [A]), later: 1, subscriptions: [{ default: 0, later: 'z' }] }
    const streams = [{ name: 'all', is_default: true, errors: [], buckets: 1, later: null }]
    const limits = { buckets: 1, buckets_max: 10, later: 0 }
    stream.send(news, later({ checkpoint: { last_op_id: '1', limits, buckets: [entry], streams } }), news)
    const operation = { ...A, later: true }
    stream.send(later(dataLine('b', [operation])), news, later(completeLine(1)))
    expect(await names(device)).toEqual(['A'])
    const both = { ...bucketEntry('b', [A, B]), later: 'more' }
    stream.send(later(diffLine(2, [both])), news, later(dataLine('b', [B])), news, later(partialLine(2, 3)))
    stream.send({ just_a_number: 7 }, later(completeLine(2)))
    expect(await names(device)).toEqual(['A', 'B'])
    expect(device.opened.service.streams).toHaveLength(1)
    expect(device.opened.db.currentStatus.downloadError).toBeUndefined()
  })

  test('[protocol 89] a stream that ends within a line fails, and what was cut off counts for nothing', async () => {
    const device = await connect(format)
    await using _ = device.opened
    const { stream, opened } = device
    stream.send(checkpointLine(1, [bucketEntry('b', [A])]), dataLine('b', [A]))
    await settle()
    stream.sendCut(completeLine(1))
    stream.end()
    expect(await names(device)).toEqual([])
    expect(opened.db.currentStatus).toMatchObject({ connected: false, downloadError: { code: 'truncated-stream' } })
    await device.advance(RETRY_DELAY_MS)
    const again = await opened.service.stream(1)
    expect(again.request['buckets']).toEqual([{ name: 'b', after: '1' }])
  })

  test('[protocol 90] sums may be signed or unsigned, of buckets and of operations, and are compared modulo 2^32', async () => {
    const spellings: readonly (readonly [number, number])[] = [
      [-2_147_483_648, 2_147_483_648],
      [-1, 4_294_967_295],
      [-2_147_483_647, 2_147_483_649],
      [0, 0],
      [2_147_483_647, 2_147_483_647],
    ]
    for (const [signed, unsigned] of spellings) {
      for (const [ofOperation, ofBucket] of [
        [signed, unsigned],
        [unsigned, signed],
      ] as const) {
        const device = await connect(format)
        await using _ = device.opened
        const operation: WireOperation = { ...A, checksum: ofOperation }
        device.stream.send(checkpointLine(1, [bucketEntry('b', ofBucket)]), dataLine('b', [operation]), completeLine(1))
        expect(await names(device)).toEqual(['A'])
      }
    }
    const device = await connect(format)
    await using _ = device.opened
    const large = 4_000_000_000
    const wrapping: readonly WireOperation[] = [
      { ...A, checksum: large },
      { ...B, checksum: large },
    ]
    const sumOf = (count: number) => (count * large) % 2 ** 32
    device.stream.send(checkpointLine(2, [bucketEntry('b', sumOf(2))]), dataLine('b', wrapping), completeLine(2))
    expect(await names(device)).toEqual(['A', 'B'])
    // An operation that another takes the place of still counts, beside those in force.
    const next: WireOperation = { ...put(3, 'lists', 'a', { name: 'A3' }), checksum: large }
    device.stream.send(diffLine(3, [bucketEntry('b', sumOf(3))]), dataLine('b', [next]), completeLine(3))
    expect(await names(device)).toEqual(['A3', 'B'])
    expect(device.opened.db.currentStatus.downloadError).toBeUndefined()
  })

  test('[protocol 100] the form is that of the answer, whatever was asked for', async () => {
    const device = await connect(format)
    await using _ = device.opened
    expect(device.stream.headers.get('accept')).toMatch(/application\/x-ndjson.*application\/vnd.powersync.bson-stream/)
    device.stream.send(checkpointLine(1, [bucketEntry('b', [A])]), dataLine('b', [A]), completeLine(1))
    expect(await names(device)).toEqual(['A'])
  })

  test('[protocol 101] a connection on which no line comes for two keepalive intervals is dead', async () => {
    const device = await connect(format)
    await using _ = device.opened
    const { stream, opened, advance } = device
    for (let interval = 0; interval < 3; interval += 1) {
      stream.send({ token_expires_in: 3600 })
      await advance(40_000)
      expect(stream.closedByClient).toBe(false)
    }
    await advance(6000)
    expect(stream.closedByClient).toBe(true)
    expect(opened.db.currentStatus).toMatchObject({ connected: false, downloadError: { code: 'sync-interrupted' } })
    await advance(RETRY_DELAY_MS)
    expect(opened.service.streams).toHaveLength(2)
  })
})

test.each(['application/x-ndjson; charset=utf-8', 'application/json', undefined])(
  '[protocol 100] what is not said to be BSON is read as NDJSON: %s',
  async (contentType) => {
    const device = await openOnClock(schema)
    await using _ = device.opened
    device.opened.service.contentType = () => contentType
    await device.opened.connect()
    const stream = await device.opened.service.stream(0)
    stream.send(checkpointLine(1, [bucketEntry('b', [A])]), dataLine('b', [A]), completeLine(1))
    expect(await names(device)).toEqual(['A'])
  },
)

test('[protocol 89] a diff without a checkpoint fails the connection', async () => {
  const device = await connect()
  await using _ = device.opened
  const { stream, opened } = device
  stream.send(diffLine(1, [bucketEntry('b', [A])]), dataLine('b', [A]), completeLine(1))
  expect(await names(device)).toEqual([])
  expect(stream.closedByClient).toBe(true)
  expect(opened.db.currentStatus.downloadError).toMatchObject({ code: 'sync-interrupted' })
  await device.advance(RETRY_DELAY_MS)
  expect((await opened.service.stream(1)).request['buckets']).toEqual([])
})

test('[protocol 91] what a completed checkpoint announced is not forgotten by later lines that say nothing of it', async () => {
  const device = await connect()
  await using _ = device.opened
  const { stream, opened, advance } = device
  await opened.db.execute(`INSERT INTO lists(id, name) VALUES ('own', 'own')`)
  await advance(1)
  const own = put(3, 'lists', 'own', { name: 'own' })
  stream.send(checkpointLine(1, [bucketEntry('b', [A])], { write_checkpoint: '1' }), dataLine('b', [A]))
  await settle()
  // Announced by a line that was never completed: not seen.
  stream.send(diffLine(2, [bucketEntry('b', [A, B])]), dataLine('b', [B]), completeLine(2))
  expect(await names(device)).toEqual(['own'])
  stream.send(diffLine(3, [bucketEntry('b', [A, B, own])], { write_checkpoint: '1' }), dataLine('b', [own]))
  stream.send(completeLine(3))
  expect(await names(device)).toEqual(['A', 'B', 'own'])
  const later = [A, B, own, put(4, 'lists', 'c', { name: 'C' }), put(5, 'lists', 'd', { name: 'D' })]
  stream.send(diffLine(4, [bucketEntry('b', later.slice(0, 4))]), dataLine('b', later.slice(3, 4)), completeLine(4))
  expect(await names(device)).toEqual(['A', 'B', 'C', 'own'])
  stream.send(checkpointLine(5, [bucketEntry('b', later)]), dataLine('b', later.slice(4)), completeLine(5))
  expect(await names(device)).toEqual(['A', 'B', 'C', 'D', 'own'])
})

test('[protocol 91] an old service may leave out priorities, counts, subscriptions and streams', async () => {
  const device = await connect()
  await using _ = device.opened
  const { checksum } = bucketEntry('b', [A])
  const bucket = { bucket: 'b', checksum }
  device.stream.send({ checkpoint: { last_op_id: '1', buckets: [bucket] } }, dataLine('b', [A]), partialLine(1, 2))
  expect(await names(device)).toEqual([])
  device.stream.send(partialLine(1, 3))
  expect(await names(device)).toEqual(['A'])
  device.stream.send(completeLine(1))
  await settle()
  expect(device.opened.db.currentStatus).toMatchObject({ hasSynced: true, syncStreams: [] })
})

test('[protocol 93] exactly the buckets with a wrong sum are dropped and asked for anew, after a delay', async () => {
  const device = await connect()
  await using _ = device.opened
  const { stream, opened, advance } = device
  stream.send(checkpointLine(2, [bucketEntry('good', [A]), bucketEntry('bad', [B])]))
  stream.send(dataLine('good', [A]), dataLine('bad', [B]), completeLine(2))
  expect(await names(device)).toEqual(['A', 'B'])
  stream.send(diffLine(3, [bucketEntry('bad', 12_345)]), completeLine(3))
  expect(await names(device)).toEqual(['A', 'B'])
  expect(stream.closedByClient).toBe(true)
  await advance(RETRY_DELAY_MS * 0.9)
  expect(opened.service.streams).toHaveLength(1)
  await advance(RETRY_DELAY_MS * 0.2)
  const again = await opened.service.stream(1)
  expect(again.request['buckets']).toEqual([{ name: 'good', after: '2' }])
  const kept = put(3, 'lists', 'b', { name: 'B3' })
  again.send(checkpointLine(3, [bucketEntry('good', [A]), bucketEntry('bad', [kept])]), dataLine('bad', [kept]))
  again.send(completeLine(3))
  expect(await names(device)).toEqual(['A', 'B3'])
})

test('[protocol 94] a bucket that a checkpoint does not list is deleted; rows that other buckets hold stay', async () => {
  const device = await connect()
  await using _ = device.opened
  const { stream, opened, advance } = device
  const x = [A]
  const y = [put(3, 'lists', 'a', { name: 'A3' }), put(4, 'lists', 'c', { name: 'C' })]
  stream.send(checkpointLine(4, [bucketEntry('x', x), bucketEntry('y', y)]), dataLine('x', x), dataLine('y', y))
  stream.send(completeLine(4))
  expect(await names(device)).toEqual(['A3', 'C'])
  stream.send(checkpointLine(5, [bucketEntry('x', x)]), completeLine(5))
  expect(await names(device)).toEqual(['A'])
  stream.break()
  await advance(RETRY_DELAY_MS)
  expect((await opened.service.stream(1)).request['buckets']).toEqual([{ name: 'x', after: '5' }])
})

describe('requests', () => {
  test('[protocol 96] have {} for parameters that nobody gave', async () => {
    const device = await connect()
    await using _ = device.opened
    expect(device.stream.request['parameters']).toEqual({})
  })

  test('[protocol 97] have all three keys in every subscription', async () => {
    const device = await connect()
    await using _ = device.opened
    await device.opened.db.syncStream('bare').subscribe()
    await device.opened.db.syncStream('full', { id: 7 }).subscribe({ priority: 0 })
    await settle()
    const { request } = await device.opened.service.stream(device.opened.service.streams.length - 1)
    expect(request['streams']).toEqual({
      include_defaults: true,
      subscriptions: [
        { stream: 'bare', parameters: {}, override_priority: null },
        { stream: 'full', parameters: { id: 7 }, override_priority: 0 },
      ],
    })
  })

  test.each(FORMATS)(
    '[protocol 97] have positions as decimal text, exact beyond what JavaScript counts (%s)',
    async (format) => {
      const device = await connect(format)
      await using _ = device.opened
      const last = '9223372036854775806'
      const operation: WireOperation = { ...A, op_id: last }
      const checkpoint = { last_op_id: last, buckets: [bucketEntry('b', [operation])], streams: [] }
      device.stream.send({ checkpoint }, dataLine('b', [operation]), { checkpoint_complete: { last_op_id: last } })
      expect(await names(device)).toEqual(['A'])
      device.stream.break()
      await device.advance(RETRY_DELAY_MS)
      const { request } = await device.opened.service.stream(1)
      expect(request['buckets']).toEqual([{ name: 'b', after: last }])
    },
  )
})

describe('credentials', () => {
  const tokens = (device: OnClock) => device.opened.service.streams.map(({ headers }) => headers.get('authorization'))

  async function connectNumbered(): Promise<OnClock & { readonly fetched: () => number }> {
    const device = await openOnClock(schema)
    let count = 0
    const fetchCredentials = () => Promise.resolve({ endpoint: 'http://service.test', token: `t${(count += 1)}` })
    await device.opened.connect({ retryDelayMs: RETRY_DELAY_MS }, { fetchCredentials })
    await settle()
    return { ...device, fetched: () => count }
  }

  test('[protocol 98] are renewed with 30 seconds left and not before, without a break and without a delay', async () => {
    const device = await connectNumbered()
    await using _ = device.opened
    const connected: boolean[] = []
    device.opened.db.registerListener({ statusChanged: (status) => connected.push(status.connected) })
    device.opened.service.streams[0]?.send({ token_expires_in: 31 })
    await settle()
    expect(device.fetched()).toBe(1)
    device.opened.service.streams[0]?.send({ token_expires_in: 30 })
    await settle()
    expect(tokens(device)).toEqual(['Token t1', 'Token t2'])
    expect(connected).not.toContain(false)
  })

  test.each([
    ['token_expires_in: 0', { token_expires_in: 0 }],
    ['an error that is the fault of the token', { stream_error: { code: 'PSYNC_S2107', message: 'revoked' } }],
    ['an end because the token has expired', { stream_end: { reason: 'token_expired' } }],
    ['an end because the token was revoked', { stream_end: { reason: 'token_revoked' } }],
  ])('[protocol 98] are discarded at %s', async (_what, line) => {
    const device = await connectNumbered()
    await using _ = device.opened
    device.opened.service.streams[0]?.send(line)
    await device.advance(RETRY_DELAY_MS)
    expect(tokens(device)).toEqual(['Token t1', 'Token t2'])
  })

  test('stay as they are at an error or end that is not theirs', async () => {
    const device = await connectNumbered()
    await using _ = device.opened
    device.opened.service.streams[0]?.send({ stream_end: { reason: 'shutdown' } })
    await device.advance(RETRY_DELAY_MS)
    device.opened.service.streams[1]?.send({ stream_error: { code: 'PSYNC_S2305', message: 'too many buckets' } })
    await device.advance(2 * RETRY_DELAY_MS)
    expect(tokens(device)).toEqual(['Token t1', 'Token t1', 'Token t1'])
  })

  test.each(['PSYNC_S2101', 'PSYNC_S2103', 'PSYNC_S2105', 'PSYNC_S2107'])(
    '[protocol 98] are discarded by a 401 to the stream, and fetched once for the next attempt: %s',
    async (code) => {
      const device = await connectNumbered()
      await using _ = device.opened
      device.down.set('/sync/stream', () => Response.json({ error: { code, status: 401 } }, { status: 401 }))
      device.opened.service.streams[0]?.break()
      await device.advance(RETRY_DELAY_MS)
      expect(device.opened.db.currentStatus.downloadError).toMatchObject({ status: 401, wireCode: code })
      device.down.clear()
      await device.advance(4 * RETRY_DELAY_MS)
      expect(tokens(device)).toEqual(['Token t1', 'Token t2'])
      expect(device.fetched()).toBe(2)
    },
  )

  test('[protocol 98] are discarded by a 401 to a request for a write checkpoint', async () => {
    const device = await connectNumbered()
    await using _ = device.opened
    const { service } = device.opened
    device.down.set('/sync/checkpoint-request', () => new Response('expired', { status: 401 }))
    await device.opened.db.execute(`INSERT INTO lists(id) VALUES ('a')`)
    await device.advance(1)
    device.down.clear()
    await device.advance(RETRY_DELAY_MS)
    expect(service.tokensOfNumbers).toEqual(['Token t2'])
    expect(device.fetched()).toBe(2)
  })
})

describe('what the service says within a stream', () => {
  test('is shown as an error of the download, with its code, until the next sync', async () => {
    const device = await connect()
    await using _ = device.opened
    device.stream.send({ stream_error: { code: 'PSYNC_S2305', message: 'Too many buckets', retry_after_ms: 60_000 } })
    await settle()
    const { downloadError } = device.opened.db.currentStatus
    expect(downloadError).toMatchObject({ code: 'sync-refused', wireCode: 'PSYNC_S2305', retryAfterMs: 60_000 })
    expect(downloadError?.message).toContain('Too many buckets')
    await device.advance(59_000)
    expect(device.opened.service.streams).toHaveLength(1)
    await device.advance(31_000)
    const again = await device.opened.service.stream(1)
    again.send(checkpointLine(0, []), completeLine(0))
    await settle()
    expect(device.opened.db.currentStatus.downloadError).toBeUndefined()
  })

  test('[protocol 102] about when to come back is kept to, and is no error', async () => {
    const device = await connect()
    await using _ = device.opened
    device.stream.send({ stream_end: { reason: 'config_changed', retry_after_ms: 20_000 } })
    await settle()
    expect(device.opened.db.currentStatus).toMatchObject({ connected: false, downloadError: undefined })
    await device.advance(19_000)
    expect(device.opened.service.streams).toHaveLength(1)
    await device.advance(11_000)
    expect(device.opened.service.streams).toHaveLength(2)
  })

  test('of a single stream is shown with that stream, while the others are synced', async () => {
    const device = await connect()
    await using _ = device.opened
    const { db, service } = device.opened
    await db.syncStream('project', { id: 'p1' }).subscribe()
    await db.syncStream('project', { id: 'p2' }).subscribe()
    await settle()
    const stream = await service.stream(service.streams.length - 1)
    const errors = [{ subscription: 1, message: 'no such project' }]
    const streams = [
      { name: 'project', is_default: false, errors },
      { name: 'all', is_default: true, errors: [{ subscription: 'default', message: 'too many buckets' }] },
    ]
    stream.send({ checkpoint: { last_op_id: '1', buckets: [], streams } }, completeLine(1))
    await settle()
    const errorsOf = (name: string, parameters: { id: string } | null) =>
      db.currentStatus.forStream({ name, parameters })?.errors
    expect(errorsOf('project', { id: 'p1' })).toEqual([])
    expect(errorsOf('project', { id: 'p2' })).toEqual(['no such project'])
    expect(errorsOf('all', null)).toEqual(['too many buckets'])
    expect(db.currentStatus).toMatchObject({ hasSynced: true, downloadError: undefined })
    stream.send({ checkpoint: { last_op_id: '2', buckets: [], streams: [{ name: 'project', is_default: false }] } })
    await settle()
    expect(errorsOf('project', { id: 'p2' })).toEqual([])
  })
})
