import { once } from 'node:events'
import { connect } from 'node:net'
import { encodeBson } from '@headwater/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { VerifyResult } from '../auth/claims.ts'
import { StreamsEnd } from '../sync/stream-end.ts'
import { open, start } from './http-server.test-parts.ts'
import {
  connectRsocket,
  endlessLines,
  errorFrame,
  frame,
  LINE,
  linesOf,
  nextLine,
  openRsocket,
  type RsocketClient,
  type ServerFrame,
} from './rsocket-client.test-parts.ts'
import type { StreamOpen } from './sync-streams.ts'

describe('a connection', () => {
  test.each(['/sync/stream', '/', '/behind/a/prefix?x=1'])(
    '[protocol 79] is accepted on %s without an Authorization header, and then serves a stream',
    async (path) => {
      const { url } = await start({ openStream: () => linesOf([LINE, { a: 1 }]) })
      const client = await connectRsocket(`${url}${path}`)
      client.setup()
      client.request()
      expect(await client.take(3)).toEqual([
        nextLine(1, LINE),
        nextLine(1, { a: 1 }),
        { kind: 'complete', streamId: 1 },
      ])
    },
  )

  test.each(['json', 'bson'] as const)(
    '[protocol 80, 81] with %s metadata and data gets BSON lines, one frame in each message',
    async (encoding) => {
      const { url, opened } = await startNoting([LINE])
      const client = await openRsocket(url, { encoding })
      client.request({ data: { buckets: [{ name: 'a', after: '7' }], client_id: 'c1', parameters: { n: 1.5 } } })
      expect(await client.take(2)).toEqual([nextLine(1, LINE), { kind: 'complete', streamId: 1 }])
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
    expect(frames).toContainEqual(nextLine(1, LINE))
    expect(frames).toContainEqual({ kind: 'keepalive', flags: 0, data: 'early' })
  })

  test('can have several streams, each with its own lines and end', async () => {
    const { url } = await start({ openStream: ({ request }) => linesOf([{ for: request.clientId ?? '' }]) })
    const client = await openRsocket(url)
    client.request({ streamId: 1, data: { client_id: 'a' } })
    client.request({ streamId: 3, data: { client_id: 'b' } })
    expect((await client.take(4)).toSorted(byStream)).toEqual([
      nextLine(1, { for: 'a' }),
      { kind: 'complete', streamId: 1 },
      nextLine(3, { for: 'b' }),
      { kind: 'complete', streamId: 3 },
    ])
  })

  test('has 16 streams at most; another one is refused with a code', async () => {
    const { url } = await start({ openStream: endlessLines })
    const client = await openRsocket(url)
    for (let index = 0; index <= 16; index++) client.request({ streamId: 2 * index + 1 })
    const frames = await client.take(17)
    expect(frames.filter((each) => each?.kind === 'next')).toHaveLength(16)
    expect(frames).toContainEqual(errorFrame(33, 0x201, /^\[PSYNC_S2304\] A connection can have 16/))
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
    expect(await nextOfKind(client, 'next')).toEqual(nextLine(1, { number: 3 }))
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

describe('what a client leaves behind', () => {
  test.each([
    ['CANCEL', (client: RsocketClient) => client.cancel()],
    ['an ERROR', (client: RsocketClient) => client.send(frame(1, 11, 0, [Buffer.alloc(4)]))],
    ['a closed socket', (client: RsocketClient) => client.webSocket.close()],
    ['a socket that was cut', (client: RsocketClient) => client.webSocket.terminate()],
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
    expect(await client.next()).toEqual(nextLine(3, LINE))
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
      errorFrame(3, 0x201, /^\[PSYNC_S2003\]/),
    ])
    expect(await client.closed).toEqual({ code: 1001, reason: 'the service is stopping' })
    expect(await idle.closed).toMatchObject({ code: 1001 })
  })

  test('sends the last line of a stream, as far as there is credit for it', async () => {
    const { server, url } = await startByHand({
      openStream: async function* (_request, signal) {
        yield encodeBson(LINE)
        if (!signal.aborted) await once(signal, 'abort')
        yield encodeBson({ last: signal.reason instanceof StreamsEnd ? signal.reason.streams : -1 })
      },
    })
    const client = await openRsocket(url)
    client.request({ credit: 2 })
    client.request({ streamId: 3, credit: 1 })
    expect((await client.take(2)).toSorted(byStream)).toEqual([nextLine(1, LINE), nextLine(3, LINE)])
    await server.stop(2_000)
    expect((await client.take(3)).toSorted(byStream)).toEqual([
      nextLine(1, { last: 2 }),
      { kind: 'complete', streamId: 1 },
      { kind: 'complete', streamId: 3 },
    ])
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

function goodUser(): VerifyResult {
  return { kind: 'verified', user: { userId: 'u1', claims: {}, expiresAtMs: 1_800_000_600_000 } }
}

function lineCount(frames: readonly ServerFrame[]): number {
  return frames.filter(({ kind }) => kind === 'next').length
}

async function nextOfKind(client: RsocketClient, kind: ServerFrame['kind']): Promise<ServerFrame | undefined> {
  let found = await client.next()
  while (found !== undefined && found.kind !== kind) found = await client.next()
  return found
}

function byStream(a: ServerFrame | undefined, b: ServerFrame | undefined): number {
  const idOf = (each: ServerFrame | undefined): number =>
    each !== undefined && 'streamId' in each ? each.streamId : -1
  return idOf(a) - idOf(b)
}
