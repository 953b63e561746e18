import { createServer, connect, type Socket, type AddressInfo } from 'node:net'
import { createTestDatabase, startTestPostgres, type TestPostgres } from '@headwater/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EVERYTHING, startReplication } from './replication.test-parts.ts'

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startTestPostgres({ settings: { wal_sender_timeout: '1s' } })
})

afterAll(async () => {
  await postgres.stop()
})

test('a network that swallows everything without a word is noticed and left', { timeout: 30_000 }, async () => {
  await using db = await createTestDatabase(postgres)
  await db.sql(`CREATE TABLE notes (id text PRIMARY KEY)`)
  await using proxy = await startProxy(postgres.port)
  const url = new URL(db.url)
  url.port = String(proxy.port)
  await using service = await startReplication(
    { url: url.href, name: db.name },
    { config: `${EVERYTHING}SELECT * FROM notes` },
  )
  await service.settle()

  const interrupted = service.waitForEvent('replication-interrupted')
  proxy.swallow()
  await db.sql(`INSERT INTO notes VALUES ('1')`)
  expect((await interrupted).fields).toMatchObject({ code: 'source-unreachable' })
  await service.settle()
  expect([...(await service.rows()).keys()]).toEqual(['notes/1'])
})

test('a connection for questions that swallows everything does not keep write checkpoints waiting for ever', async () => {
  await using db = await createTestDatabase(postgres)
  await db.sql(`CREATE TABLE notes (id text PRIMARY KEY)`)
  await using proxy = await startProxy(postgres.port)
  const url = new URL(db.url)
  url.port = String(proxy.port)
  await using service = await startReplication(
    { url: url.href, name: db.name },
    { config: `${EVERYTHING}SELECT * FROM notes`, queryTimeoutMs: 500, pollMs: 600_000 },
  )
  await service.settle()

  // That one is opened first; the stream goes on.
  proxy.swallow(1)
  const { replicator } = service
  const waiting = [replicator().requestWriteCheckpoint('ann'), replicator().requestCheckpointNumber('bob', 7n)]
  const failure = {
    code: 'source-unreachable',
    message: expect.stringContaining('did not answer a query within 0.5 s'),
  }
  await Promise.all(waiting.map((one) => expect(one).rejects.toMatchObject(failure)))
  await db.sql(`INSERT INTO notes VALUES ('1')`)
  await service.settle()
  expect([...(await service.rows()).keys()]).toEqual(['notes/1'])
  expect(await replicator().requestCheckpointNumber('bob', 7n)).toBe(7n)
})

/** Passes bytes on until told to swallow those of the connections that are open. */
async function startProxy(port: number) {
  const pairs: (readonly [Socket, Socket])[] = []
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const socket of [near, far]) socket.on('error', () => {})
    near.pipe(far)
    far.pipe(near)
    pairs.push([near, far])
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', resolve)
  await promise
  const address = server.address() as AddressInfo
  return {
    port: address.port,
    /** The oldest `count` of them. */
    swallow: (count = pairs.length) => {
      const open = pairs.filter(([near]) => !near.destroyed)
      for (const [near, far] of open.slice(0, count)) {
        near.unpipe(far)
        far.unpipe(near)
        near.resume()
        far.resume()
      }
    },
    [Symbol.asyncDispose]: async () => {
      server.close()
      for (const pair of pairs) for (const socket of pair) socket.destroy()
    },
  }
}
