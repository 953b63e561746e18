import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { encodeBson } from '@headwater/protocol'
import { expect, test } from 'vitest'
import { chunksOf, NOW_MS, openRevocations, openSlowly, start } from './http-server.test-parts.ts'
import { openRsocket } from './rsocket-client.test-parts.ts'

/** Of the user that every token of these tests is of. */
const EVERY_TOKEN = { userId: 'u1', clientId: undefined, tokenId: undefined, issuedBeforeMs: NOW_MS }

test.each(['identity', 'gzip'])(
  'a client that reads nothing of its stream is cut off when its token is revoked (%s)',
  async (encoding) => {
    const revocations = openRevocations()
    const { url, registry } = await start({
      revocations,
      openStream: async function* () {
        for (;;) yield randomBytes(65_536)
      },
    })
    const socket = await openSlowly(url, encoding)
    await expect.poll(() => registry.metrics()).toContain('headwater_sync_streams_count{transport="http"} 1')
    const closed = once(socket, 'close')
    await revocations.add([EVERY_TOKEN], 'table')
    socket.resume()
    await closed
    await expect.poll(() => registry.metrics()).toContain('headwater_sync_streams_count{transport="http"} 0')
  },
)

test.each([
  ['reads nothing', 0x7fffffff],
  ['asks for nothing', 0],
])('a client that %s of its stream over a WebSocket is cut off when its token is revoked', async (_what, credit) => {
  const revocations = openRevocations()
  const line = encodeBson({ text: 'x'.repeat(60_000) })
  const { url, registry } = await start({
    revocations,
    openStream: async function* () {
      for (;;) yield line
    },
  })
  const client = await openRsocket(url)
  client.webSocket.pause()
  client.request({ credit })
  await expect.poll(() => registry.metrics()).toContain('headwater_sync_streams_count{transport="websocket"} 1')
  await revocations.add([EVERY_TOKEN], 'table')
  await expect.poll(() => registry.metrics()).toContain('headwater_websocket_closed_total{reason="token-revoked"} 1')
  expect(await registry.metrics()).toContain('headwater_sync_streams_count{transport="websocket"} 0')
})

test('a token that is revoked while it is verified, or while the body is read, opens no stream', async () => {
  const revocations = openRevocations()
  const { url, opened } = await start({
    revocations,
    verify: async () => {
      await revocations.add([EVERY_TOKEN], 'operator')
      return { kind: 'verified', user: { userId: 'u1', claims: { sub: 'u1', iat: 0 }, expiresAtMs: NOW_MS + 60_000 } }
    },
    openStream: () => chunksOf(['{"token_expires_in":60}\n']),
  })
  const response = await fetch(`${url}/sync/stream`, { method: 'POST', headers: { authorization: 'Token good' } })
  expect([response.status, await response.text()]).toEqual([200, '{"token_expires_in":0}\n'])
  expect(opened).toEqual([])
})
