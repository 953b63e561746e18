import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { HeadwaterError } from '@headwater/protocol'
import { expect, test } from 'vitest'
import { type AskedCompactionsParts, createAskedCompactions } from './asked-compactions.ts'
import type { Compaction } from './http/operator.ts'
import { deltaAt, origin, put } from './storage/example-data.contract.ts'
import { openSqliteStorage } from './storage/sqlite/sqlite-storage.ts'
import type { BucketStorage } from './storage/storage.ts'

const NOW_MS = Date.parse('2030-01-31T12:00:00Z')

test('a compaction that was asked for says what there was, what is left, and what it did', async () => {
  await using opened = await openStorage()
  for (let position = 1; position <= 4; position++) await opened.storage.append(onePerBucket(position, 3))
  const { compact, readCompaction } = ask(opened.storage)
  expect(await readCompaction()).toBeUndefined()
  const compaction = await compact({ wait: true })
  expect(compaction).toEqual({
    started_at: '2030-01-31T12:00:00.000Z',
    running: false,
    took_ms: 0,
    buckets: 3,
    buckets_done: 3,
    operations_before: 12,
    operations_after: 6,
    moved: 9,
    cleared: 6,
    bytes_freed: expect.any(Number),
    failures: 0,
  })
  expect((await opened.storage.readStatus()).operations).toBe(6)
  expect(await readCompaction()).toEqual(compaction)
  expect(await compact({ wait: true })).toMatchObject({ operations_before: 6, operations_after: 6, moved: 0 })
})

test('nobody has to wait for it: it says how far it is while it goes on', async () => {
  await using opened = await openStorage()
  for (let position = 1; position <= 3; position++) await opened.storage.append(onePerBucket(position, 1_500))
  const { compact, readCompaction } = ask(opened.storage)
  const first = await compact({ wait: false })
  expect(first).toMatchObject({ running: true, buckets: 1_500, operations_before: 4_500, operations_after: 4_500 })
  const seen: Compaction[] = [first]
  for (let last: Compaction | undefined = first; last?.running === true; await turn()) {
    last = await readCompaction()
    if (last !== undefined) seen.push(last)
  }
  const done = seen.map(({ buckets_done }) => buckets_done)
  expect(done).toEqual(done.toSorted((a, b) => a - b))
  expect(done.some((buckets) => buckets > 0 && buckets < 1_500)).toBe(true)
  expect(seen.at(-1)).toMatchObject({ buckets_done: 1_500, operations_after: 3_000, running: false })
})

test('of two that are asked for at once the second is refused, and another one is accepted when the first has ended', async () => {
  await using opened = await openStorage()
  await opened.storage.append(onePerBucket(1, 3))
  const { compact } = ask(opened.storage)
  const [first, second] = await Promise.allSettled([compact({ wait: true }), compact({ wait: false })])
  expect(first).toMatchObject({ status: 'fulfilled', value: { running: false } })
  expect(second).toMatchObject({
    reason: { code: 'compaction-running', message: expect.stringContaining('of 3 buckets left') },
  })
  await expect(compact({ wait: true })).resolves.toMatchObject({ running: false })
})

test('one that fails has ended too, says so, and is in the log', async () => {
  await using opened = await openStorage()
  const error = new HeadwaterError('storage-full', 'no space')
  const logged: unknown[] = []
  const { compact } = ask(
    { readStatus: opened.storage.readStatus, compact: () => Promise.reject(error) },
    { warn: (...event) => void logged.push(event) },
  )
  for (const wait of [true, true]) {
    expect(await compact({ wait })).toMatchObject({ running: false, moved: 0, cleared: 0, failures: 1 })
  }
  expect(logged[0]).toEqual(['storage-compact-failed', { error }])
})

function ask(
  storage: AskedCompactionsParts['storage'],
  log: AskedCompactionsParts['log'] = { warn: () => {} },
): ReturnType<typeof createAskedCompactions> {
  return createAskedCompactions({ storage, log, nowMs: () => NOW_MS })
}

/** The same row of each bucket anew. */
function onePerBucket(position: number, buckets: number) {
  const operations = Array.from({ length: buckets }, (_, n) => put(`bucket-${n}`, 'row', position))
  return deltaAt(position, { operations })
}

async function openStorage(): Promise<AsyncDisposable & { readonly storage: BucketStorage }> {
  const path = await mkdtemp(join(tmpdir(), 'headwater-asked-'))
  const storage = await openSqliteStorage({ path, log: { warn: () => {} }, onCompacted: () => {} })
  await storage.startGeneration(origin())
  return {
    storage,
    [Symbol.asyncDispose]: async () => {
      await storage[Symbol.asyncDispose]()
      await rm(path, { recursive: true })
    },
  }
}
