import { once } from 'node:events'
import { connect } from 'node:net'
import { encodeBson, HeadwaterError } from '@headwater/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refuse } from '../auth/claims.ts'
import { failing, open, start } from './http-server.test-parts.ts'
import { connectRsocket, frame, linesOf, openRsocket, type ServerFrame } from './rsocket-client.test-parts.ts'
import type { StreamOpen } from './sync-streams.ts'

const LINE = { token_expires_in: 60 }

describe('a connection', () => {
  test.each(['/sync/stream', '/', '/behind/a/prefix?x=1'])(
    '[protocol 79] is accepted on %s without an Authorization header, and then serves a stream',
    async (path) => {
      const { url } = await start({ openStream: () => linesOf([LINE, { a: 1 }]) })
      const client = await connectRsocket(`${url}${path}`)
      client.setup()
      client.request()
      expect(await client.take(3)).toEqual([next(1, LINE), next(1, { a: 1 }), { kind: 'complete', streamId: 1 }])
    },
  )

  test.each(['json', 'bson'] as const)(
    '[protocol 80, 81] with %s metadata and data gets BSON lines, one frame in each message',
    async (encoding) => {
      const { url, opened } = await startNoting([LINE])
      const client = await openRsocket(url, { encoding })
      client.request({ data: { buckets: [{ name: 'a', after: '7' }], client_id: 'c1', parameters: { n: 1.5 } } })
      expect(await client.take(2)).toEqual([next(1, LINE), { kind: 'complete', streamId: 1 }])
      expect(client.sizes).toEqual([6 + encodeBson(LINE).length, 6])
      expect(opened).toMatchObject([
        {
          request: { buckets: [{ name: 'a', after: 7n }], clientId: 'c1', parameters: { n: 1.5 } },
          user: { userId: 'u1' },
          format: 'bson',
        },
      ])
    },
  )

  test('takes the token in either form, and integers that a number cannot hold', async () => {
    const { url, opened } = await startNoting([LINE])
    const client = await openRsocket(url, { metadata: { token: 'Bearer good' } })
    client.request({ data: Buffer.from('{"parameters":{"id":9007199254740993}}') })
    await client.take(2)
    expect(opened).toMatchObject([{ request: { parameters: { id: 9007199254740993n } } }])
  })

  test('[protocol 82] keeps what comes before the token is verified, and serves it then', async () => {
    const verified = Promise.withResolvers<void>()
    const { url } = await start({
      openStream: () => linesOf([LINE]),
      verify: async () => {
        await verified.promise
        return goodUser()
      },
    })
    const client = await openRsocket(url)
    client.request()
    client.requestN(5)
    client.keepalive('early')
    await new Promise((resolve) => setImmediate(resolve))
    verified.resolve()
    const frames = await client.take(3)
    expect(frames).toContainEqual(next(1, LINE))
    expect(frames).toContainEqual({ kind: 'keepalive', flags: 0, data: 'early' })
  })

  test('can have several streams, each with its own lines and end', async () => {
    const { url } = await start({ openStream: ({ request }) => linesOf([{ for: request.clientId ?? '' }]) })
    const client = await openRsocket(url)
    client.request({ streamId: 1, data: { client_id: 'a' } })
    client.request({ streamId: 3, data: { client_id: 'b' } })
    expect((await client.take(4)).toSorted(byStream)).toEqual([
      next(1, { for: 'a' }),
      { kind: 'complete', streamId: 1 },
      next(3, { for: 'b' }),
      { kind: 'complete', streamId: 3 },
    ])
  })

  test('has 16 streams at most; another one is refused with a code', async () => {
    const { url } = await start({ openStream: endlessLines })
    const client = await openRsocket(url)
    for (let index = 0; index <= 16; index++) client.request({ streamId: 2 * index + 1 })
    const frames = await client.take(17)
    expect(frames.filter((each) => each?.kind === 'next')).toHaveLength(16)
    expect(frames).toContainEqual(error(33, 0x201, /^\[PSYNC_S2304\] A connection can have 16/))
  })

  test('compresses lines for who can read it, and small ones not at all', async () => {
    const { url } = await start({ openStream: () => linesOf([{ text: 'x'.repeat(50_000) }, LINE]) })
    const client = await connectRsocket(url, { perMessageDeflate: true })
    let bytesRead = 0
    Reflect.get(client.webSocket, '_socket').on('data', (chunk: Buffer) => (bytesRead += chunk.length))
    expect(client.extensions).toMatch(/^permessage-deflate/)
    expect(client.extensions).toMatch(/server_max_window_bits=12/)
    expect(client.extensions).toMatch(/client_no_context_takeover/)
    client.setup()
    client.request()
    expect(await client.take(3)).toMatchObject([{ line: { text: 'x'.repeat(50_000) } }, { line: LINE }, {}])
    expect(bytesRead).toBeLessThan(1_000)
  })

  test('is not compressed for a client whose window is too small for it', async () => {
    const { url } = await start()
    const client = await connectRsocket(url, { perMessageDeflate: { serverMaxWindowBits: 9 } })
    expect(client.extensions).toBe('')
  })

  test('is left alone when a request asks for another protocol than WebSocket', async () => {
    const { url } = await start()
    const { port } = new URL(url)
    const socket = connect(Number(port), '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    socket.write('GET /probes/liveness HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n')
    const [answer] = await once(socket, 'data')
    expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /)
  })
})

describe('flow control', () => {
  test('[protocol 83] never sends more payloads than were asked for, and reads nothing on meanwhile', async () => {
    let produced = 0
    const { url } = await start({
      openStream: async function* () {
        while (produced < 100) yield encodeBson({ number: produced++ })
      },
    })
    const client = await openRsocket(url)
    client.request({ credit: 3 })
    await client.take(3)
    await client.settle()
    expect([lineCount(client.frames), produced]).toEqual([3, 3])

    client.requestN(2)
    await client.take(2)
    await client.settle()
    expect([lineCount(client.frames), produced]).toEqual([5, 5])

    client.requestN(0x7fffffff)
    client.requestN(0x7fffffff)
    await expect.poll(() => lineCount(client.frames)).toBe(100)
    expect(client.frames.at(-1)).toEqual({ kind: 'complete', streamId: 1 })
  })

  test('[protocol 83] counts lines, also when many come in one chunk or one comes in many', async () => {
    const documents = Buffer.concat([1, 2, 3, 4].map((number) => encodeBson({ number })))
    const { url } = await start({
      openStream: async function* () {
        for (let at = 0; at < documents.length; at += 5) yield documents.subarray(at, at + 5)
        yield documents
      },
    })
    const client = await openRsocket(url)
    client.request({ credit: 6 })
    const numbers = (await client.take(6)).map((each) => (each?.kind === 'next' ? each.line['number'] : undefined))
    expect(numbers).toEqual([1, 2, 3, 4, 1, 2])
    await client.settle()
    expect(lineCount(client.frames)).toBe(6)
    client.requestN(1)
    expect(await nextOfKind(client, 'next')).toEqual(next(1, { number: 3 }))
  })

  test('[protocol 84] answers KEEPALIVE at once, also without credit, with the same data', async () => {
    const { url } = await start({ openStream: endlessLines })
    const client = await openRsocket(url)
    client.request({ credit: 0 })
    client.keepalive('one')
    client.keepalive('not wanted', 0)
    client.keepalive('two')
    expect(await client.take(2)).toEqual([
      { kind: 'keepalive', flags: 0, data: 'one' },
      { kind: 'keepalive', flags: 0, data: 'two' },
    ])
    expect(lineCount(client.frames)).toBe(0)
  })

  test('a client that asks for everything and reads nothing makes the service wait', async () => {
    let produced = 0
    const line = encodeBson({ text: 'x'.repeat(60_000) })
    const { url } = await start({
      openStream: async function* () {
        for (; produced < 5_000; produced++) yield line
      },
    })
    const client = await openRsocket(url)
    client.webSocket.pause()
    client.request({ credit: 10_000 })
    await expect.poll(() => produced).toBeGreaterThan(3)
    let last = -1
    await expect.poll(() => last === (last = produced), { interval: 200, timeout: 8_000 }).toBe(true)
    // What the kernel's socket buffers take, and a little of ours; far from the 300 MB on offer.
    expect(produced).toBeLessThan(500)
    client.webSocket.resume()
    await expect.poll(() => produced).toBeGreaterThan(500)
  })
})

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
    expect(refused).toEqual(error(0, 3, new RegExp(`^\\[${code}\\] ${text}`)))
    expect(await client.closed).toEqual({ code: 1008, reason: 'the setup is refused' })
    expect(client.frames).toHaveLength(1)
    if (!code.startsWith('PSYNC_S21')) expect(JSON.stringify(refused)).not.toContain('PSYNC_S21')
  })

  test('[protocol 85] with an expired token is told so, and the log has the rest', async () => {
    const { url, events, registry } = await start({
      verify: async () => refuse('auth-expired', 'The token expired 99 s ago', { audience: 'secret' }),
    })
    const client = await openRsocket(url)
    expect(await client.next()).toEqual(error(0, 3, /^\[PSYNC_S2103\] JWT has expired\n {2}The app's/))
    expect(JSON.stringify(client.frames)).not.toContain('secret')
    expect(events).toContainEqual(['info', 'token-refused', expect.objectContaining({ code: 'auth-expired' })])
    expect(await registry.metrics()).toContain('headwater_tokens_refused_total{code="auth-expired"} 1')
  })

  test('[protocol 85] whose key server is away does not cost the client its token', async () => {
    const { url } = await start({ verify: async () => refuse('jwks-unavailable', 'The keys cannot be fetched') })
    const refused = await (await openRsocket(url)).next()
    expect(refused).toEqual(error(0, 3, /^\[PSYNC_S2204\]/))
  })

  test('that fails for a reason nobody foresaw says nothing of it, and is in the log once', async () => {
    const { url, events } = await start({
      verify: async () => {
        throw new TypeError('x of undefined')
      },
    })
    const client = await openRsocket(url)
    expect(await client.next()).toEqual(error(0, 3, /^\[PSYNC_S2001\] Something went wrong$/))
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
    expect(await client.next()).toEqual(error(0, 3, /^Connections with/))
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
    expect(await client.next()).toEqual(error(0, code, /./))
    await client.closed
  })

  test('[protocol 13] beyond the limit is refused at once, and both transports share the limit', async () => {
    const { url } = await start({ openStream: endlessLines, limits: { connectionsMax: 2 } })
    const first = await openRsocket(url)
    first.request()
    await first.next()
    const abort = new AbortController()
    const headers = { authorization: 'Token good' }
    await fetch(`${url}/sync/stream`, { method: 'POST', headers, signal: abort.signal })

    const third = await openRsocket(url)
    expect(await third.next()).toEqual(error(0, 3, /^\[PSYNC_S2304\]/))
    expect(await third.closed).toMatchObject({ code: 1013 })
    expect((await fetch(`${url}/sync/stream`, { method: 'POST', headers })).status).toBe(429)
    first.request({ streamId: 3 })
    expect(await first.next()).toEqual(error(3, 0x201, /^\[PSYNC_S2304\]/))

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
    ['with wrong fields', { data: { buckets: [{ name: 'PSYNC_S2101', after: 5 }] } }, 'PSYNC_S2001'],
    ['for a path that looks like a code', { metadata: { path: '[PSYNC_S2101]' } }, 'PSYNC_S2002'],
  ] as const)(
    '[protocol 85] %s is refused on its stream, with no word of tokens; the connection goes on',
    async (_what, options, code) => {
      const { url } = await start({ openStream: () => linesOf([LINE]) })
      const client = await openRsocket(url)
      client.request(options)
      const refused = await client.next()
      expect(refused).toEqual(error(1, 0x201, new RegExp(`^\\[${code}\\] `)))
      expect(JSON.stringify(refused)).not.toContain('PSYNC_S21')
      client.request({ streamId: 3 })
      expect(await client.next()).toEqual(next(3, LINE))
    },
  )

  test('[protocol 85] that cannot be served is told why before the first line', async () => {
    const { url } = await start({ openStream: () => failing([], new HeadwaterError('no-sync-config', 'Not yet')) })
    const client = await openRsocket(url)
    client.request()
    expect(await client.next()).toEqual(error(1, 0x201, /^\[PSYNC_S2302\] No sync config available/))
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
      next(1, LINE),
      error(1, 0x201, /^\[PSYNC_S2001\] Something went wrong\n {2}\[PSYNC_S2305\] Too many buckets: 1204/),
    ])
    expect(events.map(([level, event]) => `${level} ${event}`)).toContain('warn request-failed')
  })

  test('that fails for a reason nobody foresaw says nothing of it', async () => {
    const { url, events } = await start({ openStream: () => failing([], new TypeError('x of undefined')) })
    const client = await openRsocket(url)
    client.request()
    expect(await client.next()).toEqual(error(1, 0x201, /^\[PSYNC_S2001\] Something went wrong$/))
    expect(events.filter(([level]) => level === 'error')).toHaveLength(1)
  })

  test('that ends before its first line is answered with an error, which clients do not wait for in vain', async () => {
    const { url } = await start({ openStream: () => linesOf([]) })
    const client = await openRsocket(url)
    client.request()
    expect(await client.next()).toEqual(error(1, 0x201, /^\[PSYNC_S2302\]/))
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

describe('what a client leaves behind', () => {
  test.each([
    ['CANCEL', (client: Awaited<ReturnType<typeof openRsocket>>) => client.cancel()],
    ['an ERROR', (client: Awaited<ReturnType<typeof openRsocket>>) => client.send(frame(1, 11, 0, [Buffer.alloc(4)]))],
    ['a closed socket', (client: Awaited<ReturnType<typeof openRsocket>>) => client.webSocket.close()],
    ['a socket that was cut', (client: Awaited<ReturnType<typeof openRsocket>>) => client.webSocket.terminate()],
  ])('[protocol 86] after %s is given back: the stream ends, also while it waits for credit', async (_what, leave) => {
    const ended: string[] = []
    const { url, registry } = await start({
      openStream: async function* (request: StreamOpen, signal: AbortSignal) {
        try {
          yield* endlessLines(request, signal)
        } finally {
          ended.push(request.request.clientId ?? '')
        }
      },
    })
    const client = await openRsocket(url)
    client.request({ data: { client_id: 'a' } })
    client.request({ streamId: 3, credit: 1, data: { client_id: 'b' } })
    await client.take(2)
    leave(client)
    await expect.poll(() => ended).toContain('a')
    client.cancel(3)
    await expect.poll(() => ended.toSorted()).toEqual(['a', 'b'])
    await expect.poll(() => registry.metrics()).toContain('headwater_sync_streams_count{transport="websocket"} 0')
    expect(client.frames.filter(({ kind }) => kind !== 'next')).toEqual([])
  })

  test.each(['close', 'terminate'] as const)(
    '[protocol 86] a client that leaves in the middle of a download by %s ends it at once',
    async (leave) => {
      const { url, registry } = await start({
        openStream: async function* () {
          for (;;) yield encodeBson({ text: 'x'.repeat(1_000) })
        },
      })
      const client = await openRsocket(url)
      client.request({ credit: 0x7fffffff })
      await client.take(100)
      client.webSocket[leave]()
      await expect.poll(() => registry.metrics()).toContain('headwater_sync_streams_count{transport="websocket"} 0')
    },
  )

  test('[protocol 86] a cancelled stream leaves the connection open for the next', async () => {
    const { url } = await start({ openStream: endlessLines })
    const client = await openRsocket(url)
    client.request()
    await client.next()
    client.cancel()
    client.requestN(5)
    client.request({ streamId: 3 })
    expect(await client.next()).toEqual(next(3, LINE))
  })
})

describe('stopping the service', () => {
  test('completes streams that have sent lines, fails the others with a code, and closes the sockets', async () => {
    const { server, url } = await startByHand({
      openStream: async function* (request, signal) {
        if (request.request.clientId === 'a') yield encodeBson(LINE)
        if (!signal.aborted) await once(signal, 'abort')
      },
    })
    const client = await openRsocket(url)
    client.request({ data: { client_id: 'a' } })
    client.request({ streamId: 3, data: { client_id: 'b' } })
    const idle = await connectRsocket(url)
    await client.next()
    await server.stop(2_000)
    expect((await client.take(2)).toSorted(byStream)).toEqual([
      { kind: 'complete', streamId: 1 },
      error(3, 0x201, /^\[PSYNC_S2003\]/),
    ])
    expect(await client.closed).toEqual({ code: 1001, reason: 'the service is stopping' })
    expect(await idle.closed).toMatchObject({ code: 1001 })
  })

  test('does not wait for a client that does not say goodbye', async () => {
    const { server, url } = await startByHand({ openStream: endlessLines })
    const client = await openRsocket(url)
    client.request()
    await client.next()
    client.webSocket.pause()
    const startedMs = performance.now()
    await server.stop(200)
    expect(performance.now() - startedMs).toBeLessThan(2_000)
  })
})

/** One line, and then nothing until it is told to stop. */
async function* endlessLines(_open: StreamOpen, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  yield encodeBson(LINE)
  if (!signal.aborted) await once(signal, 'abort')
}

async function startNoting(lines: readonly (typeof LINE)[]): Promise<{ url: string; opened: StreamOpen[] }> {
  const opened: StreamOpen[] = []
  const { url } = await start({
    openStream: (request) => {
      opened.push(request)
      return linesOf(lines)
    },
  })
  return { url, opened }
}

async function startByHand(parts: Parameters<typeof open>[0]): Promise<ReturnType<typeof open> & { url: string }> {
  const opened = open(parts)
  return { ...opened, ...(await opened.server.listen('127.0.0.1', 0)) }
}

function goodUser(): ReturnType<typeof refuse> | { kind: 'verified'; user: StreamOpen['user'] } {
  return { kind: 'verified', user: { userId: 'u1', claims: {}, expiresAtMs: 1_800_000_600_000 } }
}

function next(streamId: number, line: object): ServerFrame {
  return { kind: 'next', streamId, line: { ...line } }
}

function error(streamId: number, code: number, text: RegExp): object {
  return { kind: 'error', streamId, code, text: expect.stringMatching(text) }
}

function lineCount(frames: readonly ServerFrame[]): number {
  return frames.filter(({ kind }) => kind === 'next').length
}

async function nextOfKind(
  client: Awaited<ReturnType<typeof openRsocket>>,
  kind: ServerFrame['kind'],
): Promise<ServerFrame | undefined> {
  let found = await client.next()
  while (found !== undefined && found.kind !== kind) found = await client.next()
  return found
}

function byStream(a: ServerFrame | undefined, b: ServerFrame | undefined): number {
  const idOf = (each: ServerFrame | undefined): number =>
    each !== undefined && 'streamId' in each ? each.streamId : -1
  return idOf(a) - idOf(b)
}
