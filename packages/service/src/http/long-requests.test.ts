import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import { gzipSync } from 'node:zlib'
import { encodeBson, type JsonObject } from '@headwater/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Turn } from '@headwater/sync-config'
import { AUTHORIZED, start, TEST_LIMITS } from './http-server.test-parts.ts'
import { readSyncRequest } from './read-sync-request.ts'
import { endlessLines, errorFrame, LINE, linesOf, nextLine, openRsocket } from './rsocket-client.test-parts.ts'
import type { StreamOpen } from './sync-streams.ts'

const BUCKETS = Array.from({ length: 20_000 }, (_, at) => ({ name: `1#todos|0["${at}"]`, after: String(at) }))

describe('reading a request', () => {
  test.each([
    ['json', (request: JsonObject) => Buffer.from(JSON.stringify(request))],
    ['bson', encodeBson],
  ] as const)('of very many buckets in %s lets others run between its parts', async (encoding, encode) => {
    const noted: number[] = []
    const bytes = encode({ client_id: 'c', buckets: BUCKETS, parameters: { a: 1 } })
    const { request, keptBytes } = await readSyncRequest([bytes], reading(encoding, noted))
    expect(request.buckets).toHaveLength(BUCKETS.length)
    expect(request.buckets.at(-1)).toEqual({ name: '1#todos|0["19999"]', after: 19_999n })
    expect(request).toMatchObject({ clientId: 'c', parameters: { a: 1 } })
    expect(noted.length).toBeGreaterThan(bytes.length / 20_000)
    expect(keptBytes).toBeLessThan(200)
  })

  test('of some buckets waits for nobody', async () => {
    const noted: number[] = []
    const buckets = BUCKETS.slice(0, 1_000)
    await readSyncRequest([Buffer.from(JSON.stringify({ buckets }))], reading('json', noted))
    expect(noted).toEqual([])
  })

  /** With turns that are over as soon as they begin. */
  function reading(encoding: 'json' | 'bson', noted: number[]): Parameters<typeof readSyncRequest>[1] {
    const turn: Turn = { isOver: true, isOverAfterStep: () => true, next: async () => void noted.push(1) }
    return { what: 'request', encoding, fieldsOf: (rest) => rest, turn }
  }
})

describe('a request that is refused in its middle', () => {
  test.each([
    ['as it is', {}, Buffer.from(JSON.stringify({ parameters: { a: 'x'.repeat(6_000_000) } }))],
    ['compressed', { 'content-encoding': 'gzip' }, gzipSync(randomBytes(3_000_000).toString('hex'))],
  ])('does not stand in the way of the next one of its connection, %s', async (_how, headers, body) => {
    const { url } = await start()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    const post = async (headers: Record<string, string>, body: string | Buffer): Promise<number | undefined> => {
      const request = httpRequest(`${url}/sync/stream`, {
        method: 'POST',
        agent,
        headers: { ...AUTHORIZED, 'content-type': 'application/json', ...headers },
      })
      request.end(body)
      const [response] = await once(request, 'response')
      response.resume()
      await once(response, 'end')
      return response.statusCode
    }
    expect([await post(headers, body), await post({}, '{}'), await post(headers, body)]).toEqual([413, 200, 413])
  })
})

describe('a long request over WebSockets', () => {
  test.each(['json', 'bson'] as const)('in %s waits for its turn; what comes meanwhile counts', async (encoding) => {
    const opened: StreamOpen[] = []
    const { promise: turn, resolve: beginTurn } = Promise.withResolvers<void>()
    const { url } = await start({
      turns: { begin: () => ({ isOver: true, isOverAfterStep: () => true, next: () => turn }) },
      openStream: (open) => {
        opened.push(open)
        return linesOf([LINE, LINE])
      },
    })
    const client = await openRsocket(url, { encoding })
    client.request({ streamId: 1, data: { buckets: BUCKETS, client_id: 'cancelled' } })
    client.cancel(1)
    client.request({ streamId: 3, credit: 1, data: { buckets: BUCKETS, client_id: 'long' } })
    client.requestN(2, 3)
    client.request({ streamId: 5, data: { client_id: 'short' } })
    for (const streamId of [5, 3]) {
      const complete = { kind: 'complete', streamId }
      expect(await client.take(3)).toEqual([nextLine(streamId, LINE), nextLine(streamId, LINE), complete])
      beginTurn()
    }
    expect(opened.map(({ request }) => [request.clientId, request.buckets.length])).toEqual([
      ['short', 0],
      ['long', BUCKETS.length],
    ])
  })

  test('gives back its memory when it is refused', async () => {
    const { url } = await start({
      openStream: endlessLines,
      limits: { ...TEST_LIMITS, requestMemoryBytesMax: 4 * 1_200_000 },
    })
    const client = await openRsocket(url)
    for (let streamId = 1; streamId < 20; streamId += 2) {
      client.request({ streamId, data: { parameters: { a: 'x'.repeat(1_100_000) } } })
      expect(await client.next()).toEqual(errorFrame(streamId, 0x201, /^\[PSYNC_S2001\] .*more with "parameters"/))
    }
    client.request({ streamId: 21 })
    expect(await client.next()).toEqual(nextLine(21, LINE))
  })

  test.each([
    ['metadata', { metadata: { path: '/sync/stream', a: 'x'.repeat(40_000) } }, /metadata of the request: expected at/],
    [
      'an element',
      { data: { buckets: [{ name: 'x'.repeat(1_100_000), after: '1' }] } },
      /each element of buckets, got/,
    ],
    ['a field', { data: { streams: { subscriptions: [], a: 'x'.repeat(1_100_000) } } }, /got more with "(streams|a)"/],
  ])('with %s beyond all measure is refused on its stream, in both encodings', async (_what, options, said) => {
    const { url } = await start({ openStream: endlessLines })
    for (const encoding of ['json', 'bson'] as const) {
      const client = await openRsocket(url, { encoding })
      client.request(options)
      expect(await client.next()).toEqual(errorFrame(1, 0x201, said))
    }
  })
})
