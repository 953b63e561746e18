import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { VerifyResult } from '../auth/claims.ts'
import { endless, NOW_MS, openSlowly, start, TEST_LIMITS } from './http-server.test-parts.ts'
import { endlessLines, openRsocket } from './rsocket-client.test-parts.ts'
import type { StreamOpen } from './sync-streams.ts'

/** The token is the user's name. */
async function verify(token: string): Promise<VerifyResult> {
  return { kind: 'verified', user: { userId: token, claims: { sub: token }, expiresAtMs: NOW_MS + 60_000 } }
}

function post(userId: string, body: object = {}): RequestInit {
  const headers = { authorization: `Token ${userId}`, 'content-type': 'application/json' }
  return { method: 'POST', headers, body: JSON.stringify(body) }
}

async function openSocket(url: string, head: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(head)
  return socket
}

function endOf(socket: Socket): Promise<unknown> {
  socket.resume()
  return once(socket, 'close')
}

describe('one user', () => {
  test('has a limit of streams of its own, over both transports; others are served', async () => {
    const limits = { ...TEST_LIMITS, userConnectionsMax: 2 }
    const { url, registry } = await start({ verify, openStream: endlessLines, limits })
    const http = await fetch(`${url}/sync/stream`, post('ann'))
    const webSocket = await openRsocket(url, { metadata: { token: 'Token ann' } })
    webSocket.request()
    await webSocket.next()
    const third = await fetch(`${url}/sync/stream`, post('ann'))
    expect([http.status, third.status]).toEqual([200, 429])
    expect(third.headers.get('retry-after')).toBe('5')
    expect(await third.json()).toMatchObject({ error: { code: 'PSYNC_S2304', description: /of this user/ } })
    const fourth = await openRsocket(url, { metadata: { token: 'Token ann' } })
    expect(await fourth.next()).toMatchObject({ kind: 'error', streamId: 0, text: /^\[PSYNC_S2304\]/ })
    expect((await fetch(`${url}/sync/stream`, post('bob'))).status).toBe(200)
    expect(await registry.metrics()).toContain('headwater_limits_reached_total{limit="user-connections"} 2')
  })

  test('who asks too often is told to come back; others are answered', async () => {
    const { url, registry } = await start({ verify, limits: { ...TEST_LIMITS, userRequestsPerSecond: 1 } })
    const ask = async (userId: string): Promise<number> => {
      const headers = { authorization: `Token ${userId}` }
      return (await fetch(`${url}/write-checkpoint2.json`, { headers })).status
    }
    for (let request = 0; request < 20; request++) expect(await ask('ann')).toBe(200)
    expect([await ask('ann'), await ask('bob')]).toEqual([429, 200])
    const stream = await fetch(`${url}/sync/stream`, post('ann'))
    expect(await stream.json()).toMatchObject({ error: { code: 'PSYNC_S2001', status: 429 } })
    expect(await registry.metrics()).toContain('headwater_limits_reached_total{limit="user-requests"} 2')
  })

  test('cannot take all places of those who wait for write checkpoints', async () => {
    const limits = { ...TEST_LIMITS, writeCheckpointsMax: 3, userWriteCheckpointsMax: 2 }
    const waiting = Promise.withResolvers<bigint>()
    const { url } = await start({ verify, limits, requestWriteCheckpoint: () => waiting.promise })
    const ask = (userId: string): Promise<Response> =>
      fetch(`${url}/write-checkpoint2.json`, { headers: { authorization: `Token ${userId}` } })
    const first = [ask('ann'), ask('ann')]
    await expect
      .poll(async () => (await Promise.race([ask('ann'), Promise.resolve(undefined)]))?.status)
      .toBe(undefined)
    expect((await ask('ann')).status).toBe(429)
    const ofBob = ask('bob')
    waiting.resolve(7n)
    expect((await Promise.all([...first, ofBob])).map(({ status }) => status)).toEqual([200, 200, 200])
  })

  test('cannot take all memory for requests, which an open stream holds for its parameters', async () => {
    const limits = { ...TEST_LIMITS, requestMemoryBytesMax: 400_000 }
    const { url } = await start({ verify, openStream: endless, limits })
    const long = { parameters: { text: 'x'.repeat(60_000) } }
    const first = await fetch(`${url}/sync/stream`, post('ann', long))
    const second = await fetch(`${url}/sync/stream`, post('ann', long))
    expect([first.status, second.status]).toEqual([200, 429])
    expect((await fetch(`${url}/sync/stream`, post('bob', long))).status).toBe(200)
    // Positions are not kept.
    const positions = Array.from({ length: 1_000 }, (_, at) => ({ name: `bucket-${at}-${'x'.repeat(30)}`, after: '1' }))
    for (let stream = 0; stream < 5; stream++) {
      expect((await fetch(`${url}/sync/stream`, post('carl', { buckets: positions }))).status).toBe(200)
    }
    await first.body?.cancel()
    await expect.poll(async () => (await fetch(`${url}/sync/stream`, post('ann', long))).status).toBe(200)
  })
})

describe('a stranger', () => {
  test('who opens many connections and sends nothing loses the oldest; a client is served meanwhile', async () => {
    const limits = { ...TEST_LIMITS, newcomersMax: 20 }
    const { url, registry } = await start({ openStream: endless, limits })
    const first = await openSocket(url, 'POST /sync/stream HTTP/1.1\r\nX-Slow: ')
    const isOver = endOf(first)
    for (let index = 0; index < 40; index++) await openSocket(url, 'GET /')
    await isOver
    expect((await fetch(`${url}/sync/stream`, post('good'))).status).toBe(200)
    expect(await registry.metrics()).toMatch(/headwater_limits_reached_total\{limit="newcomers"\} 2\d/)
    expect(await registry.metrics()).toMatch(/headwater_newcomers_count (?:19|20)\n/)
  })

  test('can have no open stream cut off, however many connections come', async () => {
    const limits = { ...TEST_LIMITS, newcomersMax: 5 }
    const { url } = await start({ openStream: endlessLines, limits })
    const stream = await fetch(`${url}/sync/stream`, post('good'))
    const webSocket = await openRsocket(url)
    webSocket.request()
    await webSocket.next()
    for (let index = 0; index < 30; index++) await openSocket(url, 'GET /')
    await webSocket.settle()
    const reader = stream.body?.getReader()
    expect((await reader?.read())?.done).toBe(false)
    expect(await Promise.race([reader?.read(), webSocket.settle()])).toBeUndefined()
  })

  test('who sends a long body gets 401 before it has come', async () => {
    const { url } = await start()
    const head =
      'POST /sync/stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n{'
    const socket = await openSocket(url, head)
    socket.write('x'.repeat(20_000))
    const [answer] = await once(socket, 'data')
    expect(String(answer)).toMatch(/^HTTP\/1\.1 401 /)
  })
})

describe('a client that does not read', () => {
  test('is cut off after a while, compressed or not', async () => {
    const limits = { ...TEST_LIMITS, stalledSecondsMax: 1 }
    const { url, registry } = await start({ openStream: floods, limits })
    const sockets = [await openSlowly(url, 'identity'), await openSlowly(url, 'gzip')]
    await expect
      .poll(() => registry.metrics(), { timeout: 8_000 })
      .toContain('headwater_limits_reached_total{limit="stalled-reader"} 2')
    await Promise.all(sockets.map(endOf))
    await expect.poll(() => registry.metrics()).toContain('headwater_sync_streams_count{transport="http"} 0')
  })

  test('is cut off at once when too much waits for all, if most of it is its user’s', async () => {
    const limits = { ...TEST_LIMITS, waitingBytesMax: 1_000_000 }
    const { url, registry } = await start({ openStream: floods, limits })
    for (let index = 0; index < 6; index++) await openSlowly(url, 'identity')
    await expect
      .poll(() => registry.metrics(), { timeout: 8_000 })
      .toMatch(/headwater_limits_reached_total\{limit="slow-readers"\} \d/)
  })
})

/** Lines that do not compress. */
async function* floods(_open: StreamOpen, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const noise = Buffer.alloc(256 * 1024)
  for (let at = 0, state = 1; at < noise.length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    noise.writeInt32LE(state, at)
  }
  while (!signal.aborted) yield noise
}
