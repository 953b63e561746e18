import { seededRandom } from '@headwater/testkit'
import { expect, test } from 'vitest'
import { RevocationWatch } from '../auth/revocations.ts'
import { deltaAt, origin, put } from '../storage/example-data.contract.ts'
import { startService } from './session.test-parts.ts'
import { chooseRetryAfterMs, StreamsEnd } from './stream-end.ts'

const random = seededRandom(7)

test('few clients are not asked to wait: they come back spread enough by themselves', () => {
  expect([0, 1, 500].map((streams) => chooseRetryAfterMs(streams, Math.random))).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})

test.each([1_000, 5_000, 10_000])('%i clients that lose their streams together come back 500 a second', (streams) => {
  const seconds = new Map<number, number>()
  for (let client = 0; client < streams; client++) {
    const second = Math.floor((chooseRetryAfterMs(streams, random.fraction) ?? 0) / 1000)
    seconds.set(second, (seconds.get(second) ?? 0) + 1)
  }
  // Not sooner than by themselves, so that none is among those who were asked for nothing.
  expect(Math.min(...seconds.keys())).toBe(5)
  expect(Math.max(...seconds.keys())).toBe(5 + streams / 500 - 1)
  expect(Math.max(...seconds.values())).toBeLessThan(600)
})

test('nobody is asked to wait for more than 25 seconds, however many there are', () => {
  const most = Array.from({ length: 1_000 }, () => chooseRetryAfterMs(1_000_000, random.fraction) ?? 0)
  expect(Math.max(...most)).toBeGreaterThan(24_000)
  expect(Math.max(...most)).toBeLessThanOrEqual(25_000)
})

test('a stream of a service that stops says so as its last line, and when to come back if many end', async () => {
  await using service = await startService()
  await service.storage.append(deltaAt(10, {}))
  for (const [streams, told] of [
    [1, {}],
    [7_000, { retryAfterMs: 7_000 }],
  ] as const) {
    const stopping = new AbortController()
    const stream = service.connect({}, { signal: stopping.signal })
    await stream.chunk()
    stopping.abort(new StreamsEnd('shutdown', streams))
    expect(await stream.chunk()).toEqual([{ kind: 'stream-end', reason: 'shutdown', ...told }])
    expect(await stream.chunk()).toEqual([])
  }
})

test('a stream that has said nothing yet ends without a word, for its client to get an error instead', async () => {
  await using service = await startService()
  await service.storage.append(deltaAt(10, {}))
  const stopping = new AbortController()
  stopping.abort(new StreamsEnd('shutdown', 1))
  expect(await service.connect({}, { signal: stopping.signal }).chunk()).toEqual([])
})

test('a stream whose client is gone says nothing more', async () => {
  await using service = await startService()
  await service.storage.append(deltaAt(10, {}))
  const gone = new AbortController()
  const stream = service.connect({}, { signal: gone.signal })
  await stream.chunk()
  gone.abort()
  expect(await stream.chunk()).toEqual([])
})

test('a stream that ends in the middle of a download ends at a line, and says why', async () => {
  await using service = await startService()
  const operations = Array.from({ length: 5_000 }, (_, index) => put('todos', `T${index}`))
  await service.storage.append(deltaAt(10, { operations }))
  const stopping = new AbortController()
  const stream = service.connect({}, { signal: stopping.signal })
  expect((await stream.chunk()).map(({ kind }) => kind)).toEqual(['checkpoint', 'data'])
  stopping.abort(new StreamsEnd('shutdown', 1))
  const last = await stream.until('stream-end')
  expect(last.map(({ kind }) => kind)).not.toContain('checkpoint-complete')
  expect(last.at(-1)).toEqual({ kind: 'stream-end', reason: 'shutdown' })
  expect(await stream.chunk()).toEqual([])
})

test('the streams of what was built anew are asked to come back one after the other', async () => {
  await using service = await startService()
  await service.storage.append(deltaAt(10, {}))
  const streams = ['c-01', 'c-02', 'c-03'].map((clientId) => service.connect({ clientId }))
  for (const stream of streams) await stream.chunk()
  await service.storage.startGeneration(origin())
  for (const stream of streams) {
    expect(await stream.chunk()).toEqual([{ kind: 'stream-end', reason: 'config-changed', retryAfterMs: 3 }])
  }
})

test('[protocol 65] a stream whose token is revoked says so, and then 0 for clients that know only that', async () => {
  await using service = await startService()
  await service.storage.append(deltaAt(10, {}))
  const holder = { userId: 'ann', clientId: undefined, tokenId: undefined, issuedAtMs: 0 }
  const revocation = new RevocationWatch(holder, new Map())
  const stream = service.connect({}, { revocation })
  await stream.chunk()
  revocation.revoke()
  expect(await stream.chunk()).toEqual([
    { kind: 'stream-end', reason: 'token-revoked' },
    { kind: 'token-expires-in', seconds: 0 },
  ])
  expect(await stream.chunk()).toEqual([])
})
