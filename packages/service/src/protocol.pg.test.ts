import { createServer, request as sendRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { decodeBson, splitBson } from '@headwater/protocol'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { authorized, openLines, openStage, type RawLine, type Stage, tokenOf } from './protocol.test-parts.ts'

const TABLES = `
  CREATE TABLE lists (id text PRIMARY KEY, owner text, name text, n bigint, r float8);
  CREATE TABLE items (id text PRIMARY KEY, project text, title text);
  INSERT INTO lists VALUES ('L1', 'ann', 'Groceries', 9007199254740993, 1), ('L2', 'ann', 'Zoë 🛒', 2, 0.5);
  INSERT INTO items SELECT 'p1-' || n, 'p1', 'one' FROM generate_series(1, 5) n;
  INSERT INTO items SELECT 'p2-' || n, 'p2', 'two' FROM generate_series(1, 5) n`

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  mine:
    auto_subscribe: true
    priority: 1
    query: SELECT * FROM lists WHERE owner = auth.user_id()
  project:
    priority: 3
    accept_potentially_dangerous_queries: true
    query: SELECT * FROM items WHERE project = subscription.parameter('project')
`

let stage: Stage
beforeAll(async () => {
  stage = await openStage({ tables: TABLES, syncConfig: SYNC_CONFIG })
})
afterAll(() => stage[Symbol.asyncDispose]())

const subscribe = (stream: string, parameters: object | null, override_priority: number | null) => ({
  stream,
  parameters,
  override_priority,
})

test('[protocol 21, 22, 23, 31, 32, 33, 44, 51, 56] every line is one object under one key, and a checkpoint comes first', async () => {
  await using stream = await openLines(stage.url, tokenOf('ann'), { raw_data: true })
  const lines = await stream.until('checkpoint_complete')

  expect(lines.map(({ kind }) => kind)).toEqual(['checkpoint', 'data', 'checkpoint_complete'])
  for (const { text, json } of lines) {
    expect(text).toMatch(/^\{.*\}\n$/)
    expect(Object.keys(json)).toHaveLength(1)
    expect(text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')).not.toMatch(/\d[.eE]/)
  }
  const [bucket] = jsonAt(lines, 0).checkpoint.buckets
  expect(jsonAt(lines, 0).checkpoint.buckets).toHaveLength(1)
  expect(bucket).toMatchObject({ count: 2, priority: 1, subscriptions: [{ default: 0 }] })
  expect(bucket.bucket).not.toMatch(/^\$/)
  const sum = jsonAt(lines, 1).data.data.reduce(
    (total: number, { checksum }: { checksum: number }) => total + checksum,
    0,
  )
  expect(bucket.checksum).toBe(sum | 0)
  expect(jsonAt(lines, 1).data.data).toHaveLength(2)
})

test('[protocol 34, 35, 36, 54, 55] a bucket of several subscriptions comes once, with all reasons and the smallest priority', async () => {
  await using stream = await openLines(stage.url, tokenOf('ann'), {
    raw_data: true,
    streams: {
      subscriptions: [
        subscribe('project', { project: 'p1' }, null),
        subscribe('nowhere', null, null),
        subscribe('project', { project: 'p1' }, 2),
        subscribe('project', { project: 'p2' }, 0),
        subscribe('mine', null, null),
      ],
    },
  })
  const { streams, buckets } = jsonAt(await stream.until('checkpoint_complete'), 0).checkpoint
  expect(streams).toEqual([
    { name: 'mine', is_default: true, errors: [], buckets: 1 },
    { name: 'project', is_default: false, errors: [], buckets: 2 },
  ])
  const facts = buckets.map(({ priority, count, subscriptions }: Record<string, unknown>) => [
    priority,
    count,
    subscriptions,
  ])
  expect(new Map(facts.map((fact: unknown[]) => [fact[0], fact]))).toEqual(
    new Map([
      [1, [1, 2, expect.arrayContaining([{ default: 0 }, { sub: 4 }])]],
      [2, [2, 5, [{ sub: 0 }, { sub: 2 }]]],
      [0, [0, 5, [{ sub: 3 }]]],
    ]),
  )
})

test('[protocol 27] without raw_data rows are nested as they are stored, digit by digit', async () => {
  await using stream = await openLines(stage.url, tokenOf('ann'), {})
  const lines = await stream.until('checkpoint_complete')
  expect(lines[1]?.text).toContain('"data":{"id":"L1","owner":"ann","name":"Groceries","n":9007199254740993,"r":1.0}')
})

test('[protocol 16, 17, 25, 26] in BSON documents follow each other, with integers and with rows as text', async () => {
  const stop = new AbortController()
  const response = await fetch(`${stage.url}/sync/stream`, {
    method: 'POST',
    body: '{}',
    headers: {
      ...authorized('ann'),
      accept: 'application/vnd.powersync.bson-stream;q=0.9,application/x-ndjson;q=0.8',
    },
    signal: stop.signal,
  })
  expect(response.headers.get('content-type')).toBe('application/vnd.powersync.bson-stream')
  const documents: Uint8Array[] = []
  for await (const document of splitBson(bodyOf(response))) {
    documents.push(document)
    if ('checkpoint_complete' in decodeBson(document)) break
  }
  stop.abort()
  const [checkpoint = new Uint8Array(0), data = new Uint8Array(0)] = documents
  // In BSON the type of an element stands before its name: 0x10 is a whole number of 32 bits, 0x02 a text.
  for (const name of ['count', 'priority', 'default']) {
    expect(Buffer.from(checkpoint).includes(`\u0010${name}\0`)).toBe(true)
    expect(Buffer.from(checkpoint).includes(`\u0001${name}\0`)).toBe(false)
  }
  expect(Buffer.from(data).includes('\u0002data\0')).toBe(true)
  expect(decodeBson(data)).toMatchObject({ data: { data: [{ data: expect.stringContaining('"L1"') }, {}] } })
})

test('[protocol 39, 42, 43, 58, 59] changes of a row keep its subkey, and its removal names what it removes', async () => {
  await using stream = await openLines(stage.url, tokenOf('carl'), { raw_data: true })
  await stream.until('checkpoint_complete')
  const ops: Record<string, string>[] = []
  for (const sql of [
    `INSERT INTO lists VALUES ('C1', 'carl', 'a', 1, 1)`,
    `UPDATE lists SET name = 'b' WHERE id = 'C1'`,
    `DELETE FROM lists WHERE id = 'C1'`,
  ]) {
    await stage.database.sql(sql)
    const lines = await stream.until('checkpoint_complete')
    const announced = lines.find(({ kind }) => kind === 'checkpoint_diff')?.json.checkpoint_diff
    expect(announced).toMatchObject({ removed_buckets: [], updated_buckets: [{ count: ops.length + 1 }] })
    const data = lines.find(({ kind }) => kind === 'data')?.json.data
    expect(BigInt(data.after)).toBeLessThan(BigInt(data.data[0].op_id))
    expect(BigInt(announced.last_op_id)).toBeGreaterThanOrEqual(BigInt(data.data[0].op_id))
    ops.push(...data.data)
  }
  expect(ops).toMatchObject([
    { op: 'PUT', object_type: 'lists', object_id: 'C1' },
    { op: 'PUT', object_type: 'lists', object_id: 'C1', subkey: ops[0]?.['subkey'] },
    { op: 'REMOVE', object_type: 'lists', object_id: 'C1', subkey: ops[0]?.['subkey'] },
  ])
})

test('[protocol 52] a row larger than a line is sent in a line of its own', async () => {
  await stage.database.sql(`INSERT INTO items VALUES ('big', 'large', repeat('x', 3000000)), ('small', 'large', 's')`)
  await expect
    .poll(
      async () => {
        await using stream = await openLines(stage.url, tokenOf('ann'), {
          raw_data: true,
          streams: { include_defaults: false, subscriptions: [subscribe('project', { project: 'large' }, null)] },
        })
        const lines = await stream.until('checkpoint_complete')
        return idsByLine(lines)
      },
      { timeout: 10_000 },
    )
    .toEqual([['big'], ['small']])
})

test('[protocol 72, 73, 74, 75, 76, 38] a write checkpoint ascends, and comes with what was written before, on an idle source too', async () => {
  const ask = async (query: string): Promise<string> => {
    const response = await fetch(`${stage.url}/write-checkpoint2.json${query}`, { headers: authorized('dora') })
    expect(response.status).toBe(200)
    return ((await response.json()) as { data: { write_checkpoint: string } }).data.write_checkpoint
  }
  await using named = await openLines(stage.url, tokenOf('dora'), { raw_data: true, client_id: 'c-01' })
  await named.until('checkpoint_complete')
  const numbers: bigint[] = []
  for (const round of [1, 2, 3]) {
    await stage.database.sql(`INSERT INTO lists VALUES ('D${round}', 'dora', 'x', 1, 1)`)
    const number = await ask('?client_id=c-01')
    expect(number).toMatch(/^[1-9]\d*$/)
    numbers.push(BigInt(number))
    const seen = new Set<string>()
    for (let isCovered = false; !isCovered;) {
      const lines = await named.until('checkpoint_complete')
      for (const { json } of lines) for (const { object_id } of json.data?.data ?? []) seen.add(object_id)
      const { write_checkpoint } = jsonAt(lines, 0).checkpoint_diff
      isCovered = write_checkpoint !== undefined && BigInt(write_checkpoint) >= BigInt(number)
      if (round > 1) expect(write_checkpoint).toMatch(/^\d+$/)
    }
    expect(seen).toContain(`D${round}`)
  }
  expect(numbers).toEqual(numbers.toSorted((a, b) => (a < b ? -1 : 1)))
  expect(new Set(numbers).size).toBe(3)

  // For the user alone: nothing to those with a name.
  const alone = await ask('')
  await expect
    .poll(async () => {
      await using stream = await openLines(stage.url, tokenOf('dora'), {})
      return (await stream.next())?.json.checkpoint.write_checkpoint
    })
    .toBe(alone)
  await using again = await openLines(stage.url, tokenOf('dora'), { client_id: 'c-01' })
  expect((await again.next())?.json.checkpoint.write_checkpoint).toBe(String(numbers[2]))
})

test('[protocol 75, 77, 78] the number of a client is announced once what was written before is there', async () => {
  const ask = async (number: string | number): Promise<Response> =>
    fetch(`${stage.url}/sync/checkpoint-request`, {
      method: 'POST',
      body: JSON.stringify({ client_id: 'c-02', checkpoint_request_id: number }),
      headers: authorized('emil'),
    })
  await using stream = await openLines(stage.url, tokenOf('emil'), { raw_data: true, client_id: 'c-02' })
  await stream.until('checkpoint_complete')
  await stage.database.sql(`INSERT INTO lists VALUES ('E1', 'emil', 'x', 1, 1)`)
  expect(await (await ask('2')).json()).toEqual({ data: { checkpoint_request_id: '2' } })
  expect(await (await ask(1)).json()).toEqual({ data: { checkpoint_request_id: '2' } })
  const seen: string[] = []
  for (let announced: string | undefined; announced !== '2';) {
    const lines = await stream.until('checkpoint_complete')
    for (const { json } of lines) for (const { object_id } of json.data?.data ?? []) seen.push(object_id)
    announced = jsonAt(lines, 0).checkpoint_diff.write_checkpoint
  }
  expect(seen).toEqual(['E1'])
  expect((await ask('0')).status).toBe(400)
})

test('the oldest clients are told the checkpoint that has their writes', async () => {
  await stage.database.sql(`INSERT INTO lists VALUES ('F1', 'fay', 'x', 1, 1)`)
  const response = await fetch(`${stage.url}/write-checkpoint.json`, { headers: authorized('fay') })
  const { data } = (await response.json()) as { data: { checkpoint: string } }
  await using stream = await openLines(stage.url, tokenOf('fay'), { raw_data: true })
  const lines = await stream.until('checkpoint_complete')
  const [put] = jsonAt(lines, 1).data.data
  expect(put.object_id).toBe('F1')
  expect(BigInt(data.checkpoint)).toBeGreaterThanOrEqual(BigInt(put.op_id))
})

test('[protocol 65, 66] a token that expired within the last minute gets one line, and the stream ends in good order', async () => {
  await using stream = await openLines(stage.url, tokenOf('ann', -30), { raw_data: true })
  expect((await stream.next())?.text).toBe('{"token_expires_in":0}\n')
  expect(await stream.next()).toBeUndefined()
})

test('[protocol 1] behind a proxy that strips a prefix all paths work', async () => {
  const inner = new URL(stage.url)
  const proxy = createServer((message, response) => {
    const path = (message.url ?? '').replace(/^\/sync-service/, '')
    const forwarded = sendRequest({
      host: inner.hostname,
      port: inner.port,
      path,
      method: message.method,
      headers: message.headers,
    })
    forwarded.on('response', (answer) => answer.pipe(response.writeHead(answer.statusCode ?? 500, answer.headers)))
    forwarded.on('error', () => response.destroy())
    response.on('close', () => forwarded.destroy())
    message.pipe(forwarded)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/sync-service`
  await using stream = await openLines(url, tokenOf('ann'), { raw_data: true })
  await stream.until('checkpoint_complete')
  const headers = authorized('ann')
  expect((await fetch(`${url}/write-checkpoint2.json?client_id=c-01`, { headers })).status).toBe(200)
  const body = JSON.stringify({ client_id: 'c-01', checkpoint_request_id: 1 })
  expect((await fetch(`${url}/sync/checkpoint-request`, { method: 'POST', headers, body })).status).toBe(200)
})

test('[protocol 53] another sync config ends all streams in good order, and buckets have other names', async () => {
  await using before = await openLines(stage.url, tokenOf('ann'), { raw_data: true })
  const [first] = await before.until('checkpoint_complete')
  const outcome = await stage.service.replaceSyncConfig(
    SYNC_CONFIG.replace('SELECT * FROM lists', 'SELECT id, owner FROM lists'),
  )
  expect(outcome).toMatchObject({ kind: 'replaced' })
  let line = await before.next()
  while (line?.kind === 'token_expires_in') line = await before.next()
  expect(line?.text).toBe('{"stream_end":{"reason":"config_changed"}}\n')
  expect(await before.next()).toBeUndefined()
  const names: string[] = []
  await expect
    .poll(
      async () => {
        const response = await fetch(`${stage.url}/probes/readiness`)
        return response.status
      },
      { timeout: 20_000 },
    )
    .toBe(200)
  await using after = await openLines(stage.url, tokenOf('ann'), { raw_data: true })
  const [again] = await after.until('checkpoint_complete')
  names.push(first?.json.checkpoint.buckets[0].bucket, again?.json.checkpoint.buckets[0].bucket)
  expect(names[0]).not.toBe(names[1])
})

function idsByLine(lines: readonly RawLine[]): readonly (readonly string[])[] {
  return lines.flatMap(({ json }) =>
    json.data === undefined ? [] : [json.data.data.map(({ object_id }: { object_id: string }) => object_id)],
  )
}

function bodyOf(response: Response): ReadableStream<Uint8Array> {
  if (response.body === null) throw new Error('there is no body')
  return response.body
}

// oxlint-disable-next-line typescript/no-explicit-any -- Lines of every kind.
function jsonAt(lines: readonly RawLine[], index: number): any {
  const line = lines[index]
  if (line === undefined) throw new Error(`there are only ${lines.length} lines`)
  return line.json
}
