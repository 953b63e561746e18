/** What a checkpoint line says about how much of its limits a client has. */
import { decodeBson, splitBson } from '@headwater/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openRsocket } from './http/rsocket-client.test-parts.ts'
import { authorized, openLines, openStage, type RawLine, type Stage, tokenOf } from './protocol.test-parts.ts'

const TABLES = `
  CREATE TABLE lists (id text PRIMARY KEY, owner text);
  CREATE TABLE items (id text PRIMARY KEY, project text);
  CREATE TABLE members (id text PRIMARY KEY, project text, person text);
  INSERT INTO lists VALUES ('L1', 'ann');
  INSERT INTO items SELECT 'i' || n, 'p' || n FROM generate_series(1, 9) n;
  INSERT INTO members VALUES ('a1', 'p1', 'ann'), ('a2', 'p2', 'ann');
  INSERT INTO members SELECT 'm' || n, 'p' || n, 'max' FROM generate_series(1, 7) n`

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  mine:
    auto_subscribe: true
    priority: 1
    query: SELECT * FROM lists WHERE owner = auth.user_id()
  joined:
    auto_subscribe: true
    query: SELECT * FROM items WHERE project IN (SELECT project FROM members WHERE person = auth.user_id())
  chosen:
    accept_potentially_dangerous_queries: true
    query: SELECT * FROM items WHERE project = subscription.parameter('project')
`

const BUCKETS_MAX = 6

let stage: Stage
beforeAll(async () => {
  stage = await openStage({
    tables: TABLES,
    syncConfig: SYNC_CONFIG,
    settings: { limits: { bucketsMax: BUCKETS_MAX } },
  })
})
afterAll(() => stage[Symbol.asyncDispose]())

const choose = (...projects: readonly string[]) => ({
  raw_data: true,
  streams: {
    subscriptions: projects.map((project) => ({ stream: 'chosen', parameters: { project }, override_priority: null })),
  },
})

const TOO_MANY = `[PSYNC_S2305] Too many buckets (limit of ${BUCKETS_MAX})`

test('a bucket of two streams counts in both, and once in all', async () => {
  // p1 is given by both; p3 by two subscriptions.
  const { limits, buckets, streams } = await checkpointOf('ann', choose('p1', 'p3', 'p3'))
  expect(limits).toEqual({ buckets: 4, buckets_max: BUCKETS_MAX })
  expect(buckets).toHaveLength(4)
  expect(streams).toEqual([
    { name: 'mine', is_default: true, errors: [], buckets: 1 },
    { name: 'joined', is_default: true, errors: [], buckets: 2 },
    { name: 'chosen', is_default: false, errors: [], buckets: 2 },
  ])
})

test('over HTTP as BSON, and over a WebSocket, the figures are the same', async () => {
  const { limits, streams } = await checkpointOf('ann', choose('p1'))
  const expected = { checkpoint: { limits, streams } }
  const client = await openRsocket(stage.url, { metadata: { token: `Token ${tokenOf('ann')}` } })
  client.request({ data: choose('p1') })
  expect(await client.next()).toMatchObject({ kind: 'next', line: expected })

  const document = await firstDocument('ann', choose('p1'))
  expect(decodeBson(document)).toMatchObject(expected)
  // The type of an element stands before its name: 0x10 is a whole number of 32 bits.
  for (const name of ['buckets', 'buckets_max']) expect(Buffer.from(document).includes(`\u0010${name}\0`)).toBe(true)
})

test('a client without buckets, and a stream without them, have figures too', async () => {
  const nothing = await checkpointOf('ann', { raw_data: true, streams: { include_defaults: false, subscriptions: [] } })
  expect(nothing).toMatchObject({ limits: { buckets: 0, buckets_max: BUCKETS_MAX }, buckets: [], streams: [] })
  const { streams } = await checkpointOf('zoe', { raw_data: true })
  expect(streams[1]).toEqual({ name: 'joined', is_default: true, errors: [], buckets: 0 })
})

test('a stream that is left out has no buckets, and its error says how many it would have', async () => {
  const { limits, buckets, streams } = await checkpointOf('max', choose('p8', 'p9'))
  expect(limits).toEqual({ buckets: 3, buckets_max: BUCKETS_MAX })
  expect(buckets).toHaveLength(3)
  expect(streams).toEqual([
    { name: 'mine', is_default: true, errors: [], buckets: 1 },
    {
      name: 'joined',
      is_default: true,
      errors: [{ subscription: 'default', message: TOO_MANY, buckets: 7 }],
      buckets: 0,
    },
    { name: 'chosen', is_default: false, errors: [], buckets: 2 },
  ])
})

test('a client that does not ask for streams is told as well', async () => {
  const { limits, streams } = await checkpointOf('ann', {})
  expect([limits.buckets, streams.map(({ buckets }: { buckets: number }) => buckets)]).toEqual([3, [1, 2]])
})

test('figures that change are no reason for a whole line: it comes when a stream is left out, and when it is back', async () => {
  await using stream = await openLines(stage.url, tokenOf('bea'), { raw_data: true, streams: { subscriptions: [] } })
  expect(only(await stream.until('checkpoint_complete')).checkpoint.limits.buckets).toBe(1)
  const join = (count: number): string =>
    `INSERT INTO members SELECT 'bea' || n, 'p' || n, 'bea' FROM generate_series(1, ${count}) n ON CONFLICT DO NOTHING`
  const touch = (id: string): string => `INSERT INTO lists VALUES ('${id}', 'bea')`
  const after = async (sql: string): Promise<RawLine['json']> => {
    await stage.database.sql(sql)
    return only(await stream.until('checkpoint_complete'))
  }

  const { checkpoint_diff } = await after(join(5))
  expect(checkpoint_diff).toEqual({
    last_op_id: expect.any(String),
    removed_buckets: [],
    updated_buckets: Array.from({ length: 5 }, () => expect.objectContaining({ subscriptions: [{ default: 1 }] })),
  })
  const full = await after(join(6))
  expect(full.checkpoint).toMatchObject({ limits: { buckets: 1 }, streams: [{ buckets: 1 }, { buckets: 0 }] })
  expect(full.checkpoint.streams[1].errors).toEqual([{ subscription: 'default', message: TOO_MANY, buckets: 6 }])
  // Had the seventh been worth a line, it would come before that of the list.
  await stage.database.sql(join(7))
  expect(await after(touch('B1'))).toMatchObject({ checkpoint_diff: { updated_buckets: [{ count: 1 }] } })
  const back = await after(`DELETE FROM members WHERE id IN ('bea1', 'bea2')`)
  expect(back.checkpoint).toMatchObject({
    limits: { buckets: 6, buckets_max: BUCKETS_MAX },
    streams: [{ buckets: 1 }, { buckets: 5, errors: [] }],
  })
})

async function checkpointOf(userId: string, body: object): Promise<RawLine['json']> {
  await using stream = await openLines(stage.url, tokenOf(userId), body)
  return only(await stream.until('checkpoint_complete')).checkpoint
}

/** The line about a checkpoint among those of one round. */
function only(lines: readonly RawLine[]): RawLine['json'] {
  const found = lines.filter(({ kind }) => kind === 'checkpoint' || kind === 'checkpoint_diff')
  expect(found).toHaveLength(1)
  return found[0]?.json
}

async function firstDocument(userId: string, body: object): Promise<Uint8Array> {
  const response = await fetch(`${stage.url}/sync/stream`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { ...authorized(userId), accept: 'application/vnd.powersync.bson-stream' },
  })
  if (response.body === null) throw new Error('Expected a stream')
  for await (const document of splitBson(response.body)) {
    return document
  }
  throw new Error('Expected a document')
}
