/** Clients with a token of their own, who ask for what is not theirs. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { firstOf, inParallel, openSocket, post, throwAt } from './attack.ts'
import { ATTACKERS, CANARY, type HostileStage, openHostileStage, OWN, VICTIMS } from './stage.ts'
import { startRecorder } from './recorder.ts'
import { openWebSocket, requestFrame, setupFrame } from './rsocket.ts'
import { unpack } from './unpack.ts'

let stage: HostileStage
beforeAll(async () => {
  stage = await openHostileStage()
})
afterAll(() => stage[Symbol.asyncDispose]())

const [ATTACKER = ''] = ATTACKERS.slice(1)
const [VICTIM = ''] = VICTIMS

/** Opens a stream and takes what comes of it until it is silent. */
async function download(
  url: string,
  body: object,
  headers: Readonly<Record<string, string>> = {},
  userId = ATTACKER,
): Promise<void> {
  const socket = await openSocket(url)
  if (socket === undefined) return
  socket.write(post(JSON.stringify(body), { token: stage.token(userId), headers }))
  for (let isOver = false; !isOver;) isOver = (await firstOf(socket, 400)) === ''
  socket.destroy()
}

const ENCODINGS = [
  {},
  { 'Accept-Encoding': 'gzip' },
  { 'Accept-Encoding': 'zstd', Accept: 'application/vnd.powersync.bson-stream' },
]

describe('the search', () => {
  test('finds the rows of whoever owns them, in every format, compressed or not', async () => {
    await using recorder = await startRecorder(stage.service.url)
    for (const headers of ENCODINGS) await download(recorder.url, { raw_data: true }, headers, VICTIM)
    for (const perMessageDeflate of [false, true]) {
      const client = await openWebSocket(recorder.url, { perMessageDeflate })
      client.send(setupFrame(stage.token(VICTIM)))
      client.send(requestFrame({}))
      await client.until('checkpoint_complete')
      client.close()
    }
    const found = recorder.read().map((recording) => Buffer.concat(unpack(recording)).includes(`${CANARY}-task`))
    expect(found).toEqual([true, true, true, true, true])
  })
})

describe('a client gets no byte of another user’s rows', () => {
  test('for names of their buckets, positions in them, or positions beyond all that there is', async () => {
    const names = await bucketNames(VICTIM)
    expect(names.length).toBeGreaterThan(1)
    const afters = ['0', '1', '9223372036854775807', '4611686018427387904']
    const own = await bucketNames(ATTACKER)
    const sent = await stage.endure(async () => {
      for (const headers of ENCODINGS) {
        for (const after of afters) {
          const buckets = [...names, ...own].map((name) => ({ name, after }))
          await download(stage.recorder.url, { raw_data: true, buckets }, headers)
        }
      }
    })
    expect(sent.includes(`${OWN}-task`)).toBe(true)
  })

  test('for parameters and a thousand subscriptions that name what is theirs', async () => {
    const lists = [...VICTIMS, ATTACKER].map((name) => `list-${name}`)
    const subscriptions = Array.from({ length: 1_000 }, (_, index) => ({
      stream: ['picked', 'mine', 'shared', 'none'][index % 4],
      parameters: { list: lists[index % lists.length], user_id: VICTIM, owner: VICTIM, sub: VICTIM, n: index },
      override_priority: index % 4,
    }))
    const parameters = { user_id: VICTIM, sub: VICTIM, owner: VICTIM, list: lists[0] }
    const body = { raw_data: true, client_id: VICTIM, parameters, streams: { include_defaults: true, subscriptions } }
    const many = Array.from({ length: 20 }, () => subscriptions).flat()
    const sent = await stage.endure(async () => {
      for (const headers of ENCODINGS) await download(stage.recorder.url, body, headers)
      await download(stage.recorder.url, { ...body, streams: { subscriptions: many } })
    })
    expect(sent.includes(`${OWN}-task`)).toBe(true)
    expect(sent.includes('PSYNC_S2305')).toBe(true)
  })

  test('for forged client ids, nor can it move a write checkpoint of theirs', async () => {
    const ids = [VICTIM, `${VICTIM}/c1`, '', '/', '../victim-0', '%2F', `/${VICTIM}`, 'c1\u0000', '__proto__']
    const ask = async (userId: string, id: string): Promise<unknown> => {
      const url = `${stage.service.url}/write-checkpoint2.json?client_id=${encodeURIComponent(id)}`
      return (await fetch(url, { headers: { authorization: `Token ${stage.token(userId)}` } })).json()
    }
    const numberOf = async (): Promise<bigint> => {
      const { data } = (await ask(VICTIM, 'c1')) as { readonly data: { readonly write_checkpoint: string } }
      return BigInt(data.write_checkpoint)
    }
    const before = await numberOf()
    await stage.endure(async () => {
      for (const userId of [ATTACKER, `${VICTIM}/c1`, `${VICTIM}%2Fc1`]) {
        for (const id of ids) {
          const token = stage.token(userId)
          const body = JSON.stringify({ client_id: id, checkpoint_request_id: '9223372036854775807' })
          await throwAt(stage.recorder.url, post(body, { path: '/sync/checkpoint-request', token }))
          await throwAt(stage.recorder.url, post(JSON.stringify({ client_id: id }), { token }))
        }
      }
    })
    const after = await numberOf()
    expect(after).toBeGreaterThan(before)
    expect(after).toBeLessThan(9_000_000_000_000_000_000n)
  })

  test('for tokens that are nobody’s: cut, joined, signed by others, or of no algorithm', async () => {
    const good = stage.token(VICTIM)
    const [head = '', payload = '', signature = ''] = good.split('.')
    const [, otherPayload = ''] = stage.token(ATTACKER).split('.')
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    const tokens = [
      `${head}.${payload}.`,
      `${none}.${payload}.`,
      `${none}.${payload}.${signature}`,
      `${head}.${otherPayload}.${signature}`,
      `${head}.${payload}.${signature.slice(0, -2)}`,
      `${good}.${signature}`,
      stage.signedToken(VICTIM, 'unknown'),
      `${head}.${'A'.repeat(20_000)}.${signature}`,
    ]
    const sent = await stage.endure(() =>
      inParallel(tokens.length * 4, async (index) => {
        await throwAt(stage.recorder.url, post('{}', { token: tokens[index % tokens.length] }))
      }),
    )
    expect(sent.includes('HTTP/1.1 200')).toBe(false)
    expect(sent.includes('HTTP/1.1 401')).toBe(true)
  })
})

/** As a client of its owner sees them. */
async function bucketNames(userId: string): Promise<readonly string[]> {
  const response = await fetch(`${stage.service.url}/sync/stream`, {
    method: 'POST',
    headers: { authorization: `Token ${stage.token(userId)}`, 'content-type': 'application/json' },
    body: '{"raw_data":true}',
  })
  let text = ''
  for await (const piece of response.body ?? []) {
    text += Buffer.from(piece).toString()
    if (text.includes('\n')) break
  }
  const line = JSON.parse(text.slice(0, text.indexOf('\n'))) as {
    readonly checkpoint: { readonly buckets: readonly { readonly bucket: string }[] }
  }
  return line.checkpoint.buckets.map(({ bucket }) => bucket)
}
