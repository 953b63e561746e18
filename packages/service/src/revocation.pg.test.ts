import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestDatabase, startServiceProcess } from '@headwater/testkit'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { openRsocket, type RsocketClient } from './http/rsocket-client.test-parts.ts'
import { type OpenedStream, openLines, openStage, SECRET, type Stage, tokenOf } from './protocol.test-parts.ts'

const TABLES = `
  CREATE TABLE lists (id text PRIMARY KEY, owner text);
  INSERT INTO lists VALUES ('L1', 'ann')`

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  mine:
    auto_subscribe: true
    query: SELECT * FROM lists WHERE owner = auth.user_id()
`

/** What the guide tells apps to make. */
const REVOCATIONS = `
  CREATE TABLE IF NOT EXISTS headwater_revocations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id text NOT NULL,
    client_id text,
    token_id text,
    issued_before timestamptz NOT NULL DEFAULT now(),
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id()
  );
  CREATE INDEX IF NOT EXISTS headwater_revocations_transaction ON headwater_revocations (transaction)`

const OPERATOR = 'a-token-for-tests-of-operators'
/** What is promised is one second. A machine that does ten things at once gets more. */
const PROMISED_MS = 1_000
const PATIENCE_MS = 8 * PROMISED_MS

let stage: Stage
beforeAll(async () => {
  stage = await openStage({
    tables: TABLES,
    syncConfig: SYNC_CONFIG,
    settings: { api: { tokens: [OPERATOR] } },
  })
})
afterAll(() => stage[Symbol.asyncDispose]())

/** Both ways to revoke. Resolves when Postgres or the service has it. */
const WAYS = {
  'a call of an operator': (userId: string, more: { readonly client_id?: string; readonly token_id?: string } = {}) =>
    revokeByCall({ user_id: userId, ...more }),
  'a row in the table': async (
    userId: string,
    { client_id, token_id }: { readonly client_id?: string; readonly token_id?: string } = {},
  ) => {
    // The service was started without the table.
    await stage.database.sql(REVOCATIONS)
    await stage.database.sql('INSERT INTO headwater_revocations (user_id, client_id, token_id) VALUES ($1, $2, $3)', [
      userId,
      client_id ?? null,
      token_id ?? null,
    ])
  },
}

describe.each(Object.entries(WAYS))('%s', (way, revoke) => {
  const name = (user: string): string => `${user} by ${way}`

  test("ends all streams of the user in time, over HTTP and WebSockets, and nobody else's", async () => {
    await using http = await openLines(stage.url, tokenOf(name('eve')), { raw_data: true, client_id: 'phone' })
    await http.until('checkpoint_complete')
    const socket = await connect(name('eve'))
    await linesOf(socket, 2)
    await using other = await openLines(stage.url, tokenOf('ann'), { raw_data: true })
    await other.until('checkpoint_complete')
    const otherSocket = await connect('ann')
    await linesOf(otherSocket, 3)

    await revoke(name('eve'))
    const revokedAt = performance.now()
    expect(await lastLines(http)).toEqual(REVOKED)
    expect(await linesOf(socket, 2)).toEqual(REVOKED)
    expect(await socket.next()).toEqual({ kind: 'complete', streamId: 1 })
    expect(performance.now() - revokedAt).toBeLessThan(PATIENCE_MS)

    await stage.database.sql('INSERT INTO lists VALUES ($1, $2)', [`a row after ${way}`, 'ann'])
    expect(JSON.stringify(await other.until('checkpoint_complete'))).toContain(`a row after ${way}`)
    expect(JSON.stringify(await linesOf(otherSocket, 3))).toContain(`a row after ${way}`)
  })

  test('refuses every call with a token from before, with a code of its own, and takes one from after', async () => {
    const old = tokenOf(name('carl'))
    expect(await outcomesOf(old)).toEqual([200, 200, 200, 200])
    await revoke(name('carl'))
    await expect.poll(() => outcomesOf(old), { timeout: PATIENCE_MS }).toEqual(['over', 401, 401, 401])
    const refused = await callWith(old, '/write-checkpoint2.json')
    expect(await refused.json()).toMatchObject({
      error: { code: 'PSYNC_S2107', status: 401, description: 'The token was revoked', name: 'AuthorizationError' },
    })
    const socket = await openRsocket(stage.url, { metadata: { token: `Token ${old}` } })
    expect(await socket.next()).toMatchObject({
      kind: 'error',
      streamId: 0,
      text: expect.stringContaining('PSYNC_S2107'),
    })
    expect(await outcomesOf(freshTokenOf(name('carl')))).toEqual([200, 200, 200, 200])
  })

  test('may name one client: the others of the user go on', async () => {
    await using phone = await openLines(stage.url, tokenOf(name('dora')), { raw_data: true, client_id: 'phone' })
    await using tablet = await openLines(stage.url, tokenOf(name('dora')), { raw_data: true, client_id: 'tablet' })
    for (const stream of [phone, tablet]) await stream.until('checkpoint_complete')
    await revoke(name('dora'), { client_id: 'phone' })
    expect(await lastLines(phone)).toEqual(REVOKED)
    const token = tokenOf(name('dora'))
    expect((await callWith(token, '/write-checkpoint2.json?client_id=phone')).status).toBe(401)
    expect((await callWith(token, '/write-checkpoint2.json?client_id=tablet')).status).toBe(200)
    await stage.database.sql('INSERT INTO lists VALUES ($1, $2)', [`for the tablet, ${way}`, name('dora')])
    expect((await tablet.until('data')).at(-1)?.text).toContain('for the tablet')
  })

  test('may name one token: the others of the user stay good', async () => {
    const [lost, kept] = ['lost', 'kept'].map((jti) => tokenOf(name('fred'), 300, { jti }))
    await using stream = await openLines(stage.url, lost ?? '', { raw_data: true })
    await stream.until('checkpoint_complete')
    await revoke(name('fred'), { token_id: 'lost' })
    expect(await lastLines(stream)).toEqual(REVOKED)
    expect([(await outcomesOf(lost ?? ''))[0], (await outcomesOf(kept ?? ''))[0]]).toEqual(['over', 200])
  })
})

test('a stream over a WebSocket that is already set up is refused once the token is revoked', async () => {
  const socket = await openRsocket(stage.url, { metadata: { token: `Token ${tokenOf('gina')}` } })
  await socket.settle()
  await revokeByCall({ user_id: 'gina' })
  socket.request()
  await expect
    .poll(() => socket.frames, { timeout: PATIENCE_MS })
    .toContainEqual(
      expect.objectContaining({ kind: 'error', streamId: 1, text: expect.stringContaining('PSYNC_S2107') }),
    )
  expect(await socket.closed).toMatchObject({ reason: 'the token was revoked' })
})

test('a row of a transaction that was open for long counts as soon as it is committed', async () => {
  await WAYS['a row in the table']('somebody')
  const { database } = stage
  const old = tokenOf('hank', 300, { iat: Math.floor(Date.now() / 1000) - 1_000 })
  // Its number is older than that of the row that is committed while it is open.
  await database.sql('BEGIN')
  await database.sql("INSERT INTO headwater_revocations (user_id) VALUES ('hank')")
  await using stream = await openLines(stage.url, old, { raw_data: true })
  await stream.until('checkpoint_complete')
  const another = new Client({ connectionString: database.url })
  await another.connect()
  await another.query("INSERT INTO headwater_revocations (user_id) VALUES ('ida')")
  await another.end()
  const late = tokenOf('ida')
  await expect.poll(async () => (await outcomesOf(late))[0], { timeout: PATIENCE_MS }).toBe('over')
  expect((await outcomesOf(old))[0]).toBe(200)
  await database.sql('COMMIT')
  expect(await lastLines(stream)).toEqual(REVOKED)
})

test('what was revoked stays revoked when the service is killed right after it has said so', async () => {
  await using db = await createTestDatabase(stage.database)
  await db.sql(TABLES)
  const path = await mkdtemp(join(tmpdir(), 'headwater-revocation-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  await using service = await startServiceProcess({
    source: { url: db.url, slot: db.name },
    storage: { path },
    syncConfig: { content: SYNC_CONFIG },
    auth: { secret: SECRET, audience: ['tests'], revocationTable: false },
    api: { tokens: [OPERATOR] },
    log: { level: 'silent' },
  })
  const old = tokenOf('jack')
  await revokeByCall({ user_id: 'jack' }, service.url)
  await service.kill()
  await service.start()
  const headers = { authorization: `Token ${old}` }
  expect(await outcomeOf(await fetch(`${service.url}/sync/stream`, { method: 'POST', headers }))).toBe('over')
})

async function revokeByCall(body: object, url = stage.url): Promise<void> {
  const response = await fetch(`${url}/api/admin/v1/revoke`, {
    method: 'POST',
    headers: { authorization: `Token ${OPERATOR}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  expect(await response.json()).toMatchObject({ data: { ...body, issued_before: expect.any(String) } })
}

const CLIENT_CALLS: readonly (readonly [path: string, init: RequestInit])[] = [
  ['/sync/stream', { method: 'POST' }],
  ['/write-checkpoint2.json', {}],
  ['/write-checkpoint.json', {}],
  [
    '/sync/checkpoint-request',
    {
      method: 'POST',
      body: JSON.stringify({ client_id: 'c', checkpoint_request_id: 1 }),
      headers: { 'content-type': 'application/json' },
    },
  ],
]

/** `over`: a stream that says only that its token is. */
type Outcome = number | 'over'

async function outcomesOf(token: string): Promise<readonly Outcome[]> {
  const responses = await Promise.all(CLIENT_CALLS.map(([path, init]) => callWith(token, path, init)))
  return Promise.all(responses.map(outcomeOf))
}

async function outcomeOf({ status, body }: Response): Promise<Outcome> {
  const reader = body?.getReader()
  const text = Buffer.from((await reader?.read())?.value ?? []).toString()
  await reader?.cancel()
  return text === '{"token_expires_in":0}\n' ? 'over' : status
}

function callWith(token: string, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { ...Object.fromEntries(new Headers(init.headers)), authorization: `Token ${token}` }
  return fetch(stage.url + path, { ...init, headers })
}

/** Issued in a second that has not begun when it is asked for. */
function freshTokenOf(userId: string): string {
  return tokenOf(userId, 300, { iat: Math.floor(Date.now() / 1000) + 1 })
}

/** How a stream ends whose token is revoked. */
const REVOKED = [{ stream_end: { reason: 'token_revoked' } }, { token_expires_in: 0 }]

/** The lines from the one on that says why the stream ends. */
async function lastLines(stream: OpenedStream): Promise<readonly object[]> {
  const said: object[] = []
  for (let line = await stream.next(); line !== undefined; line = await stream.next()) {
    if (line.kind === 'stream_end' || said.length > 0) said.push(line.json)
  }
  return said
}

async function connect(userId: string): Promise<RsocketClient> {
  const client = await openRsocket(stage.url, { metadata: { token: `Token ${tokenOf(userId)}` } })
  client.request()
  return client
}

async function linesOf(client: RsocketClient, count: number): Promise<object[]> {
  const lines: object[] = []
  while (lines.length < count) {
    const frame = await client.next()
    if (frame?.kind !== 'next') throw new Error(`Expected a line, got ${JSON.stringify(frame)}`)
    lines.push(frame.line)
  }
  return lines
}
