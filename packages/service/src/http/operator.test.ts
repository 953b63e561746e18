import { HeadwaterError } from '@headwater/protocol'
import { describe, expect, test } from 'vitest'
import { AUTHORIZED, JSON_TYPE, json, NO_OPERATOR, start } from './http-server.test-parts.ts'
import type { Compaction, Operator } from './operator.ts'
import { ROUTE_LIST } from './route-table.ts'

const TOKEN = 'a token of an operator'
const OPERATOR = { authorization: `Token ${TOKEN.replaceAll(' ', '-')}` }
const tokens = ['another-token-of-an-operator', TOKEN.replaceAll(' ', '-')]

const CALLS = ROUTE_LIST.filter(([, { token }]) => token === 'operator').map(
  ([, { method, path }]) => [method, path] as const,
)

const STATUS = { connections: [], errors: [] }
const COMPACTION: Compaction = {
  started_at: '2030-01-31T12:00:00.000Z',
  running: false,
  took_ms: 1_500,
  buckets: 2,
  buckets_done: 2,
  operations_before: 12,
  operations_after: 7,
  moved: 7,
  cleared: 5,
  bytes_freed: 800,
  failures: 0,
}
const WORKING: Operator = {
  tokens,
  readDiagnostics: async ({ withContent }) => ({
    connections: [],
    active_sync_rules: { ...STATUS, ...(withContent ? { content: 'streams: {}' } : {}) },
  }),
  readSchema: async () => ({ connections: [], defaultConnectionTag: 'default', defaultSchema: 'public' }),
  validate: async () => STATUS,
  readCurrent: async () => ({
    current: { slot_name: 's', content: 'c', valid: true, bucket_definitions: [], source_tables: [], data_tables: [] },
    next: null,
  }),
  deploy: async () => ({ slot_name: 's' }),
  reprocess: async () => ({ slot_name: 's' }),
  revoke: async ({ userId, clientId = '-', tokenId = '-', issuedBeforeMs }) => ({
    user_id: `${userId} ${clientId} ${tokenId}`,
    issued_before: new Date(issuedBeforeMs).toISOString(),
    expires_at: '',
  }),
  compact: async ({ wait }) => ({ ...COMPACTION, running: !wait }),
  readCompaction: async () => undefined,
  describe: (content) =>
    content === 'bad'
      ? { valid: false, errors: ['1:1: no'] }
      : { valid: true, bucket_definitions: [], source_tables: [], data_tables: [] },
}

describe('a call of an operator', () => {
  test.each(CALLS)('[protocol 15] %s %s is refused where no token is set', async (method, path) => {
    const { url } = await start({ operator: NO_OPERATOR })
    for (const authorization of [undefined, 'Token ', 'Token undefined', OPERATOR.authorization]) {
      const response = await fetch(url + path, {
        method,
        headers: authorization === undefined ? {} : { authorization },
      })
      expect(response.status).toBe(401)
      expect(await response.json()).toEqual({
        error: { code: 'PSYNC_S2101', status: 401, description: 'Authorization failed', name: 'AuthorizationError' },
      })
    }
  })

  test('[protocol 15] is answered for exactly the tokens that are set', async () => {
    const { url } = await start({ operator: WORKING })
    const statusOf = async (authorization: string): Promise<number> =>
      (await fetch(`${url}/api/sync-rules/v1/current`, { headers: { authorization } })).status
    for (const token of tokens) {
      expect([await statusOf(`Token ${token}`), await statusOf(`Bearer ${token}`)]).toEqual([200, 200])
      for (const wrong of [token.slice(1), `${token}x`, token.toUpperCase(), 'good', '']) {
        expect(await statusOf(`Token ${wrong}`)).toBe(401)
      }
    }
    expect(await statusOf(AUTHORIZED.authorization)).toBe(401)
  })

  test('has nothing of its body read without a token', async () => {
    const { url } = await start({ operator: WORKING })
    const response = await fetch(`${url}/api/admin/v1/validate`, { method: 'POST', ...json({ sync_rules: 5 }) })
    expect(response.status).toBe(401)
  })

  test.each<[path: string, body: object, status: number, answer: object]>([
    ['/api/admin/v1/diagnostics', {}, 200, { data: { connections: [], active_sync_rules: STATUS } }],
    [
      '/api/admin/v1/diagnostics',
      { sync_rules_content: true, later: 1 },
      200,
      { data: { connections: [], active_sync_rules: { ...STATUS, content: 'streams: {}' } } },
    ],
    ['/api/admin/v1/diagnostics', { sync_rules_content: 'yes' }, 400, { error: { code: 'PSYNC_S2001' } }],
    ['/api/admin/v1/schema', {}, 200, { data: { defaultSchema: 'public' } }],
    [
      '/api/admin/v1/execute-sql',
      { sql: { query: 'SELECT 1', args: [] } },
      200,
      { data: { success: false, results: { columns: [], rows: [] }, error: 'SQL querying is not enabled' } },
    ],
    ['/api/admin/v1/validate', { sync_rules: 'streams: {}' }, 200, { data: STATUS }],
    ['/api/admin/v1/validate', {}, 400, { error: { code: 'PSYNC_S2001' } }],
    ['/api/admin/v1/reprocess', {}, 200, { data: { connections: [{ id: 'default', slot_name: 's' }] } }],
    [
      '/api/admin/v1/revoke',
      { user_id: 'ann', client_id: 'phone', token_id: 't1', issued_before: '2020-01-31T12:00:00Z' },
      200,
      { data: { user_id: 'ann phone t1', issued_before: '2020-01-31T12:00:00.000Z' } },
    ],
    ['/api/admin/v1/revoke', { user: 'ann' }, 400, { error: { code: 'PSYNC_S2001' } }],
    ['/api/admin/v1/compact', {}, 200, { data: COMPACTION }],
    ['/api/admin/v1/compact', { wait: false }, 200, { data: { running: true } }],
    ['/api/admin/v1/compact', { wait: 'no' }, 400, { error: { code: 'PSYNC_S2001' } }],
    ['/api/sync-rules/v1/deploy', { content: 'c' }, 200, { data: { slot_name: 's' } }],
    ['/api/sync-rules/v1/deploy', {}, 400, { error: { code: 'PSYNC_S2001' } }],
    ['/api/sync-rules/v1/validate', { content: 'bad' }, 200, { valid: false, errors: ['1:1: no'] }],
    ['/api/sync-rules/v1/reprocess', {}, 200, { data: { slot_name: 's' } }],
    ['/api/sync-rules/v1/reprocess', { force: true }, 400, { error: { code: 'PSYNC_S2001' } }],
  ])('[protocol 4, 5] %s with %j is answered %i', async (path, body, status, answer) => {
    const { url } = await start({ operator: WORKING })
    const response = await fetch(url + path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { ...OPERATOR, 'content-type': 'application/json' },
    })
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject(answer)
  })

  test('may have a config as the text that it is', async () => {
    const deployed: string[] = []
    const { url } = await start({
      operator: { ...WORKING, deploy: async (content) => ({ slot_name: String(deployed.push(content)) }) },
    })
    const headers = { ...OPERATOR, 'content-type': 'application/yaml' }
    const body = 'config:\n  edition: 3\n'
    await fetch(`${url}/api/sync-rules/v1/deploy`, { method: 'POST', body, headers })
    expect(deployed).toEqual([body])
    const other = await fetch(`${url}/api/admin/v1/validate`, { method: 'POST', body, headers })
    expect(other.status).toBe(415)
  })

  test('says how the compaction stands that was asked for last, and of one that is at work how far it is', async () => {
    const none = await start({ operator: WORKING })
    const path = '/api/admin/v1/compact'
    expect(await (await fetch(none.url + path, { headers: OPERATOR })).json()).toEqual({ data: null })
    const some = await start({
      operator: {
        ...WORKING,
        readCompaction: async () => COMPACTION,
        compact: () => Promise.reject(new HeadwaterError('compaction-running', '3 of 5 buckets left')),
      },
    })
    expect(await (await fetch(some.url + path, { headers: OPERATOR })).json()).toEqual({ data: COMPACTION })
    const another = await fetch(some.url + path, { method: 'POST', headers: OPERATOR })
    expect([another.status, await another.json()]).toMatchObject([
      409,
      { error: { code: 'PSYNC_S4107', details: expect.stringContaining('3 of 5 buckets left') } },
    ])
  })

  test('the current config is for people to read', async () => {
    const { url } = await start({ operator: WORKING })
    const response = await fetch(`${url}/api/sync-rules/v1/current`, { headers: OPERATOR })
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.text()).toMatch(/^\{\n {2}"data": \{\n {4}"current": \{[^]*"next": null\n {2}\}\n\}\n$/)
  })

  test.each([
    ['no-active-sync-config', 422, 'PSYNC_S4104'],
    ['sync-config-deploying', 409, 'PSYNC_S4106'],
    ['sync-config-from-file', 422, 'PSYNC_S4105'],
  ] as const)('that fails with %s is %i %s', async (code, status, wireCode) => {
    const { url } = await start({
      operator: { ...WORKING, reprocess: () => Promise.reject(new HeadwaterError(code, 'a path: /etc/headwater')) },
    })
    const response = await fetch(`${url}/api/sync-rules/v1/reprocess`, { method: 'POST', headers: OPERATOR })
    expect([response.status, response.headers.get('content-type')]).toEqual([status, JSON_TYPE])
    const text = await response.text()
    expect(JSON.parse(text)).toMatchObject({ error: { code: wireCode, status } })
    expect(text).not.toContain('/etc')
  })

  test('with a config that cannot be used says where', async () => {
    const { url } = await start({
      operator: {
        ...WORKING,
        deploy: () => Promise.reject(new HeadwaterError('bad-sync-config', 'sync config:3:1: no')),
      },
    })
    const response = await fetch(`${url}/api/sync-rules/v1/deploy`, {
      method: 'POST',
      body: 'x',
      headers: { ...OPERATOR, 'content-type': 'application/yaml' },
    })
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({
      error: { code: 'PSYNC_R0001', details: expect.stringContaining('sync config:3:1: no') },
    })
  })

  test('that is one too many is refused at once, and keeps no probe waiting', async () => {
    const gate = Promise.withResolvers<void>()
    const { url } = await start({
      operator: {
        ...WORKING,
        readSchema: async () => {
          await gate.promise
          return WORKING.readSchema()
        },
      },
    })
    const call = (): Promise<Response> => fetch(`${url}/api/admin/v1/schema`, { method: 'POST', headers: OPERATOR })
    const calls = Array.from({ length: 31 }, call)
    const refused = await Promise.race(calls)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5'])
    for (const probe of ['startup', 'readiness', 'liveness']) {
      expect((await fetch(`${url}/probes/${probe}`)).status).toBe(200)
    }
    gate.resolve()
    const statuses = (await Promise.all(calls)).map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(30)
  })
})

test('a listener of operators has no path of clients, and one of clients none of operators; probes are on both', async () => {
  const operators = await start({ operator: WORKING }, 'operators')
  const clients = await start({ operator: WORKING }, 'clients')
  const statusOf = async (url: string, path: string): Promise<number> =>
    (await fetch(url + path, { headers: OPERATOR })).status
  expect(await statusOf(operators.url, '/api/sync-rules/v1/current')).toBe(200)
  expect(await statusOf(operators.url, '/write-checkpoint2.json')).toBe(404)
  expect(await statusOf(clients.url, '/api/sync-rules/v1/current')).toBe(404)
  expect(await statusOf(clients.url, '/write-checkpoint2.json')).toBe(401)
  expect(await statusOf(operators.url, '/probes/readiness')).toBe(200)
  expect(await statusOf(clients.url, '/probes/readiness')).toBe(200)
})
