import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStage, type Stage } from './protocol.test-parts.ts'

const TOKEN = 'a-token-for-tests-of-operators'

const SYNC_CONFIG = `
config: { edition: 3 }
streams:
  plain: { auto_subscribe: true, query: SELECT * FROM notes }
  parts: { auto_subscribe: true, query: "SELECT id, body ->> 'a' AS a FROM notes AS parts" }
  logs: { auto_subscribe: true, query: SELECT id FROM logs }
  absent: { auto_subscribe: true, query: SELECT * FROM nowhere }
`

let stage: Stage
beforeAll(async () => {
  stage = await openStage({
    tables: `
      CREATE TABLE notes (id text PRIMARY KEY, body text);
      INSERT INTO notes VALUES ('1', '{"a":1}'), ('2', '{bad');
      CREATE TABLE logs (id text)`,
    syncConfig: SYNC_CONFIG,
    settings: { api: { tokens: [TOKEN] } },
  })
})
afterAll(() => stage[Symbol.asyncDispose]())

test('[protocol 5] diagnostics say how far the slot, the copies and the checkpoints are', async () => {
  const { sql } = stage.database
  const before = await readDiagnostics()
  expect(before.active_sync_rules.connections[0]).not.toHaveProperty('max_slot_wal_keep_size')
  await sql("ALTER SYSTEM SET max_slot_wal_keep_size = '64MB'")
  await sql('SELECT pg_reload_conf()')
  await expect.poll(readConnection).toMatchObject({
    initial_replication_done: true,
    last_lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
    last_keepalive_ts: expect.any(String),
    last_checkpoint_ts: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    replication_lag_bytes: expect.any(Number),
    retained_wal_size: expect.any(Number),
    wal_status: 'reserved',
    safe_wal_size: expect.any(Number),
    max_slot_wal_keep_size: 64 * 1024 * 1024,
  })
  const [notes] = (await readConnection()).tables
  expect(notes).toMatchObject({
    name: 'notes',
    snapshot: { done: true, rows_copied: 2, rows_estimated: expect.any(Number) },
  })
})

test('each table has its errors, which are among those of the config, too', async () => {
  const { tables } = await readConnection()
  const errorsOf = (table: string): unknown =>
    tables.find(({ name }: { readonly name: string }) => name === table).errors
  expect(errorsOf('notes')).toEqual([
    {
      level: 'warning',
      message: expect.stringMatching(/^A row of public\.notes is left out of "parts": /),
      ts: expect.any(String),
    },
  ])
  expect(errorsOf('logs')).toEqual([
    { level: 'warning', message: expect.stringMatching(/"logs" has no replica identity.*ADD PRIMARY KEY/) },
  ])
  expect(errorsOf('nowhere')).toEqual([{ level: 'warning', message: expect.stringContaining('public.nowhere') }])
  const { errors } = (await readDiagnostics()).active_sync_rules
  for (const { errors: ofTable } of tables) expect(errors).toEqual(expect.arrayContaining(ofTable))
  expect(new Set(errors.map((error: object) => JSON.stringify(error))).size).toBe(errors.length)
})

test('a slot that has used up half of its budget is warned of', async () => {
  const { sql } = stage.database
  // The slot keeps all log from here on, however much of it is confirmed.
  await sql('BEGIN')
  await sql('SELECT pg_current_xact_id()')
  for (let n = 0; n < 40; n += 1) await sql("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1048576))")
  await expect
    .poll(async () => (await readDiagnostics()).active_sync_rules.errors, { timeout: 10_000 })
    .toContainEqual({
      level: 'warning',
      message: expect.stringMatching(/^[5-9]\d % of the log .* \(max_slot_wal_keep_size\)/),
    })
  await sql('ROLLBACK')
})

// oxlint-disable-next-line typescript/no-explicit-any -- Tests look into everything.
async function readDiagnostics(): Promise<any> {
  const response = await fetch(`${stage.url}/api/admin/v1/diagnostics`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: '{}',
  })
  return ((await response.json()) as { readonly data: unknown }).data
}

// oxlint-disable-next-line typescript/no-explicit-any -- Tests look into everything.
async function readConnection(): Promise<any> {
  return (await readDiagnostics()).active_sync_rules.connections[0]
}
