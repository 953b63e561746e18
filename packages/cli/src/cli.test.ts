import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { createTokenVerifier } from '@headwater/backend'
import { expect, test, vi } from 'vitest'

import { folderWith, runCli, SYNC_CONFIG } from './run-cli.test-parts.ts'

// Each test starts processes, which take their time on a busy machine.
vi.setConfig({ testTimeout: 30_000 })

const DATA = JSON.stringify({
  tables: {
    todos: {
      columns: [
        { name: 'id', type: 'text' },
        { name: 'owner', type: 'text' },
        { name: 'stars', type: 'int4' },
      ],
      rows: [
        ['b', 'ann', '2'],
        ['a', 'ann', null],
        ['c', 'bob', '5'],
      ],
    },
  },
})

const FILES = { 'sync-config.yaml': SYNC_CONFIG, 'data.json': DATA, 'request.json': '{"jwt": {"sub": "ann"}}' }
const PREVIEW = ['preview', '--config', 'sync-config.yaml', '--data', 'data.json', '--request', 'request.json']

test('preview prints the rows of a client as a table', async () => {
  await using folder = await folderWith(FILES)
  const { code, stdout, stderr } = await runCli(PREVIEW, { cwd: folder.path })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toBe(
    [
      'table  id  priority  data',
      'todos  a   3         {"id":"a","owner":"ann","stars":null}',
      'todos  b   3         {"id":"b","owner":"ann","stars":2}',
      '',
    ].join('\n'),
  )
})

test('preview --json prints rows with the text of the wire, stream errors and warnings', async () => {
  await using folder = await folderWith(FILES)
  const { code, stdout } = await runCli([...PREVIEW, '--json'], { cwd: folder.path })
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toEqual({
    rows: [
      { type: 'todos', id: 'a', data: '{"id":"a","owner":"ann","stars":null}', priority: 3 },
      { type: 'todos', id: 'b', data: '{"id":"b","owner":"ann","stars":2}', priority: 3 },
    ],
    streamErrors: [],
    warnings: [],
  })
})

test('preview of a value that is not of its type ends with status 1 and names the place', async () => {
  await using folder = await folderWith({ ...FILES, 'data.json': DATA.replace('"5"', '"many"') })
  const json = await runCli([...PREVIEW, '--json'], { cwd: folder.path })
  const plain = await runCli(PREVIEW, { cwd: folder.path })
  const message = 'Cannot read column "stars" in row 3 of table "todos": expected a whole number'
  expect([json.code, plain.code, plain.stdout]).toEqual([1, 1, ''])
  expect(JSON.parse(json.stdout)).toEqual({
    errors: [{ message: expect.stringContaining(message) as unknown, line: 1, column: 1 }],
  })
  expect(plain.stderr).toContain(message)
})

test('preview of a config that cannot be compiled ends with status 1 and shows the place', async () => {
  const broken = SYNC_CONFIG.replace('auth.user_id()', 'auth.user_idd()')
  await using folder = await folderWith({ ...FILES, 'sync-config.yaml': broken })

  const json = await runCli([...PREVIEW, '--json'], { cwd: folder.path })
  const people = await runCli(PREVIEW, { cwd: folder.path })

  expect(json.code).toBe(1)
  expect(JSON.parse(json.stdout)).toEqual({
    errors: [{ message: expect.stringContaining('user_idd'), line: 6, column: expect.any(Number) }],
  })
  expect(people.code).toBe(1)
  expect(people.stderr).toMatch(/^sync-config\.yaml:6:\d+ error .*user_idd.*\n.*query: SELECT.*\n +\^/)
})

test.each([
  ['a file that is missing', { 'data.json': undefined }, 'Cannot read data.json: there is no such file'],
  ['data that are no JSON', { 'data.json': '{' }, 'Cannot read data.json, given with --data: it is not JSON'],
  ['data of another form', { 'data.json': '{"tables": 1}' }, '"tables"'],
  ['a request of another form', { 'request.json': '{"jwt": 1}' }, '"jwt"'],
])('preview with %s says so in one message and ends with status 1', async (_name, change, message) => {
  const files = Object.entries({ ...FILES, ...change }).filter(
    (file): file is [string, string] => file[1] !== undefined,
  )
  await using folder = await folderWith(Object.fromEntries(files))
  const { code, stdout, stderr } = await runCli(PREVIEW, { cwd: folder.path })
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toContain(message)
  expect(stderr).not.toContain('    at ')
})

test('check without a database looks at the config alone', async () => {
  await using folder = await folderWith(FILES)
  const good = await runCli(['check'], { cwd: folder.path })
  await writeFile(folder.file('sync-config.yaml'), SYNC_CONFIG.replace('SELECT *', 'SELEKT *'))
  const bad = await runCli(['check'], { cwd: folder.path })
  const json = await runCli(['check', '--json'], { cwd: folder.path })

  expect(good.code).toBe(0)
  expect(good.stdout).toContain('✓ sync-config.yaml: 1 table read')
  expect(bad.code).toBe(1)
  expect(bad.stdout).toContain('sync-config.yaml:6:12 error')
  expect(bad.stdout).toContain('✗ sync-config.yaml: 1 error')
  expect(json.code).toBe(1)
  expect(JSON.parse(json.stdout)).toMatchObject({ config: [{ severity: 'error', line: 6 }], source: null })
})

test('token prints a token for the user, and only that', async () => {
  const args = ['token', '--user', 'ann', '--audience', 'app', '--claims', '{"role":"editor"}']
  const secret = 'the secret of the service'
  const { stdout } = await runCli(args, { env: { HEADWATER_JWT_SECRET: secret } })
  const verify = createTokenVerifier({ keys: { secret }, audience: ['app'] })
  const request = new Request('http://x/', { headers: { authorization: `Bearer ${stdout.trim()}` } })
  await expect(verify(request)).resolves.toMatchObject({ userId: 'ann', claims: { role: 'editor' } })
})

test('token without a secret says where one comes from', async () => {
  await using folder = await folderWith({})
  const { code, stderr } = await runCli(['token', '--user', 'ann'], { cwd: folder.path })
  expect(code).toBe(1)
  expect(stderr).toContain('Start headwater dev once')
})

test('token for nobody is refused', async () => {
  const { code, stdout, stderr } = await runCli(['token', '--user', '', '--secret', 'x'])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain('Expected the id of a user')
})

test('revoke asks the service as an operator, and says until when it counts', async () => {
  await using service = await startOperators(() => ({
    status: 200,
    body: {
      data: { user_id: 'ann', issued_before: '2030-01-31T12:00:00.000Z', expires_at: '2030-02-01T12:01:00.000Z' },
    },
  }))
  const args = ['revoke', '--user', 'ann', '--client', 'phone', '--token-id', 't1', '--url', `${service.url}/`]
  const done = await runCli(args, { env: { HEADWATER_API_TOKENS: 'first-token, second-token' } })
  expect(done).toMatchObject({ code: 0, stderr: '' })
  expect(done.stdout).toMatch(/revoked {2}tokens of ann issued before 2030-01-31T12.*\n.*forgotten at 2030-02-01/)
  const json = await runCli([...args, '--api-token', 'mine', '--issued-before', '2030-01-31T12:00:00Z', '--json'])
  expect(JSON.parse(json.stdout)).toMatchObject({ user_id: 'ann' })
  const asked = { user_id: 'ann', client_id: 'phone', token_id: 't1' }
  expect(service.calls).toEqual([
    ['POST /api/admin/v1/revoke', 'Token first-token', asked],
    ['POST /api/admin/v1/revoke', 'Token mine', { ...asked, issued_before: '2030-01-31T12:00:00Z' }],
  ])
})

test.each([
  [
    400,
    { code: 'PSYNC_S2001', description: 'Validation failed', details: '["issued_before: no"]' },
    'issued_before: no',
  ],
  [401, { code: 'PSYNC_S2101', description: 'Authorization failed' }, 'one of its api.tokens with --api-token'],
  [404, { code: 'PSYNC_S2002', description: 'no such path' }, 'With api.port they have an address of their own'],
  [503, { code: 'PSYNC_S2404', description: 'no room' }, 'no room (PSYNC_S2404)'],
])('revoke that is answered %i says what to do', async (status, error, said) => {
  await using service = await startOperators(() => ({ status, body: { error } }))
  const { code, stdout, stderr } = await runCli(['revoke', '--user', 'ann', '--url', service.url])
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toContain(said)
})

const COMPACTION = {
  started_at: '2030-01-31T12:00:00.000Z',
  running: true,
  took_ms: 2_500,
  buckets: 300,
  buckets_done: 120,
  operations_before: 12_000,
  operations_after: 9_000,
  bytes_freed: 1_572_864,
  failures: 0,
}
const COMPACTED = { ...COMPACTION, running: false, took_ms: 7_000, buckets_done: 300, operations_after: 4_000 }

test('compact waits until the service is done, and says meanwhile how far it is', async () => {
  const answers = [COMPACTION, COMPACTION, COMPACTED]
  await using service = await startOperators(() => ({ status: 200, body: { data: answers.shift() } }))
  const done = await runCli(['compact', '--url', `${service.url}/`, '--api-token', 'mine'])
  expect(done).toEqual({
    code: 0,
    stdout:
      '✓ compacted  300 buckets in 7.0 s\n  operations  12000 before, 4000 now\n  freed       1.5 MiB for what is stored next\n',
    stderr: '  120 of 300 buckets looked through in 2.5 s, 1.5 MiB freed\n',
  })
  expect(service.calls).toEqual([
    ['POST /api/admin/v1/compact', 'Token mine', { wait: false }],
    ['GET /api/admin/v1/compact', 'Token mine', undefined],
    ['GET /api/admin/v1/compact', 'Token mine', undefined],
  ])
})

test('compact that was not done in whole says so, with status 1', async () => {
  const body = { data: { ...COMPACTED, failures: 2 } }
  await using service = await startOperators(() => ({ status: 200, body }))
  const args = ['compact', '--url', service.url]
  const { code, stdout } = await runCli(args)
  expect([code, stdout]).toEqual([1, expect.stringMatching(/✗ not all compacted[^]*2 times .*storage-compact-failed/)])
  const json = await runCli([...args, '--json'])
  expect([json.code, JSON.parse(json.stdout)]).toEqual([1, body.data])
})

test('compact of a service that is started again meanwhile does not say that it was done', async () => {
  const answers = [COMPACTION, null]
  await using service = await startOperators(() => ({ status: 200, body: { data: answers.shift() } }))
  const { code, stdout, stderr } = await runCli(['compact', '--url', service.url])
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toContain('the service was started again meanwhile')
})

test('compact while another one is at work says how far that is', async () => {
  const details = 'Cannot compact: a compaction … has 3 of 5 buckets left. Ask again when it has ended.'
  const error = { code: 'PSYNC_S4107', description: 'A compaction is at work already', details }
  await using service = await startOperators(() => ({ status: 409, body: { error } }))
  expect(await runCli(['compact', '--url', service.url])).toEqual({ code: 1, stdout: '', stderr: `error ${details}\n` })
})

test('serve without a source says how to give one', async () => {
  await using folder = await folderWith(FILES)
  const { code, stderr } = await runCli(['serve'], { cwd: folder.path, env: { HEADWATER_JWT_SECRET: 'x' } })
  expect(code).toBe(1)
  expect(stderr).toContain('give its URL with --database-url, HEADWATER_SOURCE_URL or source.url in headwater.yaml')
})

test('status of a service that does not run says what to do', async () => {
  const { code, stderr } = await runCli(['status', '--url', 'http://127.0.0.1:1'])
  expect(code).toBe(1)
  expect(stderr).toBe(
    'error Cannot read the status: no service answers at http://127.0.0.1:1. Start one with headwater serve or headwater dev, or name its address with --url.\n',
  )
})

test.each([
  [['frobnicate']],
  [['preview']],
  [['dev', '--port', 'eighty']],
  [['dev', '--frob']],
  [['serve', '--workers', 'many']],
])('a command line that is wrong, as %j, ends with status 2 and points at --help', async (args) => {
  const { code, stderr } = await runCli(args)
  expect(code).toBe(2)
  expect(stderr).toContain('--help')
})

test('nothing is coloured where the output is no terminal', async () => {
  await using folder = await folderWith(FILES)
  const { stdout } = await runCli(['check'], { cwd: folder.path })
  expect(stdout).not.toContain('\u001B[')
})

type Call = readonly [line: string, authorization: string | undefined, body: unknown]

/** Answers as the service does to operators. */
async function startOperators(
  answer: () => { readonly status: number; readonly body: object },
): Promise<AsyncDisposable & { readonly url: string; readonly calls: readonly Call[] }> {
  const calls: Call[] = []
  const server = createServer((request, response) => {
    request.setEncoding('utf8')
    void (async () => {
      let text = ''
      for await (const piece of request) text += String(piece)
      calls.push([
        `${request.method} ${request.url}`,
        request.headers.authorization,
        text === '' ? undefined : JSON.parse(text),
      ])
      const { status, body } = answer()
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
