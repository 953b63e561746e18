import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { request as httpRequest } from 'node:http'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { HeadwaterError } from '@headwater/protocol'
import { Registry } from 'prom-client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refuse, type VerifyResult } from '../auth/claims.ts'
import { createMetrics } from '../observe/metrics.ts'
import type { HttpParts } from './http-parts.ts'
import { createHttpServer, type HttpServer } from './server.ts'
import type { StreamOpen } from './sync-stream.ts'

const BSON = 'application/vnd.powersync.bson-stream'
const JSON_TYPE = 'application/json; charset=utf-8'
const AUTHORIZED = { authorization: 'Bearer good' }
const NOW_MS = 1_800_000_000_000

describe('every response', () => {
  test('may be read by scripts of any origin, errors and streams included', async () => {
    const { url } = await start()
    for (const [path, init] of [
      ['/nowhere', {}],
      ['/sync/stream', { method: 'POST' }],
      ['/sync/stream', { method: 'POST', headers: AUTHORIZED }],
      ['/write-checkpoint2.json', { headers: AUTHORIZED }],
      ['/probes/liveness', {}],
    ] as const) {
      const response = await fetch(url + path, init)
      await response.arrayBuffer()
      expect(response.headers.get('access-control-allow-origin')).toBe('*')
      expect(response.headers.get('access-control-expose-headers')).toBe('Content-Type')
    }
  })

  test('to a preflight is empty and allows what clients send, on every path', async () => {
    const { url } = await start()
    const headers = { origin: 'https://app.example', 'access-control-request-method': 'POST' }
    for (const path of ['/sync/stream', '/write-checkpoint2.json', '/nowhere']) {
      const response = await fetch(url + path, { method: 'OPTIONS', headers })
      expect(response.status).toBe(204)
      expect(await response.text()).toBe('')
      expect(response.headers.get('access-control-allow-methods')).toBe('GET,HEAD,POST')
      expect(response.headers.get('access-control-allow-headers')).toBe(
        'Content-Type, Authorization, User-Agent, X-User-Agent',
      )
      expect(response.headers.get('access-control-max-age')).toBe('3600')
    }
    expect((await fetch(`${url}/sync/stream`, { method: 'OPTIONS' })).status).toBe(400)
  })

  test('to an unknown path or method is 404 in the envelope of errors', async () => {
    const { url } = await start()
    const response = await fetch(`${url}/sync/streams?x=1`)
    expect([response.status, response.headers.get('content-type')]).toEqual([404, JSON_TYPE])
    expect(await response.json()).toEqual({
      error: {
        code: 'PSYNC_S2002',
        status: 404,
        description: 'The path does not exist on this server',
        details: 'The path GET "/sync/streams" does not exist on this server',
        severity: 'info',
        name: 'RouteNotFound',
      },
    })
    expect((await fetch(`${url}/sync/stream`)).status).toBe(404)
    expect((await fetch(`${url}/write-checkpoint2.json`, { method: 'POST' })).status).toBe(404)
  })
})

describe('a token', () => {
  test.each([[undefined], ['good'], ['bearer good'], ['Basic good'], ['Bearer a b']])(
    'that is missing or of another form (%j) is answered 401 S2106',
    async (authorization) => {
      const { url } = await start()
      const headers: HeadersInit = authorization === undefined ? {} : { authorization }
      for (const [path, method] of [
        ['/sync/stream', 'POST'],
        ['/write-checkpoint2.json', 'GET'],
      ] as const) {
        const response = await fetch(url + path, { method, headers })
        expect(response.status).toBe(401)
        expect(await response.json()).toEqual({
          error: {
            code: 'PSYNC_S2106',
            status: 401,
            description: 'Authentication required',
            name: 'AuthorizationError',
          },
        })
      }
    },
  )

  test.each([['Token good'], ['Bearer good']])('is accepted as "%s"', async (authorization) => {
    const { url } = await start()
    expect((await fetch(`${url}/write-checkpoint2.json`, { headers: { authorization } })).status).toBe(200)
  })

  test('that is refused is 401, with what a stranger may know; the log gets the rest', async () => {
    const { url, events } = await start({
      verify: async () => refuse('auth-audience', 'The "aud" claim is not accepted', { audienceAccepted: ['mine'] }),
    })
    const response = await fetch(`${url}/sync/stream`, { method: 'POST', headers: AUTHORIZED })
    const text = await response.text()
    expect([response.status, JSON.parse(text).error.code]).toEqual([401, 'PSYNC_S2105'])
    expect(text).not.toContain('mine')
    expect(events).toContainEqual(['info', 'token-refused', expect.objectContaining({ audienceAccepted: ['mine'] })])
  })

  test('that has expired is told so', async () => {
    const { url } = await start({ verify: async () => refuse('auth-expired', 'The token expired 70 s ago') })
    const response = await fetch(`${url}/sync/stream`, { method: 'POST', headers: AUTHORIZED })
    expect(await response.json()).toEqual({
      error: { code: 'PSYNC_S2103', status: 401, description: 'JWT has expired', name: 'AuthorizationError' },
    })
  })

  test('that cannot be checked because the key server is down is 503, so that clients keep it', async () => {
    const { url } = await start({ verify: async () => refuse('jwks-unavailable', 'The keys cannot be fetched') })
    const response = await fetch(`${url}/sync/stream`, { method: 'POST', headers: AUTHORIZED })
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await response.json()).toMatchObject({ error: { code: 'PSYNC_S2204' } })
  })
})

describe('the request of a stream', () => {
  test.each<[what: string, init: RequestInit]>([
    ['no body and no type', {}],
    ['an empty object', json({})],
    ['unknown fields', json({ future: 1, buckets: [] })],
    ['a body that is an array', json([1])],
    ['a body that is text', { body: 'hello', headers: { 'content-type': 'text/plain' } }],
    ['a type with a charset', { body: '{}', headers: { 'content-type': 'application/json; charset=utf-8' } }],
  ])('may have %s', async (_what, init) => {
    const { url } = await start()
    const response = await fetch(`${url}/sync/stream`, withToken(init))
    expect([response.status, await response.text()]).toEqual([200, '{"token_expires_in":60}\n'])
  })

  test('reaches the stream decoded, with its user', async () => {
    const { url, opened } = await start()
    const body = { client_id: 'c-01', raw_data: true, buckets: [{ name: 'a', after: '9223372036854775807' }] }
    await (await fetch(`${url}/sync/stream`, withToken(json(body)))).text()
    expect(opened[0]).toMatchObject({
      request: { clientId: 'c-01', buckets: [{ name: 'a', after: 9223372036854775807n }] },
      user: { userId: 'u1' },
      format: 'ndjson',
    })
  })

  test.each<[what: string, init: RequestInit, status: number]>([
    ['wrong fields', json({ buckets: [{ name: 'a', after: 5 }] }), 400],
    ['no JSON', { body: '{', headers: { 'content-type': 'application/json' } }, 400],
    ['a JSON type and no body', { headers: { 'content-type': 'application/json' } }, 400],
    ['another type', { body: '<a/>', headers: { 'content-type': 'application/xml' } }, 415],
    [
      'a compressed body',
      { body: 'x', headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' } },
      415,
    ],
    ['far too long a body', json({ a: 'x'.repeat(9_000_000) }), 413],
  ])('with %s is refused, even without a token', async (_what, init, status) => {
    const { url } = await start()
    const response = await fetch(`${url}/sync/stream`, { method: 'POST', ...init })
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({
      error: { code: expect.stringMatching(/^PSYNC_S200[14]$/), status, description: expect.any(String) },
    })
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
  ])('for "Accept: %s" and raw_data %s is %s, exactly, with operations as %s', async (accept, raw, type, format) => {
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
  })

  test('is not compressed for who does not ask for it', async () => {
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

  test.each(['gzip', 'zstd', 'identity'])('leaves the service line by line, unhindered by %s', async (encoding) => {
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
  })
})

describe('a failure of a stream', () => {
  test.each([
    ['no-sync-config', 500, { code: 'PSYNC_S2302', description: 'No sync config available', name: 'ServiceError' }],
    ['too-many-buckets', 500, { code: 'PSYNC_S2305', description: 'Too many buckets: 1204 (limit of 1000)' }],
    ['storage-failed', 500, { code: 'PSYNC_S2404', description: 'Something went wrong' }],
  ] as const)('before the first line is an HTTP error: %s', async (code, status, envelope) => {
    const message = code === 'too-many-buckets' ? 'Too many buckets: 1204 (limit of 1000)' : 'a path: /var/lib'
    const { url } = await start({ openStream: () => failing([], new HeadwaterError(code, message)) })
    const response = await fetch(`${url}/sync/stream`, withToken({ headers: { 'accept-encoding': 'gzip' } }))
    expect([response.status, response.headers.get('content-type')]).toEqual([status, JSON_TYPE])
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
    'after the first line cuts the transfer off, so that it is no normal end (%s)',
    async (encoding) => {
      const { url, events } = await start({ openStream: () => failing(['{"a":1}\n'], new Error('disk gone')) })
      const response = await fetch(`${url}/sync/stream`, withToken({ headers: { 'accept-encoding': encoding } }))
      expect(response.status).toBe(200)
      await expect(response.text()).rejects.toThrow()
      await expect.poll(() => events.map(([level, event]) => `${level} ${event}`)).toContain('error request-failed')
    },
  )
})

describe('an open stream', () => {
  test('holds a place; beyond the limit others get 429 with no body, at once', async () => {
    const { url } = await start({ openStream: endless, limits: { connectionsMax: 2 } })
    const first = await fetch(`${url}/sync/stream`, withToken({}))
    const second = await fetch(`${url}/sync/stream`, withToken({}))
    const third = await fetch(`${url}/sync/stream`, withToken({}))
    expect([first.status, second.status, third.status, await third.text()]).toEqual([200, 200, 429, ''])
    await first.body?.cancel()
    await expect.poll(async () => (await fetch(`${url}/sync/stream`, withToken({}))).status).toBe(200)
  })

  test('whose request was refused holds no place', async () => {
    let isRefused = true
    const { url } = await start({
      limits: { connectionsMax: 1 },
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
        await once(signal, 'abort')
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

describe('a write checkpoint', () => {
  test('is a decimal string, for the user alone or for the user and the client', async () => {
    const keys: string[] = []
    const { url } = await start({
      requestWriteCheckpoint: async (key) => {
        keys.push(key)
        return 1_800_000_000_000_001n
      },
    })
    const headers = { ...AUTHORIZED, 'content-type': 'application/json' }
    const response = await fetch(`${url}/write-checkpoint2.json?client_id=c-01`, { headers })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, JSON_TYPE])
    expect(await response.text()).toBe('{"data":{"write_checkpoint":"1800000000000001"}}')
    await fetch(`${url}/write-checkpoint2.json`, { headers })
    expect(keys).toEqual(['u1/c-01', 'u1'])
  })

  test('without an active sync config is 500 S2302, which clients retry', async () => {
    const { url } = await start({
      requestWriteCheckpoint: () =>
        Promise.reject(new HeadwaterError('no-sync-config', 'Cannot record: no source yet')),
    })
    const response = await fetch(`${url}/write-checkpoint2.json`, { headers: AUTHORIZED })
    expect([response.status, await response.json()]).toMatchObject([500, { error: { code: 'PSYNC_S2302' } }])
  })
})

describe('probes', () => {
  test.each([
    [
      { started: true, ready: true, touchedAtMs: NOW_MS },
      { startup: 200, readiness: 200, liveness: 200 },
    ],
    [
      { started: true, ready: false, touchedAtMs: NOW_MS - 9_999 },
      { startup: 200, readiness: 400, liveness: 200 },
    ],
    [
      { started: false, ready: false, touchedAtMs: NOW_MS - 10_000 },
      { startup: 400, readiness: 400, liveness: 400 },
    ],
  ])('answer %j with %j and need no token', async (health, statuses) => {
    const { url } = await start({ readHealth: () => health })
    for (const [probe, status] of Object.entries(statuses)) {
      const response = await fetch(`${url}/probes/${probe}`)
      expect([probe, response.status]).toEqual([probe, status])
      expect(await response.json()).toEqual({
        ready: health.ready,
        started: health.started,
        touched_at: new Date(health.touchedAtMs).toISOString(),
      })
    }
  })
})

test('metrics are served as they are rendered', async () => {
  const { url } = await start()
  const response = await fetch(`${url}/metrics`)
  expect(response.headers.get('content-type')).toContain('text/plain')
  expect(await response.text()).toContain('# TYPE headwater_sync_streams_count gauge')
})

describe('listening', () => {
  test('on a port that is in use fails with a message that names the port and the remedy', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    onTestFinished(() => void other.close())
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const { server } = open()
    await expect(server.listen('127.0.0.1', port)).rejects.toMatchObject({
      code: 'port-in-use',
      message: expect.stringMatching(new RegExp(`127\\.0\\.0\\.1:${port}.*--port`)),
    })
  })

  test('on an address of another machine fails with a message that names the setting', async () => {
    const { server } = open()
    await expect(server.listen('192.0.2.1', 0)).rejects.toMatchObject({
      code: 'bad-settings',
      message: expect.stringContaining('http.host'),
    })
  })
})

describe('stopping', () => {
  test('ends streams at a line, as normal ends, and refuses what comes afterwards', async () => {
    const { url, server } = await start({ openStream: endless })
    const response = await fetch(`${url}/sync/stream`, withToken({}))
    const text = response.text()
    await server.stop(5_000)
    expect(await text).toBe('{"token_expires_in":60}\n')
    await expect(fetch(`${url}/probes/liveness`)).rejects.toThrow()
  })

  test('lets a request that is being answered finish', async () => {
    const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<bigint>()]
    const { url, server } = await start({
      requestWriteCheckpoint: () => {
        asked.resolve()
        return answer.promise
      },
    })
    const response = fetch(`${url}/write-checkpoint2.json`, { headers: AUTHORIZED })
    await asked.promise
    const stopped = server.stop(5_000)
    answer.resolve(7n)
    expect(await (await response).json()).toEqual({ data: { write_checkpoint: '7' } })
    await stopped
  })

  test('answers 503 to a stream that has not begun', async () => {
    const asked = Promise.withResolvers<void>()
    const { url, server } = await start({
      openStream: async function* (_open, signal) {
        asked.resolve()
        await once(signal, 'abort')
        yield* []
      },
    })
    const response = fetch(`${url}/sync/stream`, withToken({}))
    await asked.promise
    const stopped = server.stop(5_000)
    expect((await response).status).toBe(503)
    expect(await (await response).json()).toMatchObject({ error: { code: 'PSYNC_S2003' } })
    await stopped
  })

  test('cuts off a client that takes nothing, when the time is up', async () => {
    const { url, server } = await start({
      openStream: async function* (_open, signal) {
        while (!signal.aborted) yield Buffer.alloc(1024 * 1024)
      },
    })
    const socket = await openSlowly(url, 'identity')
    await server.stop(100)
    socket.destroy()
  })
})

type Started = ReturnType<typeof open> & { readonly url: string }

async function start(parts: Partial<HttpParts> = {}): Promise<Started> {
  const opened = open(parts)
  const { url } = await opened.server.listen('127.0.0.1', 0)
  onTestFinished(() => opened.server.stop(0))
  return { ...opened, url }
}

function open(parts: Partial<HttpParts> = {}): {
  readonly server: HttpServer
  readonly opened: StreamOpen[]
  readonly events: (readonly [level: string, event: string, fields: unknown])[]
  readonly registry: Registry
} {
  const opened: StreamOpen[] = []
  const events: [string, string, unknown][] = []
  const registry = new Registry()
  const write =
    (level: string) =>
    (event: string, fields?: unknown): void => {
      events.push([level, event, fields])
    }
  const server = createHttpServer({
    verify,
    openStream: (request) => {
      opened.push(request)
      return chunksOf(['{"token_expires_in":60}\n'])
    },
    requestWriteCheckpoint: async () => 1n,
    readHealth: () => ({ started: true, ready: true, touchedAtMs: NOW_MS }),
    readMetrics: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
    limits: { connectionsMax: 100 },
    metrics: createMetrics(registry),
    log: { error: write('error'), warn: write('warn'), info: write('info'), debug: write('debug') },
    nowMs: () => NOW_MS,
    ...parts,
  })
  return { server, opened, events, registry }
}

async function verify(token: string): Promise<VerifyResult> {
  if (token !== 'good') return refuse('auth-bad-token', 'Not good')
  return { kind: 'verified', user: { userId: 'u1', claims: { sub: 'u1' }, expiresAtMs: NOW_MS + 60_000 } }
}

async function* chunksOf(texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

async function* failing(texts: readonly string[], error: Error): AsyncGenerator<Uint8Array> {
  yield* chunksOf(texts)
  throw error
}

/** One line, and then nothing until it is told to stop. */
async function* endless(_open: StreamOpen, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  yield Buffer.from('{"token_expires_in":60}\n')
  if (!signal.aborted) await once(signal, 'abort')
}

function json(value: unknown): RequestInit {
  return { body: JSON.stringify(value), headers: { 'content-type': 'application/json' } }
}

function withToken(init: RequestInit): RequestInit {
  return { method: 'POST', ...init, headers: { ...Object.fromEntries(new Headers(init.headers)), ...AUTHORIZED } }
}

/** A request without any header that `fetch` would add. */
async function rawPost(
  url: string,
  headers: Record<string, string>,
  body: object = { raw_data: true },
): Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }> {
  const request = httpRequest(`${url}/sync/stream`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
  })
  request.end(JSON.stringify(body))
  const [response] = await once(request, 'response')
  const pieces: Buffer[] = []
  for await (const piece of response) pieces.push(piece)
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(pieces) }
}

async function rawHeaders(
  url: string,
  headers: Record<string, string>,
  body: object,
): Promise<Record<string, unknown>> {
  const response = await rawPost(url, headers, body)
  return { status: response.status, ...response.headers }
}

/** A client that asks for a stream and then reads nothing. */
async function openSlowly(url: string, encoding: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  socket.pause()
  socket.write(
    `POST /sync/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Token good\r\nAccept-Encoding: ${encoding}\r\nContent-Length: 0\r\n\r\n`,
  )
  return socket
}

/** Resolves to the value once it has been the same for a while. */
async function untilStill(read: () => number): Promise<number> {
  let last = -1
  await expect
    .poll(
      () => {
        const isStill = read() === last
        last = read()
        return isStill
      },
      { interval: 200, timeout: 8_000 },
    )
    .toBe(true)
  return last
}
