import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toChecksum } from '@headwater/protocol'
import { createManualClock, type ManualClock, type Random, readSeeds, seededRandom } from '@headwater/testkit'
import { expect, test } from 'vitest'
import { type CheckpointPin, PIN_MS_MAX } from '../checkpoint-pins.ts'
import {
  bucket,
  deltaAt,
  lookup,
  lookupChange,
  lookupsAt,
  opId,
  origin,
  put,
  readAll,
  readOf,
  remove,
  shownOp,
} from '../example-data.contract.ts'
import { DEFRAGMENTATION_LIMITS } from '../defragment.ts'
import type { Delta } from '../delta.ts'
import type { BucketStorage } from '../storage.ts'
import type { CompactionRun } from './compactor.ts'
import {
  EAGER,
  holdAfter,
  type ModelOperation,
  NOTHING_HELD,
  readBetween,
  RecordedHistory,
  transactionAt,
} from './random-deltas.contract.ts'
import { openSqliteStorage } from './sqlite-storage.ts'

const SEEDS = readSeeds(process.env, 6)

test.each([
  ...SEEDS.map((seed) => ({ seed, named: 'as usual', defragmentation: DEFRAGMENTATION_LIMITS })),
  ...SEEDS.map((seed) => ({ seed, named: 'defragmented all the time', defragmentation: EAGER })),
])(
  '[protocol 62, 63] reads at all positions agree with what was never compacted (seed $seed, $named)',
  { timeout: 60_000 },
  async ({ seed, defragmentation }) => {
    const random = seededRandom(seed)
    await using opened = await openTemporary(() => {}, defragmentation)
    const { storage, clock } = opened
    const history = new RecordedHistory()
    let pinned: { readonly checkpoint: number; readonly pin: CheckpointPin; readonly untilMs: number } | undefined
    for (let position = 1; position <= 60; position++) {
      for (const delta of transactionAt(seed, position)) await history.append(storage, delta, random)
      if (random.chance(0.3)) await new Promise(setImmediate)
      if (random.chance(0.1)) await clock.advance(PIN_MS_MAX / 2)
      const head = Number((await storage.readHead())?.checkpoint.opId ?? 0)
      if (random.chance(0.2)) {
        pinned?.pin[Symbol.dispose]()
        pinned = { checkpoint: head, pin: storage.pinCheckpoint(opId(head)), untilMs: clock.nowMs() + PIN_MS_MAX }
      }
      if (!random.chance(0.2)) continue
      await storage.compact()
      const held = pinned !== undefined && pinned.untilMs >= clock.nowMs() ? pinned.checkpoint : head
      await expectServed(storage, history.buckets, { random, head, sure: [head, held] })
    }
    pinned?.pin[Symbol.dispose]()
    await storage.compact()
    const head = Number((await storage.readHead())?.checkpoint.opId)
    await expectServed(storage, history.buckets, { random, head, sure: [head] })
    const { moved, reappended } = (await storage.readStatus()).compaction
    expect(moved).toBeGreaterThan(100)
    expect(reappended).toBe(history.reappended)
    if (defragmentation === EAGER) expect(reappended).toBeGreaterThan(100)
  },
)

test('[protocol 60, 61] what was superseded is a MOVE or went into the CLEAR, with ids and sums as they were', async () => {
  await using opened = await openTemporary()
  const { storage } = opened
  const operations = [
    put('a', '1', 11),
    put('a', '2', 12),
    put('a', '1', 13),
    remove('a', '2'),
    put('a', '3', 15),
    put('a', '1', 16),
  ]
  await storage.append(deltaAt(10, { operations }))
  await storage.append(deltaAt(20, { operations: [put('a', '3', 17), put('b', '1', 18)] }))
  const sums = await storage.readSums([bucket('a'), bucket('b')], opId(8))

  expect(await storage.compact()).toMatchObject({ moved: 4, cleared: 4 })
  expect((await readAll(storage, 'a')).map((operation) => [operation.op_id, operation.op])).toEqual([
    ['5', 'CLEAR'],
    ['6', 'PUT'],
    ['7', 'PUT'],
  ])
  expect((await readAll(storage, 'a'))[0]).toEqual({
    op_id: '5',
    op: 'CLEAR',
    checksum: 11 + 12 + 13 + 3_333_333_333 + 15,
  })
  const after = await storage.readSums([bucket('a'), bucket('b')], opId(8))
  expect(after.map((sum) => sum?.checksum)).toEqual(sums.map((sum) => sum?.checksum))
  expect(after.map((sum) => sum?.count)).toEqual([3, 1])
  expect((await storage.readStatus()).operations).toBe(4)
  expect(await storage.compact()).toMatchObject({ moved: 0, cleared: 0 })
})

// Once seen: a counter that was to go down ended the process.
test('a few operations that become larger free no bytes, and not less than none', async () => {
  const runs: CompactionRun[] = []
  await using opened = await openTemporary((run) => runs.push(run))
  const { storage } = opened
  for (const [n, id] of ['1', '2'].entries()) {
    const tiny = { ...put('a', id, 4_000_000_000 + n), type: 't', subkey: '', data: '{}' }
    await storage.append(deltaAt(10 + n, { operations: [tiny, { ...tiny, checksum: toChecksum(n) }] }))
    await storage.compact()
  }
  expect(runs.length).toBeGreaterThan(0)
  for (const { bytesFreed } of runs) expect(bytesFreed).toBeGreaterThanOrEqual(0)
})

test('a checkpoint that is pinned is served as if nothing was compacted, until it was pinned for too long', async () => {
  await using opened = await openTemporary()
  const { storage, clock } = opened
  await storage.append(deltaAt(10, { operations: [put('a', '1', 1), put('a', '2', 2), put('a', '1', 3)] }))
  using _pin = storage.pinCheckpoint(opId(3))
  await storage.append(deltaAt(20, { operations: [put('a', '1', 4), put('a', '2', 5)] }))
  await storage.compact()
  expect(await storage.readSums([bucket('a')], opId(3))).toEqual([{ checksum: 6, count: 3 }])
  expect(await storage.readBucket(readOf('a', { upTo: 3 }))).toMatchObject({ count: 3, completeFrom: 0n })

  await clock.advance(PIN_MS_MAX + 1)
  await storage.append(deltaAt(30, { operations: [put('a', '3', 6)] }))
  await storage.compact()
  expect(await storage.readSums([bucket('a')], opId(2))).toEqual([undefined])
  expect(await storage.readBucket(readOf('a', { upTo: 2 }))).toMatchObject({
    count: 0,
    hasMore: true,
    completeFrom: 3n,
  })
  expect(await storage.readSums([bucket('a')], opId(6))).toEqual([{ checksum: 21, count: 4 }])
})

test('lookup entries that ended are dropped, and what they said before is not made up', async () => {
  await using opened = await openTemporary()
  const { storage } = opened
  const entry = [lookup('k', '["x"]')]
  const first = await storage.append(deltaAt(10, { lookups: [lookupChange('1', [], entry)] }))
  const second = await storage.append(deltaAt(20, { lookups: [lookupChange('1', entry, [])] }))
  await storage.compact()
  expect(await lookupsAt(storage, ['k'], shownOp(first))).toBeUndefined()
  expect(await lookupsAt(storage, ['k'], shownOp(second))).toEqual([[]])
})

test('rows that are updated for ever take no more and more space', { timeout: 60_000 }, async () => {
  await using opened = await openTemporary()
  const random = seededRandom(1)
  let position = 0
  const sizeAfter = async (rounds: number): Promise<number> => {
    const { storage } = opened
    for (let round = 0; round < rounds; round++) {
      await storage.append(updateOf400(random, (position += 1)))
      if (round % 5 === 4) await storage.compact()
    }
    expect((await storage.readStatus()).operations).toBeLessThanOrEqual(400 + 7)
    // The write-ahead log goes into the file.
    await opened.reopen()
    return (await stat(join(opened.path, 'generation-1.sqlite'))).size
  }
  const size = await sizeAfter(20)
  expect(await sizeAfter(60)).toBeLessThan(size * 1.1)
})

test('a bucket of which a third may be superseded is compacted by itself', { timeout: 60_000 }, async () => {
  const { promise, resolve } = Promise.withResolvers<CompactionRun>()
  await using opened = await openTemporary(resolve)
  const random = seededRandom(1)
  const data = JSON.stringify({ text: random.text(20_000) })
  for (let position = 1; position <= 40; position++) {
    const operations = Array.from({ length: 40 }, (_, n) => ({ ...put('a', String(n), position), data }))
    await opened.storage.append(deltaAt(position, { operations }))
    await new Promise(setImmediate)
  }
  const run = await promise
  expect(run.moved).toBeGreaterThan(0)
  expect(run.bytesFreed).toBeGreaterThan(0)
  expect((await opened.storage.readStatus()).compaction.moved).toBeGreaterThanOrEqual(run.moved)
})

function updateOf400(random: Random, position: number): Delta {
  const operations = Array.from({ length: 400 }, (_, n) => ({
    ...put(`bucket-${n % 7}`, `row-${n}`, position + n),
    data: JSON.stringify({ text: random.text(200) }),
  }))
  return deltaAt(position, { operations })
}

type Served = {
  readonly random: Random
  readonly head: number
  /** Checkpoints that must not have been compacted away. */
  readonly sure: readonly number[]
}

/** Brings clients at random positions of every bucket to sure and to random checkpoints, and compares with the history. */
async function expectServed(
  storage: BucketStorage,
  model: ReadonlyMap<ReturnType<typeof bucket>, readonly ModelOperation[]>,
  { random, head, sure }: Served,
): Promise<void> {
  for (const [name, history] of model) {
    for (const checkpoint of [...sure, random.between(0, head)]) {
      const held = (upTo: number) =>
        holdAfter(
          NOTHING_HELD,
          history.filter(({ opId: id }) => id <= upTo),
        )
      const [sum] = await storage.readSums([name], opId(checkpoint))
      const expected = held(checkpoint)
      if (sum !== undefined) expect(sum.checksum).toBe(expected.sum)
      const isSure = sure.includes(checkpoint)
      expect(sum !== undefined || !isSure).toBe(true)
      const after = random.chance(0.2) ? 0 : random.between(0, checkpoint)
      const { operations, completeFrom } = await readBetween(storage, name, { after, upTo: checkpoint }, random)
      expect(operations.every(({ opId: id }) => id > after && id <= checkpoint)).toBe(true)
      const isComplete = completeFrom <= checkpoint
      expect(isComplete || !isSure).toBe(true)
      if (isComplete) expect(holdAfter(held(after), operations), `${name} ${after} to ${checkpoint}`).toEqual(expected)
    }
  }
}

type Opened = AsyncDisposable & {
  /** As it is open now. */
  readonly storage: BucketStorage
  readonly clock: ManualClock
  readonly path: string
  readonly reopen: () => Promise<void>
}

async function openTemporary(
  onCompacted: (run: CompactionRun) => void = () => {},
  defragmentation = DEFRAGMENTATION_LIMITS,
): Promise<Opened> {
  const path = await mkdtemp(join(tmpdir(), 'headwater-compaction-'))
  const clock = createManualClock()
  const log = { warn: () => {} }
  const { monotonicMs } = clock
  const open = () => openSqliteStorage({ path, log, onCompacted, defragmentation, monotonicMs })
  let storage = await open()
  await storage.startGeneration(origin())
  return {
    get storage() {
      return storage
    },
    clock,
    path,
    reopen: async () => {
      await storage[Symbol.asyncDispose]()
      storage = await open()
    },
    [Symbol.asyncDispose]: async () => {
      await storage[Symbol.asyncDispose]()
      await rm(path, { recursive: true })
    },
  }
}
