import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { authorized, openLines, openStage, send, type Stage, tokenOf } from './protocol.test-parts.ts'

const OPERATOR_TOKEN = 'a-token-for-tests-of-operators'

const JSON_TYPE = 'application/json; charset=utf-8'

const TABLES = `
  CREATE TABLE notes (id text PRIMARY KEY, owner text, body text);
  INSERT INTO notes VALUES ('N1', 'ann', 'one')`

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  mine:
    auto_subscribe: true
    query: SELECT * FROM notes WHERE owner = auth.user_id()
`

let stage: Stage
beforeAll(async () => {
  stage = await openStage({
    tables: TABLES,
    syncConfig: SYNC_CONFIG,
    settings: { api: { tokens: [OPERATOR_TOKEN] }, limits: { connectionsMax: 20 } },
  })
})
afterAll(() => stage[Symbol.asyncDispose]())

/** A sync stream that ends at once and in good order: its token has just expired. */
const short = (): string => `Token ${tokenOf('ann', -30)}`

describe('every path', () => {
  const CALLS = [
    ['POST', '/sync/stream'],
    ['GET', '/write-checkpoint2.json'],
    ['POST', '/sync/checkpoint-request'],
    ['GET', '/probes/liveness'],
    ['POST', '/api/admin/v1/diagnostics'],
    ['GET', '/api/sync-rules/v1/current'],
    ['GET', '/nowhere'],
  ] as const

  test.each(CALLS)('[protocol 11] %s %s answers a preflight, empty, with what clients send', async (method, path) => {
    const { status, headers, body } = await send(stage.url, 'OPTIONS', path, {
      origin: 'https://app.example',
      'access-control-request-method': method,
    })
    expect([status, body.length]).toEqual([204, 0])
    expect(headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET,HEAD,POST',
      'access-control-allow-headers': 'Content-Type, Authorization, User-Agent, X-User-Agent',
      'access-control-max-age': '3600',
    })
  })

  test.each(CALLS)('[protocol 12] %s %s may be read by scripts of any origin, refused or not', async (method, path) => {
    for (const authorization of [undefined, short(), `Token ${OPERATOR_TOKEN}`]) {
      const { headers } = await send(stage.url, method, path, authorization === undefined ? {} : { authorization })
      expect(headers['access-control-allow-origin']).toBe('*')
    }
  })

  test('[protocol 4, 10] that does not exist is 404 with the code for it', async () => {
    const { status, headers, json } = await send(stage.url, 'GET', '/sync/streams')
    expect([status, headers['content-type']]).toEqual([404, JSON_TYPE])
    expect(json()).toMatchObject({
      error: { code: 'PSYNC_S2002', description: expect.any(String), name: expect.any(String) },
    })
  })
})

describe('a token', () => {
  const GUARDED = [
    ['POST', '/sync/stream', '{}'],
    ['GET', '/write-checkpoint2.json', ''],
    ['POST', '/sync/checkpoint-request', '{"client_id":"c-01","checkpoint_request_id":1}'],
  ] as const

  test.each(GUARDED)('[protocol 2] of either form opens %s %s', async (method, path, body) => {
    for (const word of ['Token', 'Bearer']) {
      const token = path === '/sync/stream' ? tokenOf('ann', -30) : tokenOf('ann')
      const headers = { authorization: `${word} ${token}`, 'content-type': 'application/json' }
      expect((await send(stage.url, method, path, headers, body)).status).toBe(200)
    }
  })

  test.each(GUARDED)('[protocol 2] that is missing or of another form is refused by %s %s', async (...call) => {
    const [method, path, body] = call
    for (const authorization of [undefined, '', tokenOf('ann'), `token ${tokenOf('ann')}`, `Basic ${tokenOf('ann')}`]) {
      const headers = { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) }
      const answer = await send(stage.url, method, path, headers, body)
      expect([answer.status, answer.json()]).toMatchObject([401, { error: { code: 'PSYNC_S2106' } }])
    }
  })

  test.each(GUARDED)('[protocol 3] with any fault is 401, never 403: %s %s', async (method, path, body) => {
    const good = tokenOf('ann')
    const faulty = [`${good}x`, `${good.slice(0, -6)}AAAAAA`, 'a.b.c', 'a', tokenOf('ann', -61), tokenOf('ann', 90_000)]
    for (const token of faulty) {
      const headers = { authorization: `Token ${token}`, 'content-type': 'application/json' }
      const answer = await send(stage.url, method, path, headers, body)
      expect([answer.status, answer.json()]).toMatchObject([401, { error: { code: /^PSYNC_S21/ } }].map(matching))
    }
  })

  test('[protocol 15] of an operator must be set, and is compared exactly', async () => {
    const statusOf = async (authorization: string): Promise<number> =>
      (await send(stage.url, 'GET', '/api/sync-rules/v1/current', { authorization })).status
    expect(await statusOf(`Token ${OPERATOR_TOKEN}`)).toBe(200)
    expect(await statusOf(`Bearer ${OPERATOR_TOKEN}`)).toBe(200)
    for (const wrong of [OPERATOR_TOKEN.slice(1), `${OPERATOR_TOKEN}x`, OPERATOR_TOKEN.toUpperCase(), tokenOf('ann')]) {
      expect(await statusOf(`Token ${wrong}`)).toBe(401)
    }
  })
})

describe('a request', () => {
  const ask = (body: string | undefined, headers: Record<string, string> = {}): ReturnType<typeof send> =>
    send(stage.url, 'POST', '/sync/stream', { authorization: short(), ...headers }, body)

  test('[protocol 6, 7] may lack everything, and may have fields of later versions', async () => {
    const whole = {
      buckets: [],
      include_checksum: true,
      raw_data: true,
      parameters: { a: 1 },
      client_id: 'c-01',
      app_metadata: { version: '1' },
      streams: { include_defaults: true, subscriptions: [], later: 1 },
      later: { nested: [1] },
    }
    const partial = Object.keys(whole).map((left) =>
      Object.fromEntries(Object.entries(whole).filter(([key]) => key !== left)),
    )
    for (const body of [whole, ...partial, {}]) {
      const answer = await ask(JSON.stringify(body), { 'content-type': 'application/json' })
      expect([answer.status, answer.text]).toEqual([200, '{"token_expires_in":0}\n'])
    }
  })

  test('[protocol 8] may name any position up to the greatest, as text', async () => {
    for (const after of ['0', '1', '9223372036854775807']) {
      const body = { buckets: [{ name: 'a', after }] }
      await using stream = await openLines(stage.url, tokenOf('ann'), body)
      expect((await stream.next())?.kind).toBe('checkpoint')
    }
    for (const after of ['-1', 'x', '9223372036854775808']) {
      const answer = await ask(JSON.stringify({ buckets: [{ name: 'a', after }] }), {
        'content-type': 'application/json',
      })
      expect([answer.status, answer.json()]).toMatchObject([400, { error: { code: 'PSYNC_S2001' } }])
    }
  })

  test('[protocol 9] of JSON without a body is taken with GET', async () => {
    const answer = await send(stage.url, 'GET', '/write-checkpoint2.json', authorized('ann'))
    expect(answer.status).toBe(200)
    expect((await ask('{}', { 'content-type': 'application/json' })).status).toBe(200)
  })

  test('[protocol 5] has its result wrapped, but for streams and probes', async () => {
    const number = await send(stage.url, 'GET', '/write-checkpoint2.json', authorized('ann'))
    expect(number.json()).toEqual({ data: { write_checkpoint: expect.stringMatching(/^\d+$/) as unknown } })
    const body = '{"client_id":"c-05","checkpoint_request_id":"7"}'
    const stored = await send(stage.url, 'POST', '/sync/checkpoint-request', authorized('ann'), body)
    expect(stored.json()).toEqual({ data: { checkpoint_request_id: '7' } })
    const operator = { authorization: `Token ${OPERATOR_TOKEN}` }
    const diagnostics = await send(stage.url, 'POST', '/api/admin/v1/diagnostics', operator)
    expect(diagnostics.json()).toMatchObject({ data: { connections: [{ id: 'default' }] } })
    const content = '{"content":"streams: {}"}'
    const headers = { ...operator, 'content-type': 'application/json' }
    const validated = await send(stage.url, 'POST', '/api/sync-rules/v1/validate', headers, content)
    expect(validated.json()).toMatchObject({ valid: expect.any(Boolean) as unknown })
    expect((await send(stage.url, 'GET', '/probes/liveness')).json()).not.toHaveProperty('data')
  })

  test('[protocol 14] of a probe needs no token', async () => {
    for (const probe of ['startup', 'readiness', 'liveness']) {
      const answer = await send(stage.url, 'GET', `/probes/${probe}`)
      expect([answer.status, answer.json()]).toMatchObject([200, { ready: true, started: true }])
      expect((answer.json() as { touched_at: string }).touched_at).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
    }
  })
})

describe('a stream', () => {
  const BSON = 'application/vnd.powersync.bson-stream'
  const NDJSON = 'application/x-ndjson'

  test.each([
    [undefined, NDJSON],
    ['*/*', NDJSON],
    ['text/html', NDJSON],
    ['application/json;q=0', NDJSON],
    [NDJSON, NDJSON],
    [BSON, BSON],
    [`${BSON};q=0.9,${NDJSON};q=0.8`, BSON],
    [`${BSON};q=0.8,${NDJSON};q=0.9`, NDJSON],
    [`${BSON},${NDJSON}`, NDJSON],
  ])('[protocol 16, 17, 18, 30] for Accept %s is of exactly the type %s', async (accept, type) => {
    const headers = { authorization: short(), ...(accept === undefined ? {} : { accept }) }
    const answer = await send(stage.url, 'POST', '/sync/stream', headers)
    expect(answer.status).toBe(200)
    expect(answer.headers).toMatchObject({ 'content-type': type, 'x-accel-buffering': 'no' })
  })

  test('[protocol 19] is not compressed for who does not ask for it', async () => {
    const answer = await send(stage.url, 'POST', '/sync/stream', { authorization: short() })
    expect(answer.headers).not.toHaveProperty('content-encoding')
    expect(answer.text).toBe('{"token_expires_in":0}\n')
  })

  test.each([
    ['gzip', gunzipSync],
    ['zstd', zstdDecompressSync],
  ] as const)('is compressed with %s for who asks for it', async (encoding, decompress) => {
    const headers = { authorization: short(), 'accept-encoding': encoding }
    const answer = await send(stage.url, 'POST', '/sync/stream', headers)
    expect(answer.headers['content-encoding']).toBe(encoding)
    expect(decompress(answer.body).toString()).toBe('{"token_expires_in":0}\n')
  })

  test.each(['gzip', 'zstd'])('[protocol 20] compressed with %s shows every line at once', async (encoding) => {
    await using stream = await openLines(
      stage.url,
      tokenOf(encoding),
      { raw_data: true },
      { 'accept-encoding': encoding },
    )
    expect(stream.headers['content-encoding']).toBe(encoding)
    await stream.until('checkpoint_complete')
    for (const n of [1, 2, 3]) {
      await stage.database.sql(`INSERT INTO notes VALUES ('${encoding}-${n}', '${encoding}', 'x')`)
      const lines = await stream.until('checkpoint_complete')
      expect(lines.map(({ kind }) => kind).filter((kind) => kind !== 'token_expires_in')).toEqual([
        'checkpoint_diff',
        'data',
        'checkpoint_complete',
      ])
    }
  })

  test('[protocol 13, 28] beyond the limit is refused with 429 at once, and the place of one that left is free', async () => {
    const streams = await Promise.all(Array.from({ length: 20 }, () => openLines(stage.url, tokenOf('ann'), {})))
    const refused = await send(stage.url, 'POST', '/sync/stream', authorized('ann'), '{}')
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, expect.stringMatching(/^\d+$/)])
    // Other calls are not streams.
    expect((await send(stage.url, 'GET', '/write-checkpoint2.json', authorized('ann'))).status).toBe(200)
    for (const stream of streams) await stream[Symbol.asyncDispose]()
    const again = async (): Promise<number> =>
      (await send(stage.url, 'POST', '/sync/stream', { authorization: short() })).status
    await expect.poll(again).toBe(200)
  })
})

/** Regular expressions within expected values as matchers. */
function matching(value: unknown): unknown {
  if (value instanceof RegExp) return expect.stringMatching(value)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, matching(inner)]))
}
