import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refuse } from '../auth/claims.ts'
import { StreamsEnd } from '../sync/stream-end.ts'
import { endless, open, openSlowly, start, withToken, JSON_TYPE, AUTHORIZED, NOW_MS } from './http-server.test-parts.ts'
import type { Health } from './probes.ts'

describe('every response', () => {
  test('[protocol 12] may be read by scripts of any origin, errors and streams included', async () => {
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
      expect(response.headers.get('access-control-expose-headers')).toBe('Content-Type, Retry-After')
    }
  })

  test('[protocol 11] to a preflight is empty and allows what clients send, on every path', async () => {
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

  test('[protocol 4, 10] to an unknown path or method is 404 in the envelope of errors', async () => {
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
    '[protocol 2, 3] that is missing or of another form (%j) is answered 401 S2106',
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

  test.each([['Token good'], ['Bearer good']])('[protocol 2] is accepted as "%s"', async (authorization) => {
    const { url } = await start()
    expect((await fetch(`${url}/write-checkpoint2.json`, { headers: { authorization } })).status).toBe(200)
  })

  test('[protocol 3] that is refused is 401, with what a stranger may know; the log gets the rest', async () => {
    const { url, events } = await start({
      verify: async () => refuse('auth-audience', 'The "aud" claim is not accepted', { audienceAccepted: ['mine'] }),
    })
    const response = await fetch(`${url}/sync/stream`, { method: 'POST', headers: AUTHORIZED })
    const text = await response.text()
    expect([response.status, JSON.parse(text).error.code]).toEqual([401, 'PSYNC_S2105'])
    expect(text).not.toContain('mine')
    expect(events).toContainEqual(['info', 'token-refused', expect.objectContaining({ audienceAccepted: ['mine'] })])
  })

  test('[protocol 3] that has expired is told so', async () => {
    const { url } = await start({ verify: async () => refuse('auth-expired', 'The token expired 70 s ago') })
    const response = await fetch(`${url}/sync/stream`, { method: 'POST', headers: AUTHORIZED })
    expect(await response.json()).toEqual({
      error: {
        code: 'PSYNC_S2103',
        status: 401,
        description: 'JWT has expired',
        details: expect.stringContaining("The app's fetchCredentials must return a fresh token") as unknown,
        name: 'AuthorizationError',
      },
    })
  })

  test('that is bad is told what is wrong with it, and what mends it', async () => {
    const { url } = await start({ verify: async () => refuse('auth-bad-token', 'The token has no "sub" claim') })
    const response = await fetch(`${url}/sync/stream`, { method: 'POST', headers: AUTHORIZED })
    expect(await response.json()).toMatchObject({
      error: {
        code: 'PSYNC_S2101',
        description: 'The token has no "sub" claim',
        details: expect.stringMatching(/fetchCredentials must return a fresh token, signed with a key/) as unknown,
      },
    })
  })

  test('that cannot be checked because the key server is down is 503, so that clients keep it', async () => {
    const { url } = await start({ verify: async () => refuse('jwks-unavailable', 'The keys cannot be fetched') })
    const response = await fetch(`${url}/sync/stream`, { method: 'POST', headers: AUTHORIZED })
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await response.json()).toMatchObject({ error: { code: 'PSYNC_S2204' } })
  })
})

describe('probes', () => {
  test.each<[health: Health, problem: object | undefined, statuses: { readonly [probe: string]: number }]>([
    [
      { started: true, ready: true, touchedAtMs: NOW_MS, problem: undefined },
      undefined,
      { startup: 200, readiness: 200, liveness: 200 },
    ],
    [
      {
        started: true,
        ready: false,
        touchedAtMs: NOW_MS - 9_999,
        problem: {
          stage: 'storage',
          sinceMs: NOW_MS - 20_000,
          code: 'storage-full',
          reason: 'no room',
          remedy: 'make some',
        },
      },
      {
        stage: 'storage',
        since: new Date(NOW_MS - 20_000).toISOString(),
        code: 'storage-full',
        reason: 'no room',
        remedy: 'make some',
      },
      { startup: 200, readiness: 400, liveness: 200 },
    ],
    [
      { started: false, ready: false, touchedAtMs: NOW_MS - 10_000, problem: undefined },
      undefined,
      { startup: 400, readiness: 400, liveness: 400 },
    ],
  ])('[protocol 14] of %j say %j, answer %j and need no token', async (health, problem, statuses) => {
    const { url } = await start({ readHealth: async () => health })
    for (const [probe, status] of Object.entries(statuses)) {
      const response = await fetch(`${url}/probes/${probe}`)
      expect([probe, response.status]).toEqual([probe, status])
      expect(await response.json()).toEqual({
        ready: health.ready,
        started: health.started,
        touched_at: new Date(health.touchedAtMs).toISOString(),
        ...(problem === undefined ? {} : { problem }),
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

  test('tells streams why, and how many end with them', async () => {
    const reasons: unknown[] = []
    const { url, server } = await start({
      openStream: async function* (_open, signal) {
        yield Buffer.from('{"token_expires_in":60}\n')
        if (!signal.aborted) await once(signal, 'abort')
        reasons.push(signal.reason)
      },
    })
    const responses = [
      await fetch(`${url}/sync/stream`, withToken({})),
      await fetch(`${url}/sync/stream`, withToken({})),
    ]
    await Promise.all([server.stop(5_000), ...responses.map((response) => response.text())])
    const end = new StreamsEnd('shutdown', 2)
    expect(reasons).toEqual([end, end])
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
        if (!signal.aborted) await once(signal, 'abort')
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
