import { describe, expect, test } from 'vitest'
import { readRefusal, readRetryAfter } from './refused-error.ts'

const NOW_MS = Date.UTC(2026, 0, 5, 12, 0, 0)

describe('Retry-After', () => {
  const read = (headers: Record<string, string>) => readRetryAfter(new Headers(headers), NOW_MS)

  test('[protocol 102] may be seconds', () => {
    expect(read({ 'retry-after': '30' })).toBe(30_000)
    expect(read({ 'retry-after': '0' })).toBe(0)
  })

  test.each(['Mon, 05 Jan 2026 12:00:20 GMT', 'Monday, 05-Jan-26 12:00:20 GMT', 'Mon Jan  5 12:00:20 2026'])(
    '[protocol 102] may be a date: %s',
    (date) => {
      expect(read({ 'retry-after': date })).toBe(20_000)
    },
  )

  test('as a date is counted from the date of the answer: the clocks of devices are often wrong', () => {
    const answer = { 'retry-after': 'Mon, 05 Jan 2026 18:00:20 GMT', date: 'Mon, 05 Jan 2026 18:00:00 GMT' }
    expect(read(answer)).toBe(20_000)
  })

  test('that lies in the past is no wait', () => {
    expect(read({ 'retry-after': 'Mon, 05 Jan 2026 11:59:00 GMT' })).toBe(0)
  })

  test.each(['soon', '-1', '1.5', '2026-01-05', ''])('that cannot be read counts for nothing: %j', (value) => {
    expect(read({ 'retry-after': value })).toBeUndefined()
  })

  test('is often absent', () => {
    expect(read({})).toBeUndefined()
  })
})

describe('a refusal', () => {
  const read = (response: Response) => readRefusal('sync-refused', 'Cannot sync: it answered', response, NOW_MS)

  test('has what the other side calls it', async () => {
    const refusal = await read(Response.json({ error: { code: 'PSYNC_S2101', status: 401 } }, { status: 401 }))
    expect(refusal).toMatchObject({ code: 'sync-refused', status: 401, wireCode: 'PSYNC_S2101' })
    expect(refusal.message).toContain('Cannot sync: it answered 401 {"error"')
  })

  test.each(['', '{', 'null', '{"error":"no"}', '{"error":{"code":7}}'])('may say anything: %j', async (text) => {
    expect(await read(new Response(text, { status: 502 }))).toMatchObject({ status: 502, wireCode: undefined })
  })

  test('of which a proxy made a page of HTML is told by its beginning', async () => {
    expect((await read(new Response('x'.repeat(100_000), { status: 502 }))).message.length).toBeLessThan(1000)
  })

  test('whose text breaks off still has its status', async () => {
    const body = new ReadableStream({ start: (controller) => controller.error(new TypeError('reset')) })
    expect(await read(new Response(body, { status: 503, headers: { 'retry-after': '7' } }))).toMatchObject({
      status: 503,
      retryAfterMs: 7000,
    })
  })
})
