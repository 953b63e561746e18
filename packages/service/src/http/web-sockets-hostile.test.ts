import { encodeBson } from '@headwater/protocol'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { NOW_MS, start, untilStill } from './http-server.test-parts.ts'
import { connectRsocket, endlessLines, frame, openRsocket, type RsocketClient } from './rsocket-client.test-parts.ts'
import type { StreamOpen } from './sync-streams.ts'

const PROTOCOL_ERROR = { code: 1002, reason: 'a message cannot be understood' }
const COMPRESSED = { perMessageDeflate: true }

describe('a message that makes no sense', () => {
  test.each([
    ['half a frame', Buffer.of(1, 2, 3)],
    ['a second SETUP', frame(0, 1, 0, [Buffer.from('0001000000004e2000015f900000', 'hex')])],
    ['RESUME', frame(0, 13, 0, [Buffer.alloc(30)])],
    ['a request in fragments', frame(1, 6, 0x80, [Buffer.alloc(4)])],
    ['a request on stream 0', frame(0, 6, 0, [Buffer.alloc(4)])],
    ['a request with metadata beyond its end', frame(1, 6, 0x100, [Buffer.from('00000001ffffff', 'hex')])],
    ['a frame of an unknown type', frame(1, 63, 0, [])],
    ['a payload', frame(1, 10, 0x20, [Buffer.from('{}')])],
  ])('such as %s ends the connection with an error, and its streams with it', async (_what, message) => {
    const { url, registry } = await start({ openStream: endlessLines })
    const client = await openRsocket(url)
    client.request({ streamId: 7 })
    await client.next()
    client.send(message)
    expect(await client.next()).toEqual({
      kind: 'error',
      streamId: 0,
      code: 0x101,
      text: expect.stringMatching(/^\[PSYNC_S2001\] Validation failed\n {2}.*Cannot go on with this connection/),
    })
    expect(await client.closed).toEqual(PROTOCOL_ERROR)
    await expect.poll(() => registry.metrics()).toContain('headwater_sync_streams_count{transport="websocket"} 0')
    await expect.poll(() => registry.metrics()).toContain('headwater_websocket_closed_total{reason="protocol-error"} 1')
  })

  test('such as a request for a stream that is open ends the connection', async () => {
    const { url } = await start({ openStream: endlessLines })
    const client = await openRsocket(url)
    client.request()
    client.request()
    expect(await client.closed).toEqual(PROTOCOL_ERROR)
  })

  test('such as text ends the connection', async () => {
    const { url } = await start()
    const client = await openRsocket(url)
    client.webSocket.send('{"token":"Token good"}')
    expect(await client.closed).toEqual(PROTOCOL_ERROR)
  })

  test('that has the flag to be ignored, or is for a stream that has ended, changes nothing', async () => {
    const { url } = await start({ openStream: endlessLines })
    const client = await openRsocket(url)
    client.send(frame(0, 63, 0x200, [Buffer.alloc(9)]))
    client.send(frame(0, 12, 0x100, [Buffer.alloc(9)]))
    client.requestN(5, 99)
    client.cancel(99)
    client.request()
    expect(await client.next()).toMatchObject({ kind: 'next', streamId: 1 })
  })
})

describe('a large message', () => {
  test('in fragments of the WebSocket is one frame', async () => {
    const opened: StreamOpen[] = []
    const { url } = await start({
      openStream: (open, signal) => {
        opened.push(open)
        return endlessLines(open, signal)
      },
    })
    const client = await openRsocket(url)
    const request = frame(1, 6, 0x100, [
      Buffer.from('00000005000016', 'hex'),
      Buffer.from('{"path":"/sync/stream"'),
      Buffer.from('}{"client_id":"c1"}'),
    ])
    request[12] = 0x17
    for (let at = 0; at < request.length; at += 10) {
      client.webSocket.send(request.subarray(at, at + 10), { fin: at + 10 >= request.length })
    }
    expect(await client.next()).toMatchObject({ kind: 'next' })
    expect(opened).toMatchObject([{ request: { clientId: 'c1' } }])
  })

  test('may have the positions of very many buckets', async () => {
    const opened: StreamOpen[] = []
    const { url } = await start({
      openStream: (open, signal) => {
        opened.push(open)
        return endlessLines(open, signal)
      },
    })
    const client = await openRsocket(url)
    const name = (index: number): string => `1#todos|0["${index}-${'x'.repeat(30)}"]`
    client.request({
      data: { buckets: Array.from({ length: 40_000 }, (_, index) => ({ name: name(index), after: '1' })) },
    })
    expect(await client.next()).toMatchObject({ kind: 'next' })
    expect(opened[0]?.request.buckets).toHaveLength(40_000)
  })

  test.each([
    ['as it is', {}],
    ['compressed', COMPRESSED],
  ])('beyond 8 MiB, %s, ends the connection', async (_how, options) => {
    const { url, registry } = await start({ openStream: endlessLines })
    const client = await connectRsocket(url, options)
    client.setup()
    client.request()
    await client.next()
    client.send(Buffer.alloc(9 * 1024 * 1024))
    expect(await client.closed).toMatchObject({ code: expect.toBeOneOf([1009, 1006]) })
    await expect
      .poll(() => registry.metrics())
      .toContain('headwater_websocket_closed_total{reason="message-too-large"} 1')
    expect(await registry.metrics()).toContain('headwater_sync_streams_count{transport="websocket"} 0')
  })

  test('before the setup is not even received', async () => {
    const { url, registry } = await start()
    const client = await connectRsocket(url)
    for (let piece = 0; piece < 40; piece++) client.webSocket.send(Buffer.alloc(8 * 1024), { fin: false })
    expect(await client.closed).toMatchObject({ code: 1006 })
    await expect
      .poll(() => registry.metrics())
      .toContain('headwater_websocket_closed_total{reason="message-too-large"} 1')
  })

  test('may be compressed by few of those who have not said who they are; others go on uncompressed', async () => {
    const { url } = await start({ openStream: endlessLines })
    const silent: RsocketClient[] = []
    for (let index = 0; index < 32; index++) silent.push(await connectRsocket(url, COMPRESSED))
    expect(silent.every(({ extensions }) => extensions.startsWith('permessage-deflate'))).toBe(true)
    const late = await connectRsocket(url, COMPRESSED)
    expect(late.extensions).toBe('')
    late.setup()
    late.request()
    expect(await late.next()).toMatchObject({ kind: 'next' })

    silent[0]?.setup()
    silent[1]?.webSocket.terminate()
    const extensionsNow = async (): Promise<string> => (await connectRsocket(url, COMPRESSED)).extensions
    await expect.poll(extensionsNow).toContain('permessage-deflate')
  })
})

describe('a flood', () => {
  test('of frames before the token is verified ends the connection', async () => {
    const { url, opened } = await start({ verify: () => new Promise(() => {}) })
    const client = await connectRsocket(url)
    inOnePiece(client, () => {
      client.setup()
      for (let index = 0; index < 33; index++) client.request({ streamId: 2 * index + 1 })
    })
    expect(await client.next()).toMatchObject({ kind: 'error', streamId: 0, code: 0x101 })
    expect(await client.closed).toEqual(PROTOCOL_ERROR)
    expect(opened).toEqual([])
  })

  test('of long frames before the token is verified is not read', async () => {
    const { url, opened } = await start({ verify: () => new Promise(() => {}) })
    const client = await openRsocket(url)
    for (let index = 0; index < 10; index++) client.request({ data: Buffer.alloc(4 * 1024 * 1024) })
    const waiting = await untilStill(() => client.webSocket.bufferedAmount)
    expect(waiting).toBeGreaterThan(20_000_000)
    expect(opened).toEqual([])
  })

  test.each<[what: string, send: (client: RsocketClient) => void]>([
    ['KEEPALIVE frames', (client) => client.keepalive('x'.repeat(30_000))],
    ['pings', (client) => client.webSocket.ping('x'.repeat(120))],
    ['requests that are refused', (client) => client.request({ metadata: { path: '/other' } })],
  ])('of %s whose answers are not read ends the connection', async (_what, send) => {
    const { url, registry } = await start()
    const client = await openRsocket(url)
    await client.settle()
    client.webSocket.pause()
    const reason = 'headwater_websocket_closed_total{reason="slow-client"} 1'
    let isOver = false
    for (let round = 0; !isOver && round < 2_000; round++) {
      for (let index = 0; index < 500; index++) send(client)
      await new Promise((resolve) => setImmediate(resolve))
      isOver = (await registry.metrics()).includes(reason)
    }
    expect(await registry.metrics()).toContain(reason)
  })
})

describe('time', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('ends a connection that does not introduce itself', async () => {
    const { url, registry } = await start()
    const client = await connectRsocket(url)
    await vi.advanceTimersByTimeAsync(15_001)
    expect(await client.closed).toEqual({ code: 1008, reason: 'there was no setup in time' })
    await vi.waitFor(async () =>
      expect(await registry.metrics()).toContain('headwater_websocket_closed_total{reason="setup-timeout"} 1'),
    )
  })

  test('ends a connection whose token nobody verifies', async () => {
    const { url } = await start({ verify: () => new Promise(() => {}) })
    const client = await openRsocket(url)
    client.request()
    await vi.waitFor(() => expect(client.webSocket.bufferedAmount).toBe(0))
    await vi.advanceTimersByTimeAsync(15_001)
    expect(await client.closed).toEqual({ code: 1008, reason: 'there was no setup in time' })
  })

  test('ends a connection that is silent for longer than the client said it would be', async () => {
    const { url, registry } = await start({ openStream: endlessLines, verify: longLived })
    const client = await openRsocket(url, { lifetimeMs: 30_000 })
    client.request()
    await client.next()
    for (let seconds = 0; seconds < 100; seconds += 20) {
      await vi.advanceTimersByTimeAsync(20_000)
      await client.settle()
    }
    expect(client.webSocket.readyState).toBe(client.webSocket.OPEN)
    await vi.advanceTimersByTimeAsync(30_001)
    expect(await client.closed).toMatchObject({ code: 1006 })
    await vi.waitFor(async () =>
      expect(await registry.metrics()).toContain('headwater_sync_streams_count{transport="websocket"} 0'),
    )
  })

  test('ends a connection a minute after its token, whatever its client asks for', async () => {
    const expiresAtMs = NOW_MS + 20_000
    const { url } = await start({
      openStream: endlessLines,
      verify: async () => ({ kind: 'verified', user: { userId: 'u1', claims: {}, expiresAtMs } }),
    })
    const client = await openRsocket(url)
    client.request({ credit: 0 })
    await client.settle()
    await vi.advanceTimersByTimeAsync(79_000)
    await client.settle()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(await client.closed).toEqual({ code: 1008, reason: 'the token has expired' })
  })

  test('ends a connection whose client asks for more and takes nothing for five minutes', async () => {
    const line = encodeBson({ text: 'x'.repeat(100_000) })
    let produced = 0
    const { url, registry } = await start({
      openStream: async function* () {
        for (; ; produced++) yield line
      },
      verify: longLived,
    })
    const client = await openRsocket(url, { lifetimeMs: 600_000 })
    await client.settle()
    client.webSocket.pause()
    client.request({ credit: 1_000_000 })
    await untilIdle(() => produced)
    await vi.advanceTimersByTimeAsync(299_000)
    expect(await registry.metrics()).not.toContain('slow-client')
    await vi.advanceTimersByTimeAsync(2_000)
    await vi.waitFor(async () =>
      expect(await registry.metrics()).toContain('headwater_websocket_closed_total{reason="slow-client"} 1'),
    )
  })
})

async function longLived(): Promise<{ kind: 'verified'; user: StreamOpen['user'] }> {
  return { kind: 'verified', user: { userId: 'u1', claims: {}, expiresAtMs: NOW_MS + 86_400_000 } }
}

/** Everything arrives at once, so that the service finds it in one read. */
function inOnePiece(client: RsocketClient, send: () => void): void {
  const socket = Reflect.get(client.webSocket, '_socket')
  socket.cork()
  send()
  socket.uncork()
}

/** Resolves when the value stays the same for many turns of the event loop. */
async function untilIdle(read: () => number): Promise<void> {
  let last = -1
  while (last !== read()) {
    last = read()
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
}
