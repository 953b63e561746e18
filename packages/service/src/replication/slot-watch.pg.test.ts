import { createTestDatabase, startTestPostgres, type TestPostgres } from '@headwater/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EVERYTHING, startReplication } from './replication.test-parts.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres({ settings: { max_slot_wal_keep_size: '64MB', checkpoint_timeout: '1h' } })
})
afterAll(() => postgres.stop())

test('a slot that comes near the end of its budget is warned of at 50 % and at 80 %, and when it has room again', async () => {
  await using db = await createTestDatabase(postgres)
  await using writer = await createTestDatabase(postgres)
  await db.sql('CREATE TABLE notes (id text PRIMARY KEY)')
  await using service = await startReplication(db, { config: `${EVERYTHING}SELECT * FROM notes` })
  await service.settle()
  // As long as it is open, the slot keeps all log from here on.
  await writer.sql('BEGIN; SELECT pg_current_xact_id()')
  const levels = (): readonly (readonly [event: string, percent: number])[] =>
    service.events
      .filter(({ event }) => event.startsWith('slot-budget'))
      .map(({ event, fields }) => [event, (fields as { readonly usedPercent: number }).usedPercent])
  const write = async (mebibytes: number): Promise<void> => {
    for (let n = 0; n < mebibytes; n += 1) {
      await db.sql("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1048576))")
    }
  }
  await write(38)
  await expect.poll(levels, { timeout: 10_000 }).toHaveLength(1)
  await write(16)
  await expect.poll(levels, { timeout: 10_000 }).toHaveLength(2)
  expect(levels().map(([event]) => event)).toEqual(['slot-budget-low', 'slot-budget-low'])
  const [half = 0, most = 0] = levels().map(([, percent]) => percent)
  expect(half).toBeGreaterThanOrEqual(50)
  expect(most).toBeGreaterThanOrEqual(80)

  await writer.sql('COMMIT')
  const regained = async (): Promise<string | undefined> => {
    // Postgres lets go of log only where a note of running transactions is read.
    await db.sql('CHECKPOINT')
    await service.settle()
    return levels().at(-1)?.[0]
  }
  await expect.poll(regained, { timeout: 20_000 }).toBe('slot-budget-regained')
})
