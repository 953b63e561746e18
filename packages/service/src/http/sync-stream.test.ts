import { once } from 'node:events'
import { gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib'
import { decodeBsonLine, encodeBson, HeadwaterError } from '@headwater/protocol'
import { describe, expect, test } from 'vitest'
import {
  chunksOf,
  endless,
  failing,
  json,
  openSlowly,
  rawHeaders,
  rawPost,
  start,
  untilStill,
  withToken,
  TEST_LIMITS,
  JSON_TYPE,
  AUTHORIZED,
} from './http-server.test-parts.ts'

const BSON = 'application/vnd.powersync.bson-stream'

describe('the request of a stream', () => {
  test.each<[what: string, init: RequestInit]>([
    ['no body and no type', {}],
    ['an empty object', json({})],
    ['unknown fields', json({ future: 1, buckets: [] })],
    ['a body that is an array', json([1])],
    ['a body that is text', { body: 'hello', headers: { 'content-type': 'text/plain' } }],
    ['a gzip of an object', gzipped(gzipSync('{"raw_data":true}'))],
    ['a type with a charset', { body: '{}', headers: { 'content-type': 'application/json; charset=utf-8' } }],
  ])('[protocol 6, 7, 9] may have %s', async (_what, init) => {
    const { url } = await start()
    const response = await fetch(`${url}/sync/stream`, withToken(init))
    expect([response.status, await response.text()]).toEqual([200, '{"token_expires_in":60}\n'])
  })

  test('[protocol 8] reaches the stream decoded, with its user', async () => {
    const { url, opened } = await start()
    const body = { client_id: 'c-01', raw_data: true, buckets: [{ name: 'a', after: '9223372036854775807' }] }
    await (await fetch(`${url}/sync/stream`, withToken(json(body)))).text()
    expect(opened[0]).toMatchObject({
      request: { clientId: 'c-01', buckets: [{ name: 'a', after: 9223372036854775807n }] },
      user: { userId: 'u1' },
      format: 'ndjson',
    })
  })

  test('keeps integers that a number cannot hold', async () => {
    const { url, opened } = await start()
    const streams = '{"subscriptions":[{"stream":"s","parameters":{"n":9007199254740993},"override_priority":null}]}'
    const body = `{"parameters":{"id":9007199254740993,"near":2.5},"streams":${streams}}`
    const headers = { 'content-type': 'application/json' }
    await (await fetch(`${url}/sync/stream`, withToken({ body, headers }))).text()
    expect(opened[0]?.request).toMatchObject({
      parameters: { id: 9007199254740993n, near: 2.5 },
      subscriptions: [{ stream: 's', parameters: { n: 9007199254740993n } }],
    })
  })

  test.each<[what: string, init: RequestInit, status: number]>([
    ['wrong fields', json({ buckets: [{ name: 'a', after: 5 }] }), 400],
    ['no JSON', { body: '{', headers: { 'content-type': 'application/json' } }, 400],
    ['a JSON type and no body', { headers: { 'content-type': 'application/json' } }, 400],
    ['another type', { body: '<a/>', headers: { 'content-type': 'application/xml' } }, 415],
    [
      'a body in an unknown coding',
      { body: 'x', headers: { 'content-type': 'application/json', 'content-encoding': 'br' } },
      415,
    ],
  ])('with %s is refused, even without a token', async (_what, init, status) => {
    const { url } = await start()
    const response = await fetch(`${url}/sync/stream`, { method: 'POST', ...init })
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({
      error: { code: expect.stringMatching(/^PSYNC_S200[14]$/), status, description: expect.any(String) },
    })
  })

  test.each<[where: string, around: (nested: string) => string]>([
    ['everything', (nested) => nested],
    ['the buckets', (nested) => `{"buckets":${nested}}`],
    ['a position', (nested) => `{"buckets":[{"name":"a","after":${nested}}]}`],
    ['the parameters', (nested) => `{"parameters":{"a":${nested}}}`],
    ['the metadata', (nested) => `{"app_metadata":{"a":${nested}}}`],
    ['a subscription', (nested) => `{"streams":{"subscriptions":[{"stream":"a","parameters":{"a":${nested}}}]}}`],
    ['a field nobody knows, with a long number,', (nested) => `{"a":[1234567890123456789,${nested}]}`],
  ])('in which %s is nested too deep is told so', async (_where, around) => {
    const { url, events } = await start()
    for (const levels of [1_001, 5_000, 60_000]) {
      const init = {
        body: around('['.repeat(levels) + ']'.repeat(levels)),
        headers: { 'content-type': 'application/json' },
      }
      const response = await fetch(`${url}/sync/stream`, withToken(init))
      expect([response.status, await response.text()]).toEqual([
        400,
        expect.stringContaining('nested deeper than 1000 levels'),
      ])
    }
    expect(events.filter(([level]) => level === 'error')).toEqual([])
  })

  test.each([
    ['what is no gzip', gzipped(Buffer.from('{}')), 400],
    ['half of a gzip', gzipped(gzipSync('{"raw_data":true}').subarray(0, 20)), 400],
    ['a small gzip of far too much', gzipped(gzipSync(Buffer.alloc(50_000_000, ' '))), 413],
    ['a gzip of a thousand times its bytes', gzipped(gzipSync(JSON.stringify({ a: ' '.repeat(4_000_000) }))), 413],
    ['far too long a body', json({ a: 'x'.repeat(9_000_000) }), 413],
    ['far too long parameters', json({ parameters: { a: 'x'.repeat(4_000_000) } }), 413],
    ['far too many of them', json({ parameters: { a: Array(1_000_000).fill(1) } }), 413],
    ['one bucket of megabytes', json({ buckets: [{ name: 'x'.repeat(4_000_000), after: '1' }] }), 413],
    ['a million mistakes', json({ buckets: Array(1_000_000).fill(0) }), 400],
  ])('with %s is refused, and not even looked at without a token', async (_what, init, status) => {
    const { url } = await start()
    const response = await fetch(`${url}/sync/stream`, withToken(init))
    expect([response.status, await response.json()]).toMatchObject([status, { error: { code: 'PSYNC_S2001' } }])
    const ofStranger = await fetch(`${url}/sync/stream`, { method: 'POST', ...init })
    expect([ofStranger.status, await ofStranger.json()]).toMatchObject([401, { error: { code: 'PSYNC_S2106' } }])
  })

  test('may be the gzip of the positions of very many buckets', async () => {
    const { url, opened } = await start()
    const buckets = Array.from({ length: 40_000 }, (_, at) => ({ name: `1#todos|0["list-${at}"]`, after: String(at) }))
    const response = await fetch(`${url}/sync/stream`, withToken(gzipped(gzipSync(JSON.stringify({ buckets })))))
    expect(response.status).toBe(200)
    expect(opened[0]?.request.buckets).toHaveLength(40_000)
  })

  test('that is malformed is told every problem', async () => {
    const { url } = await start()
    const response = await fetch(
      `${url}/sync/stream`,
      withToken(json({ buckets: [{ name: 'a', after: 5 }], client_id: 7 })),
    )
    const { error } = (await response.json()) as { error: Record<string, string> }
    expect(error).toMatchObject({ code: 'PSYNC_S2001', description: 'Validation failed', name: 'ValidationError' })
    expect(JSON.parse(error['details'] ?? '')).toEqual([expect.stringMatching(/buckets\[0\]\.after.*client_id/)])
  })

  test('may be several megabytes long, for clients with very many buckets', async () => {
    const { url, opened } = await start()
    const buckets = Array.from({ length: 40_000 }, (_, index) => ({
      name: `1#todos|0["${index}-${'x'.repeat(30)}"]`,
      after: '1',
    }))
    await (await fetch(`${url}/sync/stream`, withToken(json({ buckets })))).text()
    expect(opened[0]?.request.buckets).toHaveLength(40_000)
  })
})

describe('the format of a stream', () => {
  test.each([
    [undefined, true, 'application/x-ndjson', 'ndjson'],
    ['*/*', true, 'application/x-ndjson', 'ndjson'],
    ['text/html', true, 'application/x-ndjson', 'ndjson'],
    ['application/x-ndjson', false, 'application/x-ndjson', 'ndjson-nested'],
    [`${BSON};q=0.9,application/x-ndjson;q=0.8`, true, BSON, 'bson'],
    [`${BSON};q=0.9,application/x-ndjson;q=0.8`, false, BSON, 'bson'],
  ])(
    '[protocol 16, 17, 18, 30] for "Accept: %s" and raw_data %s is %s, exactly, with operations as %s',
    async (accept, raw, type, format) => {
      const { url, opened } = await start()
      const headers = await rawHeaders(
        url,
        { ...(accept === undefined ? {} : { accept }), ...AUTHORIZED },
        { raw_data: raw },
      )
      expect(headers).toMatchObject({
        status: 200,
        'content-type': type,
        'x-accel-buffering': 'no',
        'transfer-encoding': 'chunked',
      })
      expect(opened[0]?.format).toBe(format)
    },
  )

  test('[protocol 19] is not compressed for who does not ask for it', async () => {
    const { url } = await start()
    expect(await rawHeaders(url, AUTHORIZED, {})).not.toHaveProperty('content-encoding')
  })

  test.each([
    ['gzip', 'gzip', gunzipSync],
    ['zstd', 'zstd', zstdDecompressSync],
    ['gzip, deflate, br, zstd', 'zstd', zstdDecompressSync],
  ])('for "Accept-Encoding: %s" is compressed with %s', async (accept, encoding, decompress) => {
    const { url } = await start({ openStream: () => chunksOf(['{"a":1}\n', '{"b":2}\n']) })
    const { headers, body } = await rawPost(url, { 'accept-encoding': accept, ...AUTHORIZED })
    expect(headers['content-encoding']).toBe(encoding)
    expect(decompress(body).toString()).toBe('{"a":1}\n{"b":2}\n')
  })

  test.each(['gzip', 'zstd', 'identity'])(
    '[protocol 20] leaves the service line by line, unhindered by %s',
    async (encoding) => {
      const more = Promise.withResolvers<void>()
      const { url } = await start({
        openStream: async function* () {
          yield Buffer.from('{"first":1}\n')
          await more.promise
          yield Buffer.from('{"second":2}\n')
        },
      })
      const response = await fetch(`${url}/sync/stream`, withToken({ headers: { 'accept-encoding': encoding } }))
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
      expect((await reader?.read())?.value).toBe('{"first":1}\n')
      more.resolve()
      expect((await reader?.read())?.value).toBe('{"second":2}\n')
      expect((await reader?.read())?.done).toBe(true)
    },
  )
})

describe('a failure of a stream', () => {
  test.each([
    ['no-sync-config', 500, { code: 'PSYNC_S2302', description: 'No sync config available', name: 'ServiceError' }],
    ['too-many-buckets', 500, { code: 'PSYNC_S2305', description: 'Too many buckets: 1204 (limit of 1000)' }],
    ['storage-failed', 500, { code: 'PSYNC_S2404', description: 'Something went wrong' }],
  ] as const)('[protocol 4, 28] before the first line is an HTTP error: %s', async (code, status, envelope) => {
    const message = code === 'too-many-buckets' ? 'Too many buckets: 1204 (limit of 1000)' : 'a path: /var/lib'
    const { url } = await start({ openStream: () => failing([], new HeadwaterError(code, message)) })
    const response = await fetch(`${url}/sync/stream`, withToken({ headers: { 'accept-encoding': 'gzip' } }))
    expect([response.status, response.headers.get('content-type')]).toEqual([status, JSON_TYPE])
    // The body is as it is told to be, whatever the stream would have been.
    expect(response.headers.get('content-encoding')).toBeNull()
    expect(await response.json()).toMatchObject({ error: { status, ...envelope } })
  })

  test('nobody foresaw is 500, says nothing of its cause, and is in the log once', async () => {
    const { url, events } = await start({ openStream: () => failing([], new TypeError('x of undefined')) })
    const response = await fetch(`${url}/sync/stream`, withToken({}))
    const text = await response.text()
    expect([response.status, JSON.parse(text).error]).toMatchObject([
      500,
      { code: 'PSYNC_S2001', description: 'Something went wrong', severity: 'error' },
    ])
    expect(text).not.toContain('undefined')
    expect(events.filter(([level]) => level === 'error')).toEqual([
      ['error', 'request-failed', expect.objectContaining({ error: expect.any(TypeError) })],
    ])
  })

  test.each(['identity', 'gzip'])(
    '[protocol 29] after the first line cuts the transfer off, so that it is no normal end (%s)',
    async (encoding) => {
      const { url, events } = await start({ openStream: () => failing(['{"a":1}\n'], new Error('disk gone')) })
      const response = await fetch(`${url}/sync/stream`, withToken({ headers: { 'accept-encoding': encoding } }))
      expect(response.status).toBe(200)
      await expect(response.text()).rejects.toThrow()
      await expect.poll(() => events.map(([level, event]) => `${level} ${event}`)).toContain('error request-failed')
    },
  )

  test.each(['identity', 'gzip', 'zstd'])(
    '[protocol 22, 29] after the first line is told as the last one, which arrives before the cut (%s)',
    async (encoding) => {
      const error = new HeadwaterError('too-many-buckets', 'Too many buckets: 1204 (limit of 1000)')
      const { url } = await start({
        openStream: () => failing(['{"a":1}\n'], error),
        chooseRetryAfterMs: (streams) => 7_000 + streams,
      })
      const response = await fetch(`${url}/sync/stream`, withToken({ headers: { 'accept-encoding': encoding } }))
      const { text, broke } = await readUntilBroken(response)
      const told = { code: 'PSYNC_S2305', message: 'Too many buckets: 1204 (limit of 1000)', retry_after_ms: 7_001 }
      expect(text).toBe(`{"a":1}\n${JSON.stringify({ stream_error: told })}\n`)
      expect(broke).toBe(true)
    },
  )

  test('[protocol 25] after the first document is told as a document, and says nothing of a cause that is not for clients', async () => {
    const line = encodeBson({ a: 1 })
    const { url } = await start({
      openStream: async function* () {
        yield line
        throw new TypeError('x of undefined, at /var/lib')
      },
    })
    const response = await fetch(
      `${url}/sync/stream`,
      withToken({ headers: { accept: BSON, 'accept-encoding': 'identity' } }),
    )
    const { bytes } = await readUntilBroken(response)
    expect(decodeBsonLine(bytes.subarray(line.length))).toEqual({
      kind: 'stream-error',
      code: 'PSYNC_S2001',
      message: 'Something went wrong',
    })
  })

  test('after the first line is over for a client that leaves then, which is not waited for', async () => {
    const { url, events } = await start({ openStream: () => failing(['{"a":1}\n'], new Error('disk gone')) })
    const response = await fetch(`${url}/sync/stream`, withToken({}))
    const reader = response.body?.getReader()
    let text = ''
    while (!text.includes('stream_error')) text += Buffer.from((await reader?.read())?.value ?? []).toString()
    await reader?.cancel()
    await expect.poll(() => events.map(([, event]) => event)).toContain('stream-closed')
  })
})

describe('an open stream', () => {
  test('[protocol 13] holds a place; beyond the limit others get 429 at once, with a time to come back', async () => {
    const { url } = await start({ openStream: endless, limits: { ...TEST_LIMITS, connectionsMax: 2 } })
    const first = await fetch(`${url}/sync/stream`, withToken({}))
    const second = await fetch(`${url}/sync/stream`, withToken({}))
    const third = await fetch(`${url}/sync/stream`, withToken({}))
    expect([first.status, second.status, third.status]).toEqual([200, 200, 429])
    expect(third.headers.get('retry-after')).toBe('5')
    expect(await third.json()).toMatchObject({ error: { code: 'PSYNC_S2304', status: 429, name: 'ServiceError' } })
    await first.body?.cancel()
    await expect.poll(async () => (await fetch(`${url}/sync/stream`, withToken({}))).status).toBe(200)
  })

  test('whose request was refused holds no place', async () => {
    let isRefused = true
    const { url } = await start({
      limits: { ...TEST_LIMITS, connectionsMax: 1 },
      openStream: () => (isRefused ? failing([], new HeadwaterError('no-sync-config', 'none')) : chunksOf(['{}\n'])),
    })
    for (let attempt = 0; attempt < 3; attempt++) {
      expect((await fetch(`${url}/sync/stream`, withToken({}))).status).toBe(500)
      expect((await fetch(`${url}/sync/stream`, { method: 'POST' })).status).toBe(401)
    }
    isRefused = false
    expect((await fetch(`${url}/sync/stream`, withToken({}))).status).toBe(200)
  })

  test('ends when its client leaves', async () => {
    const left = Promise.withResolvers<void>()
    const { url, events } = await start({
      openStream: async function* (_open, signal) {
        yield Buffer.from('{}\n')
        if (!signal.aborted) await once(signal, 'abort')
        left.resolve()
      },
    })
    const response = await fetch(`${url}/sync/stream`, withToken({}))
    await response.body?.cancel()
    await left.promise
    await expect.poll(() => events.map(([, event]) => event)).toContain('stream-closed')
    expect(events.filter(([level]) => level === 'error')).toEqual([])
  })

  test.each(['identity', 'zstd'])('is not read faster than its client takes it (%s)', async (encoding) => {
    const chunk = Buffer.alloc(64 * 1024)
    let produced = 0
    const { url } = await start({
      openStream: async function* () {
        for (; produced < 5_000; produced++) {
          crypto.getRandomValues(chunk)
          yield chunk
        }
      },
    })
    const socket = await openSlowly(url, encoding)
    await expect.poll(() => produced).toBeGreaterThan(3)
    const settled = await untilStill(() => produced)
    // What the kernel's socket buffers take, and a little of ours; far from the 320 MB on offer.
    expect(settled).toBeLessThan(500)
    socket.destroy()
  })

  test('is counted when it ends, by route and status', async () => {
    const { url, registry } = await start({ openStream: endless })
    const response = await fetch(`${url}/sync/stream`, withToken({}))
    await response.body?.cancel()
    await expect
      .poll(() => registry.metrics())
      .toContain('headwater_http_requests_total{route="/sync/stream",status="200"} 1')
  })
})

function gzipped(body: Buffer<ArrayBuffer>): RequestInit {
  return { body, headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' } }
}

/** Everything that came, and whether it then broke off. */
async function readUntilBroken({ body }: Response): Promise<{ text: string; bytes: Buffer; broke: boolean }> {
  const pieces: Uint8Array[] = []
  let broke = false
  try {
    for await (const piece of body ?? []) pieces.push(piece)
  } catch {
    broke = true
  }
  const bytes = Buffer.concat(pieces)
  return { text: bytes.toString(), bytes, broke }
}
