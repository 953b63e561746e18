/** Clients that misuse WebSockets and RSocket. */
import { encodeBson } from '@headwater/protocol'
import { readSeeds, seededRandom } from '@headwater/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { firstOf, inParallel, mutate, openSocket } from './attack.ts'
import { frame, openWebSocket, requestFrame, setupFrame } from './rsocket.ts'
import { ATTACKERS, type HostileStage, openHostileStage, RICH_ATTACKER } from './stage.ts'

let stage: HostileStage
beforeAll(async () => {
  stage = await openHostileStage()
})
afterAll(() => stage[Symbol.asyncDispose]())

const [seed = 0] = readSeeds(process.env, 1)
const attacker = (index: number): string => ATTACKERS[1 + (index % (ATTACKERS.length - 1))] ?? ''

const REQUEST = {
  buckets: [{ name: '1#mine|0["victim-0"]', after: '5' }],
  parameters: { list: 'list-victim-0' },
  raw_data: true,
  streams: {
    include_defaults: true,
    subscriptions: [{ stream: 'picked', parameters: { list: 'list-victim-0' }, override_priority: 1 }],
  },
}

test(`frames with random mistakes end their connection at worst (seed ${seed})`, async () => {
  const random = seededRandom(seed)
  const sent = await stage.endure(() =>
    inParallel(400, async (index) => {
      const encoding = index % 2 === 0 ? 'json' : 'bson'
      const setup = setupFrame(stage.token(attacker(index)), encoding)
      const request = requestFrame(REQUEST, { encoding })
      const broken = index % 4 === 0 ? mutate(random, setup) : setup
      const frames = [broken, mutate(random, request), frame(0, 3, 0x80, [Buffer.alloc(8)]), mutate(random, request)]
      const client = await openWebSocket(stage.recorder.url, { perMessageDeflate: index % 3 === 0 })
      for (const one of frames) client.send(one)
      client.webSocket.ping()
      await Promise.race([client.closed, client.until('checkpoint_complete'), patience(300)])
      client.close()
    }),
  )
  expect(sent.includes('PSYNC_S2001')).toBe(true)
  expect(stage.service.readLog().filter((line) => line.includes('"level":"error"'))).toEqual([])
})

test(`bytes that are no WebSocket frames, behind a good handshake, end the connection (seed ${seed})`, async () => {
  const random = seededRandom(seed)
  await stage.endure(() =>
    inParallel(200, async () => {
      const socket = await openSocket(stage.recorder.url)
      if (socket === undefined) return
      socket.write(
        'GET /sync/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n',
      )
      await firstOf(socket, 1_000)
      socket.write(Buffer.from(Array.from({ length: random.between(1, 300) }, () => random.integer(256))))
      await firstOf(socket, 100)
      socket.destroy()
    }),
  )
})

test('huge messages, whole, in pieces, compressed, and never ended, take bounded memory', async () => {
  const zeros = Buffer.alloc(7 * 1024 * 1024)
  const deep = encodeNested(3_000)
  await stage.endure(() =>
    inParallel(60, async (index) => {
      const client = await openWebSocket(stage.recorder.url, { perMessageDeflate: index % 2 === 0 })
      if (index % 3 !== 0) client.send(setupFrame(stage.token(attacker(index)), 'bson'))
      const { webSocket } = client
      if (index % 4 === 0) client.send(requestFrame(zeros, { encoding: 'bson' }))
      else if (index % 4 === 1) client.send(requestFrame(deep, { encoding: 'bson' }))
      else
        for (let piece = 0; piece < 50; piece++)
          if (webSocket.readyState === 1) webSocket.send(zeros.subarray(0, 150_000), { fin: false })
      await Promise.race([client.closed, patience(3_000)])
      client.close()
    }),
  )
})

test('connections that never say who they are go, the oldest first', async () => {
  const clients: Awaited<ReturnType<typeof openWebSocket>>[] = []
  await stage.endure(async () => {
    await inParallel(700, async () => {
      clients.push(await openWebSocket(stage.recorder.url))
    })
  })
  expect(clients.filter(({ webSocket }) => webSocket.readyState === 1).length).toBeLessThanOrEqual(300)
  for (const client of clients) client.close()
})

test('a thousand streams that want everything and read nothing are bounded, and end with their connections', async () => {
  const clients: Awaited<ReturnType<typeof openWebSocket>>[] = []
  await stage.endure(async () => {
    await inParallel(60, async (index) => {
      const client = await openWebSocket(stage.recorder.url, { perMessageDeflate: index % 2 === 0 })
      clients.push(client)
      client.send(setupFrame(stage.token(index % 3 === 0 ? RICH_ATTACKER : attacker(index))))
      client.webSocket.pause()
      for (let stream = 0; stream < 17; stream++) {
        client.send(requestFrame({ raw_data: true }, { streamId: 2 * stream + 1, credit: 0x7fffffff }))
      }
      for (let flood = 0; flood < 500; flood++)
        client.send(frame(0, 3, 0x80, [Buffer.alloc(8), Buffer.alloc(500, 'x')]))
    })
    await patience(1_000)
  })
  for (const client of clients) client.close()
  await expect
    .poll(
      async () => (await (await fetch(`${stage.service.url}/metrics`)).text()).includes('transport="websocket"} 0'),
      { timeout: 30_000 },
    )
    .toBe(true)
})

function patience(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

/** Documents in each other, deeper than is read. */
function encodeNested(depth: number): Buffer {
  let bytes = Buffer.from(encodeBson({}))
  for (let level = 0; level < depth; level++) {
    const length = Buffer.alloc(4)
    length.writeInt32LE(bytes.length + 8)
    bytes = Buffer.concat([length, Buffer.of(3, 0x61, 0), bytes, Buffer.of(0)])
  }
  return bytes
}
