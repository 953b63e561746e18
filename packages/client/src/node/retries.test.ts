import { describe, expect, test } from 'vitest'
import { column } from '../schema/column.ts'
import { Schema } from '../schema/schema.ts'
import { Table } from '../schema/table.ts'
import { createUploader } from '../upload/backend-uploader.ts'
import { openOnClock, settle } from './stopped-clock.test-parts.ts'
import { until } from './throw-away-database.test-parts.ts'
import type { ThrowAway } from './throw-away-database.test-parts.ts'

const schema = new Schema({ lists: new Table({ name: column.text }) })

const RETRY_DELAY_MS = 5000
const options = { retryDelayMs: RETRY_DELAY_MS }

const STREAM = '/sync/stream'
const WRITE_CHECKPOINT = '/sync/checkpoint-request'
const offline = () => new TypeError('offline')

function busy(retryAfter: string): () => Response {
  return () => new Response('busy', { status: 503, headers: { 'retry-after': retryAfter } })
}

/** Long enough for pauses to have grown to a minute. */
const OUTAGE_MS = 10 * 60_000

describe('a device that was sent away', () => {
  test.each([
    ['seconds', '30'],
    ['a date', 'Thu, 01 Jan 2026 00:00:30 GMT'],
  ])(
    '[protocol 102] does not ask for the stream again before the time in Retry-After: %s',
    async (_form, retryAfter) => {
      const { opened, advance, calls, down } = await openOnClock(schema)
      await using _ = opened
      down.set(STREAM, busy(retryAfter))
      await opened.connect(options)
      down.clear()
      await advance(30_000)
      expect(calls.get(STREAM)).toBe(1)
      await advance(30_000 / 2)
      await opened.service.stream(0)
    },
  )

  test('[protocol 102] keeps to Retry-After also when the network comes back and when other streams are wanted', async () => {
    const { opened, advance, calls, down, wake } = await openOnClock(schema)
    await using _ = opened
    down.set(STREAM, busy('30'))
    await opened.connect(options)
    wake()
    await opened.db.syncStream('more').subscribe()
    await advance(29_000)
    expect(calls.get(STREAM)).toBe(1)
    await advance(16_000)
    expect(calls.get(STREAM)).toBe(2)
  })

  test('[protocol 102] keeps to Retry-After when asking for write checkpoints, even when its stream connects meanwhile', async () => {
    const { opened, advance, calls, down } = await openOnClock(schema)
    await using _ = opened
    down.set(WRITE_CHECKPOINT, busy('60'))
    await opened.db.execute(`INSERT INTO lists(id) VALUES ('a')`)
    await opened.connect(options)
    await until(() => calls.get(WRITE_CHECKPOINT) === 1)
    const stream = await opened.service.stream(0)
    stream.break()
    await advance(59_000)
    expect(opened.service.streams.length).toBeGreaterThan(1)
    expect(calls.get(WRITE_CHECKPOINT)).toBe(1)
    down.clear()
    await advance(31_000)
    expect(opened.service.writeCheckpointRequests).toHaveLength(1)
  })

  test('[protocol 102] keeps to the Retry-After of the backend kit', async () => {
    const { opened, advance } = await openOnClock(schema)
    await using _ = opened
    const answers = [busy('120'), () => Response.json({ results: [{ tx_id: 1, status: 'applied' }] })]
    let uploads = 0
    const uploadData = createUploader({
      url: 'http://backend.test/upload',
      fetch: () => Promise.resolve(answers[uploads++]?.() ?? new Response('no', { status: 500 })),
    })
    await opened.db.execute(`INSERT INTO lists(id) VALUES ('a')`)
    await opened.connect(options, { uploadData })
    await until(() => opened.db.currentStatus.uploadError !== undefined)
    await advance(119_000)
    expect(uploads).toBe(1)
    await advance(61_000)
    expect(uploads).toBe(2)
    expect((await opened.db.getUploadQueueStats()).count).toBe(0)
  })

  test('by a mistaken Retry-After comes back within minutes', async () => {
    const { opened, advance, down } = await openOnClock(schema)
    await using _ = opened
    down.set(STREAM, busy('999999999'))
    await opened.connect(options)
    down.clear()
    await advance(15 * 60_000, 60_000)
    await opened.service.stream(0)
  })
})

describe('pauses', () => {
  test('[protocol 102] between attempts double up to a minute, and begin anew when the network is back', async () => {
    const { opened, advance, clock, calls, down, wake } = await openOnClock(schema)
    await using _ = opened
    down.set(STREAM, offline)
    await opened.connect(options)
    const attemptsMs: number[] = []
    for (let n = 0; n < 240; n += 1) {
      const before = calls.get(STREAM)
      await advance(1000)
      if (calls.get(STREAM) !== before) attemptsMs.push(clock.monotonicMs())
    }
    expect(attemptsMs).toEqual([5000, 15_000, 35_000, 75_000, 135_000, 195_000])
    wake()
    await until(() => calls.get(STREAM) === 8)
    await advance(5000)
    expect(calls.get(STREAM)).toBe(9)
  })

  test('of uploads end when the stream connects', async () => {
    const { opened, advance, down, wake } = await openOnClock(schema)
    await using _ = opened
    down.set(STREAM, offline)
    let backendIsDown = true
    let attempts = 0
    const uploadData: ThrowAway['connector']['uploadData'] = async (database) => {
      attempts += 1
      if (backendIsDown) throw new Error('backend is down')
      await (await database.getCrudBatch())?.complete('9')
    }
    await opened.db.execute(`INSERT INTO lists(id) VALUES ('a')`)
    await opened.connect(options, { uploadData })
    await advance(OUTAGE_MS, 1000)
    backendIsDown = false
    const before = attempts
    down.clear()
    wake()
    await opened.service.stream(0)
    await until(async () => (await opened.db.getUploadQueueStats()).count === 0)
    expect(attempts).toBe(before + 1)
  })

  test('of uploads are made again after one was cut short in vain', async () => {
    const { opened, advance, wake } = await openOnClock(schema)
    await using _ = opened
    let attempts = 0
    const uploadData = () => {
      attempts += 1
      return Promise.reject(new Error('backend is down'))
    }
    await opened.db.execute(`INSERT INTO lists(id) VALUES ('a')`)
    await opened.connect(options, { uploadData })
    await advance(OUTAGE_MS, 1000)
    wake()
    await settle()
    const before = attempts
    await advance(4999)
    expect(attempts).toBe(before)
    await advance(1)
    expect(attempts).toBe(before + 1)
  })

  test('do not follow an upload that began before the stream connected and failed after', async () => {
    const { opened, down, wake } = await openOnClock(schema)
    await using _ = opened
    down.set(STREAM, offline)
    const first = Promise.withResolvers<void>()
    let attempts = 0
    const uploadData: ThrowAway['connector']['uploadData'] = async (database) => {
      attempts += 1
      if (attempts === 1) await first.promise
      await (await database.getCrudBatch())?.complete('9')
    }
    await opened.db.execute(`INSERT INTO lists(id) VALUES ('a')`)
    await opened.connect(options, { uploadData })
    await until(() => attempts === 1)
    down.clear()
    wake()
    await settle()
    await opened.service.stream(0)
    await opened.db.waitForStatus(({ connected }) => connected)
    first.reject(new TypeError('the line was dead'))
    await until(async () => (await opened.db.getUploadQueueStats()).count === 0)
    expect(attempts).toBe(2)
  })

  test('of the stream end when the service answers a request for a write checkpoint', async () => {
    const { opened, advance, down } = await openOnClock(schema)
    await using _ = opened
    down.set(STREAM, offline)
    await opened.connect(options)
    await advance(OUTAGE_MS, 1000)
    down.clear()
    await opened.db.execute(`INSERT INTO lists(id) VALUES ('a')`)
    await settle()
    await advance(1)
    expect(opened.service.streams).toHaveLength(1)
  })
})
