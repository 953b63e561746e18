import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'

import type { TestDatabase, TestPostgres } from '@headwater/testkit'
import { createTestDatabase, startTestPostgres } from '@headwater/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { toNodeListener } from './node-listener.ts'
import type { UploadHandlerOptions } from './upload-handler.ts'
import { createUploadHandler } from './upload-handler.ts'
import { ownedBy } from './write-rules.ts'

let cluster: TestPostgres

beforeAll(async () => {
  cluster = await startTestPostgres()
})

afterAll(() => cluster.stop())

const SCHEMA = `
CREATE TYPE mood AS ENUM ('happy', 'sad');
CREATE TABLE lists (id uuid PRIMARY KEY, owner text NOT NULL, name text NOT NULL CHECK (name <> ''));
CREATE TABLE todos (
  id text PRIMARY KEY,
  list_id text,
  title varchar(10),
  done boolean,
  count bigint,
  tags text[],
  extra jsonb,
  due timestamptz,
  mood mood,
  title_length int GENERATED ALWAYS AS (length(title)) STORED
);
CREATE TABLE secrets (id text PRIMARY KEY, value text)`

const LIST = '00000000-0000-0000-0000-000000000001'

type Answer = {
  results: { tx_id: number; status: string; entries?: { op_id: number; code: string; message: string }[] }[]
}
type Entry = { op: string; type: string; id: string; data?: Record<string, unknown> }

/** A backend with users named in the header, and the phone of one of them. */
async function openBackend(options: Partial<UploadHandlerOptions> = {}) {
  const database = await createTestDatabase(cluster)
  await database.sql(SCHEMA)
  const handler = createUploadHandler({
    database: database.url,
    verify: async (request) => ({ userId: request.headers.get('user') ?? '', claims: {} }),
    tables: { lists: { mayWrite: ownedBy('owner') }, todos: { mayWrite: 'everyone' } },
    ...options,
  })
  const dispose = async () => {
    await handler.close()
    await database[Symbol.asyncDispose]()
  }
  return { database, handler, [Symbol.asyncDispose]: dispose }
}

function request(body: unknown, user = 'ann'): Request {
  return new Request('http://backend/upload', { method: 'POST', body: JSON.stringify(body), headers: { user } })
}

/** Numbers the entries from `firstOpId`, one transaction for each list of entries. */
function upload(firstOpId: number, ...transactions: Entry[][]) {
  let opId = firstOpId
  return {
    client_id: 'phone',
    transactions: transactions.map((entries) => ({
      tx_id: opId,
      crud: entries.map((entry) => ({ op_id: opId++, ...entry })),
    })),
  }
}

async function send(handler: (request: Request) => Promise<Response>, body: unknown, user = 'ann'): Promise<Answer> {
  const response = await handler(request(body, user))
  expect(response.status).toBe(200)
  return response.json()
}

const readTodos = (database: TestDatabase) => database.sql('SELECT id, title FROM todos ORDER BY id')

test('PUT inserts or replaces, PATCH changes, DELETE removes', async () => {
  await using backend = await openBackend()
  const { handler, database } = backend

  const answer = await send(
    handler,
    upload(
      1,
      [{ op: 'PUT', type: 'todos', id: 'a', data: { title: 'milk' } }],
      [
        { op: 'PUT', type: 'todos', id: 'a', data: { title: 'bread' } },
        { op: 'PUT', type: 'todos', id: 'b', data: { title: 'eggs' } },
        { op: 'PATCH', type: 'todos', id: 'b', data: { title: null, done: 1 } },
      ],
      [{ op: 'DELETE', type: 'todos', id: 'a' }],
      [{ op: 'PATCH', type: 'todos', id: 'a', data: { title: 'gone' } }],
    ),
  )

  expect(answer.results).toEqual([1, 2, 5, 6].map((tx_id) => ({ tx_id, status: 'applied' })))
  expect(await database.sql('SELECT id, title, done FROM todos')).toEqual([{ id: 'b', title: null, done: true }])
})

test('values of a device become values of the columns, exactly', async () => {
  await using backend = await openBackend()
  const { handler, database } = backend
  const data = {
    title: '5',
    done: 1,
    tags: '["a","b c",null]',
    extra: '{"n": 1.50}',
    due: '2026-11-22T10:00:00.000001Z',
    mood: 'sad',
  }
  const body = JSON.stringify(upload(1, [{ op: 'PUT', type: 'todos', id: 'a', data }]))
  const exact = body.replace('"done":1', '"done":1,"count":9007199254740993')

  const response = await handler(new Request('http://b/', { method: 'POST', body: exact, headers: { user: 'ann' } }))

  expect(await response.json()).toEqual({ results: [{ tx_id: 1, status: 'applied' }] })
  const rows = await database.sql(`
    SELECT title, done, count::text, tags, extra::text, to_json(due AT TIME ZONE 'UTC') AS due, mood FROM todos`)
  expect(rows).toEqual([
    {
      title: '5',
      done: true,
      count: '9007199254740993',
      tags: ['a', 'b c', null],
      extra: '{"n": 1.50}',
      due: '2026-11-22T10:00:00.000001',
      mood: 'sad',
    },
  ])
})

test('an upload that is sent again changes nothing and gets its reasons again', async () => {
  await using backend = await openBackend()
  const { handler, database } = backend
  const body = upload(
    1,
    [{ op: 'PUT', type: 'todos', id: 'a', data: { title: 'milk' } }],
    [{ op: 'PUT', type: 'secrets', id: 'x', data: { value: 'v' } }],
  )
  const first = await send(handler, body)
  await database.sql("UPDATE todos SET title = 'changed' WHERE id = 'a'")

  const second = await send(handler, body)

  expect(second.results[0]).toEqual({ tx_id: 1, status: 'replayed' })
  expect(second.results[1]).toEqual(first.results[1])
  expect(await readTodos(database)).toEqual([{ id: 'a', title: 'changed' }])
})

test('a refused entry is answered with the reason and does not hold up the others', async () => {
  await using backend = await openBackend()
  const { handler, database } = backend
  const title = 'eleven char'

  const answer = await send(
    handler,
    upload(1, [
      { op: 'PUT', type: 'todos', id: 'a', data: { title: 'milk' } },
      { op: 'PUT', type: 'todos', id: 'b', data: { title } },
      { op: 'PUT', type: 'todos', id: 'c', data: { titel: 'typo' } },
      { op: 'PUT', type: 'secrets', id: 'd', data: {} },
      { op: 'PUT', type: 'lists', id: 'no-uuid', data: { owner: 'ann', name: 'n' } },
      { op: 'PUT', type: 'todos', id: 'e', data: { title: 'eggs' } },
    ]),
  )

  expect(answer.results[0]?.status).toBe('rejected')
  expect(answer.results[0]?.entries).toMatchObject([
    { op_id: 2, code: 'refused-by-database', message: expect.stringContaining('22001') },
    { op_id: 3, code: 'column-not-writable', message: expect.stringContaining('"titel"') },
    { op_id: 4, code: 'table-not-writable', message: expect.stringContaining('"secrets"') },
    { op_id: 5, code: 'refused-by-database', message: expect.stringContaining('uuid') },
  ])
  expect(await readTodos(database)).toEqual([
    { id: 'a', title: 'milk' },
    { id: 'e', title: 'eggs' },
  ])
})

test('with all-or-nothing, one refused entry keeps the whole transaction out, and the next one goes on', async () => {
  await using backend = await openBackend({ scope: 'all-or-nothing' })
  const { handler, database } = backend

  const answer = await send(
    handler,
    upload(
      1,
      [
        { op: 'PUT', type: 'todos', id: 'a', data: { title: 'milk' } },
        { op: 'PUT', type: 'secrets', id: 'b', data: {} },
      ],
      [{ op: 'PUT', type: 'todos', id: 'c', data: { title: 'eggs' } }],
    ),
  )

  expect(answer.results).toMatchObject([
    {
      status: 'rejected',
      entries: [
        { op_id: 1, code: 'transaction-refused' },
        { op_id: 2, code: 'table-not-writable' },
      ],
    },
    { status: 'applied' },
  ])
  expect(await readTodos(database)).toEqual([{ id: 'c', title: 'eggs' }])
})

test('a deferred constraint that fails at the end refuses the transaction', async () => {
  await using backend = await openBackend()
  const { handler, database } = backend
  await database.sql(
    'ALTER TABLE todos ADD FOREIGN KEY (list_id) REFERENCES secrets (id) DEFERRABLE INITIALLY DEFERRED',
  )
  const answer = await send(
    handler,
    upload(1, [
      { op: 'PUT', type: 'todos', id: 'a', data: { title: 'milk' } },
      { op: 'PUT', type: 'todos', id: 'b', data: { list_id: 'missing' } },
    ]),
  )
  expect(answer.results).toMatchObject([
    { status: 'rejected', entries: [{ op_id: 1 }, { op_id: 2, message: expect.stringContaining('23503') }] },
  ])
})

test('no user can change, take over or give away the row of another', async () => {
  await using backend = await openBackend()
  const { handler, database } = backend
  await send(handler, upload(1, [{ op: 'PUT', type: 'lists', id: LIST, data: { owner: 'ann', name: 'shop' } }]))

  const answer = await send(
    handler,
    upload(
      1,
      [{ op: 'PATCH', type: 'lists', id: LIST, data: { name: 'mine' } }],
      [{ op: 'PUT', type: 'lists', id: LIST, data: { owner: 'bob', name: 'mine' } }],
      [{ op: 'DELETE', type: 'lists', id: LIST }],
      [{ op: 'PUT', type: 'lists', id: LIST.replace(/1$/, '2'), data: { owner: 'ann', name: 'gift' } }],
    ),
    'bob',
  )

  expect(answer.results.map((result) => result.entries?.[0]?.code)).toEqual(Array(4).fill('refused-by-rule'))
  expect(await database.sql('SELECT owner, name FROM lists')).toEqual([{ owner: 'ann', name: 'shop' }])
})

test('a rule judges the row as it is when the write comes, even if it changes hands meanwhile', async () => {
  await using backend = await openBackend()
  const { handler, database } = backend
  await send(handler, upload(1, [{ op: 'PUT', type: 'lists', id: LIST, data: { owner: 'ann', name: 'shop' } }]))

  await database.sql(`BEGIN; UPDATE lists SET owner = 'bob'`)
  const answer = send(handler, upload(2, [{ op: 'PATCH', type: 'lists', id: LIST, data: { name: 'late' } }]))
  await expect
    .poll(() =>
      database.sql(`SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`),
    )
    .toHaveLength(1)
  await database.sql('COMMIT')

  expect((await answer).results[0]?.entries?.[0]?.code).toBe('refused-by-rule')
  expect(await database.sql('SELECT owner, name FROM lists')).toEqual([{ owner: 'bob', name: 'shop' }])
})

test('a rule can look at other tables, as for todos of a list that one owns', async () => {
  await using backend = await openBackend({
    tables: {
      lists: { mayWrite: ownedBy('owner') },
      todos: {
        mayWrite: async ({ userId, data, existingRow, query }) => {
          const lists = [data['list_id'], existingRow?.['list_id']].filter((id) => id !== undefined)
          const found = await query('SELECT id FROM lists WHERE id::text = ANY ($1) AND owner = $2', [lists, userId])
          return found.length === new Set(lists).size || 'The list is not yours'
        },
      },
    },
  })
  const { handler, database } = backend
  const todo: Entry = { op: 'PUT', type: 'todos', id: 'a', data: { list_id: LIST, title: 'milk' } }
  await send(handler, upload(1, [{ op: 'PUT', type: 'lists', id: LIST, data: { owner: 'ann', name: 'shop' } }, todo]))

  const answer = await send(handler, upload(1, [{ op: 'DELETE', type: 'todos', id: 'a' }]), 'bob')

  expect(answer.results[0]?.entries).toEqual([{ op_id: 1, code: 'refused-by-rule', message: 'The list is not yours' }])
  expect(await readTodos(database)).toEqual([{ id: 'a', title: 'milk' }])
})

test('only the operations and columns that a rule names are taken', async () => {
  await using backend = await openBackend({
    tables: { todos: { mayWrite: 'everyone', operations: ['PUT', 'PATCH'], columns: ['title'] } },
  })
  const answer = await send(
    backend.handler,
    upload(
      1,
      [{ op: 'DELETE', type: 'todos', id: 'a' }],
      [{ op: 'PUT', type: 'todos', id: 'a', data: { title: 'x', done: 1 } }],
    ),
  )
  expect(answer.results.map((result) => result.entries?.[0]?.code)).toEqual([
    'operation-not-allowed',
    'column-not-writable',
  ])
})

test('two devices that write at the same time are both applied, once each', async () => {
  await using backend = await openBackend()
  const { handler, database } = backend
  await database.sql("INSERT INTO todos (id, count) VALUES ('n', 0)")
  await database.sql(`
    CREATE FUNCTION add_up() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN NEW.count := OLD.count + 1; RETURN NEW; END';
    CREATE TRIGGER add_up BEFORE UPDATE ON todos FOR EACH ROW EXECUTE FUNCTION add_up()`)
  const writes = Array.from({ length: 20 }, (_, index) => [
    { op: 'PATCH', type: 'todos', id: 'n', data: { title: `t${index}` } },
  ])
  const devices = ['phone', 'tablet'].map((client_id) => ({ ...upload(1, ...writes), client_id }))

  // Each upload goes out twice at once, as after a timeout of an impatient client.
  await Promise.all([...devices, ...devices].map((device) => send(handler, device)))

  expect(await database.sql("SELECT count::int FROM todos WHERE id = 'n'")).toEqual([{ count: 40 }])
})

test('two users who invent the same id at the same time cannot overwrite each other', async () => {
  await using backend = await openBackend()
  const { handler, database } = backend
  const answers = await Promise.all(
    ['ann', 'bob'].map((owner) =>
      send(handler, upload(1, [{ op: 'PUT', type: 'lists', id: LIST, data: { owner, name: owner } }]), owner),
    ),
  )
  expect(new Set(answers.map((answer) => answer.results[0]?.status))).toEqual(new Set(['applied', 'rejected']))
  const [row] = await database.sql('SELECT owner, name FROM lists')
  expect(row?.['owner']).toBe(row?.['name'])
})

test('a lock that another holds is answered with 503, and the same upload sent later is applied', async () => {
  await using backend = await openBackend({ log: () => {} })
  const { handler, database } = backend
  await send(handler, upload(1, [{ op: 'PUT', type: 'todos', id: 'a', data: { title: 'old' } }]))
  const body = upload(2, [{ op: 'PATCH', type: 'todos', id: 'a', data: { title: 'new' } }])

  await database.sql('BEGIN; LOCK TABLE todos')
  const response = await handler(request(body))
  await database.sql('ROLLBACK')

  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('1')
  expect(await response.json()).toMatchObject({ error: { code: 'upload-postponed' } })
  expect((await send(handler, body)).results[0]?.status).toBe('applied')
})

test('a backend killed in the middle of an upload has applied whole transactions, and the rest on the second try', async () => {
  await using backend = await openBackend()
  const { handler, database } = backend
  const writes = Array.from({ length: 60 }, (_, index) => [
    { op: 'PUT', type: 'todos', id: `${index}a`, data: { title: 'one' } },
    { op: 'PUT', type: 'todos', id: `${index}b`, data: { title: 'two' } },
  ])
  // Every write takes a moment, so that the kill falls into the middle.
  await database.sql(`
    CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END';
    CREATE TRIGGER linger BEFORE INSERT ON todos FOR EACH ROW EXECUTE FUNCTION linger()`)
  const body = upload(1, ...writes)
  const child = fork(new URL('./upload-killed.fixture.ts', import.meta.url), [database.url, JSON.stringify(body)], {
    execArgv: ['--conditions=@headwater/source'],
  })
  while ((await readTodos(database)).length < 10) await database.sql('SELECT pg_sleep(0.02)')
  child.kill('SIGKILL')
  await once(child, 'exit')

  const half = (await readTodos(database)).length
  expect(half).toBeLessThan(120)
  await database.sql('DROP TRIGGER linger ON todos')
  const answer = await send(handler, body)

  expect(await readTodos(database)).toHaveLength(120)
  expect(new Set(answer.results.map((result) => result.status))).toEqual(new Set(['replayed', 'applied']))
})

test('a table or column that the rules name and Postgres lacks is reported to the operator, and nothing is lost', async () => {
  const logged: unknown[] = []
  await using backend = await openBackend({
    tables: { todos: { mayWrite: 'everyone', columns: ['titel'] }, nowhere: { mayWrite: 'everyone' } },
    log: (error) => logged.push(error),
  })
  const response = await backend.handler(request(upload(1, [{ op: 'DELETE', type: 'todos', id: 'a' }])))

  expect(response.status).toBe(500)
  expect(String(logged[0])).toContain(
    'column "titel" is not in "public"."todos"; table "public"."nowhere" does not exist',
  )
})

test('a column added while the backend runs can be written soon after', async () => {
  await using backend = await openBackend({ log: () => {} })
  const { handler, database } = backend
  await send(handler, upload(1, [{ op: 'PUT', type: 'todos', id: 'a', data: { title: 'x' } }]))
  await database.sql('ALTER TABLE todos RENAME COLUMN title TO name')

  const renamed = await handler(request(upload(2, [{ op: 'PATCH', type: 'todos', id: 'a', data: { title: 'y' } }])))
  expect(renamed.status).toBe(503)
  const answer = await send(handler, upload(2, [{ op: 'PATCH', type: 'todos', id: 'a', data: { name: 'y' } }]))
  expect(answer.results[0]?.status).toBe('applied')
})

test('a database that is away is answered with 503', async () => {
  const handler = createUploadHandler({
    database: 'postgres://nobody@127.0.0.1:1/nowhere',
    verify: async () => ({ userId: 'ann', claims: {} }),
    tables: {},
    log: () => {},
  })
  const response = await handler(request(upload(1, [{ op: 'DELETE', type: 'todos', id: 'a' }])))
  expect(response.status).toBe(503)
})

const CUT_WAITING = `
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE datname = current_database()
  AND wait_event_type = 'Lock'`

test('a connection that is cut during an upload is answered with 503 and takes nothing else with it', async () => {
  await using backend = await openBackend({ log: () => {} })
  const { handler, database } = backend
  const body = upload(1, [{ op: 'PUT', type: 'todos', id: 'a', data: { title: 'once' } }])
  await database.sql('BEGIN; LOCK TABLE todos')
  const sending = handler(request(body))

  const cutWaiting = async () => {
    // Within a transaction Postgres would show the same sessions for ever.
    await database.sql('SELECT pg_stat_clear_snapshot()')
    return database.sql(CUT_WAITING)
  }
  await expect.poll(cutWaiting).toHaveLength(1)
  const cut = await sending
  await database.sql('COMMIT')

  expect(cut.status).toBe(503)
  expect((await send(handler, body)).results).toEqual([{ tx_id: 1, status: 'applied' }])
})

test('it mounts on node:http, refuses bodies over the limit and answers the preflight of browsers', async () => {
  await using backend = await openBackend({ bodyBytesMax: 1000 })
  const server = createServer(toNodeListener(backend.handler)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/upload`
  const post = (body: string) => fetch(url, { method: 'POST', body, headers: { user: 'ann' } })

  const good = await post(JSON.stringify(upload(1, [{ op: 'PUT', type: 'todos', id: 'a', data: { title: 'x' } }])))
  const large = await post('x'.repeat(1001))
  const preflight = await fetch(url, { method: 'OPTIONS', headers: { origin: 'http://app' } })
  server.closeAllConnections()
  server.close()

  expect(await good.json()).toEqual({ results: [{ tx_id: 1, status: 'applied' }] })
  expect(large.status).toBe(413)
  expect(preflight.status).toBe(204)
  expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization')
})

test('a device restored from a backup, which counts from an old position, loses no write', async () => {
  await using backend = await openBackend({ log: () => {} })
  const { handler, database } = backend
  const put = (id: string): Entry[] => [{ op: 'PUT', type: 'todos', id, data: { title: id } }]
  await send(handler, upload(1, put('a')))
  await send(handler, upload(2, put('b'), put('c')))
  const restored = upload(1, put('d'))

  const early = await handler(request(restored))
  await database.sql("UPDATE headwater.uploads SET updated_at = now() - interval '1 hour'")
  const later = await send(handler, restored)
  const next = await send(handler, upload(2, put('e'), put('f')))

  expect(early.status).toBe(503)
  expect([...later.results, ...next.results].map((result) => result.status)).toEqual(Array(3).fill('applied'))
  expect((await readTodos(database)).map((row) => row['id'])).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
})
