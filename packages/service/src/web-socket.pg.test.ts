import { afterAll, beforeAll, expect, test } from 'vitest'
import { openRsocket, type RsocketClient } from './http/rsocket-client.test-parts.ts'
import { openStage, type Stage, tokenOf } from './protocol.test-parts.ts'

const TABLES = `
  CREATE TABLE lists (id text PRIMARY KEY, owner text, name text);
  INSERT INTO lists VALUES ('L1', 'ann', 'Groceries'), ('L2', 'bob', 'Not hers')`

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  mine:
    auto_subscribe: true
    query: SELECT * FROM lists WHERE owner = auth.user_id()
`

let stage: Stage
beforeAll(async () => {
  stage = await openStage({ tables: TABLES, syncConfig: SYNC_CONFIG })
})
afterAll(() => stage[Symbol.asyncDispose]())

test.each(['json', 'bson'] as const)(
  '[protocol 79, 80, 81, 82] a client that speaks %s gets its rows, and sees a change',
  async (encoding) => {
    const client = await connect('ann', 300, encoding)
    const [checkpoint, data, complete] = await linesOf(client, 3)
    expect(checkpoint).toMatchObject({ checkpoint: { buckets: [{ count: expect.any(Number), priority: 3 }] } })
    expect(JSON.stringify(data)).toContain(`{\\"id\\":\\"L1\\",\\"owner\\":\\"ann\\"`)
    expect(JSON.stringify(data)).not.toContain('Not hers')
    expect(complete).toHaveProperty('checkpoint_complete')

    await stage.database.sql(`UPDATE lists SET name = 'Food, ${encoding}' WHERE id = 'L1'`)
    const [diff, change] = await linesOf(client, 3)
    expect(diff).toHaveProperty('checkpoint_diff')
    expect(JSON.stringify(change)).toContain(`Food, ${encoding}`)
  },
)

test('[protocol 87] the token’s end is told 20 s before, with no keepalive line until then', async () => {
  const client = await connect('carl', 24)
  const lines = await linesOf(client, 3)
  expect(lines.map((line) => Object.keys(line).join())).toEqual([
    'checkpoint',
    'checkpoint_complete',
    'token_expires_in',
  ])
  expect(lines[2]).toEqual({ token_expires_in: 20 })
})

test('[protocol 87] at the token’s end it is told why, and 0, and the stream completes', async () => {
  const client = await connect('carl', 2)
  expect((await linesOf(client, 4)).slice(2)).toEqual([
    { stream_end: { reason: 'token_expired' } },
    { token_expires_in: 0 },
  ])
  expect(await client.next()).toEqual({ kind: 'complete', streamId: 1 })
})

test('[protocol 87] a token that has just expired gets 0 and nothing else', async () => {
  const client = await connect('carl', -30)
  expect(await linesOf(client, 1)).toEqual([{ token_expires_in: 0 }])
  expect(await client.next()).toEqual({ kind: 'complete', streamId: 1 })
})

test('[protocol 85] a token that has expired is refused on stream 0', async () => {
  const client = await connect('carl', -60)
  expect(await client.next()).toMatchObject({
    kind: 'error',
    streamId: 0,
    code: 3,
    text: expect.stringContaining('[PSYNC_S2103] '),
  })
})

test('[protocol 83] lines of a real download wait for credit', async () => {
  const client = await openRsocket(stage.url, { metadata: { token: `Token ${tokenOf('ann')}` } })
  client.request({ credit: 1 })
  await linesOf(client, 1)
  await client.settle()
  expect(client.frames.filter(({ kind }) => kind === 'next')).toHaveLength(1)
  client.requestN(2)
  expect((await linesOf(client, 2))[1]).toHaveProperty('checkpoint_complete')
})

async function connect(userId: string, ttlSeconds: number, encoding: 'json' | 'bson' = 'json'): Promise<RsocketClient> {
  const token = tokenOf(userId, ttlSeconds)
  const client = await openRsocket(stage.url, { encoding, metadata: { token: `Bearer ${token}` } })
  client.request()
  return client
}

async function linesOf(client: RsocketClient, count: number): Promise<object[]> {
  const lines: object[] = []
  while (lines.length < count) {
    const frame = await client.next()
    if (frame?.kind === 'keepalive') continue
    if (frame?.kind !== 'next') throw new Error(`Expected a line, got ${JSON.stringify(frame)}`)
    lines.push(frame.line)
  }
  return lines
}
