import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestDatabase, startTestPostgres, type TestPostgres } from '@headwater/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Service, startService } from './main.ts'

let postgres: TestPostgres
let folder: string

beforeAll(async () => {
  postgres = await startTestPostgres()
  folder = await mkdtemp(join(tmpdir(), 'headwater-main-'))
})

afterAll(async () => {
  await postgres.stop()
  await rm(folder, { recursive: true })
})

test('two services with one slot do not end each other, even on one machine', { timeout: 60_000 }, async () => {
  await using db = await createTestDatabase(postgres)
  await db.sql('CREATE TABLE todos (id text PRIMARY KEY)')
  const start = (name: string) =>
    startService({
      source: { url: db.url, slot: db.name },
      storage: { path: join(folder, name) },
      syncConfig: {
        content: 'config:\n  edition: 3\nstreams:\n  all:\n    auto_subscribe: true\n    query: SELECT * FROM todos',
      },
      http: { port: 0 },
      auth: { secret: 'a secret that is long enough for HS256' },
      log: { level: 'silent' },
    })
  const phaseOf = async (service: Service) => (await service.readStatus()).replication.phase
  const first = await start('first')
  await expect.poll(() => phaseOf(first)).toMatchObject({ kind: 'running' })
  const second = await start('second')
  try {
    await expect
      .poll(() => phaseOf(second), { timeout: 30_000 })
      .toMatchObject({ kind: 'waiting', code: 'slot-in-use' })
    expect((await first.readStatus()).replication).toMatchObject({
      phase: { kind: 'running' },
      counts: { reconnects: 0 },
    })
  } finally {
    await first.stop()
    await second.stop()
  }
})
