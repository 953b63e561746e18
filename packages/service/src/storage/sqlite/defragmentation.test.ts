import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createManualClock } from '@headwater/testkit'
import { expect, onTestFinished, test } from 'vitest'
import { DEFRAGMENTATION_LIMITS } from '../defragment.ts'
import type { Delta, DeltaOperation } from '../delta.ts'
import { bucket, deltaAt, opId, origin, put, readAll, remove, slice } from '../example-data.contract.ts'
import type { Commit } from '../storage.ts'
import type { DefragmentationRun } from './defragmenter.ts'
import { openSqliteReader } from './sqlite-reader.ts'
import { openSqliteStorage } from './sqlite-storage.ts'

/** A few operations are enough. */
const SMALL = { ...DEFRAGMENTATION_LIMITS, deadMin: 10, gainMin: 0, savedShareMin: 0, portionMs: 60_000 }

/** A storage with one generation, and what is appended to it one after the other. */
async function openStage(defragmentation = SMALL) {
  const path = await mkdtemp(join(tmpdir(), 'headwater-defragmentation-'))
  const runs: DefragmentationRun[] = []
  const clock = createManualClock()
  const open = () =>
    openSqliteStorage({
      path,
      log: { warn: () => {} },
      defragmentation,
      monotonicMs: clock.monotonicMs,
      onDefragmented: (run) => runs.push(run),
    })
  let storage = await open()
  onTestFinished(async () => {
    await storage[Symbol.asyncDispose]()
    await rm(path, { recursive: true })
  })
  await storage.startGeneration(origin())
  let position = 0
  const append = (operations: readonly DeltaOperation[] = [], more: Partial<Delta> = {}): Promise<Commit> =>
    storage.append(deltaAt((position += 1), { operations, ...more }))
  return {
    path,
    runs,
    clock,
    append,
    get storage() {
      return storage
    },
    reopen: async () => {
      await storage[Symbol.asyncDispose]()
      storage = await open()
    },
    /** Old rows in the bucket `a`, and 20 operations behind them that compaction leaves without a row. */
    begin: async (old: readonly string[]) => {
      await append(old.map((id) => put('a', id)))
      await append(Array.from({ length: 20 }, (_, n) => put('a', 'hot', n)))
      await storage.compact()
    },
    /** Kind and row of what a new client gets of the bucket `a`. */
    read: async () => (await readAll(storage, 'a')).map(({ op, object_id: id = '' }) => `${op} ${id}`.trim()),
    sum: async () => (await storage.readSums([bucket('a')], opId(1_000_000)))[0]?.checksum,
  }
}

test('a bucket of one old row and one that is changed for ever does not grow', { timeout: 60_000 }, async () => {
  const stage = await openStage(DEFRAGMENTATION_LIMITS)
  await stage.append([put('a', 'old')])
  let highest = 0
  for (let round = 1; round <= 40; round++) {
    const changes = Array.from({ length: 250 }, (_, n) => put('a', 'hot', round * 1_000 + n))
    await stage.append(changes)
    await stage.clock.advance(DEFRAGMENTATION_LIMITS.pauseMs)
    const sum = await stage.sum()
    await stage.storage.compact()
    expect(await stage.sum()).toBe(sum)
    const operations = await readAll(stage.storage, 'a')
    expect(operations.reduce((total, { checksum }) => (total + checksum) >>> 0, 0)).toBe(sum)
    highest = Math.max(highest, (await stage.storage.readStatus()).operations)
  }
  // 10,000 changes went by.
  expect(highest).toBeLessThan(2_500)
  await stage.append()
  await stage.clock.advance(DEFRAGMENTATION_LIMITS.pauseMs)
  await stage.append()
  await stage.storage.compact()
  const left = await stage.read()
  expect(left.filter((operation) => operation.startsWith('PUT')).toSorted()).toEqual(['PUT hot', 'PUT old'])
  expect(left.length).toBeLessThan(1_300)
  const { reappended, cleared } = (await stage.storage.readStatus()).compaction
  expect(reappended).toBeGreaterThan(2)
  expect(reappended).toBeLessThan(20)
  expect(cleared).toBeGreaterThan(8_000)
})

test('[protocol 62] old rows are put once more as they are, and clients at every position end with the same', async () => {
  const stage = await openStage()
  await stage.begin(['old', 'older'])
  expect((await stage.read()).slice(0, 4)).toEqual(['PUT old', 'PUT older', 'MOVE', 'MOVE'])
  const [first] = await readAll(stage.storage, 'a')

  const commit = await stage.append()
  expect([...commit.buckets]).toEqual([bucket('a')])
  expect(commit.checkpoint?.opId).toBe(25n)
  const again = (await readAll(stage.storage, 'a')).slice(-3)
  expect(again.map(({ op_id, op, object_id }) => [op_id, op, object_id])).toEqual([
    ['23', 'PUT', 'old'],
    ['24', 'PUT', 'older'],
    ['25', 'PUT', 'hot'],
  ])
  expect(again[0]).toEqual({ ...first, op_id: '23' })
  const sum = await stage.sum()

  await stage.storage.compact()
  expect(await stage.read()).toEqual(['CLEAR', 'PUT old', 'PUT older', 'PUT hot'])
  expect(await stage.sum()).toBe(sum)
  expect(stage.runs).toEqual([{ buckets: 1, reappended: 3, bytes: expect.any(Number), tookMs: expect.any(Number) }])
  await stage.reopen()
  expect(await stage.sum()).toBe(sum)
  expect((await stage.storage.readStatus()).operations).toBe(4)
})

test('what is compacted is packed by itself, so that a quiet bucket shrinks without being asked', async () => {
  const stage = await openStage()
  await stage.begin(['old'])
  await stage.append()
  await expect.poll(() => stage.read()).toEqual(['CLEAR', 'PUT old', 'PUT hot'])
})

test('a row that is removed or changed before its turn is not put once more', async () => {
  const stage = await openStage({ ...SMALL, portionOperations: 1 })
  await stage.begin(['removed', 'changed', 'other'])
  await stage.append([remove('a', 'removed'), put('a', 'changed', 77)], { show: false })
  for (let n = 0; n < 9; n++) {
    await stage.clock.advance(SMALL.pauseMs)
    await stage.append()
  }
  await stage.storage.compact()
  expect(await stage.read()).toEqual(['CLEAR', 'PUT changed', 'PUT other', 'PUT hot'])
})

test('an operation of the same row in the same commit comes after it', async () => {
  const stage = await openStage()
  await stage.begin(['removed', 'changed'])
  await stage.append([remove('a', 'removed'), put('a', 'changed', 77)])
  expect((await stage.read()).slice(-5)).toEqual([
    'PUT removed',
    'PUT changed',
    'PUT hot',
    'REMOVE removed',
    'PUT changed',
  ])
  await stage.storage.compact()
  expect(await stage.read()).toEqual(['CLEAR', 'PUT hot', 'REMOVE removed', 'PUT changed'])
})

test('what is not packed yet counts, whether it was there before the compaction or came while it went on', async () => {
  const stage = await openStage()
  await stage.append([put('a', 'old'), put('a', 'gone')])
  await stage.append(Array.from({ length: 20 }, (_, n) => put('a', 'hot', n)))
  const compacted = stage.storage.compact()
  await stage.append([remove('a', 'gone')])
  await compacted
  await stage.append()
  const operations = await stage.read()
  expect(operations.lastIndexOf('PUT gone')).toBeLessThan(operations.indexOf('REMOVE gone'))
})

test('nothing is put once more in slices of a transaction, in what is not shown, and with what was applied before', async () => {
  const stage = await openStage()
  await stage.begin(['old'])
  const before = (await stage.read()).length
  await stage.append([], { show: false })
  await stage.storage.append(slice({ operations: [put('b', '1')] }))
  await stage.append([put('b', '2')])
  await stage.storage.append(deltaAt(1, {}))
  expect((await stage.read()).length).toBe(before)
  await stage.append()
  expect((await stage.read()).length).toBe(before + 2)
})

test('slices that are rolled back leave nothing planned that they had changed', async () => {
  const stage = await openStage()
  await stage.begin(['old'])
  const sum = await stage.sum()
  await stage.storage.append(slice({ operations: [remove('a', 'old')] }))
  await stage.storage.rollback()
  await stage.append()
  expect(await stage.sum()).toBe(sum)
  expect((await stage.storage.readStatus()).compaction.reappended).toBe(0)
  // Asked, it is found again.
  await stage.storage.compact()
  await stage.append()
  await stage.storage.compact()
  expect(await stage.read()).toEqual(['CLEAR', 'PUT old', 'PUT hot'])
})

test('while an older checkpoint is pinned nothing is cleared, and all of it as soon as it is not', async () => {
  const stage = await openStage()
  await stage.begin(['old'])
  const pin = stage.storage.pinCheckpoint(opId(21))
  await stage.append()
  await stage.storage.compact()
  expect(await stage.read()).toHaveLength(23)
  pin[Symbol.dispose]()
  await stage.storage.compact()
  expect(await stage.read()).toEqual(['CLEAR', 'PUT old', 'PUT hot'])
})

test('portions are small, and five seconds apart', async () => {
  const stage = await openStage({ ...SMALL, portionOperations: 500, portionBytes: 1_000 })
  await stage.begin(Array.from({ length: 20 }, (_, n) => `old ${n}`))
  const counts: number[] = []
  for (let n = 0; n < 6; n++) {
    const before = (await stage.read()).length
    await stage.append()
    counts.push((await stage.read()).length - before)
    await stage.clock.advance(SMALL.pauseMs / 2)
  }
  expect(counts.map((count) => count > 0)).toEqual([true, false, true, false, true, false])
  expect(Math.max(...counts)).toBeLessThan(10)
})

test('what a day allows is not exceeded', async () => {
  const stage = await openStage({ ...SMALL, dailyBytes: 1_000 })
  for (let round = 0; round < 10; round++) {
    await stage.begin(['old'])
    await stage.clock.advance(SMALL.pauseMs)
    await stage.append()
  }
  expect((await stage.storage.readStatus()).compaction.reappended).toBeLessThanOrEqual(6)
  await stage.clock.advance(86_400_000)
  await stage.storage.compact()
  await stage.append()
  await stage.storage.compact()
  expect(await stage.read()).toEqual(['CLEAR', 'PUT old', 'PUT hot'])
})

test('a row that may not be the only one of its id stays, and holds what comes behind it', async () => {
  const stage = await openStage()
  await stage.append([put('a', 'old')])
  await stage.append([{ ...put('a', 'other'), subkey: '6:other' }])
  await stage.append([{ ...put('a', 'third'), subkey: '5:another key' }])
  await stage.append(Array.from({ length: 20 }, (_, n) => put('a', 'hot', n)))
  await stage.storage.compact()
  await stage.append()
  expect((await stage.storage.readStatus()).compaction.reappended).toBe(0)

  // A table that was the only one for its objects is not any more.
  await stage.append(Array.from({ length: 20 }, (_, n) => put('b', n === 0 ? 'old' : 'hot', n)))
  await stage.storage.compact()
  await stage.append([], { soleSources: new Set(['7:']) })
  expect((await stage.storage.readStatus()).compaction.reappended).toBe(0)
})

test('another process reads the same, also from positions in between', async () => {
  const stage = await openStage()
  await stage.begin(['old', 'older'])
  using reader = await openSqliteReader(stage.path)
  const read = async (after: number) => {
    const { body } = await reader.readBucket({
      bucket: bucket('a'),
      after: opId(after),
      upTo: opId(1_000_000),
      format: 'ndjson',
      bytesMax: 1_000_000,
      operationsMax: 1_000,
    })
    const operations = JSON.parse(`[${Buffer.concat(body).toString()}]`) as { op: string; object_id?: string }[]
    return operations.map(({ op, object_id: id = '' }) => `${op} ${id}`.trim())
  }
  expect(await read(21)).toEqual(['PUT hot'])
  await stage.append()
  expect(await read(22)).toEqual(['PUT old', 'PUT older', 'PUT hot'])
  await stage.storage.compact()
  expect(await read(0)).toEqual(['CLEAR', 'PUT old', 'PUT older', 'PUT hot'])
  expect(await read(23)).toEqual(['PUT older', 'PUT hot'])
  expect((await reader.readSums([bucket('a')], opId(1_000_000)))[0]?.checksum).toBe(await stage.sum())
})

test('names that look like the stored form are told apart', async () => {
  const stage = await openStage()
  const ids = ['"', '\\', '\\"', 'ü\u2028x', '","object_id":"', ':']
  await stage.begin(ids)
  await stage.append()
  await stage.storage.compact()
  expect(await stage.read()).toEqual(['CLEAR', ...ids.map((id) => `PUT ${id}`), 'PUT hot'])
  expect((await readAll(stage.storage, 'a')).slice(1, -1).map(({ data }) => data)).toEqual(
    ids.map((id) => put('a', id).data),
  )
})
