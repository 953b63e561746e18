/** Clients that misuse HTTP: malformed, huge, slow, or very many. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { encodeBson } from '@headwater/protocol'
import { readSeeds, seededRandom } from '@headwater/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { inParallel, mutate, openSocket, post, throwAt } from './attack.ts'
import { ATTACKERS, type HostileStage, openHostileStage, RICH_ATTACKER } from './stage.ts'

let stage: HostileStage
beforeAll(async () => {
  stage = await openHostileStage()
})
afterAll(() => stage[Symbol.asyncDispose]())

const [seed = 0] = readSeeds(process.env, 1)
/** A busy machine needs a while to see that thousands have gone. */
const PATIENCE_MS = 30_000

const PATHS = ['/sync/stream', '/sync/checkpoint-request', '/write-checkpoint2.json', '/api/admin/v1/diagnostics']
const attacker = (index: number): string => ATTACKERS[1 + (index % (ATTACKERS.length - 1))] ?? ''

const BODY = {
  buckets: [{ name: '1#mine|0["mallory-1"]', after: '5' }],
  client_id: 'c1',
  parameters: { list: 'list-victim-0', n: 1.5, deep: [[[{}]]] },
  app_metadata: { app: 'x' },
  raw_data: true,
  streams: {
    include_defaults: true,
    subscriptions: [{ stream: 'picked', parameters: { list: 'x' }, override_priority: 1 }],
  },
  checkpoint_request_id: '7',
}

test(`bodies and heads with random mistakes are answered, and nothing else happens (seed ${seed})`, async () => {
  const random = seededRandom(seed)
  const bodies = [Buffer.from(JSON.stringify(BODY)), Buffer.from(encodeBson(BODY)), gzipSync(JSON.stringify(BODY))]
  const attacks = Array.from({ length: 600 }, (_, index) => {
    const isGzip = index % 3 === 2
    const path = PATHS[index % PATHS.length] ?? ''
    const options = {
      path,
      token: stage.token(attacker(index)),
      ...(isGzip ? { headers: { 'Content-Encoding': 'gzip' } } : {}),
    }
    const whole = post(mutate(random, bodies[index % 3] ?? Buffer.of()), options)
    return index % 2 === 0 ? whole : mutate(random, whole)
  })
  const sent = await stage.endure(() =>
    inParallel(attacks.length, async (index) => {
      await throwAt(stage.recorder.url, attacks[index] ?? '', 300)
    }),
  )
  for (const status of [200, 400]) expect(sent.includes(`HTTP/1.1 ${status} `)).toBe(true)
  expect(sent.includes('PSYNC_S0001')).toBe(false)
  expect(stage.service.readLog().filter((line) => line.includes('"level":"error"'))).toEqual([])
})

test('requests that two servers could read differently are refused', async () => {
  const body = JSON.stringify(BODY)
  const token = stage.token(attacker(1))
  const heads = [
    { 'Transfer-Encoding': 'chunked' },
    { 'Transfer-Encoding': ' chunked, identity' },
    { 'Content-Length': '5, 900' },
    { 'Content-Length': '-1' },
    { 'Content-Length': '0x10' },
    { 'Bad\u0000Name': 'x' },
    { 'X-Long': 'x'.repeat(70_000) },
  ]
  const answers: string[] = []
  await stage.endure(async () => {
    for (const headers of heads) answers.push(await throwAt(stage.recorder.url, post(body, { token, headers })))
  })
  for (const answer of answers) expect(answer).toMatch(/^(?:HTTP\/1\.1 4\d\d |$)/)
})

test('huge bodies, and small ones that unpack into huge ones, take bounded memory', async () => {
  const bomb = gzipSync(Buffer.alloc(300 * 1024 * 1024, ' '), { level: 9 })
  const deep = '['.repeat(2_000_000)
  const many = `{"parameters":{"list":[${Array(1_000_000).fill('{}').join()}]}}`
  const long = JSON.stringify({ parameters: { text: 'x'.repeat(7_000_000) } })
  const digits = JSON.stringify({ parameters: { text: '1'.repeat(1_000_000) } })
  const headers = { 'Content-Encoding': 'gzip' }
  await stage.endure(() =>
    inParallel(16, async (index) => {
      const token = index % 2 === 0 ? stage.token(attacker(index)) : undefined
      await throwAt(stage.recorder.url, post(bomb, { token, headers }), 3_000)
      const body = [deep, many, long, digits][index % 4] ?? ''
      await throwAt(stage.recorder.url, post(body, { token }), 3_000)
      await throwAt(stage.recorder.url, post(gzipSync(body), { token, headers }), 3_000)
    }),
  )
})

test('heads and bodies that come byte by byte, or never, hold nobody up', async () => {
  const token = stage.token(attacker(1))
  const heads = [
    'POST /sync/stream HTTP/1.1\r\nHost: x\r\nX-Slow: ',
    `POST /sync/stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16000\r\n\r\n{"a":"`,
    `POST /sync/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Token ${token}\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n{"a":"`,
    `POST /sync/checkpoint-request HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n{"a":"`,
  ]
  const slow: Socket[] = []
  await stage.endure(async () => {
    await inParallel(1_200, async (index) => {
      const socket = await openSocket(stage.recorder.url)
      if (socket === undefined) return
      slow.push(socket)
      socket.write(heads[index % heads.length] ?? '')
    })
    for (let round = 0; round < 20; round++) {
      for (const socket of slow) if (!socket.destroyed) socket.write('x'.repeat(round === 19 ? 8_000 : 1))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(
      (await fetch(`${stage.service.url}/write-checkpoint2.json`, { headers: { authorization: `Token ${token}` } }))
        .status,
    ).toBe(200)
  })
  // Of those who had not said who they are, only as many are left as may be.
  await expect
    .poll(() => readMetric('headwater_limits_reached_total{limit="newcomers"}'), { timeout: PATIENCE_MS })
    .toBeGreaterThan(500)
  expect(await readMetric('headwater_newcomers_count')).toBeLessThanOrEqual(300)
  for (const socket of slow) socket.destroy()
})

test('downloads that are never read are cut off, and what waits for them is bounded', async () => {
  const token = stage.token(RICH_ATTACKER)
  const readers: Socket[] = []
  await stage.endure(async () => {
    await inParallel(24, async (index) => {
      const socket = await openSocket(stage.recorder.url)
      if (socket === undefined) return
      readers.push(socket)
      socket.pause()
      socket.write(post('{"raw_data":true}', { token, headers: index % 2 === 0 ? { 'Accept-Encoding': 'gzip' } : {} }))
    })
    await expect
      .poll(() => readMetric('headwater_limits_reached_total{limit="stalled-reader"}'), { timeout: PATIENCE_MS })
      .toBeGreaterThan(0)
  })
  for (const socket of readers) socket.destroy()
})

test('ten thousand connections that come and go leave nothing behind', async () => {
  const tokens = ATTACKERS.map((userId) => stage.token(userId))
  await stage.endure(() =>
    inParallel(10_000, async (index) => {
      const socket = await openSocket(stage.recorder.url)
      if (socket === undefined) return
      // A third asks for a stream, a third for nothing that there is, and a third says nothing at all.
      if (index % 3 !== 2) {
        const body = index % 3 === 0 ? '{"raw_data":true}' : '{"buckets":7}'
        socket.write(post(body, { token: tokens[index % tokens.length] }))
        await Promise.race([once(socket, 'data'), once(socket, 'close')])
      }
      socket.destroy()
    }),
  )
  await expect
    .poll(() => readMetric('headwater_sync_streams_count{transport="http"}'), { timeout: PATIENCE_MS })
    .toBe(1)
  await expect.poll(() => readMetric('headwater_newcomers_count'), { timeout: PATIENCE_MS }).toBeLessThan(20)
})

test('a flood of tokens with unknown key ids makes few fetches, and good tokens are verified meanwhile', async () => {
  const before = stage.countKeyFetches()
  const known = stage.signedToken('victim-1', 'known')
  const statuses: number[] = []
  await stage.endure(async () => {
    const flood = inParallel(1_500, async (index) => {
      await throwAt(
        stage.recorder.url,
        post('{}', { token: stage.signedToken(attacker(index), `kid-${index}`) }),
        4_000,
      )
    })
    for (let request = 0; request < 20; request++) {
      const headers = { authorization: `Token ${known}` }
      statuses.push((await fetch(`${stage.service.url}/write-checkpoint2.json`, { headers })).status)
    }
    await flood
  })
  expect(statuses).toEqual(Array(20).fill(200))
  expect(stage.countKeyFetches() - before).toBeLessThanOrEqual(12)
})

async function readMetric(name: string): Promise<number> {
  const text = await (await fetch(`${stage.service.url}/metrics`)).text()
  const line = text.split('\n').find((one) => one.startsWith(`${name} `))
  return Number(line?.slice(name.length + 1) ?? 0)
}
