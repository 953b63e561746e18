import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { HttpParts } from './http-parts.ts'
import { AUTHORIZED, endless, open, withToken } from './http-server.test-parts.ts'
import type { HttpServer } from './server.ts'

describe('a connection that another server has taken', () => {
  test('is served as one of its own', async () => {
    const { url, server } = await startBehind()
    const response = await fetch(`${url}/write-checkpoint2.json`, { headers: AUTHORIZED })
    expect(await response.json()).toEqual({ data: { write_checkpoint: '1' } })
    await server.stop(5_000)
  })

  test('ends at a line when the server stops, and stopping waits for it', async () => {
    const { url, server } = await startBehind({ openStream: endless })
    const response = await fetch(`${url}/sync/stream`, withToken({}))
    const text = response.text()
    await server.stop(5_000)
    expect(await text).toBe('{"token_expires_in":60}\n')
  })

  test('is cut off with its request half sent, when the time to stop is up', async () => {
    const { url, server, accepted } = await startBehind()
    const client = connect(Number(new URL(url).port), '127.0.0.1')
    onTestFinished(() => void client.destroy())
    await accepted
    client.write('GET /probes/liveness HT')
    const closed = once(client.resume(), 'close')
    await server.stop(100)
    await closed
  })
})

/** The listener belongs to the test; the server that is tested never listens. */
async function startBehind(parts: Partial<HttpParts> = {}): Promise<{
  readonly url: string
  readonly server: HttpServer
  readonly accepted: Promise<void>
}> {
  const { server } = open(parts)
  const accepted = Promise.withResolvers<void>()
  const front = createServer({ pauseOnConnect: true }, (socket) => {
    server.accept(socket)
    socket.resume()
    accepted.resolve()
  })
  await once(front.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void front.close())
  return { url: `http://127.0.0.1:${(front.address() as AddressInfo).port}`, server, accepted: accepted.promise }
}
