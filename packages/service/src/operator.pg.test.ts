import { afterAll, beforeAll, expect, test } from 'vitest'
import { authorized, openLines, openStage, type Stage, tokenOf } from './protocol.test-parts.ts'

const TOKEN = 'a-token-for-tests-of-operators'

const SYNC_CONFIG = `config:
  edition: 3
streams:
  mine:
    auto_subscribe: true
    query: SELECT id, owner FROM lists WHERE owner = auth.user_id() AND id IN (SELECT list FROM members)
`

let stage: Stage
beforeAll(async () => {
  stage = await openStage({
    tables: `
      CREATE TABLE lists (id text PRIMARY KEY, owner text, n numeric, tags text[], at timestamptz, big int8);
      CREATE TABLE members (id text PRIMARY KEY, list text);
      INSERT INTO lists VALUES ('L1', 'ann', 1, '{}', now(), 1);
      INSERT INTO members VALUES ('m1', 'L1')`,
    syncConfig: SYNC_CONFIG,
    settings: { api: { tokens: [TOKEN], port: 0 } },
  })
})
afterAll(() => stage[Symbol.asyncDispose]())

test('operators have a listener of their own, which clients cannot use', async () => {
  expect(stage.service.operatorUrl).not.toBe(stage.url)
  expect((await fetch(`${stage.url}/api/sync-rules/v1/current`, { headers: operator() })).status).toBe(404)
  const headers = authorized('ann')
  expect((await fetch(`${stage.service.operatorUrl}/write-checkpoint2.json`, { headers })).status).toBe(404)
  const upgrade = { ...headers, connection: 'upgrade', upgrade: 'websocket' }
  expect(
    (await fetch(`${stage.service.operatorUrl}/sync/stream`, { headers: upgrade }).catch(() => undefined))?.status,
  ).not.toBe(101)
})

test('[protocol 5] diagnostics say how source, config and tables are, and no password', async () => {
  const { status, text, json } = await call('/api/admin/v1/diagnostics', { sync_rules_content: true })
  expect(status).toBe(200)
  expect(json.data.connections).toEqual([
    {
      id: 'default',
      postgres_uri: expect.stringMatching(/^postgres/),
      uri: expect.any(String),
      connected: true,
      errors: [],
    },
  ])
  expect(text).not.toContain(new URL(stage.database.url).password || 'no password')
  const active = json.data.active_sync_rules
  expect(active).toMatchObject({ content: SYNC_CONFIG })
  expect(active.connections[0]).toMatchObject({
    id: 'default',
    tag: 'default',
    initial_replication_done: true,
    wal_status: 'reserved',
    last_lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
    tables: [
      {
        schema: 'public',
        name: 'lists',
        replication_id: ['id'],
        data_queries: true,
        parameter_queries: false,
        errors: [],
      },
      { schema: 'public', name: 'members', data_queries: false, parameter_queries: true, errors: [] },
    ],
  })
})

test('the schema says what columns are on the client', async () => {
  const { json } = await call('/api/admin/v1/schema', {})
  expect(json.data).toMatchObject({ defaultConnectionTag: 'default', defaultSchema: 'public' })
  const [schema] = json.data.connections[0].schemas
  expect(schema.name).toBe('public')
  const lists = schema.tables.find(({ name }: { name: string }) => name === 'lists')
  const types = lists.columns.map((column: Record<string, string>) => [
    column['name'],
    column['sqlite_type'],
    column['pg_type'],
  ])
  expect(types).toEqual([
    ['id', 'text', 'text'],
    ['owner', 'text', 'text'],
    ['n', 'text', 'numeric'],
    ['tags', 'text', 'text[]'],
    ['at', 'text', 'timestamptz'],
    ['big', 'integer', 'int8'],
  ])
})

test('a config is held against the source before it is deployed', async () => {
  const good = await call('/api/admin/v1/validate', { sync_rules: SYNC_CONFIG })
  expect(good.json.data.errors).toEqual([])
  const missing = await call('/api/admin/v1/validate', {
    sync_rules: SYNC_CONFIG.replace('FROM members', 'FROM nowhere'),
  })
  expect(missing.json.data.errors).toContainEqual(
    expect.objectContaining({ level: 'warning', message: expect.stringContaining('nowhere') }),
  )
  const bad = await call('/api/admin/v1/validate', { sync_rules: SYNC_CONFIG.replace('SELECT id', 'SELEKT id') })
  const [error] = bad.json.data.errors
  expect(error).toMatchObject({ level: 'fatal', location: { start_offset: expect.any(Number) } })
  expect(SYNC_CONFIG.slice(error.location.start_offset - 10, error.location.end_offset)).toContain('query: ')
})

test('[protocol 53] building anew ends the streams, and clients get everything under other names', async () => {
  await using before = await openLines(stage.url, tokenOf('ann'), { raw_data: true })
  const [first] = await before.until('checkpoint_complete')
  const { status, json } = await call('/api/sync-rules/v1/reprocess', {})
  expect([status, json.data]).toEqual([200, { slot_name: expect.any(String) }])
  let line = await before.next()
  while (line?.kind === 'token_expires_in') line = await before.next()
  expect(line?.text).toBe('{"stream_end":{"reason":"config_changed"}}\n')
  expect(await before.next()).toBeUndefined()
  const readiness = async (): Promise<number> => (await fetch(`${stage.url}/probes/readiness`)).status
  await expect.poll(readiness, { timeout: 20_000 }).toBe(200)
  await using after = await openLines(stage.url, tokenOf('ann'), { raw_data: true })
  const lines = await after.until('checkpoint_complete')
  expect(lines.map(({ kind }) => kind)).toEqual(['checkpoint', 'data', 'checkpoint_complete'])
  expect(lines[0]?.json.checkpoint.buckets[0].bucket).not.toBe(first?.json.checkpoint.buckets[0].bucket)
})

test('a config is deployed, shown, and refused when it cannot be used', async () => {
  const refused = await call('/api/sync-rules/v1/deploy', { content: 'streams: 5' })
  expect([refused.status, refused.json.error.code]).toEqual([422, 'PSYNC_R0001'])
  const content = SYNC_CONFIG.replace('id, owner', 'id')
  expect((await call('/api/sync-rules/v1/deploy', { content })).status).toBe(200)
  const current = async () => {
    const response = await fetch(`${stage.service.operatorUrl}/api/sync-rules/v1/current`, { headers: operator() })
    return response.status === 200 ? ((await response.json()) as { data: unknown }).data : response.status
  }
  await expect.poll(current, { timeout: 20_000 }).toMatchObject({ current: { content, valid: true }, next: null })
})

function operator(): { readonly authorization: string; readonly 'content-type': string } {
  return { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }
}

async function call(
  path: string,
  body: object,
  // oxlint-disable-next-line typescript/no-explicit-any -- Answers of every kind.
): Promise<{ readonly status: number; readonly text: string; readonly json: any }> {
  const response = await fetch(stage.service.operatorUrl + path, {
    method: 'POST',
    headers: operator(),
    body: JSON.stringify(body),
  })
  const text = await response.text()
  return { status: response.status, text, json: JSON.parse(text) }
}
