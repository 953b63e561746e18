import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createTestDatabase, startTestPostgres, type TestPostgres } from '@headwater/testkit'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { Clock } from '../clock.ts'
import { EVERYTHING, realClock, startReplication } from './replication.test-parts.ts'

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startTestPostgres()
})

afterAll(async () => {
  await postgres.stop()
})

/** Minutes are short. */
const hastyClock: Clock = { ...realClock, wait: (ms, signal) => realClock.wait(ms >= 60_000 ? 50 : ms, signal) }

test('numbers that nobody has used for long are forgotten, and their clients told one that covers them', async () => {
  await using db = await createTestDatabase(postgres)
  await db.sql(`CREATE TABLE notes (id text PRIMARY KEY)`)
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM notes`, clock: hastyClock })
  await service.settle()
  const old = await service.replicator().requestWriteCheckpoint('old')
  await service.replicator().requestCheckpointNumber('chosen', 7n)
  await service.settle()
  await service.stop()
  using file = new DatabaseSync(join(service.storagePath, 'generation-1.sqlite'))
  file.exec('UPDATE write_checkpoint SET used_hour = 1')

  await service.restart()
  await service.settle()
  await vi.waitFor(async () => {
    expect(await service.storage.readStoredWriteCheckpoint('old')).toMatchObject({ own: undefined })
  })
  expect(await service.storage.readWriteCheckpoint('old')).toBeGreaterThan(old)
  // Who comes back gets numbers above what it was told, whoever chooses them.
  const told = (await service.storage.readWriteCheckpoint('chosen')) ?? 0n
  expect(await service.replicator().requestCheckpointNumber('chosen', 8n)).toBeGreaterThanOrEqual(told)
  expect(await service.replicator().requestWriteCheckpoint('old')).toBeGreaterThan(told)
  expect(await service.storage.hasUnusedWriteCheckpoints()).toBe(false)
})
