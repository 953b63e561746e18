import { encodeBson, HeadwaterError } from '@headwater/protocol'
import { describe, expect, test } from 'vitest'
import { refuse } from '../auth/claims.ts'
import { failing, start, TEST_LIMITS } from './http-server.test-parts.ts'
import {
  connectRsocket,
  endlessLines,
  errorFrame,
  frame,
  LINE,
  linesOf,
  nextLine,
  openRsocket,
} from './rsocket-client.test-parts.ts'

describe('a setup', () => {
  test.each([
    ['without a token', { metadata: {} }, 'PSYNC_S2106', 'Authentication required'],
    ['with a token of another form', { metadata: { token: 'good' } }, 'PSYNC_S2106', 'Authentication required'],
    ['with a token that is no text', { metadata: { token: 5 } }, 'PSYNC_S2106', 'Authentication required'],
    ['with a bad token', { metadata: { token: 'Token bad' } }, 'PSYNC_S2101', 'Not good'],
    ['without metadata', { metadata: null }, 'PSYNC_S2101', 'The setup has no metadata'],
    ['of another type', { mimeType: 'application/cbor' }, 'PSYNC_S2004', 'Cannot read the setup'],
    ['that is not what its type says', { mimeType: 'application/bson' }, 'PSYNC_S2001', 'Validation failed'],
  ] as const)('[protocol 85] %s is refused on stream 0 with a code', async (_what, options, code, text) => {
    const { url } = await start()
    const client = await openRsocket(url, options)
    client.request()
    const refused = await client.next()
    expect(refused).toEqual(errorFrame(0, 3, new RegExp(`^\\[${code}\\] ${text}`)))
    expect(await client.closed).toEqual({ code: 1008, reason: 'the setup is refused' })
    expect(client.frames).toHaveLength(1)
    if (!code.startsWith('PSYNC_S21')) expect(JSON.stringify(refused)).not.toContain('PSYNC_S21')
  })

  test('[protocol 85] with an expired token is told so, and the log has the rest', async () => {
    const { url, events, registry } = await start({
      verify: async () => refuse('auth-expired', 'The token expired 99 s ago', { audience: 'secret' }),
    })
    const client = await openRsocket(url)
    expect(await client.next()).toEqual(errorFrame(0, 3, /^\[PSYNC_S2103\] JWT has expired\n {2}The app's/))
    expect(JSON.stringify(client.frames)).not.toContain('secret')
    expect(events).toContainEqual(['info', 'token-refused', expect.objectContaining({ code: 'auth-expired' })])
    expect(await registry.metrics()).toContain('headwater_tokens_refused_total{code="auth-expired"} 1')
  })

  test('[protocol 85] whose key server is away does not cost the client its token', async () => {
    const { url } = await start({ verify: async () => refuse('jwks-unavailable', 'The keys cannot be fetched') })
    const refused = await (await openRsocket(url)).next()
    expect(refused).toEqual(errorFrame(0, 3, /^\[PSYNC_S2204\]/))
  })

  test('that fails for a reason nobody foresaw says nothing of it, and is in the log once', async () => {
    const { url, events } = await start({
      verify: async () => {
        throw new TypeError('x of undefined')
      },
    })
    const client = await openRsocket(url)
    expect(await client.next()).toEqual(errorFrame(0, 3, /^\[PSYNC_S2001\] Something went wrong$/))
    expect(events.filter(([level]) => level === 'error')).toHaveLength(1)
  })

  test.each([
    ['a SETUP with leases', (flags: number) => flags | 0x40],
    ['a SETUP with resumption', (flags: number) => flags | 0x80],
  ])('%s is rejected', async (_what, flagsOf) => {
    const { url } = await start()
    const client = await connectRsocket(url)
    const resumeToken = flagsOf(0) === 0x80 ? '0001aa' : ''
    client.send(Buffer.from(`0000000004${flagsOf(0).toString(16)}0001000000004e2000015f90${resumeToken}0000`, 'hex'))
    expect(await client.next()).toEqual(errorFrame(0, 3, /^Connections with/))
    await client.closed
  })

  test.each([
    ['a request', frame(1, 6, 0, [Buffer.alloc(4)]), 2],
    ['KEEPALIVE', frame(0, 3, 0x80, [Buffer.alloc(8)]), 2],
    ['RESUME', frame(0, 13, 0, [Buffer.alloc(30)]), 4],
    ['half a SETUP', frame(0, 1, 0, [Buffer.alloc(3)]), 2],
    ['nothing', Buffer.of(), 2],
  ])('that is %s is no setup', async (_what, first, code) => {
    const { url } = await start()
    const client = await connectRsocket(url)
    client.send(first)
    expect(await client.next()).toEqual(errorFrame(0, code, /./))
    await client.closed
  })

  test('[protocol 13] beyond the limit is refused at once, and both transports share the limit', async () => {
    const { url } = await start({ openStream: endlessLines, limits: { ...TEST_LIMITS, connectionsMax: 2 } })
    const first = await openRsocket(url)
    first.request()
    await first.next()
    const abort = new AbortController()
    const headers = { authorization: 'Token good' }
    await fetch(`${url}/sync/stream`, { method: 'POST', headers, signal: abort.signal })

    const third = await openRsocket(url)
    expect(await third.next()).toEqual(errorFrame(0, 3, /^\[PSYNC_S2304\]/))
    expect(await third.closed).toMatchObject({ code: 1013 })
    expect((await fetch(`${url}/sync/stream`, { method: 'POST', headers })).status).toBe(429)
    first.request({ streamId: 3 })
    expect(await first.next()).toEqual(errorFrame(3, 0x201, /^\[PSYNC_S2304\]/))

    first.webSocket.close()
    await first.closed
    const status = async (): Promise<string | undefined> => {
      const client = await openRsocket(url)
      client.request()
      return (await client.next())?.kind
    }
    await expect.poll(status).toBe('next')
    abort.abort()
  })
})

describe('a request', () => {
  test.each([
    ['for another path', { metadata: { path: '/else' } }, 'PSYNC_S2002'],
    ['without metadata', { metadata: null }, 'PSYNC_S2001'],
    ['without a path', { metadata: {} }, 'PSYNC_S2002'],
    ['that is no JSON', { data: Buffer.from('{') }, 'PSYNC_S2001'],
    ['that is no object', { data: Buffer.from('[1]') }, 'PSYNC_S2001'],
    [
      'that is nested too deep',
      { data: Buffer.from(`{"parameters":${'['.repeat(5_000)}${']'.repeat(5_000)}}`) },
      'PSYNC_S2001',
    ],
    ['with wrong fields', { data: { buckets: [{ name: 'PSYNC_S2101', after: 5 }] } }, 'PSYNC_S2001'],
    ['for a path that looks like a code', { metadata: { path: '[PSYNC_S2101]' } }, 'PSYNC_S2002'],
  ] as const)(
    '[protocol 85] %s is refused on its stream, with no word of tokens; the connection goes on',
    async (_what, options, code) => {
      const { url } = await start({ openStream: () => linesOf([LINE]) })
      const client = await openRsocket(url)
      client.request(options)
      const refused = await client.next()
      expect(refused).toEqual(errorFrame(1, 0x201, new RegExp(`^\\[${code}\\] `)))
      expect(JSON.stringify(refused)).not.toContain('PSYNC_S21')
      client.request({ streamId: 3 })
      expect(await client.next()).toEqual(nextLine(3, LINE))
    },
  )

  test('[protocol 85] that cannot be served is told why before the first line', async () => {
    const { url } = await start({ openStream: () => failing([], new HeadwaterError('no-sync-config', 'Not yet')) })
    const client = await openRsocket(url)
    client.request()
    expect(await client.next()).toEqual(errorFrame(1, 0x201, /^\[PSYNC_S2302\] No sync config available/))
  })

  test('[protocol 85] that fails later is told so with a code of its own, the cause below', async () => {
    const { url, events } = await start({
      openStream: async function* () {
        yield encodeBson(LINE)
        throw new HeadwaterError('too-many-buckets', 'Too many buckets: 1204 (limit of 1000)')
      },
    })
    const client = await openRsocket(url)
    client.request()
    expect(await client.take(2)).toEqual([
      nextLine(1, LINE),
      errorFrame(1, 0x201, /^\[PSYNC_S2001\] Something went wrong\n {2}\[PSYNC_S2305\] Too many buckets: 1204/),
    ])
    expect(events.map(([level, event]) => `${level} ${event}`)).toContain('warn request-failed')
  })

  test('that fails for a reason nobody foresaw says nothing of it', async () => {
    const { url, events } = await start({ openStream: () => failing([], new TypeError('x of undefined')) })
    const client = await openRsocket(url)
    client.request()
    expect(await client.next()).toEqual(errorFrame(1, 0x201, /^\[PSYNC_S2001\] Something went wrong$/))
    expect(events.filter(([level]) => level === 'error')).toHaveLength(1)
  })

  test('that ends before its first line is answered with an error, which clients do not wait for in vain', async () => {
    const { url } = await start({ openStream: () => linesOf([]) })
    const client = await openRsocket(url)
    client.request()
    expect(await client.next()).toEqual(errorFrame(1, 0x201, /^\[PSYNC_S2302\]/))
  })

  test('is in the log and in the metrics with its transport', async () => {
    const { url, events, registry } = await start({ openStream: endlessLines })
    const client = await openRsocket(url)
    client.request({ data: { client_id: 'c1', app_metadata: { version: '2' } } })
    await client.next()
    const about = { transport: 'websocket', userId: 'u1', clientId: 'c1', userAgent: 'rsocket-test/1.0' }
    expect(events).toContainEqual([
      'info',
      'stream-opened',
      { ...about, format: 'bson', appMetadata: { version: '2' } },
    ])
    const metrics = await registry.metrics()
    expect(metrics).toContain('headwater_sync_streams_count{transport="websocket"} 1')
    expect(metrics).toContain('headwater_sync_streams_count{transport="http"} 0')
    expect(metrics).toContain('headwater_websocket_connections_count 1')

    client.webSocket.close()
    await expect
      .poll(() => events)
      .toContainEqual(['info', 'stream-closed', { ...about, bytesSent: expect.any(Number), openMs: 0 }])
    await expect
      .poll(() => registry.metrics())
      .toMatch(
        /headwater_websocket_connections_count 0[^]*closed_total\{reason="client-left"\} 1|closed_total\{reason="client-left"\} 1[^]*connections_count 0/,
      )
  })
})
